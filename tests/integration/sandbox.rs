//! The sandbox against a real engine: what a run shows, what the code under test cannot do, and that nothing is left behind.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::Utc;
use odoo_agent::domain::{FileChange, ModuleName, OdooVersion, Patch, RelPath, RunId};
use odoo_agent::odoo::Addon;
use odoo_agent::sandbox::{Config, End, Engine, Limits, Owner, Sandbox, SandboxError, TestPlan, TestRun};

fn version() -> OdooVersion {
    "19.0".parse().unwrap()
}

fn owner() -> Owner {
    Owner {
        run: RunId::generate(),
        tenant: "acme".parse().unwrap(),
        instance: "test".to_owned(),
        deadline: Utc::now() + Duration::from_secs(600),
    }
}

/// An engine that has its image. The first one to ask builds it.
async fn engine(limits: Limits) -> Engine {
    let engine = Engine::new(&Config { limits, ..Config::default() });
    engine.ensure_image(&version(), &|line| eprintln!("{line}")).await.unwrap();
    engine
}

async fn open(engine: &Engine, owner: &Owner) -> Sandbox {
    engine.open(&version(), owner).await.unwrap()
}

/// An addon out of `tests/fixtures/sandbox`.
fn fixture(name: &str) -> Addon {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sandbox");
    let files = walkdir::WalkDir::new(root.join(name)).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let files = files.map(|entry| {
        let path: RelPath = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().parse().unwrap();
        (path, std::fs::read(entry.path()).unwrap())
    });
    Addon::new(name.parse().unwrap(), files)
}

/// An addon that does this when it is imported.
fn hostile(code: &str) -> Addon {
    let manifest = "{'name': 'Hostile', 'version': '19.0.1.0.0', 'license': 'LGPL-3', 'author': 'x', 'depends': ['base'], 'data': []}";
    let file = |path: &str, text: &str| (path.parse::<RelPath>().unwrap(), text.as_bytes().to_vec());
    Addon::new("hostile".parse().unwrap(), [file("hostile/__manifest__.py", manifest), file("hostile/__init__.py", code)])
}

fn patched(addon: &Addon, path: &str, from: &str, to: &str) -> Addon {
    let path: RelPath = path.parse().unwrap();
    let before = addon.text(&path).unwrap().to_owned();
    let after = before.replace(from, to);
    addon.with(&Patch::new(vec![FileChange { path, before: Some(before), after }]).unwrap())
}

async fn test(sandbox: &mut Sandbox, addon: &Addon) -> TestRun {
    let addons = [addon.clone()];
    let run = sandbox.test(&TestPlan { module: addon.name(), also: &[], addons: &addons }).await.unwrap();
    eprintln!("{}: {:?} installed={} {:.1} s", addon.name(), run.end, run.installed, run.seconds);
    run
}

/// One run of hostile code: it ends with a name, in time, and takes its container with it.
async fn ends(limits: Limits, code: &str) -> TestRun {
    let (engine, owner) = (engine(limits).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let started = Instant::now();
    let run = test(&mut sandbox, &hostile(code)).await;
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert!(!run.installed);
    assert_eq!(engine.remove_run(owner.run).await.unwrap(), 0, "a container was left");
    // The sandbox can still be used: it opens a new container.
    let healthy = test(&mut sandbox, &hostile("")).await;
    assert_eq!((healthy.end, healthy.installed), (End::Exited(0), true), "{}", healthy.log);
    sandbox.close().await.unwrap();
    run
}

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
    assert_eq!(engine.remove_run(owner.run).await.unwrap(), 0, "a container was left");
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
    let run = sandbox.test(&TestPlan { module: addons[0].name(), also: &[], addons: &addons }).await.unwrap();
    sandbox.close().await.unwrap();
    assert!(run.installed, "{}", run.log);
    assert!(!run.log.contains("test_fails"), "tests of a dependency were run");
}

#[tokio::test]
async fn code_under_test_cannot_get_out() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let image = engine.image(&version()).await.unwrap().unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let probe = fixture("probe");
    let aimed = |host: &str| {
        let probe = patched(&probe, "probe/__init__.py", "@HOST@", host);
        patched(&probe, "probe/__init__.py", "@PORT@", &port)
    };

    // The control: what the same code can do in an ordinary container.
    let control = ordinary_container(&image, aimed("gateway").text(&"probe/__init__.py".parse().unwrap()).unwrap());
    assert_ne!(control["CapEff"], "0000000000000000", "{control}");
    for allowed in ["host", "itself", "write root", "write tmp"] {
        assert_eq!(control[allowed], "yes", "{allowed}: {control}");
    }

    let mut sandbox = open(&engine, &owner).await;
    let addon = aimed(control["gateway"].as_str().unwrap());
    let run = test(&mut sandbox, &addon).await;
    let answers = answers(&run.log);
    assert_eq!(answers["CapEff"], "0000000000000000", "{answers}");
    assert_eq!(answers["NoNewPrivs"], "1", "{answers}");
    assert_eq!(answers["uid"], 64001, "{answers}");
    assert_eq!(answers["interfaces"], serde_json::json!(["lo"]), "{answers}");
    assert_eq!(answers["sockets"], serde_json::json!([]), "{answers}");
    for allowed in ["itself", "write tmp", "sql as itself"] {
        assert_eq!(answers[allowed], "yes", "{allowed}: {answers}");
    }
    for refused in ["host", "write root", "write own source", "read cluster", "sql as superuser", "drop template"] {
        assert!(answers[refused].as_str().unwrap().starts_with("no: "), "{refused}: {answers}");
    }
    // The next run finds nothing of this one: the file that the probe wrote is one more try of the probe itself.
    let check = hostile("import os\nprint('LEFT', [n for n in os.listdir('/tmp') if n != 'data'], flush=True)\n");
    let next = test(&mut sandbox, &check).await;
    assert!(next.log.contains("LEFT []"), "{}", next.log);
    sandbox.close().await.unwrap();
}

fn ordinary_container(image: &str, code: &str) -> serde_json::Value {
    let mut child = Command::new("docker")
        .args(["run", "--rm", "-i", "--user", "0", image, "python3", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
    answers(&String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
}

fn answers(log: &str) -> serde_json::Value {
    let line = log.lines().find_map(|line| line.strip_prefix("PROBE ")).unwrap_or_else(|| panic!("no answers in {log}"));
    serde_json::from_str(line).unwrap()
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
async fn memory_hog_ends_by_name() {
    let limits = Limits { memory_bytes: 700 << 20, disk_bytes: 300 << 20, ..Limits::default() };
    let run = ends(limits, "hog = []\nwhile True:\n    hog.append(bytearray(1 << 24))\n").await;
    assert_eq!(run.end, End::OutOfMemory, "{}", run.log);
}

#[tokio::test]
async fn fork_bomb_ends_by_name() {
    let bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n";
    let run = ends(Limits { seconds: 8, processes: 200, ..Limits::default() }, bomb).await;
    assert_eq!(run.end, End::Deadline, "{}", run.log);
}

#[tokio::test]
async fn endless_loop_meets_the_deadline() {
    let deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    pass\n";
    let run = ends(Limits { seconds: 8, ..Limits::default() }, deaf).await;
    assert_eq!(run.end, End::Deadline, "{}", run.log);
}

#[tokio::test]
async fn silence_ends_by_name() {
    let run = ends(Limits { idle_seconds: 8, ..Limits::default() }, "import time\ntime.sleep(1000)\n").await;
    assert_eq!(run.end, End::NoOutput, "{}", run.log);
}

#[tokio::test]
async fn flood_of_output_is_cut() {
    let run = ends(Limits { output_bytes: 1 << 20, ..Limits::default() }, "while True:\n    print('x' * 1000)\n").await;
    assert_eq!(run.end, End::TooMuchOutput);
    assert!(run.log.len() <= 1 << 20);
}

#[tokio::test]
async fn full_disk_is_no_danger() {
    let fill = "with open('/tmp/big', 'wb') as file:\n    while True:\n        file.write(bytes(1 << 20))\n";
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let run = test(&mut sandbox, &hostile(fill)).await;
    assert!(run.log.contains("No space left on device"), "{:?} {}", run.end, run.log);
    assert!(test(&mut sandbox, &hostile("")).await.installed);
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
    assert_eq!(engine.remove_run(RunId::generate()).await.unwrap(), 0);
    assert_eq!(engine.remove_run(owner.run).await.unwrap(), 1);
    assert_eq!(engine.remove_run(owner.run).await.unwrap(), 0);
}

#[tokio::test]
async fn sweep_takes_what_is_overdue() {
    let engine = engine(Limits::default()).await;
    let (alive, dead) = (owner(), Owner { deadline: Utc::now() - Duration::from_secs(60), ..owner() });
    let living = open(&engine, &alive).await;
    std::mem::forget(open(&engine, &dead).await);
    assert!(engine.sweep().await.unwrap() >= 1);
    assert_eq!(engine.remove_run(dead.run).await.unwrap(), 0);
    assert_eq!(engine.remove_run(alive.run).await.unwrap(), 1);
    living.close().await.unwrap();
}

#[tokio::test]
async fn drop_removes_the_container() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    drop(open(&engine, &owner).await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(engine.remove_run(owner.run).await.unwrap(), 0);
}

#[tokio::test]
async fn run_given_up_half_way_leaves_nothing() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let sleeper = hostile("import time\ntime.sleep(100)\n");
    assert!(tokio::time::timeout(Duration::from_secs(4), test(&mut sandbox, &sleeper)).await.is_err());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(engine.remove_run(owner.run).await.unwrap(), 0);
    assert!(test(&mut sandbox, &hostile("")).await.installed);
    sandbox.close().await.unwrap();
}
