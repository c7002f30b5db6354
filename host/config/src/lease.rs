//! `[lease]`: which timings are possible, and the nearest possible ones otherwise.

use std::time::Duration;

use super::{StoreUrl, problem::Problem, settings_file::STOP_MIN};
use soloist_heart::Timings;

/// Whether `store` can grant `ttl`.
pub(super) fn check_ttl(ttl: Duration, store: &StoreUrl) -> Result<(), Problem> {
    let (kind, whole_seconds) = match store {
        StoreUrl::Sqlite(_) => ("sqlite", false),
        StoreUrl::Postgres(_) => ("postgres", false),
        StoreUrl::Etcd { .. } => ("etcd", true),
    };
    let min = store.min_ttl();
    if ttl < min {
        let (ttl, min) = (show(ttl), show(min));
        return Err(Problem::new(
            format!("a TTL of {ttl} is too short: the store ({kind}) grants {min} at least"),
            format!("write `ttl = \"{min}\"` or more"),
        ));
    }
    if whole_seconds && ttl.subsec_nanos() != 0 {
        return Err(Problem::new(
            format!("a TTL of {} is impossible: etcd grants whole seconds", show(ttl)),
            format!("write `ttl = \"{}\"`", show(whole(ttl))),
        ));
    }
    Ok(())
}

/// Whether a term survives one lost renewal under `timings`.
pub(super) fn check_timings(timings: &Timings, store: &StoreUrl) -> Result<(), Problem> {
    let Timings { ttl, stop_timeout: stop, margin, renew_every, drain_timeout, .. } = *timings;
    if timings.is_possible() {
        return Ok(());
    }
    let with = |ttl, stop| Timings::derive(ttl, stop, drain_timeout).is_possible();
    let mut seconds = (1..=3600).map(Duration::from_secs);
    let ttl_that_works = seconds.find(|&ttl| ttl >= store.min_ttl() && with(ttl, stop));
    let stop_that_works = (1..=stop.as_millis() / 50)
        .rev()
        .filter_map(|n| u64::try_from(n * 50).ok().map(Duration::from_millis))
        .find(|&stop| stop >= Duration::from_millis(STOP_MIN) && with(ttl, stop));
    let mut fixes = Vec::new();
    fixes.extend(ttl_that_works.map(|ttl| format!("`ttl = \"{}\"` or more", show(ttl))));
    fixes
        .extend(stop_that_works.map(|stop| format!("`stop_timeout = \"{}\"` or less", show(stop))));
    Err(Problem::new(
        format!(
            "a TTL of {} leaves no time for a second renewal: a term must end {} before it \
             ({} of it to stop the actions), and a renewal is due every {}",
            show(ttl),
            show(margin),
            show(stop),
            show(renew_every)
        ),
        format!("write {}", fixes.join(", or ")),
    ))
}

fn whole(ttl: Duration) -> Duration {
    Duration::from_secs(ttl.as_secs() + 1)
}

fn show(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}
