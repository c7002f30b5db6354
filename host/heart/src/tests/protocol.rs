//! Whatever events arrive in whatever order, the commands come in an order that makes sense.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// An arbitrary event, about only a few keys and leases so that they often coincide.
fn any_event() -> impl Strategy<Value = HeartEvent> {
    let lease = (0..3_i64).prop_map(|n| LeaseId(0xbeef + n)).boxed();
    let key = (lease.clone(), 1..6_i64)
        .prop_map(|(lease, fencing_token)| LeaderKey { lease, ..key(fencing_token) })
        .boxed();
    let attempt = 1..4_u64;
    let sent = 0..20_000_u64;
    let group = Group::main;
    prop_oneof![
        4 => Just(HeartEvent::Tick),
        3 => (lease.clone(), sent.clone())
            .prop_map(|(lease, ms)| HeartEvent::Granted { lease, ttl: TTL, sent: at(ms) }),
        1 => Just(HeartEvent::GrantFailed),
        3 => (lease.clone(), sent)
            .prop_map(|(lease, ms)| HeartEvent::Renewed { lease, ttl: TTL, sent: at(ms) }),
        1 => lease.clone().prop_map(|lease| HeartEvent::RenewFailed { lease }),
        1 => lease.clone().prop_map(|lease| HeartEvent::LeaseGone { lease }),
        1 => lease.clone().prop_map(|lease| HeartEvent::DeadlinePassed { lease }),
        4 => lease.clone().prop_map(|lease| HeartEvent::Joined { lease }),
        1 => lease.clone()
            .prop_map(|lease| HeartEvent::NotJoined { lease, reason: "no".into() }),
        1 => lease.prop_map(|lease| HeartEvent::Released { lease }),
        4 => (attempt.clone(), key.clone()).prop_map(|(attempt, key)| HeartEvent::Won { attempt, key }),
        1 => attempt.prop_map(move |attempt| HeartEvent::CampaignFailed { group: group(), attempt }),
        4 => (key.clone(), any::<bool>()).prop_map(|(key, holds)| HeartEvent::Verified { key, holds }),
        1 => key.clone().prop_map(|key| HeartEvent::VerifyFailed { key }),
        1 => key.clone().prop_map(|key| HeartEvent::KeyQueued { key }),
        1 => key.clone().prop_map(|key| HeartEvent::KeyGone { key }),
        1 => key.clone().prop_map(|key| HeartEvent::Drained { key }),
        2 => key.clone().prop_map(|key| HeartEvent::Stopped { key }),
        2 => key.clone().prop_map(|key| HeartEvent::Resigned { key }),
        1 => key.clone().prop_map(|key| HeartEvent::ResignFailed { key }),
        1 => key.clone().prop_map(|key| HeartEvent::HandOver { key, cause: EndCause::Asked { by: "b".into(), reason: "r".into() } }),
        1 => key.clone().prop_map(|key| HeartEvent::HandOver { key, cause: EndCause::ActionFailed { action: "web".into(), reason: "no".into() } }),
        3 => Just(ready()),
        1 => Just(HeartEvent::NotReady { group: Group::main(), reason: "no".into() }),
        1 => Just(HeartEvent::Barred { group: Group::main(), reason: "no".into() }),
        1 => Just(HeartEvent::Unbarred { group: Group::main() }),
        1 => (0..6_i64).prop_map(|above| HeartEvent::StoreChanged { seen: "s".into(), above: FencingToken(above) }),
        2 => (0..8_i64).prop_map(|above| HeartEvent::TokensRaised { above: FencingToken(above) }),
        1 => Just(HeartEvent::RaiseFailed),
        1 => Just(HeartEvent::StepBack { group: Group::main() }),
        1 => key.prop_map(|key| HeartEvent::HandOver {
            key,
            cause: EndCause::Preferred { host: "b".into() },
        }),
    ]
}

/// What an observer knows who sees only events and commands.
#[derive(Default)]
struct ProtocolObserver {
    /// The key of the running term, and whether it was told to stop.
    runs: Option<(LeaderKey, bool)>,
    /// The key that the store was asked to re-read.
    asked: Option<LeaderKey>,
    /// The key that was then confirmed.
    verified: Option<LeaderKey>,
    highest: i64,
    /// The sessions with which the host has joined the members.
    joined: BTreeSet<LeaseId>,
}

impl ProtocolObserver {
    /// Whether the event is possible: a term stops only after it was told to.
    fn believes(&self, event: &HeartEvent) -> bool {
        match event {
            HeartEvent::Stopped { key } => self.runs.as_ref() == Some(&(key.clone(), true)),
            _ => true,
        }
    }

    fn hears(&mut self, event: &HeartEvent) {
        match event {
            HeartEvent::Verified { key, holds: true } if self.asked.as_ref() == Some(key) => {
                self.verified = self.asked.take();
            }
            HeartEvent::Stopped { .. } => self.runs = None,
            HeartEvent::Joined { lease } => drop(self.joined.insert(*lease)),
            _ => {}
        }
    }

    fn sees(&mut self, command: &HeartCommand, now: BootTime) {
        match command {
            HeartCommand::Campaign { lease, .. } => {
                assert!(self.joined.contains(lease), "stands and is no member");
            }
            HeartCommand::Verify { key } => self.asked = Some(key.clone()),
            HeartCommand::Start { key, deadline } => {
                assert!(self.runs.is_none(), "started twice");
                assert_eq!(self.verified.take().as_ref(), Some(key), "not verified");
                assert!(now < *deadline, "started too late");
                assert!(key.fencing_token.0 > self.highest, "a spent fencing token");
                self.highest = key.fencing_token.0;
                self.runs = Some((key.clone(), false));
            }
            HeartCommand::Drain { key, .. } => {
                assert_eq!(self.runs, Some((key.clone(), false)), "drains what does not run");
            }
            HeartCommand::Stop { key, .. } => {
                assert_eq!(self.runs, Some((key.clone(), false)), "stops what does not run");
                self.runs = Some((key.clone(), true));
            }
            HeartCommand::Resign { .. }
            | HeartCommand::Revoke { .. }
            | HeartCommand::Grant { .. } => {
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
        let (mut heart, mut onlooker) = (heart(), ProtocolObserver::default());
        let mut now = 0;
        let last = shutdown.then_some((HeartEvent::Shutdown, 1));
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
