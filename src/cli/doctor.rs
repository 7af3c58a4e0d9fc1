//! `odoo-agent doctor`: every prerequisite, whether it is there, and how to mend it.

use serde::Serialize;
use serde_json::json;

use super::connect::{PATIENCE, use_stack};
use super::{Exit, show};
use crate::app::App;
use crate::config::Config;
use crate::domain::OdooVersion;
use crate::knowledge::embed::{EmbedError, Embedder, Kind};
use crate::sandbox::Engine;
use crate::stack::Stack;
use crate::telemetry::files;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Odoo series whose sandbox image is looked for.
    #[arg(long, value_name = "SERIES", default_value = "19.0")]
    odoo_version: OdooVersion,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// The program works without it, with less.
    Optional,
    Missing,
}

#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    state: State,
    found: String,
    mend: String,
}

impl Check {
    fn of<T: ToString, E: std::fmt::Display>(what: &'static str, found: Result<T, E>, mend: &str) -> Self {
        match found {
            Ok(found) => Self { what, state: State::Ok, found: found.to_string(), mend: String::new() },
            Err(error) => Self { what, state: State::Missing, found: format!("{error:#}"), mend: mend.to_owned() },
        }
    }
}

pub async fn run(config: Config, args: Args) -> anyhow::Result<Exit> {
    let mut checks = Box::pin(servers(config.clone())).await;
    checks.extend(sandbox(&config, &args.odoo_version).await);
    checks.push(claude(&config));
    checks.push(embedder(&config).await);
    checks.push(tenants(&config));
    checks.push(files(&config));
    let ready = checks.iter().all(|check| check.state != State::Missing);
    if args.json {
        show::out(&json!({ "ready": ready, "checks": checks }).to_string());
    } else {
        for check in &checks {
            let mark = match check.state {
                State::Ok => "ok      ",
                State::Optional => "optional",
                State::Missing => "MISSING ",
            };
            show::out(&format!("{mark}  {:<14} {}", check.what, show::clean(&check.found)));
            if !check.mend.is_empty() {
                show::out(&format!("{:>25} {}", "->", check.mend));
            }
        }
    }
    Ok(if ready { Exit::Done } else { Exit::Outside })
}

/// Starts (or joins) what the settings say and connects to it: the only check that cannot be wrong.
async fn servers(mut config: Config) -> Vec<Check> {
    let wanted = config.stack();
    let embedded = wanted.nats || wanted.postgres;
    let mut checks = Vec::new();
    let stack = if embedded {
        let mend = "run `make setup`; or set NATS_URL and DATABASE_URL to servers of your own";
        match Box::pin(Stack::start(&wanted)).await {
            Ok(stack) => {
                let word = if stack.attached() { "running already" } else { "starts" };
                checks.push(Check::of(
                    "stack",
                    Ok::<_, String>(format!("the embedded stack {word}, data in {}", wanted.data_dir.display())),
                    "",
                ));
                Some(stack)
            }
            Err(error) => {
                checks.push(Check::of("stack", Err::<String, _>(error), mend));
                return checks;
            }
        }
    } else {
        None
    };
    if let Some(stack) = &stack {
        use_stack(&mut config, stack);
    }
    let connected = Box::pin(App::connect(config)).await;
    let mend = "check DATABASE_URL (PostgreSQL 15 or newer with pgvector) and NATS_URL (2.10 or newer with JetStream)";
    checks.push(Check::of("servers", connected.as_ref().map(|_| "PostgreSQL with pgvector and NATS with JetStream answer"), mend));
    drop(connected);
    if let Some(stack) = stack {
        stack.stop(PATIENCE).await;
    }
    checks
}

async fn sandbox(config: &Config, version: &OdooVersion) -> Vec<Check> {
    let engine = Engine::new(&config.sandbox);
    let docker = engine.ping().await;
    let up = docker.is_ok();
    let mut checks = vec![Check::of("docker", docker, "install Docker and start it (Debian: `make setup`), or set DOCKER_HOST")];
    if up {
        checks.push(match engine.image(version).await {
            Ok(Some(tag)) => Check { what: "sandbox image", state: State::Ok, found: tag, mend: String::new() },
            Ok(None) => Check {
                what: "sandbox image",
                state: State::Optional,
                found: format!("the image for Odoo {version} is not built yet"),
                mend: format!("`odoo-agent image --odoo-version {version}` builds it (minutes); the first job does too"),
            },
            Err(error) => Check::of("sandbox image", Err::<String, _>(error), "see the line above"),
        });
    }
    checks
}

fn claude(config: &Config) -> Check {
    let has_key = config.claude.api_key.is_some();
    Check {
        what: "claude",
        state: if has_key { State::Ok } else { State::Optional },
        found: if has_key {
            format!("a key is set for {}", config.claude.base_url)
        } else {
            "no key: recall and rules work, `ask` is skipped".to_owned()
        },
        mend: if has_key { String::new() } else { "set ANTHROPIC_API_KEY to have Claude asked where no rule helps".to_owned() },
    }
}

/// Makes a vector: files that are there may still be damaged, and a key that is set may be refused.
async fn embedder(config: &Config) -> Check {
    let settings = &config.knowledge.embedder;
    let opened = Embedder::open(settings, &config.runtime_dir);
    let tried = async {
        let embedder = opened?;
        embedder.query("sale order").await?;
        Ok::<_, EmbedError>(embedder)
    };
    match tried.await {
        Ok(Embedder::Hash(hash)) if settings.kind != Kind::Hash => Check {
            what: "embedder",
            state: State::Optional,
            found: format!(
                "no weights in {}: {} compares texts by their words alone",
                settings.folder(&config.runtime_dir).display(),
                hash.name()
            ),
            mend: "run `make setup`; what is indexed already is indexed again".to_owned(),
        },
        tried => Check::of(
            "embedder",
            tried.map(|embedder| format!("{} makes vectors", embedder.name())),
            "see [knowledge.embedder] in docs/settings.md",
        ),
    }
}

/// How many files and sockets may be open, after the soft limit was raised as every service does at its start.
fn files(config: &Config) -> Check {
    let number = |limit: Option<u64>| limit.map_or("any number".to_owned(), |limit| limit.to_string());
    let wanted = config.api.max_connections;
    let most = files::left_for_connections().map_or(wanted, |left| left.min(wanted));
    let found = format!(
        "{} of {} are open (hard limit {}); the API takes {most} connections",
        number(files::open()),
        number(files::limit()),
        number(files::hard_limit())
    );
    let enough = most == wanted;
    Check {
        what: "open files",
        state: if enough { State::Ok } else { State::Optional },
        found,
        mend: if enough {
            String::new()
        } else {
            format!("raise the hard limit (`ulimit -Hn`, LimitNOFILE of systemd) so that the {wanted} of api.max_connections fit")
        },
    }
}

fn tenants(config: &Config) -> Check {
    let missing: Vec<_> = config
        .tenants
        .iter()
        .flat_map(|(tenant, settings)| {
            settings.addons.iter().filter(|path| !path.is_dir()).map(move |path| format!("{tenant}: {}", path.display()))
        })
        .collect();
    match (config.tenants.len(), missing.is_empty()) {
        (0, _) => Check {
            what: "tenants",
            state: State::Optional,
            found: "no tenant has addons folders".to_owned(),
            mend: "set `[tenants.default] addons = [\"/path/to/addons\"]` in odoo-agent.toml so that webhook errors can be mended"
                .to_owned(),
        },
        (n, true) => Check { what: "tenants", state: State::Ok, found: format!("{n} set"), mend: String::new() },
        (_, false) => Check::of(
            "tenants",
            Err::<String, _>(format!("addons folders that do not exist: {}", missing.join(", "))),
            "correct odoo-agent.toml",
        ),
    }
}
