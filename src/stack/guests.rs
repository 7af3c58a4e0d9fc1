//! Who else uses the servers: every process that attaches holds a shared lock, and the owner stops them only when it is free.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{StackError, io};

/// How often the owner looks whether the last guest has gone.
const LOOK: Duration = Duration::from_millis(100);

fn open(data: &Path) -> Result<File, StackError> {
    let path = data.join("guests");
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(io(&path))
}

/// Becomes a guest. `None`: the owner is about to stop, or to start. The kernel gives the lock back however we end.
pub fn enter(data: &Path) -> Result<Option<File>, StackError> {
    let file = open(data)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(io(data)(source)),
    }
}

/// Waits until there is no guest, and keeps new ones out for as long as the result lives. `None`: some are still there after `patience`.
pub async fn wait_until_gone(data: &Path, patience: Duration) -> Result<Option<File>, StackError> {
    let file = open(data)?;
    let deadline = Instant::now() + patience;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(io(data)(source)),
        }
        if !told {
            tracing::warn!("waiting for another odoo-agent that uses the servers of this one");
            told = true;
        }
        tokio::time::sleep(LOOK).await;
    }
}
