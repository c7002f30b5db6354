//! Which host a call goes to: of two that are picked by chance, the one with less work of
//! this host's under way (Mitzenmacher, "The Power of Two Choices in Randomized Load
//! Balancing").
//!
//! Between equals it is the one that had its last call longer ago, so that a caller who
//! makes one call after the other spreads them as well. A few calls are as good as none: how
//! many are under way then tells how long the way to a host is, and not how busy it is.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// So many calls keep no host busy.
const FEW: usize = 8;
/// How long a host that could not be reached is only taken where there is no other.
const SHUN: Duration = Duration::from_secs(1);
/// Of hosts that are gone, no more than this many are remembered.
const GONE: usize = 64;

/// What this host has under way on others. Clones are of the same host.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadBalancer(Arc<Mutex<HostLoads>>);

#[derive(Debug, Default)]
struct HostLoads {
    hosts: BTreeMap<Arc<str>, HostLoad>,
    calls: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct HostLoad {
    in_flight: usize,
    /// The number of the last call.
    last_call: u64,
    avoided_until: Option<Instant>,
}

impl HostLoad {
    fn rank(&self) -> impl Ord + use<> {
        (self.in_flight.max(FEW), self.last_call)
    }
}

/// A call that is under way on a host.
#[derive(Debug)]
pub(super) struct InFlightCall {
    balancer: LoadBalancer,
    host: Arc<str>,
}

impl LoadBalancer {
    /// One of `hosts`, with a call under way on it; `chance` gives a number below the one
    /// that it is asked for.
    pub(super) fn pick(
        &self,
        hosts: &[Arc<str>],
        mut chance: impl FnMut(usize) -> usize,
    ) -> Option<InFlightCall> {
        let mut books = self.loads();
        let now = Instant::now();
        let page = |host: &Arc<str>| books.hosts.get(host).copied().unwrap_or_default();
        let shunned = |host: &&Arc<str>| page(host).avoided_until.is_some_and(|until| until > now);
        let mut open: Vec<_> = hosts.iter().filter(|host| !shunned(host)).collect();
        if open.is_empty() {
            open = hosts.iter().collect();
        }
        let mut draw = || (!open.is_empty()).then(|| open.swap_remove(chance(open.len())));
        let drawn = [draw(), draw()].into_iter().flatten();
        let host = drawn.min_by_key(|host| page(host).rank())?;
        books.begin(host, hosts.len());
        Some(InFlightCall { balancer: self.clone(), host: Arc::clone(host) })
    }

    /// Notes that `host` cannot be reached.
    pub(super) fn avoid(&self, host: &str) {
        if let Some(page) = self.loads().hosts.get_mut(host) {
            page.avoided_until = Some(Instant::now() + SHUN);
        }
    }

    fn loads(&self) -> MutexGuard<'_, HostLoads> {
        self.0.lock()
    }
}

impl HostLoads {
    fn begin(&mut self, host: &Arc<str>, hosts: usize) {
        if self.hosts.len() > hosts + GONE {
            self.hosts.retain(|_, page| page.in_flight > 0);
        }
        self.calls += 1;
        let page = self.hosts.entry(Arc::clone(host)).or_default();
        page.in_flight += 1;
        page.last_call = self.calls;
    }
}

impl InFlightCall {
    /// Where the call is.
    pub(super) fn host(&self) -> &Arc<str> {
        &self.host
    }
}

impl Drop for InFlightCall {
    fn drop(&mut self) {
        if let Some(page) = self.balancer.loads().hosts.get_mut(&self.host) {
            page.in_flight -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts(count: usize) -> Vec<Arc<str>> {
        (0..count).map(|host| host.to_string().into()).collect()
    }

    fn counts<'a>(
        flights: impl IntoIterator<Item = &'a InFlightCall>,
    ) -> BTreeMap<Arc<str>, usize> {
        let mut counts = BTreeMap::new();
        for flight in flights {
            *counts.entry(Arc::clone(flight.host())).or_default() += 1;
        }
        counts
    }

    proptest! {
        #[test]
        fn calls_that_stay_are_spread_evenly(count in 1..9_usize, calls in 0..200_usize, seed: u64) {
            let (balance, mut random) = (LoadBalancer::default(), fastrand::Rng::with_seed(seed));
            let hosts = hosts(count);
            let pick = |_| balance.pick(&hosts, |below| random.usize(..below)).unwrap();
            let flights: Vec<_> = (0..calls).map(pick).collect();
            let counts = counts(&flights);
            let most = counts.values().max().copied().unwrap_or_default();
            // log log n / log 2 above the mean, and a little (Mitzenmacher, theorem 1).
            prop_assert!(most <= calls.div_ceil(count).max(FEW) + 4, "{counts:?}");
        }

        #[test]
        fn calls_one_after_the_other_are_spread_as_well(seed: u64) {
            let (balance, mut random) = (LoadBalancer::default(), fastrand::Rng::with_seed(seed));
            let (hosts, mut seen) = (hosts(3), BTreeMap::new());
            for _ in 0..300 {
                let flight = balance.pick(&hosts, |below| random.usize(..below)).unwrap();
                *seen.entry(Arc::clone(flight.host())).or_insert(0_i64) += 1;
            }
            prop_assert!(seen.values().all(|count| (count - 100).abs() < 40), "{seen:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_reached_is_left_alone_for_a_while() {
        let (balance, hosts) = (LoadBalancer::default(), hosts(2));
        drop(balance.pick(&hosts, |_| 0));
        balance.avoid("0");
        let picks = |count| (0..count).map(|_| balance.pick(&hosts, |_| 0).unwrap());
        assert!(picks(10).all(|flight| &**flight.host() == "1"));
        // If there is no other, it is tried.
        assert_eq!(&**balance.pick(&hosts[..1], |_| 0).unwrap().host(), "0");
        tokio::time::advance(SHUN).await;
        assert_eq!(counts(&picks(10).collect::<Vec<_>>()).len(), 2);
    }

    #[test]
    fn nobody_is_nobody() {
        assert!(LoadBalancer::default().pick(&[], |_| 0).is_none());
    }

    #[test]
    fn hosts_that_are_gone_are_forgotten() {
        let balance = LoadBalancer::default();
        for host in 0..1000 {
            drop(balance.pick(&[host.to_string().into()], |_| 0));
        }
        assert!(balance.loads().hosts.len() <= GONE + 2);
    }
}
