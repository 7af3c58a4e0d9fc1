//! Whether an error with a fingerprint of its own is one that is known already: reached by another way in, said with other numbers or in
//! another language. A wrong merge hides an error, so only what cannot be another error is the same; in doubt it is another.

use super::classify::short;
use super::fingerprint::Print;
use super::pattern::Pattern;
use super::place::{Places, is_nobodys};
use crate::domain::{ErrorReport, Fingerprint, Frame, ModuleName, Raised};

/// Frames below the custom one that count; a recursion is as deep as chance makes it.
const INNER_MAX: usize = 60;

/// What near-duplicates have in common, as a key: two errors are the same if both have one and the two are equal. Equal are class, named
/// object, module and place, every exception of the chain, the innermost custom frame of each with its source line and all frames below
/// it, and what is said. Free are the frames above (the way in), and what `template` calls volatile. `None`: nothing in custom code holds
/// the error in place, so only its fingerprint tells whether it is the same.
pub fn kin(report: &ErrorReport) -> Option<Fingerprint> {
    let module = report.module.as_ref()?;
    let mut print = Print::default();
    print.add("class", report.class.as_str());
    print.add("module", module.as_str());
    // As JSON: a name that a later version adds keeps apart what names it, and leaves the others as they are.
    print.add("object", &serde_json::to_string(&report.object).ok()?);
    print.add("place", report.location.as_ref().map_or("", |location| &location.path));
    let mut held = false;
    for raised in &report.chain {
        print.add("exception", short(&raised.exception));
        held |= add_frames(&mut print, &raised.frames, module);
        match constant(raised) {
            Some(statement) => print.add("statement", statement),
            None => print.add("said", &template(&raised.message)),
        }
    }
    held.then(|| print.finish())
}

/// From the innermost custom frame on; where there is none, only where it was raised. `true`: there is one.
fn add_frames(print: &mut Print, frames: &[Frame], module: &ModuleName) -> bool {
    let own = frames.iter().rposition(|frame| !is_nobodys(&frame.file.replace('\\', "/")));
    let Some((frame, below)) = own.and_then(|own| frames[own..].split_first()) else {
        if let Some(last) = frames.last() {
            add_inner(print, last);
        }
        return false;
    };
    let located = Places::default().locate(&frame.file, None, Some(module.as_str()));
    print.add("path", &located.map_or_else(|| frame.file.clone(), |located| located.location.path));
    print.add("function", &frame.function);
    print.add("source", &frame.source);
    let mut before = None;
    for inner in below.iter().take(INNER_MAX) {
        let this = (inner.file.as_str(), inner.function.as_str());
        if before.replace(this) != Some(this) {
            add_inner(print, inner);
        }
    }
    true
}

fn add_inner(print: &mut Print, frame: &Frame) {
    // Odoo lies elsewhere on every machine; the name of the file does not change.
    print.add("file", frame.file.rsplit(['/', '\\']).next().unwrap_or_default());
    print.add("inner", &frame.function);
}

static CONSTANT: Pattern = Pattern::new(r#"^raise ([A-Za-z_][\w.]*)\((?:\w+\.)*_(?:lt)?\((?:"[^"\\]+"|'[^'\\]+')\)\)$"#);

/// The statement that raised the exception, if it stands whole in one line and raises one translated text without values: whatever
/// language the message is in, it is the same.
fn constant(raised: &Raised) -> Option<&str> {
    let source = raised.frames.last()?.source.trim();
    let class = CONSTANT.first(source)?;
    (short(class) == short(&raised.exception)).then_some(source)
}

/// What differs from one occurrence to the next, and only that. Names stay, quoted or not: of a text it cannot be told whether a name is a
/// customer's or a field's. So do numbers inside names (`line_2`), codes (`ORA-00942`, `status 503`) and the names of files and hosts.
static VOLATILE: [(Pattern, &str); 8] = [
    (Pattern::new(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"), "<uuid>"),
    (Pattern::new(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"), "<time>"),
    (Pattern::new(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<email>"),
    (Pattern::new(r"\b(?:0x[0-9a-fA-F]+|[0-9a-f]{32,64})\b"), "<hex>"),
    // `/srv/a/data/file.csv`: where the folder lies differs, which file it is does not.
    (Pattern::new(r"(?:\b[A-Za-z]:)?(?:[/\\][\w.@+-]+)+[/\\]([\w.@+-]+\.\w+)\b"), "<path>/$1"),
    // What a sequence of Odoo gives: `INV/2026/00042`, `WH/OUT/00007`, `S00042`.
    (Pattern::new(r"\b(?:[A-Z]{1,8}(?:/[A-Z0-9]+)*/\d{2,}|[A-Z]\d{5,})\b"), "<ref>"),
    (Pattern::new(r"\((?:\d+|<NewId [^<>]*>)(?:, ?(?:\d+|<NewId [^<>]*>))*,?\)"), "(<ids>)"),
    (Pattern::new(r#"[“”„«»]"#), "\""),
];
// With a word before it that makes the number a code, it says what happened.
static NUMBER: Pattern = Pattern::new(
    r"(?i)\b(?P<code>(?:status|code|errno|error|signal|exit|http|version|returned|sqlstate)[ :=#]{1,3}|[A-Za-z]\w*-)?\d+(?:[.,:]\d+)*\b",
);
static NUMBERS: Pattern = Pattern::new(r"<n>(?:, ?<n>)+");

/// A message with everything replaced that differs from one occurrence of the same error to the next.
fn template(message: &str) -> String {
    let mut text = html_escape::decode_html_entities(message.trim()).into_owned();
    for (pattern, by) in &VOLATILE {
        text = pattern.replace_all(&text, by).into_owned();
    }
    let number = |found: &regex::Captures<'_>| if found.name("code").is_some() { found[0].to_owned() } else { "<n>".to_owned() };
    text = NUMBER.replace_with(&text, number).into_owned();
    text = NUMBERS.replace_all(&text, "<n>").into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
