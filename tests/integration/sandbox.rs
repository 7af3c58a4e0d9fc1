//! The sandbox against a real engine: what a run shows, and that nothing is left behind. What code cannot do: `escape.rs`.

use std::time::{Duration, Instant};

use chrono::Utc;
use odoo_agent::domain::{ModuleName, RelPath, RunId};
use odoo_agent::odoo::Addon;
use odoo_agent::sandbox::{Config, End, Engine, Limits, Owner, SandboxError, TestPlan};

use crate::support::sandbox::{engine, fixture, hostile, open, owner, patched, test, test_with, version};

#[tokio::test]
async fn engine_tells_its_version() {
    assert!(!Engine::new(&Config::default()).ping().await.unwrap().is_empty());
}

#[tokio::test]
async fn missing_image_says_how_to_get_it() {
    let config = Config { images: [(version(), "odoo-agent-no-such-image:1".to_owned())].into(), ..Config::default() };
    let engine = Engine::new(&config);
    assert_eq!(engine.image(&version()).await.unwrap(), None);
    let error = engine.open(&version(), &owner()).await.err().unwrap();
    assert!(matches!(&error, SandboxError::ImageMissing { image, .. } if image == "odoo-agent-no-such-image:1"), "{error}");
    assert!(matches!(engine.ensure_image(&version(), &|_| {}).await, Err(SandboxError::ImageMissing { .. })));
}

#[tokio::test]
async fn broken_view_fails_and_its_fix_installs() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let opened = Instant::now();
    let mut sandbox = open(&engine, &owner).await;
    eprintln!("open: {:.1} s", opened.elapsed().as_secs_f64());
    let broken = fixture("view_tree");
    let before = test(&mut sandbox, &broken).await;
    assert!(!before.installed);
    assert!(matches!(before.end, End::Exited(code) if code != 0), "{:?}", before.end);
    assert!(before.log.contains("odoo.tools.convert.ParseError"), "{}", before.log);
    assert!(before.log.contains("Invalid view type: 'tree'"), "{}", before.log);
    let after = test(&mut sandbox, &patched(&broken, "view_tree/views/view.xml", "tree>", "list>")).await;
    assert_eq!((after.end, after.installed), (End::Exited(0), true), "{}", after.log);
    sandbox.close().await.unwrap();
    assert_eq!(engine.remove_run(owner.run, &owner.tenant).await.unwrap(), 0, "a container was left");
}

#[tokio::test]
async fn failing_tests_are_reported() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let run = test(&mut sandbox, &fixture("failing_tests")).await;
    sandbox.close().await.unwrap();
    assert_eq!((run.end, run.installed), (End::Exited(1), true), "{}", run.log);
    for line in ["FAIL: TestOutcomes.test_fails", "ERROR: TestOutcomes.test_raises", "1 failed, 1 error(s) of 3 tests"] {
        assert!(run.log.contains(line), "{line} is not in {}", run.log);
    }
}

#[tokio::test]
async fn template_holds_nothing_undeclared() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let undeclared = fixture("needs_mail");
    let before = test(&mut sandbox, &undeclared).await;
    assert!(!before.installed && before.log.contains("mail.activity"), "{}", before.log);
    let declared = patched(&undeclared, "needs_mail/__manifest__.py", "[\"base\"]", "[\"mail\"]");
    let after = test(&mut sandbox, &declared).await;
    assert!(after.installed, "{}", after.log);
    // The richer template was taken: mail was there already and was not installed again.
    let installs = |module: &str| after.log.contains(&format!("module {module}: creating or updating database tables"));
    assert!(installs("needs_mail") && !installs("mail"), "{}", after.log);
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn local_dependency_is_installed_too() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let dependent = patched(&hostile("x = 1\n"), "hostile/__manifest__.py", "'base'", "'failing_tests'");
    let addons = [dependent, fixture("failing_tests")];
    let run = test_with(&mut sandbox, &addons).await;
    sandbox.close().await.unwrap();
    assert!(run.installed, "{}", run.log);
    assert!(!run.log.contains("test_fails"), "tests of a dependency were run");
}

#[tokio::test]
async fn process_left_running_is_ended() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let left = "import subprocess\nsubprocess.Popen(['sleep', '4711'], start_new_session=True)\n";
    assert!(test(&mut sandbox, &hostile(left)).await.installed);
    let look = "import glob\nprint('FOUND', sum(b'4711' in open(f, 'rb').read() for f in glob.glob('/proc/[0-9]*/cmdline')), flush=True)\n";
    let control = test(&mut sandbox, &hostile(&format!("{left}import time; time.sleep(1)\n{look}"))).await;
    assert!(control.log.contains("FOUND 1"), "{}", control.log);
    let next = test(&mut sandbox, &hostile(look)).await;
    assert!(next.log.contains("FOUND 0"), "{}", next.log);
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn sources_that_are_not_there_are_refused() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let module: ModuleName = "absent".parse().unwrap();
    let refused = sandbox.test(&TestPlan { module: &module, also: &[], addons: &[] }).await;
    assert!(matches!(refused, Err(SandboxError::Sources(_))), "{refused:?}");
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn addon_that_odoo_shadows_is_refused() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let manifest = ("mail/__manifest__.py".parse().unwrap(), b"{'name': 'Mine', 'depends': ['base']}".to_vec());
    let addons = [Addon::new("mail".parse().unwrap(), [manifest])];
    let refused = sandbox.test(&TestPlan { module: addons[0].name(), also: &[], addons: &addons }).await;
    assert!(matches!(&refused, Err(SandboxError::Sources(why)) if why.contains("mail")), "{refused:?}");
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn garbage_is_a_verdict() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let garbage: Vec<u8> = (0..=255).cycle().take(4000).collect();
    let module: ModuleName = "garbage".parse().unwrap();
    let file = |path: &str| (path.parse::<RelPath>().unwrap(), garbage.clone());
    let addons = [Addon::new(module.clone(), [file("garbage/__manifest__.py"), file("garbage/__init__.py")])];
    let run = sandbox.test(&TestPlan { module: &module, also: &[], addons: &addons }).await.unwrap();
    sandbox.close().await.unwrap();
    assert!(!run.installed, "{}", run.log);
}

#[tokio::test]
async fn leftovers_of_a_run_are_removed() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let crashed = open(&engine, &owner).await;
    // As if the worker had died: no close, no drop.
    std::mem::forget(crashed);
    assert_eq!(engine.remove_run(RunId::generate(), &owner.tenant).await.unwrap(), 0);
    assert_eq!(engine.remove_run(owner.run, &owner.tenant).await.unwrap(), 1);
    assert_eq!(engine.remove_run(owner.run, &owner.tenant).await.unwrap(), 0);
}

#[tokio::test]
async fn sweep_takes_what_is_overdue() {
    let engine = engine(Limits::default()).await;
    let (alive, dead) = (owner(), Owner { deadline: Utc::now() - Duration::from_secs(60), ..owner() });
    let living = open(&engine, &alive).await;
    std::mem::forget(open(&engine, &dead).await);
    assert!(engine.sweep().await.unwrap() >= 1);
    assert_eq!(engine.remove_run(dead.run, &dead.tenant).await.unwrap(), 0);
    assert_eq!(engine.remove_run(alive.run, &alive.tenant).await.unwrap(), 1);
    living.close().await.unwrap();
}

#[tokio::test]
async fn drop_removes_the_container() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    drop(open(&engine, &owner).await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(engine.remove_run(owner.run, &owner.tenant).await.unwrap(), 0);
}

#[tokio::test]
async fn run_given_up_half_way_leaves_nothing() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let sleeper = hostile("import time\ntime.sleep(100)\n");
    assert!(tokio::time::timeout(Duration::from_secs(4), test(&mut sandbox, &sleeper)).await.is_err());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(engine.remove_run(owner.run, &owner.tenant).await.unwrap(), 0);
    assert!(test(&mut sandbox, &hostile("")).await.installed);
    sandbox.close().await.unwrap();
}
