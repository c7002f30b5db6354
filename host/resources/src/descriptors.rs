//! How many files this process may have open, and for what (setrlimit(2): `RLIMIT_NOFILE`).
//!
//! Anybody who can reach an address can make the host open connections. So connections may use only
//! a part of the limit. The rest is for what must not wait for them: the store, other hosts,
//! plugins and their files.

use std::sync::LazyLock;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Used where the system has no limit, or a very high one.
const LIMIT_MAX: usize = 1 << 20;

/// The limit. It is raised to the hard limit first: the default soft limit is small for the sake of
/// programs that use select(2).
static LIMIT: LazyLock<usize> = LazyLock::new(|| {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files is unchanged");
    }
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT_MAX).min(LIMIT_MAX)
});

/// With fewer, a host could win an election but hardly serve anybody.
const LIMIT_MIN: usize = 256;

/// The limit is too low for a host.
#[derive(Debug, thiserror::Error)]
#[error(
    "this process may have {0} files open, and a host needs {LIMIT_MIN}, better 4,096: raise the \
     limit (`ulimit -n`, `LimitNOFILE=` of systemd, `--ulimit nofile=` of docker)"
)]
pub struct TooFewDescriptors(usize);

/// Raises the limit as far as possible.
///
/// # Errors
/// When it is too low for a host.
pub fn check_limit() -> Result<(), TooFewDescriptors> {
    if *LIMIT < LIMIT_MIN { Err(TooFewDescriptors(*LIMIT)) } else { Ok(()) }
}

/// How many connections the control API may have open, if `wanted` are configured.
pub fn for_control(wanted: usize) -> usize {
    wanted.min(*LIMIT / 4)
}

/// How many connections one action listener may have open, if `wanted` are configured.
pub fn for_an_address(wanted: usize) -> usize {
    wanted.min(*LIMIT / 4)
}

/// How many connections all action listeners may have open together.
pub fn for_all_addresses() -> usize {
    *LIMIT * 3 / 8
}

/// How many requests of one listener may be forwarded to another host at once, each over its own
/// connection, if `wanted` are configured.
pub fn for_peer_requests(wanted: usize) -> usize {
    wanted.min(*LIMIT / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_left_for_what_must_not_wait() {
        let (control, all) = (for_control(usize::MAX), for_all_addresses());
        assert!(control + all < *LIMIT * 3 / 4, "{control} and {all} of {}", *LIMIT);
        assert!(for_an_address(usize::MAX) <= all && for_peer_requests(usize::MAX) <= *LIMIT / 8);
        assert_eq!(getrlimit(Resource::Nofile).current, getrlimit(Resource::Nofile).maximum);
        assert_eq!((for_control(7), for_an_address(7), for_peer_requests(7)), (7, 7, 7));
    }
}
