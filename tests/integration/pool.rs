//! What makes a proof quick: sandboxes that wait, dependencies installed once a job, templates that are earned.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use odoo_agent::domain::{ModuleName, Patch};
use odoo_agent::odoo::Addon;
use odoo_agent::sandbox::{Config, End, Engine, Limits, PoolConfig, Sandbox, TemplatesConfig, TestPlan};
use tokio_util::sync::CancellationToken;

use crate::support::sandbox::{engine, fixture, hostile, open, owner, patched, test, test_with, version, without_earned};

/// Waits for something that another task brings about; gives up after a minute.
async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if met().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within a minute");
}

async fn pooled() -> (Engine, CancellationToken, tokio::task::JoinHandle<()>) {
    engine(Limits::default()).await;
    let engine = Engine::new(&Config { pool: PoolConfig { most: 1, memory_share: 1.0 }, templates: without_earned(), ..Config::default() });
    let stop = CancellationToken::new();
    let (keeper, stopped) = (engine.clone(), stop.clone());
    let task = tokio::spawn(async move { keeper.keep_warm(&[version()], stopped.cancelled()).await });
    until("a sandbox waits", async || engine.waiting() == 1).await;
    (engine, stop, task)
}

/// The containers that this engine made.
fn containers(engine: &Engine) -> Vec<String> {
    let filter = format!("label=odoo-agent.sandbox={}", engine.instance());
    let out =
        Command::new("docker").args(["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}", "--filter", &filter]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_sandbox_is_handed_out_and_replaced() {
    let (engine, stop, task) = pooled().await;
    let waiting = containers(&engine);
    assert!(waiting.len() == 1 && waiting[0].contains("odoo-agent.idle."), "{waiting:?}");
    let owner = owner();
    let mut sandbox = open(&engine, &owner).await;
    let (id, _) = waiting[0].split_once(' ').unwrap();
    let taken = containers(&engine).into_iter().find(|line| line.starts_with(id)).unwrap();
    assert!(taken.contains(&owner.run.to_string()) && taken.contains(".acme."), "{taken}");
    let run = test(&mut sandbox, &hostile("")).await;
    assert_eq!((run.end, run.installed), (End::Exited(0), true), "{}", run.log);
    until("another one waits", async || engine.waiting() == 1).await;
    sandbox.close().await.unwrap();
    stop.cancel();
    task.await.unwrap();
    // One that was just being started goes a moment later.
    until("nothing is left", async || containers(&engine).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_sandbox_that_died_is_not_handed_out() {
    let (engine, stop, task) = pooled().await;
    let dead = containers(&engine).remove(0);
    let killed = Command::new("docker").args(["kill", dead.split_once(' ').unwrap().0]).output().unwrap();
    assert!(killed.status.success());
    let mut sandbox = open(&engine, &owner()).await;
    assert!(test(&mut sandbox, &hostile("")).await.installed);
    sandbox.close().await.unwrap();
    stop.cancel();
    task.await.unwrap();
    // One that was just being started goes a moment later.
    until("nothing is left", async || containers(&engine).is_empty()).await;
}

#[tokio::test]
async fn container_that_ended_is_swept() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let sandbox = open(&engine, &owner).await;
    let id = containers(&engine).remove(0);
    // As a restart of the engine leaves it.
    assert!(Command::new("docker").args(["kill", id.split_once(' ').unwrap().0]).output().unwrap().status.success());
    std::mem::forget(sandbox);
    // The engine removes it; the sweep is for what an engine that went down left.
    engine.sweep().await.unwrap();
    crate::support::until("the container to be gone", async || containers(&engine).is_empty().then_some(())).await;
}

fn addon(name: &str, depends: &str, code: &str) -> Addon {
    let manifest = format!("{{'name': '{name}', 'version': '19.0.1.0.0', 'license': 'LGPL-3', 'author': 'x', 'depends': [{depends}]}}");
    let file = |path: &str, text: String| (format!("{name}/{path}").parse().unwrap(), text.into_bytes());
    Addon::new(name.parse().unwrap(), [file("__manifest__.py", manifest), file("__init__.py", code.to_owned())])
}

/// What a sandbox tells, in order.
fn listening(sandbox: Sandbox) -> (Sandbox, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = heard.clone();
    (sandbox.telling(move |progress| sink.lock().unwrap().push(progress.message)), heard)
}

fn count(heard: &Mutex<Vec<String>>, text: &str) -> usize {
    heard.lock().unwrap().iter().filter(|message| message.contains(text)).count()
}

#[tokio::test]
async fn dependencies_are_installed_once_a_job() {
    let engine = engine(Limits::default()).await;
    let (mut sandbox, heard) = listening(open(&engine, &owner()).await);
    let addons = |code: &str| [addon("top", "'below'", code), addon("below", "'lunch'", "")];
    let first = test_with(&mut sandbox, &addons("")).await;
    assert!(first.installed && !first.log.contains("Loading module below"), "{}", first.log);
    let second = test_with(&mut sandbox, &addons("x = 1")).await;
    assert!(second.installed && second.log.contains("Loading module top"), "{}", second.log);
    assert_eq!(count(&heard, "installing what it depends on: lunch, below"), 1, "{heard:?}");
    // Another state of a dependency is another database.
    let changed = [addon("top", "'below'", ""), addon("below", "'lunch'", "x = 1")];
    assert!(test_with(&mut sandbox, &changed).await.installed);
    assert_eq!(count(&heard, "installing what it depends on: lunch, below"), 2, "{heard:?}");
    assert!(count(&heard, "loading top (") >= 3, "{heard:?}");
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn dependency_that_fails_is_what_the_run_shows() {
    let engine = engine(Limits::default()).await;
    let mut sandbox = open(&engine, &owner()).await;
    let run = test_with(&mut sandbox, &[addon("top", "'below'", ""), addon("below", "'base'", "raise ValueError('broken below')")]).await;
    assert!(!run.installed && run.log.contains("broken below"), "{}", run.log);
    let unknown = test_with(&mut sandbox, &[addon("top", "'nobody_has_this'", "")]).await;
    assert!(!unknown.installed && unknown.log.contains("nobody_has_this"), "{}", unknown.log);
    // A run may not reach what the next ones start from.
    let reach = "import psycopg2\n\n\ndef to(name):\n    return psycopg2.connect(host='/srv/db', user='addon', dbname=name)\n\n\n\
        with to('postgres').cursor() as cr:\n    cr.execute(\"select datname from pg_database where datname like 'deps%'\")\n    \
        names = [name for [name] in cr.fetchall()]\nfor name in names:\n    try:\n        to(name)\n        print('REACHED', name)\n    \
        except psycopg2.OperationalError:\n        print('REFUSED', len(names))\n";
    let shut = test_with(&mut sandbox, &[addon("top", "'below'", reach), addon("below", "'base'", "")]).await;
    assert!(shut.installed && shut.log.contains("REFUSED 1") && !shut.log.contains("REACHED"), "{}", shut.log);
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn dependency_that_is_taken_away_is_missed() {
    let engine = engine(Limits::default()).await;
    let mut sandbox = open(&engine, &owner()).await;
    let undeclared = fixture("needs_mail");
    let declared = patched(&undeclared, "needs_mail/__manifest__.py", "[\"base\"]", "[\"mail\"]");
    assert!(test(&mut sandbox, &declared).await.installed);
    // What was imported for the run before must not help this one.
    let run = test(&mut sandbox, &undeclared).await;
    assert!(!run.installed || run.log.contains("mail.activity"), "{}", run.log);
    assert_ne!(run.end, End::Exited(0), "{}", run.log);
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn addons_that_build_on_it_are_tested_with_it() {
    let engine = engine(Limits::default()).await;
    let mut sandbox = open(&engine, &owner()).await;
    let addons = [addon("low", "'base'", ""), addon("high", "'low', 'contacts'", ""), fixture("failing_tests")];
    let also: Vec<ModuleName> = ["high", "failing_tests"].map(|name| name.parse().unwrap()).into();
    let run = sandbox.test(&TestPlan { module: addons[0].name(), also: &also, addons: &addons }).await.unwrap();
    assert!(run.installed && run.log.contains("TestOutcomes.test_fails"), "{}", run.log);
    let broken = [addons[0].clone(), addon("high", "'low'", "raise ValueError('high is broken')"), addons[2].clone()];
    let run = sandbox.test(&TestPlan { module: addons[0].name(), also: &also, addons: &broken }).await.unwrap();
    assert!(!run.installed && run.log.contains("high is broken"), "{}", run.log);
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn scan_finds_what_a_patch_brings() {
    let engine = engine(Limits::default()).await;
    let mut sandbox = open(&engine, &owner()).await;
    let old = "import os\n\n\ndef run(cr, name):\n    os.system(name)  # nosec\n";
    let new = format!("{old}    cr.execute(\"SELECT id FROM res_users WHERE name = '%s'\" % name)  # nosec\n");
    let patch = |before: Option<&str>, after: &str| {
        let change =
            odoo_agent::domain::FileChange { path: "m/a.py".parse().unwrap(), before: before.map(str::to_owned), after: after.to_owned() };
        Patch::new(vec![change]).unwrap()
    };
    let found = sandbox.scan(&patch(Some(old), &new)).await.unwrap();
    assert_eq!(found.iter().map(|finding| (finding.id.as_str(), finding.line)).collect::<Vec<_>>(), [("B608", 6)], "{found:?}");
    let found = sandbox.scan(&patch(None, &new)).await.unwrap();
    assert!(found.iter().any(|finding| finding.id == "B605"), "the control: {found:?}");
    let found = sandbox.scan(&patch(Some(""), "\u{0}(((\n")).await.unwrap();
    assert_eq!(found.iter().map(|finding| finding.id.as_str()).collect::<Vec<_>>(), ["unscanned"], "garbage");
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn what_is_wanted_often_becomes_a_template_and_goes_again() {
    engine(Limits::default()).await;
    let cache = tempfile::tempdir().unwrap();
    let config = |disk_bytes| Config {
        cache_dir: cache.path().to_owned(),
        templates: TemplatesConfig { after: 2, disk_bytes },
        ..Config::default()
    };
    let engine = Engine::new(&config(u64::MAX));
    let top = [addon("top", "'lunch'", "")];
    for earned in [None, Some(())] {
        let mut sandbox = open(&engine, &owner()).await;
        assert!(test_with(&mut sandbox, &top).await.installed);
        sandbox.close().await.unwrap();
        assert_eq!(engine.earn(&version()).await.unwrap().map(|_| ()), earned);
    }
    let (mut sandbox, heard) = listening(open(&engine, &owner()).await);
    let run = test_with(&mut sandbox, &top).await;
    assert!(run.installed && !run.log.contains("Loading module lunch"), "{}", run.log);
    assert_eq!(count(&heard, "installing what it depends on"), 0, "{heard:?}");
    // A declared closure that is smaller does not get it.
    let small =
        test_with(&mut sandbox, &[addon("small", "'mail'", "print('LUNCH', 'odoo.addons.lunch' in __import__('sys').modules)")]).await;
    assert!(small.installed && small.log.contains("LUNCH False"), "{}", small.log);
    sandbox.close().await.unwrap();
    let there = engine.templates(&version()).await.unwrap();
    assert!(!there.is_empty());
    let tight = Engine::new(&config(0));
    assert_eq!(tight.earn(&version()).await.unwrap(), None);
    let left = tight.templates(&version()).await.unwrap();
    assert!(there.iter().all(|image| !left.contains(image)), "{left:?}");
}

#[tokio::test]
async fn addon_that_installs_itself_is_still_installed_by_its_run() {
    let engine = engine(Limits::default()).await;
    let mut sandbox = open(&engine, &owner()).await;
    let glue =
        |code: &str| patched(&addon("glue", "'lunch'", code), "glue/__manifest__.py", "'depends'", "'auto_install': True, 'depends'");
    for code in ["", "x = 1"] {
        let run = test(&mut sandbox, &glue(code)).await;
        assert!(run.installed && run.log.contains("Loading module glue ("), "{}", run.log);
    }
    let broken = test(&mut sandbox, &glue("raise ValueError('glue is broken')")).await;
    assert!(!broken.installed && broken.log.contains("glue is broken"), "{}", broken.log);
    sandbox.close().await.unwrap();
}
