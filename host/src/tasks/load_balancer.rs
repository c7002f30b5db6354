//! Chooses the host for a call: of two random ones, the one with fewer calls of this host under way
//! (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
//!
//! Between equals it is the one whose last call is longer ago, so that calls that are made one
//! after the other are spread as well. Up to [`FEW`] calls count as equal: their number depends
//! more on the latency to a host than on how busy it is.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// This many calls do not keep a host busy.
const FEW: usize = 8;
/// How long a host that could not be reached is used only if there is no other.
const AVOID: Duration = Duration::from_secs(1);
/// How many hosts that are gone may be remembered before they are forgotten.
const GONE: usize = 64;

/// The calls of this host that are under way, by the host that does them. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadBalancer(Arc<Mutex<HostLoads>>);

#[derive(Debug, Default)]
struct HostLoads {
    hosts: BTreeMap<Arc<str>, HostLoad>,
    /// How many calls were made until now.
    calls: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct HostLoad {
    in_flight: usize,
    /// The number of the last call to this host.
    last_call: u64,
    avoided_until: Option<Instant>,
}

impl HostLoad {
    fn rank(&self) -> impl Ord + use<> {
        (self.in_flight.max(FEW), self.last_call)
    }
}

/// A call under way; dropping it ends the count.
#[derive(Debug)]
pub(super) struct InFlightCall {
    balancer: LoadBalancer,
    host: Arc<str>,
}

impl LoadBalancer {
    /// Picks one of `hosts` and counts a call on it. `random` returns a number below its argument.
    pub(super) fn pick(
        &self,
        hosts: &[Arc<str>],
        mut random: impl FnMut(usize) -> usize,
    ) -> Option<InFlightCall> {
        let mut loads = self.loads();
        let now = Instant::now();
        let load = |host: &Arc<str>| loads.hosts.get(host).copied().unwrap_or_default();
        let avoided = |host: &&Arc<str>| load(host).avoided_until.is_some_and(|until| until > now);
        let mut open: Vec<_> = hosts.iter().filter(|host| !avoided(host)).collect();
        if open.is_empty() {
            open = hosts.iter().collect();
        }
        let mut draw = || (!open.is_empty()).then(|| open.swap_remove(random(open.len())));
        let drawn = [draw(), draw()].into_iter().flatten();
        let host = drawn.min_by_key(|host| load(host).rank())?;
        loads.begin(host, hosts.len());
        Some(InFlightCall { balancer: self.clone(), host: Arc::clone(host) })
    }

    /// Avoids `host`, which could not be reached, for [`AVOID`].
    pub(super) fn avoid(&self, host: &str) {
        if let Some(load) = self.loads().hosts.get_mut(host) {
            load.avoided_until = Some(Instant::now() + AVOID);
        }
    }

    fn loads(&self) -> MutexGuard<'_, HostLoads> {
        self.0.lock()
    }
}

impl HostLoads {
    fn begin(&mut self, host: &Arc<str>, hosts: usize) {
        if self.hosts.len() > hosts + GONE {
            self.hosts.retain(|_, load| load.in_flight > 0);
        }
        self.calls += 1;
        let load = self.hosts.entry(Arc::clone(host)).or_default();
        load.in_flight += 1;
        load.last_call = self.calls;
    }
}

impl InFlightCall {
    /// The host that does the call.
    pub(super) fn host(&self) -> &Arc<str> {
        &self.host
    }
}

impl Drop for InFlightCall {
    fn drop(&mut self) {
        if let Some(load) = self.balancer.loads().hosts.get_mut(&self.host) {
            load.in_flight -= 1;
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
            // At most log log n / log 2 above the mean (Mitzenmacher, theorem 1), and a little.
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
    async fn a_host_that_cannot_be_reached_is_avoided_for_a_while() {
        let (balance, hosts) = (LoadBalancer::default(), hosts(2));
        drop(balance.pick(&hosts, |_| 0));
        balance.avoid("0");
        let picks = |count| (0..count).map(|_| balance.pick(&hosts, |_| 0).unwrap());
        assert!(picks(10).all(|flight| &**flight.host() == "1"));
        // Without another host it is still used.
        assert_eq!(&**balance.pick(&hosts[..1], |_| 0).unwrap().host(), "0");
        tokio::time::advance(AVOID).await;
        assert_eq!(counts(&picks(10).collect::<Vec<_>>()).len(), 2);
    }

    #[test]
    fn without_hosts_none_is_picked() {
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
