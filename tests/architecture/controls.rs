//! Does the scan of the sources see what it should?

use super::*;

fn rooms_in(path: &str, text: &str) -> Vec<String> {
    imports(&Source::new(path, text)).into_iter().map(|import| import.room).collect()
}

fn rooms(text: &str) -> Vec<String> {
    rooms_in("src/jobs/x.rs", text)
}

#[test]
fn forbidden_import_is_found() {
    let faults = forbidden_imports(&Source::new("src/jobs/x.rs", "use crate::domain::Job;\nuse crate::queue::Publish;\n"));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("src/jobs/x.rs:2: `jobs` may not import `queue`"), "{faults:?}");
    assert!(forbidden_imports(&Source::new("src/attic/x.rs", ""))[0].contains("MAY_IMPORT"));
    assert!(forbidden_imports(&Source::new("src/cli/x.rs", "use crate::queue::Publish;")).is_empty());
    assert!(forbidden_imports(&Source::new("src/main.rs", "use crate::queue::Publish;")).is_empty());
}

#[test]
fn imports_are_found() {
    assert_eq!(rooms("use crate::queue::Publish;"), ["queue"]);
    assert_eq!(rooms("pub(crate) use crate::{db, domain::{Job, Run},\n    app::App};"), ["db", "domain", "app"]);
    assert_eq!(rooms("fn f() { crate::jobs::run(); }"), ["jobs"]);
    assert_eq!(rooms("type A = crate :: app :: App;"), ["app"]);
    assert_eq!(rooms("#[cfg(test)]\nmod tests;\nuse crate::app::App;"), ["app"]);
    assert_eq!(rooms("let q = '\"'; use crate::db::Pool; let s = \"\";"), ["db"]);
    assert_eq!(rooms("fn f<'a>(x: &'a str) { let c = 'ä'; crate::db::x(c) }"), ["db"]);
    assert_eq!(rooms("let s = \"\\\"\"; let r = br\"\\\"; crate::db::x()"), ["db"]);
}

#[test]
fn climbing_is_an_import() {
    assert_eq!(rooms_in("src/api/mod.rs", "use super::worker::Attempt;"), ["worker"]);
    assert_eq!(rooms_in("src/api.rs", "use super::{worker::Attempt, helper};"), ["worker"]);
    assert_eq!(rooms_in("src/api/jobs.rs", "use super::super::worker::Attempt;"), ["worker"]);
    assert!(rooms_in("src/api/jobs.rs", "use super::worker::Attempt;").is_empty());
    assert!(rooms_in("src/api/v1/jobs.rs", "use super::super::worker::Attempt;").is_empty());
}

#[test]
fn what_is_no_import_is_not_found() {
    assert!(rooms("// use crate::queue::X;\n/* crate::db /* crate::app */ crate::jobs */").is_empty());
    assert!(rooms("let s = \"crate::queue\"; let r = r#\"crate::\"db\"#;").is_empty());
    assert!(rooms("#[cfg(test)]\nmod tests { use crate::app::App; fn f() { {} } }").is_empty());
    assert!(rooms("use super::record::Entry; my_crate::db(); pub(crate) fn f() {}").is_empty());
}

#[test]
fn line_of_an_import_is_right() {
    let file = Source::new("src/api/x.rs", "//! a\n\n/* b\n*/ use crate::db::X;\n");
    assert_eq!(imports(&file), [Import { room: "db".to_owned(), line: 4 }]);
}

#[test]
fn circles_are_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    assert_eq!(cycle(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(cycle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap(), ["b", "c", "b"]);
}

#[test]
fn impure_words_are_found() {
    let file = Source::new("src/odoo/x.rs", "async fn f() {}\n// tokio::spawn\nlet x = std::fs::read(\"std::net\");");
    assert_eq!(impurities(&file.code), [(1, "async fn"), (3, "std::fs")]);
}

#[test]
fn tests_are_not_counted() {
    assert_eq!(code_lines("fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\n"), 2);
    assert_eq!(code_lines("let s = \"#[cfg(test)]\";\n\n\n"), 3);
}

#[test]
fn module_lines_are_found() {
    let code = "mod b;\npub mod c;\nmod inline { }\n";
    assert_eq!(modules("src/a/mod.rs", code), ["src/a/b.rs", "src/a/b/mod.rs", "src/a/c.rs", "src/a/c/mod.rs"]);
    assert_eq!(modules("src/a.rs", "mod b;"), ["src/a/b.rs", "src/a/b/mod.rs"]);
}

#[test]
fn files_of_tests_are_told_apart() {
    let files = [
        Source::new("src/lib.rs", "mod odoo;\n// mod gone;\n"),
        Source::new("src/odoo.rs", "mod log;\n#[cfg(test)]\nmod tests;\n"),
        Source::new("src/odoo/log.rs", ""),
        Source::new("src/odoo/tests.rs", "mod deeper;"),
        Source::new("src/odoo/tests/deeper.rs", ""),
        Source::new("src/gone.rs", ""),
    ];
    let all = reached(&files, |file| blank(&file.text));
    let program = reached(&files, |file| file.code.clone());
    assert_eq!(Vec::from_iter(&program), ["src/lib.rs", "src/odoo.rs", "src/odoo/log.rs"]);
    assert_eq!(Vec::from_iter(all.difference(&program)), ["src/odoo/tests.rs", "src/odoo/tests/deeper.rs"]);
}

#[test]
fn table_in_prose_is_read() {
    let text = "| room | what | may import |\n|---|---|---|\n| `a` · `b` | x | c, the d |\n| `e` | y | – |\nno | row\n";
    let none = BTreeSet::new();
    assert_eq!(table_of(text), BTreeMap::from([("a", ["c", "the d"].into()), ("b", ["c", "the d"].into()), ("e", none)]));
}

#[test]
fn rooms_are_named_by_their_path() {
    let named = |path: &str| (Source::new(path, "").room(), Source::new(path, "").depth());
    assert_eq!(named("src/db.rs"), (Some("db".to_owned()), 1));
    assert_eq!(named("src/odoo/log/head.rs"), (Some("odoo".to_owned()), 3));
    assert_eq!(named("src/odoo/mod.rs"), (Some("odoo".to_owned()), 1));
    assert_eq!(named("src/lib.rs"), (None, 0));
}
