//! A command's connections: to the servers that the settings name, or to the embedded stack.

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

impl Connected {
    /// Stops the servers that this process started.
    pub async fn close(self) {
        drop(self.app);
        if let Some(stack) = self.stack {
            stack.stop().await;
        }
    }
}

/// Starts what no setting names, and connects.
pub async fn connect(mut config: Config) -> anyhow::Result<Connected> {
    let wanted = config.stack();
    let stack = if wanted.nats || wanted.postgres {
        let stack = Stack::start(&wanted).await.context("the embedded stack did not start")?;
        use_stack(&mut config, &stack);
        Some(stack)
    } else {
        None
    };
    match App::connect(config).await {
        Ok(app) => Ok(Connected { app, stack }),
        Err(error) => {
            if let Some(stack) = stack {
                stack.stop().await;
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
