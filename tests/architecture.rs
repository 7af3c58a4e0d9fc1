//! The rules of the house that no compiler holds: who may import whom, how long a file may be, what is pure.
//! Each failure says what to do. The table of imports stands in `docs/architecture.md` too; a test holds the two equal.
#![expect(clippy::unwrap_used, reason = "all of this is a test; clippy sees only its #[test] functions as such")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Room and the rooms it may import. `lib.rs` and `main.rs` are free, and so is whoever may import `ANYTHING`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("odoo", &["domain"]),
    ("rules", &["domain", "odoo"]),
    ("losses", &["domain", "odoo", "rules"]),
    ("ingest", &["domain", "odoo"]),
    ("addons", &["domain", "odoo"]),
    ("db", &["domain"]),
    ("queue", &["domain", "odoo", "telemetry"]),
    ("claude", &["domain"]),
    ("sandbox", &["domain", "odoo"]),
    ("runs", &["domain", "db", "odoo"]),
    ("tenants", &["domain", "db"]),
    ("tickets", &["domain", "db", "odoo"]),
    ("sources", &["domain"]),
    ("knowledge", &["domain", "db", "odoo"]),
    ("stack", &[]),
    ("telemetry", &["odoo"]),
    ("cascade", &["domain", "odoo", "rules", "losses", "knowledge", "claude", "sandbox", "tenants"]),
    ("jobs", &["domain", "odoo", "rules", "knowledge", "claude", "sandbox", "tenants", "cascade", "addons", "sources"]),
    ("config", &["domain", THE_ADAPTERS]),
    ("app", &["domain", "config", THE_ADAPTERS]),
    ("mcp", &["domain", "app"]),
    ("api", &["domain", "ingest", "app", "mcp"]),
    ("scheduler", &["domain", "app"]),
    ("worker", &["domain", "telemetry", "queue", "runs", "tenants", "ingest", "odoo", "app", "jobs"]),
    ("cli", &[ANYTHING]),
];
/// The rooms that `THE_ADAPTERS` stands for: one outside system each.
const ADAPTERS: &[&str] =
    &["addons", "db", "queue", "claude", "sandbox", "runs", "tenants", "tickets", "knowledge", "sources", "stack", "telemetry"];
const THE_ADAPTERS: &str = "the adapters";
const ANYTHING: &str = "anything";

/// Rooms without async and IO, and the words that would bring either.
const PURE: &[&str] = &["domain", "odoo", "rules", "losses", "ingest"];
const IMPURE: &[&str] =
    &["async fn", "async move", ".await", "tokio::", "sqlx::", "reqwest::", "std::fs", "std::net", "std::env", "std::process"];

const FILE_LIMIT: usize = 600;
const FILE_WARNING: usize = 400;

// --- the rules --------------------------------------------------------------------------------------------------------

#[test]
fn rooms_import_only_what_they_may() {
    hold(&compiled().iter().flat_map(forbidden_imports).collect::<Vec<_>>());
}

fn forbidden_imports(file: &Source) -> Vec<String> {
    let Some(room) = file.room() else { return Vec::new() };
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
        let path = &file.path;
        return vec![format!("{path}: the room `{room}` is not in MAY_IMPORT of tests/architecture.rs: add it, with what it may import")];
    };
    let may = if allowed.is_empty() { "nothing of the crate".to_owned() } else { allowed.join(", ") };
    let allowed = spelled_out(allowed);
    let forbidden = |target: &str| target != room && !allowed.contains(target) && !allowed.contains(ANYTHING);
    let told = |import: Import| {
        let (path, line, target) = (&file.path, import.line, import.room);
        format!("{path}:{line}: `{room}` may not import `{target}` (only {may}): move it to a room that both see, or pass it in as a value")
    };
    imports(file).into_iter().filter(|import| forbidden(&import.room)).map(told).collect()
}

/// The rooms of one row of the table, `THE_ADAPTERS` by their names.
fn spelled_out<'a>(allowed: &'a [&'a str]) -> BTreeSet<&'a str> {
    let rooms = |name: &'a &'a str| if *name == THE_ADAPTERS { ADAPTERS } else { std::slice::from_ref(name) };
    allowed.iter().flat_map(rooms).copied().collect()
}

#[test]
fn documentation_has_the_same_table() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let told = table_of(&text);
    let held: BTreeMap<&str, BTreeSet<&str>> =
        MAY_IMPORT.iter().map(|(room, allowed)| (*room, allowed.iter().copied().collect())).collect();
    let rooms: BTreeSet<&str> = told.keys().chain(held.keys()).copied().collect();
    let differs = |room: &&str| told.get(room) != held.get(room);
    let fault = |room: &str| {
        let (told, held) = (told.get(room), held.get(room));
        format!(
            "docs/architecture.md says that `{room}` may import {told:?}, MAY_IMPORT of tests/architecture.rs {held:?}: make them say the same"
        )
    };
    hold(&rooms.into_iter().filter(differs).map(fault).collect::<Vec<_>>());
}

/// The rows `| rooms | … | may import |` of a text, with one entry a room.
fn table_of(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut table = BTreeMap::new();
    for line in text.lines() {
        let [_, rooms, _, allowed, _] = line.split('|').collect::<Vec<_>>()[..] else { continue };
        let allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).filter(|name| *name != "–").collect();
        // The names stand between backticks; what is between them separates two.
        table.extend(rooms.split('`').skip(1).step_by(2).map(|room| (room, allowed.clone())));
    }
    table
}

#[test]
fn rooms_have_no_cycle() {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in compiled() {
        if let Some(room) = file.room() {
            let targets = imports(&file).into_iter().map(|import| import.room).filter(|target| *target != room);
            edges.entry(room.clone()).or_default().extend(targets);
        }
    }
    let fault =
        cycle(&edges).map(|path| format!("rooms import each other in a circle, {}: cut the weakest of these edges", path.join(" -> ")));
    hold(&Vec::from_iter(fault));
}

#[test]
fn table_has_no_cycle() {
    let row = |(room, allowed): &(&str, &[&str])| ((*room).to_owned(), spelled_out(allowed).iter().map(ToString::to_string).collect());
    let table = MAY_IMPORT.iter().map(row).collect();
    let fault = cycle(&table).map(|path| format!("MAY_IMPORT itself allows a circle: {}", path.join(" -> ")));
    hold(&Vec::from_iter(fault));
}

#[test]
fn files_stay_short() {
    let mut faults = Vec::new();
    for file in sources() {
        let (path, lines) = (&file.path, code_lines(&file.text));
        if lines > FILE_LIMIT {
            faults.push(format!("{path}: {lines} lines without its tests, {FILE_LIMIT} at most: split it by what changes together"));
        } else if lines > FILE_WARNING {
            println!("warning: {path}: {lines} lines without its tests; over {FILE_WARNING} needs a reason");
        }
    }
    hold(&faults);
}

#[test]
fn files_are_reachable() {
    let files = sources();
    let reached = reached(&files, |file| blank(&file.text));
    let orphans = files.iter().map(|file| &file.path).filter(|path| !reached.contains(*path));
    let told = |path| format!("{path}: no `mod` line leads here, so it is never compiled: add one to its parent, or delete the file");
    hold(&orphans.map(told).collect::<Vec<_>>());
}

#[test]
fn pure_rooms_stay_pure() {
    let mut faults = Vec::new();
    for file in compiled().iter().filter(|file| file.room().is_some_and(|room| PURE.contains(&room.as_str()))) {
        for (line, word) in impurities(&file.code) {
            faults.push(format!("{}:{line}: `{word}` in a pure room: let the caller do the IO and pass the value in", file.path));
        }
    }
    hold(&faults);
}

#[test]
fn rooms_say_what_they_are_for() {
    let silent = sources().into_iter().filter(|file| file.depth() <= 1 && !file.text.starts_with("//!"));
    let told = |file: Source| format!("{}: start it with `//!`: what the room is for, ending in what it never does", file.path);
    hold(&silent.map(told).collect::<Vec<_>>());
}

#[test]
fn job_kinds_have_a_schema_and_an_example() {
    let mut faults = Vec::new();
    for kind in fs::read_dir(root().join("jobs")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for path in ["schema.json", "example.json"].map(|name| kind.join(name)) {
            let shown = path.strip_prefix(root()).unwrap().display();
            match fs::read_to_string(&path).map(|text| serde_json::from_str::<serde_json::Value>(&text)) {
                Err(_) => faults.push(format!("{shown} is missing: a folder below jobs/ is a job kind, with schema.json and example.json")),
                Ok(Err(error)) => faults.push(format!("{shown} is no JSON, mend it: {error}")),
                Ok(Ok(_)) => {}
            }
        }
    }
    hold(&faults);
}

fn hold(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

// --- the scan ---------------------------------------------------------------------------------------------------------

/// One file of `src`. `code` is its text with comments, literals and test modules blanked out; lines stay.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let code = without_tests(&blank(&text));
        Self { path: path.into(), text, code }
    }

    /// The names of its module path: `src/odoo/log.rs` is `odoo`, `log`; the two roots have none.
    fn names(&self) -> Vec<&str> {
        let below = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        below.split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main")).collect()
    }

    /// The top-level module that the file belongs to, unless it is one of the two roots.
    fn room(&self) -> Option<String> {
        self.names().first().map(ToString::to_string)
    }

    /// How many `super` lead to the root of the crate.
    fn depth(&self) -> usize {
        self.names().len()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    paths.sort();
    assert!(paths.len() > 10, "the scan found next to nothing in src: mend sources() in tests/architecture.rs");
    let shown = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
    paths.iter().map(|path| Source::new(shown(path), fs::read_to_string(path).unwrap())).collect()
}

/// The files of the program: without those that only a `mod` line under `#[cfg(test)]` leads to, which are tests in a file of their own.
fn compiled() -> Vec<Source> {
    let mut files = sources();
    let with_tests = reached(&files, |file| blank(&file.text));
    let without = reached(&files, |file| file.code.clone());
    // What nothing leads to is kept: another rule tells of it, and it must not slip through this one.
    files.retain(|file| without.contains(&file.path) || !with_tests.contains(&file.path));
    files
}

/// The paths that the `mod` lines lead to from the two roots, as `code` shows each file.
fn reached(files: &[Source], code: impl Fn(&Source) -> String) -> BTreeSet<String> {
    let files: BTreeMap<&str, &Source> = files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut reached = BTreeSet::new();
    let mut next = vec!["src/lib.rs".to_owned(), "src/main.rs".to_owned()];
    while let Some(path) = next.pop() {
        if let Some(file) = files.get(path.as_str())
            && reached.insert(path)
        {
            next.extend(modules(&file.path, &code(file)));
        }
    }
    reached
}

/// The text with comments and literals as blanks. Lines and byte positions stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + skipped(bytes, at)).min(bytes.len());
        out[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end.max(at + 1);
    }
    String::from_utf8(out).unwrap()
}

/// How many bytes the comment or literal has that starts at `at`; 0 if none does.
fn skipped(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let inside_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => quoted(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !inside_word => raw_string(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !inside_word => raw_string(rest, 2),
        [b'\'', b'\\', ..] => quoted(rest, b'\''),
        // A quote opens a character only if the next quote stands right after one; else it is a lifetime or a label.
        [b'\'', tail @ ..] => {
            let width = match tail.first() {
                None | Some(b'\'') => 0,
                Some(0..=0x7f) => 1,
                Some(0x80..=0xdf) => 2,
                Some(0xe0..=0xef) => 3,
                Some(0xf0..) => 4,
            };
            if width > 0 && tail.get(width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        _ => 0,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return at + 2,
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return 0; // a raw identifier
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let found = rest[open + 1..].windows(close.len()).position(|window| window == close);
    found.map_or(rest.len(), |at| open + 1 + at + close.len())
}

/// Where the items under `#[cfg(test)]` stand in blanked text.
fn test_items(code: &str) -> Vec<std::ops::Range<usize>> {
    let mut items: Vec<std::ops::Range<usize>> = Vec::new();
    for (start, _) in code.match_indices("#[cfg(test)]") {
        if items.last().is_none_or(|last| last.end <= start) {
            items.push(start..item_end(code, start));
        }
    }
    items
}

/// The end of the item that starts at `from`: its closing brace, or its semicolon if that comes first.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for item in test_items(code) {
        out[item].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    String::from_utf8(out).unwrap()
}

/// Lines of a file without its test modules.
fn code_lines(text: &str) -> usize {
    let code = blank(text);
    let tests: usize = test_items(&code).into_iter().map(|item| code[item].lines().count()).sum();
    text.lines().count().saturating_sub(tests)
}

#[derive(Debug, PartialEq)]
struct Import {
    room: String,
    line: usize,
}

/// The rooms that a file names: `crate::room`, `crate::{room, …}`, and as many `super` as lead to the root.
fn imports(file: &Source) -> Vec<Import> {
    let code = &file.code;
    let rooms: BTreeSet<&str> = MAY_IMPORT.iter().map(|(room, _)| *room).collect();
    let inside_word = |at: usize| code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
    let mut found = Vec::new();
    let mut add = |at: usize, name: &str| {
        found.push(Import { room: name.to_owned(), line: code[..at].matches('\n').count() + 1 });
    };
    for (at, _) in code.match_indices("crate").filter(|(at, _)| !inside_word(*at)) {
        if let Some(path) = after(&code[at..], "crate") {
            first_names(path).into_iter().for_each(|name| add(at, name));
        }
    }
    for (at, _) in code.match_indices("super").filter(|(at, _)| !inside_word(*at)) {
        let (mut path, mut climbed) = (&code[at..], 0);
        while let Some(rest) = after(path, "super") {
            (path, climbed) = (rest, climbed + 1);
        }
        // A module inside the file climbs once more without leaving the room, so only names of rooms count.
        if climbed >= file.depth() {
            first_names(path).into_iter().filter(|name| rooms.contains(name)).for_each(|name| add(at, name));
        }
    }
    found.sort_by_key(|import| import.line);
    found
}

/// What follows `word ::`, or `None` if the path does not start so.
fn after<'a>(path: &'a str, word: &str) -> Option<&'a str> {
    Some(path.strip_prefix(word)?.trim_start().strip_prefix("::")?.trim_start())
}

/// The first names of a path or of each branch of a group: `a::b` is `a`, `{a::b, c::{d, e}}` is `a` and `c`.
fn first_names(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return word(path).into_iter().collect() };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b',' | b'}' if depth == 0 => {
                names.extend(word(&group[start..at]));
                start = at + 1;
                if byte == b'}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then_some(&text[..end])
}

/// The impure words of blanked code, with their lines.
fn impurities(code: &str) -> Vec<(usize, &'static str)> {
    let of_line = |(index, line): (usize, &str)| {
        let words: Vec<_> = IMPURE.iter().filter(|word| line.contains(**word)).map(|word| (index + 1, *word)).collect();
        words
    };
    code.lines().enumerate().flat_map(of_line).collect()
}

/// The files that the `mod name;` lines of a file with this blanked code may stand for.
fn modules(path: &str, code: &str) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').unwrap();
    let folder = match name {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    let names = code.split(';').filter_map(|item| item.rsplit_once("mod ")).map(|(_, name)| name.trim());
    names
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")])
        .collect()
}

/// A circle in the graph, as the names along it, or `None`.
fn cycle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(room: &str, edges: &BTreeMap<String, BTreeSet<String>>, path: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        if let Some(start) = path.iter().position(|seen| seen == room) {
            path.drain(..start);
            path.push(room.to_owned());
            return true;
        }
        if done.contains(room) {
            return false;
        }
        path.push(room.to_owned());
        if edges.get(room).into_iter().flatten().any(|target| visit(target, edges, path, done)) {
            return true;
        }
        path.pop();
        done.insert(room.to_owned());
        false
    }
    let (mut path, mut done) = (Vec::new(), BTreeSet::new());
    edges.keys().any(|room| visit(room, edges, &mut path, &mut done)).then_some(path)
}

#[path = "architecture/controls.rs"]
mod controls;
