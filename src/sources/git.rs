//! A branch of a git repository into a folder: its newest state and nothing of its past. What the repository brings never runs: no hooks, no
//! submodules, no filters, and links arrive as files.

use std::path::Path;
use std::str::FromStr;

use tokio::process::Command;

use super::{Bounds, SourcesError, program, replace, stage};

/// The address of a repository that may be fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitUrl {
    text: String,
    scheme: &'static str,
}

impl FromStr for GitUrl {
    type Err = SourcesError;
    fn from_str(text: &str) -> Result<Self, SourcesError> {
        let scheme =
            ["https", "ssh", "file"].into_iter().find(|scheme| text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")));
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let sound = text.len() <= 2_000
            && !rest.is_empty()
            && !rest.starts_with('-')
            && !text.contains(|c: char| c.is_control() || c.is_whitespace());
        match scheme {
            Some(scheme) if sound => Ok(Self { text: text.to_owned(), scheme }),
            _ => Err(SourcesError::Refused("repositories are fetched from https://…, ssh://… and file:///… only".to_owned())),
        }
    }
}

impl GitUrl {
    /// The name of its folder.
    pub fn folder(&self) -> String {
        let name = self.text.trim_end_matches('/').rsplit('/').next().unwrap_or_default().trim_end_matches(".git");
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(60).collect();
        // Two repositories of one name are two.
        let hash = blake3::hash(self.text.as_bytes()).to_hex();
        format!("{name}-{}", &hash[..8])
    }
}

/// The name of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch(String);

impl FromStr for Branch {
    type Err = SourcesError;
    fn from_str(text: &str) -> Result<Self, SourcesError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        let sound = (1..=100).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed);
        if sound && !text.contains("..") {
            Ok(Self(text.to_owned()))
        } else {
            Err(SourcesError::Refused(format!("{text:?} is no name of a branch")))
        }
    }
}

/// Brings the folder to the newest state of the branch; `false`: it was there already. What is there stays until the new state is complete.
pub async fn checkout(url: &GitUrl, branch: &Branch, target: &Path, bounds: Bounds) -> Result<bool, SourcesError> {
    let staged = stage(target)?;
    let newest = newest(url, branch, staged.path(), bounds).await?;
    let mark = target.with_extension("commit");
    if target.is_dir() && std::fs::read_to_string(&mark).is_ok_and(|kept| kept == newest) {
        return Ok(false);
    }
    let into = staged.path().join("tree");
    let mut command = git(url);
    command.args([
        "clone",
        "--quiet",
        "--depth",
        "1",
        "--single-branch",
        "--no-tags",
        "--no-recurse-submodules",
        "--branch",
        &branch.0,
        "--",
    ]);
    command.arg(&url.text).arg(&into);
    program::run("git", command, staged.path(), bounds).await?;
    // What follows reads a tree, not a repository.
    let _ = std::fs::remove_dir_all(into.join(".git"));
    let _ = std::fs::remove_file(&mark);
    replace(&into, target)?;
    // Written last: without it the next time fetches again, and that is all.
    let _ = std::fs::write(&mark, newest);
    Ok(true)
}

/// The newest commit of the branch.
async fn newest(url: &GitUrl, branch: &Branch, folder: &Path, bounds: Bounds) -> Result<String, SourcesError> {
    let mut command = git(url);
    command.args(["ls-remote", "--exit-code", "--heads", "--", &url.text]).arg(format!("refs/heads/{}", branch.0));
    let said = program::run("git", command, folder, bounds).await?;
    let commit = said.split_whitespace().next().filter(|commit| commit.len() >= 40 && commit.chars().all(|c| c.is_ascii_hexdigit()));
    commit.map(ToOwned::to_owned).ok_or_else(|| SourcesError::Failed("git", format!("it does not say what the branch {} is", branch.0)))
}

fn git(url: &GitUrl) -> Command {
    let mut command = Command::new("git");
    for (key, value) in [
        ("core.hooksPath", "/dev/null"),
        ("core.fsmonitor", "false"),
        ("core.symlinks", "false"),
        ("core.longpaths", "true"),
        ("credential.interactive", "false"),
        ("transfer.fsckObjects", "true"),
        ("submodule.recurse", "false"),
        ("protocol.allow", "never"),
        ("init.templateDir", ""),
    ] {
        command.arg("-c").arg(format!("{key}={value}"));
    }
    command.arg("-c").arg(format!("protocol.{}.allow=always", url.scheme));
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
        "GIT_ALLOW_PROTOCOL",
        "GIT_TEMPLATE_DIR",
    ] {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "false")
        .env("SSH_ASKPASS", "false")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=30");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_repository(dir: &Path, args: &[&str]) {
        let mut command = std::process::Command::new("git");
        command.current_dir(dir).args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "core.hooksPath=/dev/null",
        ]);
        assert!(command.args(args).env("GIT_CONFIG_GLOBAL", "/dev/null").status().unwrap().success(), "{args:?}");
    }

    fn repository() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        in_repository(dir.path(), &["init", "--quiet", "-b", "19.0"]);
        std::fs::write(dir.path().join("a.py"), "x = 1\n").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link.py")).unwrap();
        in_repository(dir.path(), &["add", "."]);
        in_repository(dir.path(), &["commit", "--quiet", "-m", "one"]);
        dir
    }

    #[test]
    fn other_ways_in_are_refused() {
        for bad in [
            "",
            "ext::sh -c id",
            "git@host:x/y",
            "http://host/x",
            "/srv/x",
            "--upload-pack=id",
            "https://",
            "ssh://-oProxyCommand=id/x",
            "https://h/ x",
            "file",
        ] {
            assert!(bad.parse::<GitUrl>().is_err(), "{bad}");
        }
        let url: GitUrl = "https://example.org/OCA/web.git".parse().unwrap();
        assert!(url.folder().starts_with("web-") && url.folder() != "https://example.org/x/web.git".parse::<GitUrl>().unwrap().folder());
        for bad in ["", "-x", "--upload-pack=id", "a..b", "a b", "a\n"] {
            assert!(bad.parse::<Branch>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn newest_state_replaces_the_old() {
        let (origin, dir) = (repository(), tempfile::tempdir().unwrap());
        let url: GitUrl = format!("file://{}", origin.path().display()).parse().unwrap();
        let (branch, target) = ("19.0".parse().unwrap(), dir.path().join("tree"));
        assert!(checkout(&url, &branch, &target, Bounds::default()).await.unwrap());
        assert!(!checkout(&url, &branch, &target, Bounds::default()).await.unwrap(), "it is there already");
        assert!(target.join("a.py").is_file() && !target.join(".git").exists());
        assert!(std::fs::symlink_metadata(target.join("link.py")).unwrap().is_file(), "a link arrives as a file");
        std::fs::rename(origin.path().join("a.py"), origin.path().join("b.py")).unwrap();
        in_repository(origin.path(), &["add", "-A"]);
        in_repository(origin.path(), &["commit", "--quiet", "-m", "two"]);
        checkout(&url, &branch, &target, Bounds::default()).await.unwrap();
        assert!(target.join("b.py").is_file() && !target.join("a.py").exists());
        let gone = checkout(&url, &"18.0".parse().unwrap(), &target, Bounds::default()).await;
        assert!(matches!(gone, Err(SourcesError::Failed(..))) && target.join("b.py").is_file(), "what was there stays");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "beside it only the mark of its commit is left");
    }

    #[tokio::test]
    async fn hooks_of_a_template_never_run() {
        let (origin, dir) = (repository(), tempfile::tempdir().unwrap());
        let hook = origin.path().join(".git/hooks");
        std::fs::create_dir_all(&hook).unwrap();
        let mark = dir.path().join("ran");
        for name in ["post-checkout", "post-merge", "pre-commit"] {
            std::fs::write(hook.join(name), format!("#!/bin/sh\ntouch {}\n", mark.display())).unwrap();
        }
        let url: GitUrl = format!("file://{}", origin.path().display()).parse().unwrap();
        checkout(&url, &"19.0".parse().unwrap(), &dir.path().join("tree"), Bounds::default()).await.unwrap();
        assert!(!mark.exists());
    }
}
