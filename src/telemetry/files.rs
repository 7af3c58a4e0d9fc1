//! Files that the process has open, sockets included, and how many it may.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the program needs beside the connections of its API: servers, sandboxes, files of addons.
const RESERVED: u64 = 256;

/// Raises the soft limit to the hard one. Without that a usual 1,024 ends a busy API. Returns the limit that holds; `None`: there is none.
pub fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, ?current, ?maximum, "the limit of open files cannot be raised");
    }
    limit()
}

/// Returns the soft limit; `None`: there is none.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Returns the hard limit; `None`: there is none.
pub fn hard_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Counts what is open now; `None` where the system does not say.
pub fn open() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

/// Returns how many of the files that may be open can be connections of the API; `None`: any number.
pub fn left_for_connections() -> Option<usize> {
    limit().map(|limit| usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX).max(8))
}

/// Shows both to whoever collects metrics.
pub(super) fn observe(meter: &opentelemetry::metrics::Meter) {
    let gauge = |name: &'static str, what: &'static str, read: fn() -> Option<u64>| {
        let show = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
            if let Some(value) = read() {
                observer.observe(value, &[]);
            }
        };
        meter.u64_observable_gauge(name).with_description(what).with_callback(show).build()
    };
    let _ = gauge("process.open_files", "files and sockets that are open", open);
    let _ = gauge("process.open_files.limit", "files and sockets that may be open", limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_raised_to_the_hard_one() {
        assert_eq!(raise_limit(), hard_limit());
        assert!(open().unwrap() > 2 && left_for_connections().is_none_or(|left| left >= 8));
    }
}
