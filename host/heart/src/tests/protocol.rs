//! Whatever happens in whatever order, commands come in an order that makes sense.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Any event, about few enough keys and leases that they meet.
fn any_event() -> impl Strategy<Value = Event> {
    let lease = (0..3_i64).prop_map(|n| LeaseId(0xbeef + n)).boxed();
    let key = (lease.clone(), 1..6_i64)
        .prop_map(|(lease, token)| LeaderKey { lease, ..key(token) })
        .boxed();
    let attempt = 1..4_u64;
    let sent = 0..20_000_u64;
    let group = Group::main;
    prop_oneof![
        4 => Just(Event::Tick),
        3 => (lease.clone(), sent.clone())
            .prop_map(|(lease, ms)| Event::Granted { lease, ttl: TTL, sent: at(ms) }),
        1 => Just(Event::GrantFailed),
        3 => (lease.clone(), sent)
            .prop_map(|(lease, ms)| Event::Renewed { lease, ttl: TTL, sent: at(ms) }),
        1 => lease.clone().prop_map(|lease| Event::RenewFailed { lease }),
        1 => lease.clone().prop_map(|lease| Event::LeaseGone { lease }),
        1 => lease.clone().prop_map(|lease| Event::DeadlinePassed { lease }),
        4 => lease.clone().prop_map(|lease| Event::Joined { lease }),
        1 => lease.clone()
            .prop_map(|lease| Event::NotJoined { lease, reason: "no".into() }),
        1 => lease.prop_map(|lease| Event::Released { lease }),
        4 => (attempt.clone(), key.clone()).prop_map(|(attempt, key)| Event::Won { attempt, key }),
        1 => attempt.prop_map(move |attempt| Event::CampaignFailed { group: group(), attempt }),
        4 => (key.clone(), any::<bool>()).prop_map(|(key, holds)| Event::Verified { key, holds }),
        1 => key.clone().prop_map(|key| Event::VerifyFailed { key }),
        1 => key.clone().prop_map(|key| Event::Standing { key }),
        1 => key.clone().prop_map(|key| Event::KeyGone { key }),
        1 => key.clone().prop_map(|key| Event::Drained { key }),
        2 => key.clone().prop_map(|key| Event::Stopped { key }),
        2 => key.clone().prop_map(|key| Event::Resigned { key }),
        1 => key.clone().prop_map(|key| Event::ResignFailed { key }),
        1 => key.clone().prop_map(|key| Event::HandOver { key, cause: Cause::Asked { by: "b".into(), reason: "r".into() } }),
        1 => key.clone().prop_map(|key| Event::HandOver { key, cause: Cause::ActionFailed { action: "web".into(), reason: "no".into() } }),
        3 => Just(ready()),
        1 => Just(Event::NotReady { group: Group::main(), reason: "no".into() }),
        1 => Just(Event::Barred { group: Group::main(), reason: "no".into() }),
        1 => Just(Event::Unbarred { group: Group::main() }),
        1 => any::<bool>().prop_map(|behind| Event::StoreChanged { seen: "s".into(), behind }),
        1 => Just(Event::StepBack { group: Group::main() }),
        1 => key.prop_map(|key| Event::HandOver {
            key,
            cause: Cause::Preferred { host: "b".into() },
        }),
    ]
}

/// What an onlooker knows who sees events and commands alone.
#[derive(Default)]
struct Onlooker {
    /// The key under which something was started, and whether it was told to stop.
    runs: Option<(LeaderKey, bool)>,
    /// The key that the store was asked to re-read.
    asked: Option<LeaderKey>,
    /// The key that was then found to hold.
    verified: Option<LeaderKey>,
    highest: i64,
    /// The sessions by which the host was among the members.
    joined: BTreeSet<LeaseId>,
}

impl Onlooker {
    /// Whether the event can happen: nothing has stopped that was not told to.
    fn believes(&self, event: &Event) -> bool {
        match event {
            Event::Stopped { key } => self.runs.as_ref() == Some(&(key.clone(), true)),
            _ => true,
        }
    }

    fn hears(&mut self, event: &Event) {
        match event {
            Event::Verified { key, holds: true } if self.asked.as_ref() == Some(key) => {
                self.verified = self.asked.take();
            }
            Event::Stopped { .. } => self.runs = None,
            Event::Joined { lease } => drop(self.joined.insert(*lease)),
            _ => {}
        }
    }

    fn sees(&mut self, command: &Command, now: BootTime) {
        match command {
            Command::Campaign { lease, .. } => {
                assert!(self.joined.contains(lease), "stands and is no member");
            }
            Command::Verify { key } => self.asked = Some(key.clone()),
            Command::Start { key, deadline } => {
                assert!(self.runs.is_none(), "started twice");
                assert_eq!(self.verified.take().as_ref(), Some(key), "not verified");
                assert!(now < *deadline, "started too late");
                assert!(key.token.0 > self.highest, "a spent token");
                self.highest = key.token.0;
                self.runs = Some((key.clone(), false));
            }
            Command::Drain { key, .. } => {
                assert_eq!(self.runs, Some((key.clone(), false)), "drains what does not run");
            }
            Command::Stop { key, .. } => {
                assert_eq!(self.runs, Some((key.clone(), false)), "stops what does not run");
                self.runs = Some((key.clone(), true));
            }
            Command::Resign { .. } | Command::Revoke { .. } | Command::Grant { .. } => {
                assert!(self.runs.is_none(), "{command:?} under a running term");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn commands_follow_the_protocol(
        events in prop::collection::vec((any_event(), 0..400_u64), 1..120),
        shutdown in any::<bool>(),
    ) {
        let (mut heart, mut onlooker) = (heart(), Onlooker::default());
        let mut now = 0;
        let last = shutdown.then_some((Event::Shutdown, 1));
        for (event, pause) in events.into_iter().chain(last) {
            now += pause;
            if !onlooker.believes(&event) {
                continue;
            }
            onlooker.hears(&event);
            for command in heart.step(event, at(now)) {
                onlooker.sees(&command, at(now));
            }
            prop_assert!(heart.next_wake() > at(now), "time stands still");
        }
    }
}
