//! Ways in which code under test may make its own run look well, each held against what the recorder says. The control: the same addon
//! without the trick is seen as what it is, well or not.

use std::collections::BTreeSet;

use odoo_agent::cascade::Observed;
use odoo_agent::odoo::Addon;
use odoo_agent::sandbox::{Limits, Sandbox, TestRun};

use crate::support::sandbox::{engine, fixture, open, owner, patched, test};

const TESTS: &str = "failing_tests/tests/test_outcomes.py";
const SUMMARY: &str =
    "2026-11-22 19:10:00,000 1 INFO run_1 odoo.tests.result: 0 failed, 0 error(s) of 3 tests when loading database \\'run_1\\'";

/// What an addon does when it is imported, and a word of what the recorder says of it.
const IMPORTED: &[(&str, &str, &str)] = &[
    (
        "replaces an assertion",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None\n",
        "unittest.case.TestCase.assertEqual",
    ),
    ("replaces the runner", "import odoo.tests\nodoo.tests.BaseCase.run = lambda self, result: result\n", "BaseCase.run was replaced"),
    (
        "replaces the code of the result",
        "import odoo.tests.result as r\nr.OdooTestResult.addFailure.__code__ = (lambda self, test, err: None).__code__\n",
        "OdooTestResult.addFailure",
    ),
    ("finds no test", "import odoo.tests.loader as l\nl.get_module_test_cases = lambda module: ()\n", "get_module_test_cases was replaced"),
    (
        "writes a message of its own to every descriptor that may be the recorder's",
        "import os\nfor fd in range(64, 300):\n    try:\n        os.write(fd, b'\\0\\0\\0\\x02' + b'\\0' * 20 + b'{}')\n    except OSError:\n        pass\n",
        "the recorder's channel",
    ),
    (
        "takes the recorder's ear",
        "import sys\ntry:\n    sys.monitoring.register_callback(4, sys.monitoring.events.PY_START, None)\nexcept RuntimeError:\n    pass\n",
        "sys.monitoring.register_callback",
    ),
    ("looks for the recorder among all objects", "import gc\ngc.get_objects()\n", "gc.get_objects"),
];

/// What an addon does at its import or as its hook, so that its run ends before the recorder has seen the end.
const CUT_SHORT: &[(&str, &str)] = &[
    ("prints a summary and ends", "import os\nprint('@SUMMARY@', flush=True)\nos._exit(0)\n"),
    (
        "has the database say that it is installed, prints a summary and ends",
        "import os\n\ndef forge(env):\n    env.cr.execute(\"UPDATE ir_module_module SET state = 'installed' WHERE name = 'failing_tests'\")\n    env.cr.commit()\n    print('@SUMMARY@', flush=True)\n    os._exit(0)\n",
    ),
    ("leaves by the front door", "import sys\nprint('@SUMMARY@', flush=True)\nsys.exit(0)\n"),
];

/// The addon whose tests fail, with this in its `__init__.py` and its manifest.
fn with_code(code: &str) -> Addon {
    let failing = fixture("failing_tests");
    let init = ("failing_tests/__init__.py".parse().unwrap(), code.replace("@SUMMARY@", SUMMARY).into_bytes());
    let files = failing.files().map(|(path, bytes)| (path.clone(), bytes.to_vec()));
    let files: Vec<_> = files.filter(|(path, _)| *path != init.0).chain([init.clone()]).collect();
    let addon = Addon::new(failing.name().clone(), files);
    if !code.contains("def forge(env)") {
        return addon;
    }
    patched(&addon, "failing_tests/__manifest__.py", "\"depends\":", "\"pre_init_hook\": \"forge\", \"depends\":")
}

async fn observe(sandbox: &mut Sandbox, addon: &Addon) -> (Observed, TestRun) {
    let run = test(sandbox, addon).await;
    (Observed::read(&run), run)
}

#[tokio::test]
async fn honest_run_is_trusted_and_says_what_failed() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let failing = fixture("failing_tests");
    let (seen, run) = observe(&mut sandbox, &failing).await;
    assert!(seen.is_trusted() && !seen.is_clean(), "{:?}\n{}", run.record, run.log);
    let names = |names: &[&str]| names.iter().map(|name| format!("failing_tests: {name}")).collect::<BTreeSet<_>>();
    assert_eq!(seen.tests.failed, names(&["TestOutcomes.test_fails", "TestOutcomes.test_raises"]));
    assert_eq!(seen.tests.started, names(&["TestOutcomes.test_fails", "TestOutcomes.test_passes", "TestOutcomes.test_raises"]));
    let passing = patched(&patched(&failing, TESTS, "assertEqual(1, 2)", "assertEqual(1, 1)"), TESTS, "no_such_method", "browse");
    let (seen, run) = observe(&mut sandbox, &passing).await;
    assert!(seen.is_clean() && seen.tests.ran == 3, "{:?}\n{}", run.record, run.log);
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn tampering_is_told_in_words() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    for (name, code, told) in IMPORTED {
        let (seen, run) = observe(&mut sandbox, &with_code(code)).await;
        assert!(!seen.is_trusted() && !seen.is_clean(), "an addon that {name}: {:?}\n{}", run.record, run.log);
        assert!(seen.tampering().iter().any(|sentence| sentence.contains(told)), "an addon that {name}: {:?}\n{}", run.record, run.log);
    }
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn run_that_is_cut_short_is_not_complete() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    for (name, code) in CUT_SHORT {
        let (seen, run) = observe(&mut sandbox, &with_code(code)).await;
        assert!(run.log.contains("0 failed, 0 error(s) of 3 tests"), "{}", run.log);
        assert!(!seen.is_trusted() && !seen.is_clean(), "an addon that {name}: {:?}\n{}", run.record, run.log);
        // The trick works on what the log and the database say.
        if code.contains("def forge") {
            assert!(run.installed, "{}", run.log);
        }
    }
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn test_that_judges_itself_is_told() {
    let (engine, owner) = (engine(Limits::default()).await, owner());
    let mut sandbox = open(&engine, &owner).await;
    let equal = "class Any(int):\n    def __eq__(self, other):\n        return True\n\n    __hash__ = int.__hash__\n";
    let compares = "__import__('odoo.addons.failing_tests').addons.failing_tests.Any(1)";
    let passing = patched(&with_code(equal), TESTS, "no_such_method", "browse");
    for (to, told) in [
        (format!("assertEqual([{compares}], [2])"), "its own equality at failing_tests/__init__.py:2"),
        ("__dict__.update(assertEqual=print) or self.assertEqual(1, 2)".to_owned(), "replaces its own assertEqual"),
        (
            "assertTrue(1)\n        from unittest.mock import patch\n        with patch('unittest.TestCase.assertEqual', print):\n            self.assertEqual(1, 2)"
                .to_owned(),
            "TestCase.assertEqual was replaced while TestOutcomes.test_fails ran",
        ),
    ] {
        let (seen, run) = observe(&mut sandbox, &patched(&passing, TESTS, "assertEqual(1, 2)", &to)).await;
        // The trick works on the tests.
        assert!(seen.tests.failed.is_empty() && seen.tests.ran == 3, "{:?}\n{}", run.record, run.log);
        assert!(!seen.is_clean() && seen.tampering().iter().any(|sentence| sentence.contains(told)), "{told}: {:?}", run.record);
    }
    sandbox.close().await.unwrap();
}
