//! `ask`: what no rule can mend is mended by (a stand-in for) Claude, proven by real Odoo, and paid for to the cent.

use odoo_agent::domain::{Job, JobKind, RunId, RunState};
use odoo_agent::worker::Worker;
use serde_json::{Value, json};

use crate::support::claude::{FakeClaude, Script, Usage};
use crate::support::{self, TestApp};

async fn app(fake: &FakeClaude, addons: &std::path::Path) -> TestApp {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = fake.url.clone();
    support::app(&[addons], move |config| {
        config.claude.api_key = Some("sk-ant-test".to_owned().into());
        config.claude.base_url = url;
    })
    .await
}

/// Submits the probe's log and waits for the end of its run.
async fn done(test: &TestApp, probe: &str) -> (Job, Value) {
    let payload = json!({ "log": support::log_of(probe) });
    let job = Job { run_id: RunId::generate(), tenant: support::tenant("acme"), kind: JobKind::DebugError, payload };
    test.app.submit(&job, None).await.unwrap();
    let worker = Worker::new(test.app.clone());
    let running = tokio::spawn(async move { worker.run(std::future::pending::<()>()).await });
    let result = support::until("the run to end", async || {
        let view = test.app.run(&job.tenant, job.run_id).await.unwrap().unwrap();
        (view.state == RunState::Done).then(|| view.result.unwrap())
    })
    .await;
    running.abort();
    (job, result)
}

fn answer(find: &str, replace: &str) -> Value {
    json!({
        "cause": "`ten` is no number.",
        "fixable": true,
        "edits": [{ "path": "p_limit/__init__.py", "find": find, "replace": replace }],
        "summary": "Write the number."
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_cannot_solve_is_asked_and_proven() {
    let fake = FakeClaude::start().await;
    // The first answer is wrong; the sandbox says so, and the second question tells Claude.
    fake.reply(Script::Ok(
        answer("from odoo import models", "from odoo import api, models"),
        Usage { input: 1000, output: 200, ..Usage::default() },
    ));
    fake.reply(Script::Ok(answer("int(\"ten\")", "10"), Usage { input: 1500, output: 100, ..Usage::default() }));
    let addons = support::addons(&["p_limit"]);
    let test = app(&fake, addons.path()).await;
    let (job, result) = done(&test, "p_limit").await;
    assert_eq!(
        (&result["outcome"], &result["grade"], &result["source"]),
        (&"fixed".into(), &"proven".into(), &"claude".into()),
        "{result:#}"
    );
    assert!(result["patch"].as_str().unwrap().contains("+LIMIT = 10"));
    assert!(result["confidence"].as_f64().unwrap() < 0.9, "the first answer of Claude is not trusted enough to be applied");

    // 2500 tokens in at 2 USD and 300 out at 10 USD a million.
    let usd = 2500.0 * 2e-6 + 300.0 * 10e-6;
    let view = test.app.run(&job.tenant, job.run_id).await.unwrap().unwrap();
    assert!((view.cost.usd - usd).abs() < 1e-6, "{:?}", view.cost);
    assert_eq!((view.cost.input_tokens, view.cost.output_tokens), (2500, 300));
    assert!((result["cost"]["usd"].as_f64().unwrap() - usd).abs() < 1e-6);
    let asked = fake.requests();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].body.to_string().contains("refuted"), "the second question says how the first answer failed");

    // The same error again: what is remembered costs nothing, and is trusted no more than whoever made it.
    for _ in 0..2 {
        let (_, again) = done(&test, "p_limit").await;
        assert_eq!((&again["source"], &again["grade"]), (&"recall".into(), &"proven".into()), "{again:#}");
        assert!(again["confidence"].as_f64().unwrap() < 0.9, "{}", again["confidence"]);
    }
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_climbs_out_is_refused() {
    let fake = FakeClaude::start().await;
    let mut climbing = answer("", "boom");
    climbing["edits"][0]["path"] = json!("p_limit/../../../etc/cron.d/boom");
    fake.reply(Script::Ok(climbing, Usage::default()));
    let addons = support::addons(&["p_limit"]);
    let test = app(&fake, addons.path()).await;
    let (_, result) = done(&test, "p_limit").await;
    assert_eq!(result["outcome"], "ticket", "{result:#}");
    assert!(result["why"].as_str().unwrap().contains("refused"), "{}", result["why"]);
    assert!(result["patch"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_answer_goes_to_a_person() {
    let fake = FakeClaude::start().await;
    // Both would make the error go away; neither may be applied by a machine.
    let sudo = "from odoo import models\n\n\ndef everything(env):\n    return env['res.partner'].sudo().search([])\n\n\ndef int(text):\n    return 10\n";
    fake.reply(Script::Ok(answer("from odoo import models", sudo), Usage::default()));
    let mut tests = answer("", "assert True\n");
    tests["edits"][0]["path"] = json!("p_limit/tests/test_a.py");
    fake.reply(Script::Ok(tests, Usage::default()));
    let addons = support::addons(&["p_limit"]);
    let test = app(&fake, addons.path()).await;
    let (_, result) = done(&test, "p_limit").await;
    // The first is run like any other patch, and nothing calls its function; the second leaves the error where it was.
    assert_eq!((&result["outcome"], &result["source"], &result["grade"]), (&"proposed".into(), &"claude".into(), &"consistent".into()));
    assert_eq!((&result["applicability"], &result["applied"]), (&"unsafe".into(), &Value::Null), "{result:#}");
    assert!(result["reservations"].to_string().contains("adds sudo"), "{result:#}");
    assert!(result["patch"].as_str().unwrap().contains("+++ b/p_limit/__init__.py"), "{result:#}");
    assert!(!result["patch"].as_str().unwrap().contains("tests/"), "{result:#}");
    assert!(result["ticket"]["body"].as_str().unwrap().contains("adds sudo"), "{result:#}");
    let asked = fake.requests();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].body.to_string().contains("adds sudo"), "the second question says what was forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_money_no_question() {
    let fake = FakeClaude::start().await;
    let addons = support::addons(&["p_limit"]);
    let url = fake.url.clone();
    let test = support::app(&[addons.path()], move |config| {
        config.claude.api_key = Some("sk-ant-test".to_owned().into());
        config.claude.base_url = url;
        config.tenants.get_mut(&support::tenant("acme")).unwrap().max_usd_per_job = 0.000_001;
    })
    .await;
    let (_, result) = done(&test, "p_limit").await;
    assert_eq!(result["outcome"], "ticket");
    assert!(result["why"].as_str().unwrap().contains("max_usd_per_job"), "{}", result["why"]);
    assert!(fake.requests().is_empty());
}
