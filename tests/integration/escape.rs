//! Ways out of the sandbox, each with a control: the same code gets through where it is not confined, or where it asks for less.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use odoo_agent::cascade::Observed;
use odoo_agent::domain::RunId;
use odoo_agent::odoo::Addon;
use odoo_agent::sandbox::{End, Limits, TestRun};
use serde_json::{Value, json};

use crate::support::sandbox::{engine, fixture, hostile, open, owner, patched, test, version};
use crate::support::temp_dir;

const MIB: u64 = 1 << 20;
/// Seconds that are enough for the harmless run beside each attempt, its smoke run included, on a machine that has other work too.
const DEADLINE: u64 = 25;

/// Where an attempt must get through, so that it is known to be able to.
#[derive(Clone, Copy, PartialEq)]
enum Control {
    /// As root in a container with the engine's socket, the host's processes and every capability.
    Root,
    /// As the user of the code under test in an ordinary container without a filter: what stops it in the sandbox is the filter.
    User,
}
use Control::{Root, User};

/// Attempt, where it must get through, and what must stand in its way in the sandbox.
const REFUSED: &[(&str, Control, &str)] = &[
    // The network.
    ("tcp to the host", Root, "ENETUNREACH"),
    ("dns question to the host", Root, "ENETUNREACH"),
    ("route to the metadata service", Root, "ENETUNREACH"),
    ("ipv6", Root, "nothing found"),
    ("netlink socket", User, "EPERM"),
    ("packet socket", Root, "EPERM"),
    ("vsock socket", User, "EPERM"),
    ("docker socket", Root, "nothing found"),
    // The host by way of /proc, /sys, devices and mounts.
    ("root of another process", Root, "EACCES"),
    ("signal to the first process", Root, "EPERM"),
    ("write /proc/sysrq-trigger", Root, ""),
    ("write /proc/sys/kernel/core_pattern", Root, ""),
    ("write /proc/sys/kernel/modprobe", Root, ""),
    ("read /proc/kcore", Root, ""),
    ("make a control group", Root, "EROFS"),
    ("release agent of control groups", Root, "EPERM"),
    ("mount", Root, "EPERM"),
    ("umount", Root, "EPERM"),
    ("move_mount", Root, "EPERM"),
    ("open_tree", User, "EPERM"),
    ("fsopen", Root, "EPERM"),
    ("pivot_root", Root, "EPERM"),
    ("chroot", Root, "EPERM"),
    ("device node", Root, "EPERM"),
    ("open a file by its handle", Root, "EPERM"),
    // Files that are not its own.
    ("write the root folder", Root, "EROFS"),
    ("write /etc/passwd", Root, "EACCES"),
    ("write its own sources", Root, "EACCES"),
    ("add to its own sources", Root, "EACCES"),
    ("write the warm filestore", User, "EROFS"),
    ("write the scripts", Root, "EACCES"),
    ("read the cluster", Root, "EACCES"),
    ("run its own program", User, "EACCES"),
    ("write an attribute", User, "EPERM"),
    // Namespaces, other processes, other rights.
    ("unshare into a user namespace", User, "EPERM"),
    ("clone into a user namespace", User, "EPERM"),
    ("clone3 into a user namespace", User, "ENOSYS"),
    ("enter another namespace", Root, "EPERM"),
    ("trace another process", User, "EPERM"),
    ("read another process", User, "EPERM"),
    ("take a descriptor of another process", User, "EPERM"),
    ("gain rights by a setuid program", User, "nothing found"),
    ("setuid", User, "EPERM"),
    // The rest of the kernel.
    ("call by the table of 32-bit programs", User, "ended with"),
    ("switch address randomisation off", User, "EPERM"),
    ("anonymous file in memory", User, "EPERM"),
    ("watch files", User, "EPERM"),
    ("push input into a terminal", User, "EPERM"),
    ("a terminal of its own", User, "EPERM"),
    ("keyctl", User, "EPERM"),
    ("add_key", User, "EPERM"),
    ("request_key", User, "EPERM"),
    ("bpf", Root, "EPERM"),
    ("perf_event_open", Root, "EPERM"),
    ("userfaultfd", User, "EPERM"),
    ("io_uring_setup", User, "EPERM"),
    ("kexec_load", Root, "EPERM"),
    ("init_module", Root, "EPERM"),
    ("swapon", Root, "EPERM"),
    ("quotactl", User, "EPERM"),
    ("acct", Root, "EPERM"),
    ("settimeofday", User, "EPERM"),
    ("sethostname", Root, "EPERM"),
    ("syslog", Root, "EPERM"),
    ("msgget", User, "EPERM"),
    ("mq_open", User, "EPERM"),
    // Secrets and files of the host.
    ("environment of the worker", Root, "nothing found"),
    ("canary file by its name", Root, "nothing found"),
    ("canary file through another process", Root, "nothing found"),
    // PostgreSQL.
    ("sql: run a program", Root, "permission denied to COPY"),
    ("sql: read a file", Root, "permission denied for function pg_read_file"),
    ("sql: list a folder", Root, "permission denied for function pg_ls_dir"),
    ("sql: write a file", Root, "permission denied to COPY"),
    ("sql: import a file", Root, "permission denied for function lo_import"),
    ("sql: another extension", Root, "permission denied to create extension"),
    ("sql: code of the server", Root, "permission denied for language internal"),
    ("sql: settings of the server", Root, "permission denied to set parameter"),
    ("sql: a role of its own", Root, "permission denied to create role"),
    ("sql: a database of its own", Root, "permission denied to create database"),
    ("sql: become the owner", Root, "permission denied to set role"),
    ("sql: rights for itself", Root, "permission denied to alter role"),
    ("sql: drop a template", Root, "must be owner of database"),
    ("sql: log in as the owner", Root, "Peer auth"),
];

/// What a kernel may lack; the control then says so, and the attempt only has to fail.
const NOT_EVERYWHERE: &[&str] = &[
    "call by the table of 32-bit programs",
    "ipv6",
    "vsock socket",
    "write /proc/sysrq-trigger",
    "write /proc/sys/kernel/modprobe",
    "read /proc/kcore",
    "release agent of control groups",
    "kexec_load",
    "init_module",
    "userfaultfd",
    "io_uring_setup",
];
const LACKING: &[&str] = &["no: ENOENT", "no: ENOSYS", "no: ENODEV", "no: EAFNOSUPPORT", "no: EADDRNOTAVAIL", "no: ended with 11"];

/// What has to work in the sandbox: it is a filter, not a wall.
const ALLOWED: &[&str] = &["itself over tcp", "named pipe", "sql"];

#[tokio::test]
async fn code_under_test_cannot_get_out() {
    let limits = Limits { disk_bytes: 300 * MIB, processes: 400, ..Limits::default() };
    let open_files = limits.open_files;
    let (engine, owner) = (engine(limits).await, owner());
    let image = engine.image(&version()).await.unwrap().unwrap();
    let host = Host::new();
    let probe = fixture("probe");
    let aimed = |control| patched(&probe, "probe/attempts.py", "@AIM@", &host.aim(control).to_string());
    let code = |control| aimed(control).text(&"probe/attempts.py".parse().unwrap()).unwrap().to_owned();
    let root = host.control_as_root(&image, code(Some(Root)));
    let user = host.control_as_user(&image, code(Some(User)));
    let mut sandbox = open(&engine, &owner).await;
    let run = test(&mut sandbox, &aimed(None)).await;
    sandbox.close().await.unwrap();
    let confined = answers(&run.log);
    let (root, user) = (answers(&root.await.unwrap()), answers(&user.await.unwrap()));

    let wrong: Vec<String> = REFUSED.iter().filter_map(|entry| judge(entry, &root, &user, &confined)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in ALLOWED {
        assert_eq!(confined[name], "yes", "{name}: {confined}");
    }
    no_rights(&user, &confined);
    no_trace_of_the_host(&root, &confined);
    limited(&root, &confined, open_files);
}

/// What is wrong with one attempt, if anything.
fn judge((name, control, reason): &(&str, Control, &str), root: &Value, user: &Value, confined: &Value) -> Option<String> {
    let said = |answers: &Value| answers[name].as_str().unwrap_or("no answer").to_owned();
    let (free, confined) = (said(if *control == Root { root } else { user }), said(confined));
    let lacking = NOT_EVERYWHERE.contains(name) && LACKING.contains(&free.as_str());
    if lacking {
        eprintln!("{name}: not shown here, since this kernel has no such thing ({free})");
    } else if !free.starts_with("yes") {
        return Some(format!("{name}: the control fails too ({free}), so the sandbox shows nothing"));
    }
    let refused = confined.starts_with("no: ") && (lacking || confined.contains(reason));
    (!refused).then(|| format!("{name}: in the sandbox: {confined}; it must be refused with {reason:?}"))
}

fn no_rights(user: &Value, confined: &Value) {
    for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
        assert_eq!(confined[set], "0000000000000000", "{set}: {confined}");
    }
    assert_ne!(user["CapBnd"], "0000000000000000", "{user}");
    for (name, free, held) in [("NoNewPrivs", "0", "1"), ("Seccomp", "0", "2")] {
        assert_eq!((user[name].as_str(), confined[name].as_str()), (Some(free), Some(held)), "{name}: {confined}");
    }
    assert_eq!((confined["uid"].as_u64(), confined["Groups"].as_str().map(str::trim)), (Some(64001), Some("64001")), "{confined}");
}

fn no_trace_of_the_host(root: &Value, confined: &Value) {
    assert_eq!(confined["interfaces"], json!(["lo"]), "{confined}");
    assert_ne!(root["interfaces"], json!(["lo"]), "{root}");
    assert_eq!(confined["resolvers"], json!(["127.0.0.1"]), "{confined}");
    assert_eq!(confined["block devices"], json!([]), "{confined}");
    // The engine's own: three files about the network, and the program that reaps processes.
    let own = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/usr/sbin/docker-init", "/sbin/docker-init"];
    for (path, mode) in confined["host mounts"].as_object().unwrap() {
        assert!(own.contains(&path.as_str()) && mode == "ro", "{path} ({mode}): {confined}");
    }
    assert_eq!(root["host mounts"]["/mnt/host"], "rw", "{root}");
}

/// Every place that can be written to has an end, and so have processes and open files; the control goes beyond each.
fn limited(root: &Value, confined: &Value, open_files: u32) {
    assert_eq!(confined["writable"], json!(["/dev/shm", "/tmp", "/var/tmp"]), "{confined}");
    for (folder, most) in [("/tmp", 150), ("/var/tmp", 16), ("/dev/shm", 16)] {
        assert!(root["room"][folder].as_u64().unwrap() >= 200 * MIB, "{folder}: {root}");
        assert!(confined["room"][folder].as_u64().unwrap() <= most * MIB, "{folder}: {confined}");
        assert_eq!(confined[format!("fill {folder}")], "ENOSPC", "{confined}");
    }
    let within = |name: &str, most: u64| {
        let (free, held) = (root[name].as_u64().unwrap(), confined[name].as_u64().unwrap());
        assert!(held <= most && most < free, "{name}: {held} in the sandbox, {free} outside; at most {most}");
    };
    within("open files", u64::from(open_files));
    within("processes", 400);
    within("files in /tmp", 100_000);
}

/// What stands open on this host for whoever can reach it.
struct Host {
    tcp: TcpListener,
    udp: u16,
    canary: String,
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        // Cargo's own variable stands for the secrets in the environment of a worker.
        assert!(std::env::vars_os().any(|(name, value)| name == "CARGO_MANIFEST_DIR" && value == env!("CARGO_MANIFEST_DIR")));
        let (canary, folder) = (RunId::generate().to_string(), temp_dir());
        std::fs::write(folder.path().join(&canary), &canary).unwrap();
        let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        udp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // A server of names that answers every question with the question.
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, asker)) = udp.recv_from(&mut question) {
                let _ = udp.send_to(&question[..length], asker);
            }
        });
        Self { tcp: TcpListener::bind("0.0.0.0:0").unwrap(), udp: port, canary, folder }
    }

    /// What the probe aims at, and how much it takes.
    fn aim(&self, control: Option<Control>) -> Value {
        json!({
            "control": control.is_some(),
            "host": gateway(),
            "tcp": self.tcp.local_addr().unwrap().port(),
            "udp": self.udp,
            "pid": if control.is_some() { std::process::id() } else { 1 },
            "canary": self.canary,
            "variable": env!("CARGO_MANIFEST_DIR"),
            "folder": self.folder.path(),
            "sources": if control.is_some() { "/tmp/sources" } else { "/mnt/extra" },
            "database": match control { Some(Root) => "postgres", Some(User) => "", None => "run_1" },
            "files": 6000,
            "processes": 800,
            "fill": if control == Some(User) { 0 } else { 200 * MIB },
            "folders": if control.is_some() { vec!["/tmp", "/var/tmp", "/dev/shm"] } else { vec![] },
        })
    }

    fn control_as_root(&self, image: &str, code: String) -> Answer {
        let folder = format!("{}:/mnt/host", self.folder.path().display());
        let variable = concat!("CARGO_MANIFEST_DIR=", env!("CARGO_MANIFEST_DIR"));
        let mut flags = vec!["--user=0", "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--pid=host", "--shm-size=300m", "-e", variable];
        flags.extend(["-v", "/var/run/docker.sock:/var/run/docker.sock", "-v", "/sys/fs/cgroup:/sys/fs/cgroup", "-v", &folder]);
        flags.extend(["--security-opt=apparmor=unconfined", "--security-opt=systempaths=unconfined"]);
        flags.extend(["--tmpfs=/srv/db:uid=64002,gid=64002,mode=0755", image, "bash", "-c"]);
        let start = "db() { setpriv --reuid=64002 --regid=64002 --clear-groups bash /opt/odoo-agent/$1.sh 60 >&2; }; \
                     db start & db ready && exec python3 -";
        flags.push(start);
        ordinary_container(&flags, code)
    }

    fn control_as_user(&self, image: &str, code: String) -> Answer {
        ordinary_container(&["--user=64001:64001", image, "python3", "-"], code)
    }
}

type Answer = tokio::task::JoinHandle<String>;

/// Runs code in a container without a filter of calls; gives what it printed.
fn ordinary_container(flags: &[&str], code: String) -> Answer {
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "-i", "--ulimit=nofile=10000", "--security-opt=seccomp=unconfined"]).args(flags);
    tokio::task::spawn_blocking(move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    })
}

/// The address of this host as seen from a container with a network.
fn gateway() -> String {
    let format = "--format={{(index .IPAM.Config 0).Gateway}}";
    let output = Command::new("docker").args(["network", "inspect", "bridge", format]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn answers(log: &str) -> Value {
    let line = log.lines().find_map(|line| line.strip_prefix("PROBE ")).unwrap_or_else(|| panic!("no answers in {log}"));
    serde_json::from_str(line).unwrap()
}

/// Code that takes so much of something. A little of it must run well under the same limits, so that it is the amount that ends it; and
/// after it the sandbox can be used again.
async fn ends(limits: Limits, code: impl Fn(u64) -> String, (too_much, little): (u64, u64)) -> TestRun {
    let (engine, owner) = (engine(limits).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let started = Instant::now();
    let run = test(&mut sandbox, &hostile(&code(too_much))).await;
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert!(!run.installed);
    assert_eq!(engine.remove_run(owner.run, &owner.tenant).await.unwrap(), 0, "a container was left");
    let harmless = test(&mut sandbox, &hostile(&code(little))).await;
    assert_eq!((harmless.end, harmless.installed), (End::Exited(0), true), "{}", harmless.log);
    sandbox.close().await.unwrap();
    run
}

#[tokio::test]
async fn memory_hog_ends_by_name() {
    let limits = Limits { memory_bytes: 700 * MIB, disk_bytes: 300 * MIB, ..Limits::default() };
    let hog = |mib: u64| format!("hog = [bytearray(1 << 20) for _ in range({mib})]\n");
    let run = ends(limits, hog, (100_000, 50)).await;
    assert_eq!(run.end, End::OutOfMemory, "{}", run.log);
}

#[tokio::test]
async fn fork_bomb_ends_by_name() {
    // A child goes on forking, unless there were only a few to make.
    let bomb = |forks: u64| {
        format!(
            "import os\nfor _ in range({forks}):\n    try:\n        if os.fork() == 0 and {forks} < 100:\n            os._exit(0)\n    except OSError:\n        pass\n"
        )
    };
    let run = ends(Limits { seconds: DEADLINE, processes: 200, ..Limits::default() }, bomb, (1_000_000_000, 20)).await;
    assert_eq!(run.end, End::Deadline, "{}", run.log);
}

#[tokio::test]
async fn endless_loop_meets_the_deadline() {
    let deaf = |seconds: u64| {
        format!(
            "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end:\n    pass\n"
        )
    };
    let run = ends(Limits { seconds: DEADLINE, ..Limits::default() }, deaf, (1000, 1)).await;
    assert_eq!(run.end, End::Deadline, "{}", run.log);
}

#[tokio::test]
async fn silence_ends_by_name() {
    let silent = |seconds: u64| format!("import time\ntime.sleep({seconds})\n");
    let run = ends(Limits { idle_seconds: 8, ..Limits::default() }, silent, (1000, 2)).await;
    assert_eq!(run.end, End::NoOutput, "{}", run.log);
}

#[tokio::test]
async fn flood_of_output_is_cut() {
    let flood = |lines: u64| format!("for _ in range({lines}):\n    print('x' * 1000)\n");
    let run = ends(Limits { output_bytes: 1 << 20, ..Limits::default() }, flood, (1_000_000_000, 100)).await;
    assert_eq!(run.end, End::TooMuchOutput);
    assert!(run.log.len() <= 1 << 20);
}

#[tokio::test]
async fn full_disk_is_no_danger() {
    let limits = Limits { disk_bytes: 300 * MIB, ..Limits::default() };
    let (engine, owner) = (engine(limits).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let files = |mib: u64| {
        format!("with open('/tmp/big', 'wb') as file:\n    for _ in range({mib}):\n        file.write(bytes(1 << 20))\nprint('ROOM')\n")
    };
    let rows = |rows: u64| {
        format!(
            "import subprocess, sys\nname = sys.argv[sys.argv.index('-d') + 1]\n\
             fill = \"create table filler as select repeat('x', 1000) from generate_series(1, {rows})\"\n\
             done = subprocess.run(['psql', '-X', '-h', '/srv/db', '-U', 'addon', '-d', name, '-c', fill], capture_output=True, text=True)\n\
             print(done.stderr or 'ROOM')\n"
        )
    };
    for code in [files(100_000), rows(100_000_000)] {
        let run = test(&mut sandbox, &hostile(&code)).await;
        assert!(run.log.contains("No space left on device") && !run.log.contains("ROOM"), "{:?} {}", run.end, run.log);
    }
    // The control, and the proof that nothing of it was left.
    for code in [files(50), rows(50_000)] {
        let run = test(&mut sandbox, &hostile(&code)).await;
        assert!(run.installed && run.log.contains("ROOM"), "{:?} {}", run.end, run.log);
    }
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn next_run_finds_nothing_of_this_one() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let text = |addon: &Addon, path: &str| addon.text(&path.parse().unwrap()).unwrap().to_owned();
    let leftovers = fixture("leftovers");
    let (leave, look) = (text(&leftovers, "leftovers/leave.py"), text(&leftovers, "leftovers/look.py"));
    let control = test(&mut sandbox, &hostile(&format!("{leave}\n{look}"))).await;
    let all = ["/tmp/left", "/tmp/closed", "/var/tmp/left", "/dev/shm/left", "shared memory", "role setting", "large object", "session"];
    assert!(control.log.contains(&format!("LEFT {}\n", json!(all))), "{}", control.log);
    let next = test(&mut sandbox, &hostile(&look)).await;
    assert!(next.log.contains("LEFT []\n"), "{}", next.log);
    sandbox.close().await.unwrap();
}

/// What an addon with failing tests may do on import to look well, and what gives it away.
const FAKES: &[(&str, &str)] = &[
    ("ends before its tests", "import os\nos._exit(0)\n"),
    ("prints a summary and ends", "import os\nprint('@SUMMARY@', flush=True)\nos._exit(0)\n"),
    ("silences the log", "import logging\nlogging.disable(logging.CRITICAL)\n"),
    ("silences the log and prints a summary", "import logging\nlogging.disable(logging.CRITICAL)\nprint('@SUMMARY@', flush=True)\n"),
    ("runs no test", "import unittest\nimport odoo.tests\nodoo.tests.BaseCase.run = unittest.TestCase.run = lambda *a: None\n"),
];
const SUMMARY: &str =
    "2026-11-22 19:10:00,000 1 INFO run_1 odoo.tests.result: 0 failed, 0 error(s) of 3 tests when loading database 'run_1'";

#[tokio::test]
async fn addon_that_fakes_green_is_not_proven() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let failing = fixture("failing_tests");
    // What `cascade` asks of a run before it calls an addon with tests well.
    let mut well = async |addon: &Addon| {
        let run = test(&mut sandbox, addon).await;
        let seen = Observed::read(&run);
        (seen.is_clean() && seen.tests.summary_seen && seen.tests.ran > 0, run)
    };
    let tests = "failing_tests/tests/test_outcomes.py";
    let passing = patched(&patched(&failing, tests, "assertEqual(1, 2)", "assertEqual(1, 1)"), tests, "no_such_method", "browse");
    let (honest, run) = well(&passing).await;
    assert!(honest, "{}", run.log);
    for (name, code) in FAKES {
        let init = ("failing_tests/__init__.py".parse().unwrap(), code.replace("@SUMMARY@", &SUMMARY.replace('\'', "\\'")).into_bytes());
        let files = failing.files().map(|(path, bytes)| (path.clone(), bytes.to_vec()));
        let fake = Addon::new(failing.name().clone(), files.filter(|(path, _)| *path != init.0).chain([init.clone()]));
        let (fooled, run) = well(&fake).await;
        assert!(!fooled, "an addon that {name} looks well: {}", run.log);
    }
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn next_run_is_judged_by_its_own_sources() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    // In a folder that Odoo looks into before the sources, closed to its owner and below more than anybody cleans by hand.
    let plant = "import os\nfolder = '/tmp/data/addons/19.0/hostile'\nos.chmod('/tmp/data/addons/19.0', 0o700)\nos.mkdir(folder)\n\
                 for name, text in (('__manifest__.py', \"{'name': 'x', 'depends': ['base']}\"), ('__init__.py', \"print('PLANTED', flush=True)\")):\n    \
                 open(f'{folder}/{name}', 'w').write(text)\n\
                 for path in (folder, '/tmp/data/addons/19.0', '/tmp/data/addons'):\n    os.chmod(path, 0o500)\n\
                 for number in range(1500):\n    os.mkdir(f'/tmp/{number}')\n    os.symlink('/', f'/var/tmp/{number}')\n";
    let look = "import os\nprint('SEEN', sorted(os.listdir('/tmp')), os.listdir('/var/tmp'), flush=True)\n";
    let run = test(&mut sandbox, &hostile(&format!("{plant}{look}"))).await;
    assert!(run.log.contains("SEEN ['0', '1',"), "the control: {}", run.log);
    let next = test(&mut sandbox, &hostile(look)).await;
    assert!(next.log.contains("SEEN ['data'] []") && !next.log.contains("PLANTED"), "{}", next.log);
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn limits_of_other_processes_stay() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let code = "import os\nimport resource\n\
                resource.prlimit(0, resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))\nprint('OWN', flush=True)\n\
                try:\n    resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (0, 0))\n    print('PARENT', flush=True)\nexcept PermissionError:\n    pass\n\
                try:\n    os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)\n    print('PARENT', flush=True)\nexcept PermissionError:\n    pass\n";
    let run = test(&mut sandbox, &hostile(code)).await;
    assert!(run.log.contains("OWN") && !run.log.contains("PARENT") && run.installed, "{}", run.log);
    sandbox.close().await.unwrap();
}
