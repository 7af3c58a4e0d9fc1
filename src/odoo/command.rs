//! The command line of a test run, which differs by series.

use crate::domain::OdooVersion;

/// The folder of PostgreSQL's socket in a sandbox.
pub const DB_HOST: &str = "/tmp";

/// The data directory in a sandbox.
pub const DATA_DIR: &str = "/tmp/odoo-data";

struct Dialect {
    major: u8,
    start: &'static [&'static str],
    without_demo: &'static str,
}

// 19.0 takes the command `server` and a boolean for demo data (it warns about `all`); before, `all` is the only way to say so.
const DIALECTS: [Dialect; 4] = [
    Dialect { major: 16, start: &["odoo"], without_demo: "--without-demo=all" },
    Dialect { major: 17, start: &["odoo"], without_demo: "--without-demo=all" },
    Dialect { major: 18, start: &["odoo"], without_demo: "--without-demo=all" },
    Dialect { major: 19, start: &["odoo", "server"], without_demo: "--without-demo=True" },
];

/// The program and arguments that install modules and run the tests that `tags` selects (`/module`), then stop. A series that is not
/// in the table is spoken to like the nearest that is. With no module to install nothing is installed, with empty tags nothing is tested.
/// The last of two equal options counts, so a caller may append its own.
pub fn test_command(version: &OdooVersion, db: &str, addons_path: &str, modules_to_install: &[&str], tags: &str) -> Vec<String> {
    let mut argv: Vec<String> = Vec::new();
    let nearest = DIALECTS.iter().min_by_key(|dialect| dialect.major.abs_diff(version.major()));
    let (start, without_demo) = nearest.map_or((&["odoo"][..], ""), |dialect| (dialect.start, dialect.without_demo));
    argv.extend(start.iter().map(|&word| word.to_owned()));
    argv.extend(["-c", "/dev/null", "-d", db].map(str::to_owned));
    argv.push(format!("--db_host={DB_HOST}"));
    argv.push(format!("--addons-path={addons_path}"));
    if !modules_to_install.is_empty() {
        argv.extend(["-i".to_owned(), modules_to_install.join(",")]);
    }
    if !tags.is_empty() {
        argv.extend(["--test-enable", "--test-tags", tags].map(str::to_owned));
    }
    argv.extend(["--stop-after-init", "--max-cron-threads=0", without_demo].map(str::to_owned));
    argv.push(format!("--data-dir={DATA_DIR}"));
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(version: &str) -> String {
        test_command(&version.parse().unwrap(), "t", "/mnt/extra", &["a", "b"], "/a").join(" ")
    }

    #[test]
    fn nineteen_has_a_server_command() {
        assert_eq!(
            command("19.0"),
            "odoo server -c /dev/null -d t --db_host=/tmp --addons-path=/mnt/extra -i a,b --test-enable --test-tags /a \
             --stop-after-init --max-cron-threads=0 --without-demo=True --data-dir=/tmp/odoo-data"
        );
        assert!(command("20.0").starts_with("odoo server"));
    }

    #[test]
    fn older_series_have_none() {
        for version in ["16.0", "17.0", "18.0", "12.0"] {
            assert!(command(version).starts_with("odoo -c /dev/null"), "{version}");
            assert!(command(version).contains("--without-demo=all"), "{version}");
        }
    }

    #[test]
    fn nothing_is_tested_without_tags() {
        let argv = test_command(&"19.0".parse().unwrap(), "t", "/x", &[], "");
        assert!(!argv.iter().any(|word| word == "-i" || word == "--test-enable"));
    }
}
