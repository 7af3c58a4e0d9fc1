//! Which files of an addon are worth cutting up.

/// Folders whose files tell nothing of how the addon works.
const SKIPPED: &[&str] = &["tests", "test", "node_modules", "__pycache__", "lib", "libs", "description", "dist", "fonts", "img", ".git"];

/// Whether a file is to be cut up, by its path within the addon.
pub fn wanted(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut folders = folders.split('/').filter(|folder| !folder.is_empty());
    let top = path.split('/').next().unwrap_or_default();
    let is_static = top == "static";
    let skipped = |folder: &str| match folder {
        // Python packages of these names are code like any other.
        "lib" | "libs" | "description" | "dist" | "fonts" | "img" => is_static,
        other => SKIPPED.contains(&other),
    };
    if folders.any(skipped) || (is_static && !path.starts_with("static/src/")) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    let (stem, extension) = lower.rsplit_once('.').unwrap_or((lower.as_str(), ""));
    match extension {
        "py" => !is_static,
        "xml" => true,
        "csv" => !is_static,
        "js" => is_static && !stem.ends_with(".min") && !stem.ends_with("-min") && !stem.ends_with(".bundle"),
        "rst" | "md" => !is_static && (stem == "readme" || top == "readme" || top == "doc" || top == "docs"),
        "po" => top == "i18n",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_data_and_prose_are_wanted() {
        for path in [
            "__manifest__.py",
            "models/sale.py",
            "lib/client.py",
            "migrations/19.0.1.0/post.py",
            "views/sale.xml",
            "security/ir.model.access.csv",
            "static/src/js/a.js",
            "static/src/xml/a.xml",
            "README.rst",
            "readme/DESCRIPTION.md",
            "i18n/es.po",
        ] {
            assert!(wanted(path), "{path}");
        }
    }

    #[test]
    fn tests_and_libraries_are_not() {
        for path in [
            "tests/test_a.py",
            "static/lib/a.js",
            "static/src/lib/a.js",
            "static/src/a.min.js",
            "static/tests/a.js",
            "static/description/index.html",
            "static/description/a.xml",
            "static/src/node_modules/a.js",
            "a.js",
            "i18n/a.pot",
            "CHANGES.md",
            "",
        ] {
            assert!(!wanted(path), "{path}");
        }
    }
}
