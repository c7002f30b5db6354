//! Tests of the heart by table and by property. Longer scenarios are tested by the simulation.

mod causes;
mod protocol;
mod story;

use std::time::Duration;

use super::{EndCause, FencingToken, Group, Heart, HeartCommand, HeartEvent, LeaderKey, LeaseId};
use crate::{clock::BootTime, timings::Timings};

const TTL: Duration = Duration::from_secs(5);
const LEASE: LeaseId = LeaseId(0xbeef);

fn at(ms: u64) -> BootTime {
    BootTime::from_nanos(ms * 1_000_000)
}

fn timings() -> Timings {
    Timings::derive(TTL, Duration::from_millis(500), Duration::from_secs(10))
}

/// The session's deadline after a grant or renewal that was sent at `ms`.
fn deadline(ms: u64) -> BootTime {
    at(ms) + (TTL - timings().margin)
}

fn key(fencing_token: i64) -> LeaderKey {
    LeaderKey::new(Group::main(), "main/beef", LEASE, fencing_token)
}

fn heart() -> Heart {
    Heart::new("a".into(), timings(), [Group::main()])
}

fn granted(sent_ms: u64) -> HeartEvent {
    HeartEvent::Granted { lease: LEASE, ttl: TTL, sent: at(sent_ms) }
}

fn renewed(sent_ms: u64) -> HeartEvent {
    HeartEvent::Renewed { lease: LEASE, ttl: TTL, sent: at(sent_ms) }
}

fn joined() -> HeartEvent {
    HeartEvent::Joined { lease: LEASE }
}

fn ready() -> HeartEvent {
    HeartEvent::Ready { group: Group::main() }
}

/// The stage that a heart is brought to before the actual test begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReachedStage {
    Campaigning,
    Verifying,
    Leading,
    Draining,
    Stopping,
    Resigning,
}

/// A heart that has reached this stage by time zero, under fencing token 7.
fn brought_to(until: ReachedStage) -> Heart {
    let cause = || EndCause::ActionFailed { action: "web".into(), reason: "it traps".into() };
    let failed = || HeartEvent::HandOver { key: key(7), cause: cause() };
    let steps = [
        (ReachedStage::Campaigning, vec![HeartEvent::Tick, granted(0), joined(), ready()]),
        (ReachedStage::Verifying, vec![HeartEvent::Won { attempt: 1, key: key(7) }]),
        (ReachedStage::Leading, vec![HeartEvent::Verified { key: key(7), holds: true }]),
        (ReachedStage::Draining, vec![failed()]),
        (ReachedStage::Stopping, vec![HeartEvent::Drained { key: key(7) }]),
        (ReachedStage::Resigning, vec![HeartEvent::Stopped { key: key(7) }]),
    ];
    let mut heart = heart();
    for (stage, events) in steps {
        for event in events {
            let _ = heart.step(event, at(0));
        }
        if stage == until {
            break;
        }
    }
    heart
}

/// The names of the commands, without their contents.
fn names(commands: &[HeartCommand]) -> Vec<&'static str> {
    let name = |command: &HeartCommand| match command {
        HeartCommand::Grant { .. } => "grant",
        HeartCommand::Renew { .. } => "renew",
        HeartCommand::Revoke { .. } => "revoke",
        HeartCommand::Campaign { .. } => "campaign",
        HeartCommand::Withdraw { .. } => "withdraw",
        HeartCommand::Verify { .. } => "verify",
        HeartCommand::Start { .. } => "start",
        HeartCommand::Extend { .. } => "extend",
        HeartCommand::Drain { .. } => "drain",
        HeartCommand::Stop { .. } => "stop",
        HeartCommand::Resign { .. } => "resign",
        HeartCommand::RaiseTokens { .. } => "raise",
    };
    commands.iter().map(name).collect()
}
