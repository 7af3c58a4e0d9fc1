//! What the tests of the sandbox share: an engine with its image, addons that do something, one run of them.

use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use odoo_agent::domain::{FileChange, OdooVersion, Patch, RelPath, RunId};
use odoo_agent::odoo::Addon;
use odoo_agent::sandbox::{Config, Engine, Limits, Owner, Sandbox, TemplatesConfig, TestPlan, TestRun};

pub fn version() -> OdooVersion {
    "19.0".parse().unwrap()
}

pub fn owner() -> Owner {
    Owner {
        run: RunId::generate(),
        tenant: "acme".parse().unwrap(),
        instance: "test".to_owned(),
        deadline: Utc::now() + Duration::from_secs(600),
    }
}

/// An engine that has its image. The first one to ask builds it.
pub async fn engine(limits: Limits) -> Engine {
    let engine = Engine::new(&Config { limits, templates: without_earned(), ..Config::default() });
    engine.ensure_image(&version(), &|line| eprintln!("{line}")).await.unwrap();
    engine
}

/// No templates but the image's own: what another test earned would change what this one sees.
pub fn without_earned() -> TemplatesConfig {
    TemplatesConfig { after: 0, ..TemplatesConfig::default() }
}

pub async fn open(engine: &Engine, owner: &Owner) -> Sandbox {
    engine.open(&version(), owner).await.unwrap()
}

/// An addon out of `tests/fixtures/sandbox`.
pub fn fixture(name: &str) -> Addon {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sandbox");
    let files = walkdir::WalkDir::new(root.join(name)).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let files = files.map(|entry| {
        let path: RelPath = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().parse().unwrap();
        (path, std::fs::read(entry.path()).unwrap())
    });
    Addon::new(name.parse().unwrap(), files)
}

/// An addon that does this when it is imported.
pub fn hostile(code: &str) -> Addon {
    let manifest = "{'name': 'Hostile', 'version': '19.0.1.0.0', 'license': 'LGPL-3', 'author': 'x', 'depends': ['base'], 'data': []}";
    let file = |path: &str, text: &str| (path.parse::<RelPath>().unwrap(), text.as_bytes().to_vec());
    Addon::new("hostile".parse().unwrap(), [file("hostile/__manifest__.py", manifest), file("hostile/__init__.py", code)])
}

/// The addon with one text in one of its files replaced.
pub fn patched(addon: &Addon, path: &str, from: &str, to: &str) -> Addon {
    let path: RelPath = path.parse().unwrap();
    let before = addon.text(&path).unwrap().to_owned();
    let after = before.replace(from, to);
    addon.with(&Patch::new(vec![FileChange { path, before: Some(before), after }]).unwrap())
}

/// One run of this addon alone.
pub async fn test(sandbox: &mut Sandbox, addon: &Addon) -> TestRun {
    test_with(sandbox, std::slice::from_ref(addon)).await
}

/// One run of the first of these addons.
pub async fn test_with(sandbox: &mut Sandbox, addons: &[Addon]) -> TestRun {
    let run = sandbox.test(&TestPlan { module: addons[0].name(), also: &[], addons }).await.unwrap();
    eprintln!("{}: {:?} installed={} {:.1} s", addons[0].name(), run.end, run.installed, run.seconds);
    run
}
