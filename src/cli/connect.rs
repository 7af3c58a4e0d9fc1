//! A command's connections: to the servers that the settings name, or to the embedded stack.

use std::time::Duration;

use anyhow::Context;
use secrecy::SecretString;

use crate::app::App;
use crate::config::Config;
use crate::stack::Stack;

/// What a command holds while it works. The stack stops when it is closed, unless it belongs to another process.
pub struct Connected {
    /// The adapters.
    pub app: App,
    stack: Option<Stack>,
}

/// How long a command waits for others that work on the servers that it started: as long as a job may take.
pub const PATIENCE: Duration = Duration::from_secs(31 * 60);
/// How long the end of a command waits for answers of the embedder that are billed, though nobody wants them any more.
const BILLS: Duration = Duration::from_secs(10);

impl Connected {
    /// Stops the servers that this process started, once nobody else works on them.
    pub async fn close(self) {
        self.close_within(PATIENCE).await;
    }

    /// The same for a service, which is not to wait long when it is told to stop.
    pub async fn close_within(self, patience: Duration) {
        if tokio::time::timeout(BILLS.min(patience), self.app.knowledge.bills_paid()).await.is_err() {
            tracing::warn!("the embedder has not answered yet: what it bills for that is not written down");
        }
        drop(self.app);
        if let Some(stack) = self.stack {
            stack.stop(patience).await;
        }
    }
}

/// Starts what no setting names, and connects. Boxed: the future holds the settings several times over.
pub async fn connect(config: Config) -> anyhow::Result<Connected> {
    Box::pin(connect_boxed(config)).await
}

async fn connect_boxed(mut config: Config) -> anyhow::Result<Connected> {
    let wanted = config.stack();
    let stack = if wanted.nats || wanted.postgres {
        let stack = Box::pin(Stack::start(&wanted)).await.context("the embedded stack did not start")?;
        use_stack(&mut config, &stack);
        Some(stack)
    } else {
        None
    };
    match Box::pin(App::connect(config)).await {
        Ok(app) => Ok(Connected { app, stack }),
        Err(error) => {
            if let Some(stack) = stack {
                stack.stop(PATIENCE).await;
            }
            Err(error)
        }
    }
}

/// Points the settings at the servers of a stack. In its database the owner migrates; everything else happens in a role that
/// row-level security binds.
pub fn use_stack(config: &mut Config, stack: &Stack) {
    if let Some(url) = stack.nats_url() {
        config.queue.url = Some(url.to_owned());
    }
    let secret = |url: Option<&str>| url.map(|url| SecretString::from(url.to_owned()));
    if stack.app_database_url().is_some() {
        config.database.url = secret(stack.app_database_url());
        config.database.migration_url = secret(stack.owner_database_url());
    }
}
