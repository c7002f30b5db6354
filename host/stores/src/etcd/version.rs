//! Which versions of etcd keep leases reliably.

/// Warns about a version of etcd in which a lease can end early.
///
/// Before 3.4.31 and 3.5.13, a member that led etcd, stalled and woke up late could revoke leases
/// that its successor had renewed since (etcd: CHANGELOG-3.5, "Fix leases wrongly revoked by the
/// leader").
pub(super) fn warn_if_affected(version: &str) {
    if !keeps_leases(version) {
        tracing::warn!(
            event = "store-version",
            version,
            "this etcd can revoke a lease that is alive, when its own leader stalls and wakes up: \
             use 3.4.31, 3.5.13 or later; until then only fencing tokens protect what the leader writes"
        );
    }
}

/// An unreadable version is assumed to be a new one.
fn keeps_leases(version: &str) -> bool {
    let mut parts = version.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let (Some(major), Some(minor)) = (parts.next(), parts.next()) else { return true };
    match (major, minor, parts.next().unwrap_or(0)) {
        (3, 4, patch) => patch >= 31,
        (3, 5, patch) => patch >= 13,
        (major, minor, _) => (major, minor) > (3, 5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_patches_are_told_from_new_ones() {
        for old in ["3.4.23", "3.4.30", "3.5.0", "3.5.12", "3.3.27"] {
            assert!(!keeps_leases(old), "{old}");
        }
        for new in ["3.4.31", "3.5.13", "3.6.0", "3.6.0-rc.1", "4.0.0", "unknown"] {
            assert!(keeps_leases(new), "{new}");
        }
    }
}
