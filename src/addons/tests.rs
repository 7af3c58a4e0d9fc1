//! Patches on folders that belong to somebody else, and to somebody who wishes us ill.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Mode, RenameFlags, XattrFlags, fgetxattr, fsetxattr, renameat_with};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::{ApplyError, RollbackError, apply, roll_back};
use crate::domain::{Applicability, Evidence, FileChange, Grade, Patch, ProvenPatch};

const ACCESS_LIST: &str = "system.posix_acl_access";
const DEFAULT_LIST: &str = "system.posix_acl_default";
/// Nobody's; any number but root's would do.
const ODOO: u32 = 65_534;
const OTHER: u32 = 64_321;

fn proven(changes: &[(&str, Option<&str>, &str)]) -> ProvenPatch {
    let changes = changes.iter().map(|(path, before, after)| FileChange {
        path: path.parse().unwrap(),
        before: before.map(str::to_owned),
        after: (*after).to_owned(),
    });
    let evidence = Evidence { grade: Grade::Proven, applicability: Applicability::Safe, ..Evidence::default() };
    ProvenPatch::new(Patch::new(changes.collect()).unwrap(), evidence).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Tests of owners need a process that may choose them. Says so where it may not.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can give files to another owner");
    }
    root
}

fn owner_and_mode(path: &Path) -> (u32, u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.uid(), meta.gid(), meta.mode() & 0o7777)
}

/// An access list in which user 1234 may read, the mask is `r--` and others may nothing.
fn access_list() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] = [(1, 6, u32::MAX), (2, 4, 1234), (4, 4, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)];
    let entry = |(tag, rights, id): (u16, u16, u32)| [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat();
    [&2_u32.to_le_bytes()[..], &entries.map(entry).concat()].concat()
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0_u8; 1024];
    fgetxattr(File::open(path).unwrap(), name, &mut value[..]).ok().map(|length| value[..length].to_vec())
}

/// An addon of user `ODOO` with one file of group `OTHER`, that has an access list and is an hour old.
fn others_addon() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let (folder, file) = (root.path().join("m"), root.path().join("m/v.xml"));
    fs::create_dir(&folder).unwrap();
    chown(&folder, Some(ODOO), Some(OTHER)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o2750)).unwrap();
    fs::write(&file, "old").unwrap();
    chown(&file, Some(ODOO), Some(OTHER)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    fsetxattr(File::open(&file).unwrap(), ACCESS_LIST, &access_list(), XattrFlags::empty()).unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(an_hour_ago()).unwrap();
    root
}

fn an_hour_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

#[test]
fn owner_group_mode_list_and_times_are_kept() {
    if !is_root() {
        return;
    }
    let root = others_addon();
    let patch = proven(&[("m/v.xml", Some("old"), "new"), ("m/security/w.xml", None, "x"), ("m/n.py", None, "y")]);
    let applied = apply(root.path(), &patch).unwrap();
    let at = |path: &str| root.path().join(path);
    for path in ["m/v.xml", "m/v.xml.bak"] {
        assert_eq!(owner_and_mode(&at(path)), (ODOO, OTHER, 0o640), "{path}");
        assert_eq!(attribute(&at(path), ACCESS_LIST), Some(access_list()), "{path}");
    }
    assert_eq!(fs::metadata(at("m/v.xml.bak")).unwrap().modified().unwrap(), an_hour_ago());
    assert!(fs::metadata(at("m/v.xml")).unwrap().modified().unwrap() > an_hour_ago());
    assert_eq!(owner_and_mode(&at("m/security")), (ODOO, OTHER, 0o2750), "a new folder is like the one that it is made in");
    for path in ["m/security/w.xml", "m/n.py"] {
        assert_eq!(owner_and_mode(&at(path)), (ODOO, OTHER, 0o640), "{path}: the owner of the folder, the mode of what stands beside it");
        assert_eq!(attribute(&at(path), ACCESS_LIST), None, "{path}");
    }

    roll_back(root.path(), patch.patch(), &applied.backups).unwrap();
    assert_eq!(names(&at("m")), ["v.xml"]);
    assert_eq!(owner_and_mode(&at("m/v.xml")), (ODOO, OTHER, 0o640));
    assert_eq!(attribute(&at("m/v.xml"), ACCESS_LIST), Some(access_list()));
    assert_eq!(fs::metadata(at("m/v.xml")).unwrap().modified().unwrap(), an_hour_ago());
}

#[test]
fn file_without_a_list_gets_none_from_its_folder() {
    if !is_root() {
        return;
    }
    let root = others_addon();
    let (folder, file) = (root.path().join("m"), root.path().join("m/plain.py"));
    fs::write(&file, "old").unwrap();
    fsetxattr(File::open(&folder).unwrap(), DEFAULT_LIST, &access_list(), XattrFlags::empty()).unwrap();
    apply(root.path(), &proven(&[("m/plain.py", Some("old"), "new"), ("m/fresh.py", None, "x")])).unwrap();
    assert_eq!(attribute(&file, ACCESS_LIST), None);
    assert!(attribute(&folder.join("fresh.py"), ACCESS_LIST).is_some(), "a new file has what its folder gives to new files");
}

#[test]
fn rollback_without_a_backup_keeps_the_owner() {
    if !is_root() {
        return;
    }
    let root = others_addon();
    let patch = proven(&[("m/v.xml", Some("old"), "new")]);
    let applied = apply(root.path(), &patch).unwrap();
    fs::remove_file(&applied.backups[0]).unwrap();
    roll_back(root.path(), patch.patch(), &applied.backups).unwrap();
    assert_eq!(fs::read_to_string(root.path().join("m/v.xml")).unwrap(), "old");
    assert_eq!(owner_and_mode(&root.path().join("m/v.xml")), (ODOO, OTHER, 0o640));
}

/// On a thread of its own, which alone becomes that user.
fn as_user<T: Send>(user: u32, work: impl FnOnce() -> T + Send) -> T {
    let (uid, gid) = (rustix::process::Uid::from_raw(user), rustix::process::Gid::from_raw(user));
    let become_user = || {
        set_thread_groups(&[]).unwrap();
        set_thread_res_gid(gid, gid, gid).unwrap();
        set_thread_res_uid(uid, uid, uid).unwrap();
    };
    std::thread::scope(|scope| {
        scope
            .spawn(move || {
                become_user();
                work()
            })
            .join()
            .unwrap()
    })
}

#[test]
fn owner_that_cannot_be_kept_is_a_refusal_and_nothing_is_written() {
    if !is_root() {
        return;
    }
    let root = others_addon();
    let folder = root.path().join("m");
    for open in [root.path(), &folder] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::write(folder.join("a.py"), "old").unwrap();
    chown(folder.join("a.py"), Some(OTHER), Some(OTHER)).unwrap();
    fs::set_permissions(folder.join("v.xml"), fs::Permissions::from_mode(0o644)).unwrap();
    let before = names(&folder);
    for changes in [
        vec![("m/a.py", Some("old"), "new"), ("m/v.xml", Some("old"), "new")],
        vec![("m/a.py", Some("old"), "new"), ("m/models/new.py", None, "x")],
    ] {
        let refused = as_user(OTHER, || apply(root.path(), &proven(&changes)).unwrap_err());
        assert!(matches!(refused, ApplyError::Attributes(..)) && refused.is_refusal(), "{refused}");
        let said = refused.to_string();
        assert!(said.contains(&format!("not to user {ODOO}")) && said.contains("as the owner of the addons folder"), "{said}");
        assert_eq!(names(&folder), before, "no temporary file, backup or folder is left");
        assert_eq!(fs::read_to_string(folder.join("a.py")).unwrap(), "old");
    }
    let patch = proven(&[("m/a.py", Some("old"), "new")]);
    let applied = as_user(OTHER, || apply(root.path(), &patch).unwrap());
    assert_eq!(owner_and_mode(&folder.join("a.py")), (OTHER, OTHER, 0o644), "its owner may write it without being root");
    fs::remove_file(&applied.backups[0]).unwrap();
    let refused = as_user(ODOO, || roll_back(root.path(), patch.patch(), &applied.backups).unwrap_err());
    assert!(matches!(refused, RollbackError::Attributes(..)), "{refused}");
    assert_eq!(names(&folder), before);
}

#[test]
fn pipe_in_the_place_of_a_file_holds_nobody_up() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("m")).unwrap();
    rustix::fs::mknodat(CWD, root.path().join("m/a"), rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert!(matches!(apply(root.path(), &proven(&[("m/a", Some("old"), "new")])), Err(ApplyError::Changed(_))));
}

/// The owner of an addon who puts a link in the place of a folder and takes it away again, as fast as can be.
struct Attack {
    root: tempfile::TempDir,
    outside: tempfile::TempDir,
}

impl Attack {
    fn new() -> Self {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(root.path().join("m/models")).unwrap();
        fs::write(root.path().join("m/__init__.py"), "old").unwrap();
        for folder in [&root.path().join("m/models"), outside.path()] {
            fs::write(folder.join("a.py"), "old").unwrap();
        }
        symlink(outside.path(), root.path().join("m/link")).unwrap();
        Self { root, outside }
    }

    /// Does the work while the folder and the link are exchanged all the time; the folder has its name again at the end.
    #[expect(clippy::disallowed_methods, reason = "the attacker's thread waits for nothing: it varies when it strikes")]
    fn during<T: Send>(&self, work: impl FnOnce() -> T) -> T {
        let stop = AtomicBool::new(false);
        let (models, link) = (self.root.path().join("m/models"), self.root.path().join("m/link"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    renameat_with(CWD, &models, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                    // A link at some moment of nearly every apply, and long enough a folder that some get far.
                    let pause = rand::random_range(0..if models.is_symlink() { 200 } else { 4_000 });
                    std::thread::sleep(Duration::from_micros(pause));
                }
                if models.is_symlink() {
                    renameat_with(CWD, &models, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let done = work();
            stop.store(true, Ordering::Relaxed);
            done
        })
    }

    fn check_outside(&self) {
        assert_eq!(names(self.outside.path()), ["a.py"]);
        assert_eq!(fs::read_to_string(self.outside.path().join("a.py")).unwrap(), "old");
        assert_eq!(fs::read_dir(self.outside.path()).unwrap().count(), 1);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is told to the test from outside")]
fn hostile_owner_of_the_folder_leads_no_write_outside() {
    let patch = proven(&[
        ("m/__init__.py", Some("old"), "new"),
        ("m/models/a.py", Some("old"), "new"),
        ("m/models/b.py", None, "new"),
        ("m/models/deep/c.py", None, "new"),
    ]);
    let (mut applied, mut refused) = (0, 0);
    // A round is some ten milliseconds; ATTACK_SECONDS makes it as many seconds.
    let seconds = std::env::var("ATTACK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let until = SystemTime::now() + Duration::from_secs(seconds);
    let mut rounds = 0;
    // The exchange may miss every write of a hundred rounds where the machine is fast.
    while rounds < 100 || (refused == 0 && rounds < 3_000) || SystemTime::now() < until {
        rounds += 1;
        let attack = Attack::new();
        let root = attack.root.path();
        let done = attack.during(|| apply(root, &patch));
        attack.check_outside();
        let (init, models) = (fs::read_to_string(root.join("m/__init__.py")).unwrap(), names(&root.join("m/models")));
        let Ok(done) = done else {
            refused += 1;
            assert_eq!((init.as_str(), names(&root.join("m"))), ("old", vec!["__init__.py".into(), "link".into(), "models".into()]));
            assert_eq!(models, ["a.py"], "all of it is taken back");
            continue;
        };
        applied += 1;
        assert_eq!((init.as_str(), models), ("new", vec!["a.py".into(), "a.py.bak".into(), "b.py".into(), "deep".into()]));
        let rolled_back = attack.during(|| roll_back(root, patch.patch(), &done.backups));
        attack.check_outside();
        if rolled_back.is_err() {
            // What is left of it is done by a second try, once nobody interferes.
            roll_back(root, patch.patch(), &done.backups).unwrap();
        }
        assert_eq!(fs::read_to_string(root.join("m/models/a.py")).unwrap(), "old");
    }
    eprintln!("{applied} applied, {refused} refused");
    assert!(refused > 0, "the attack never met a write: it shows nothing");
}
