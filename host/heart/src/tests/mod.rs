//! The heart, by table and by property. Longer stories are the simulation's.

mod causes;
mod protocol;
mod story;

use std::time::Duration;

use super::{Cause, Command, Event, Group, Heart, LeaderKey, LeaseId, Token};
use crate::{clock::BootTime, timings::Timings};

const TTL: Duration = Duration::from_secs(5);
const LEASE: LeaseId = LeaseId(0xbeef);

fn at(ms: u64) -> BootTime {
    BootTime::from_nanos(ms * 1_000_000)
}

fn timings() -> Timings {
    Timings::derive(TTL, Duration::from_millis(500), Duration::from_secs(10))
}

/// What the session's deadline is after a grant or renewal sent at `ms`.
fn deadline(ms: u64) -> BootTime {
    at(ms) + (TTL - timings().margin)
}

fn key(token: i64) -> LeaderKey {
    LeaderKey { group: Group::main(), key: "main/beef".into(), token: Token(token), lease: LEASE }
}

fn heart() -> Heart {
    Heart::new("a".into(), timings(), [Group::main()])
}

fn granted(sent_ms: u64) -> Event {
    Event::Granted { lease: LEASE, ttl: TTL, sent: at(sent_ms) }
}

fn renewed(sent_ms: u64) -> Event {
    Event::Renewed { lease: LEASE, ttl: TTL, sent: at(sent_ms) }
}

fn joined() -> Event {
    Event::Joined { lease: LEASE }
}

fn ready() -> Event {
    Event::Ready { group: Group::main() }
}

/// How far a heart is brought before it meets what a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Campaigning,
    Verifying,
    Leading,
    Draining,
    Stopping,
    Resigning,
}

/// A heart that has come so far by time zero, under token 7.
fn brought_to(until: Until) -> Heart {
    let cause = || Cause::ActionFailed { action: "web".into(), reason: "it traps".into() };
    let failed = || Event::HandOver { key: key(7), cause: cause() };
    let steps = [
        (Until::Campaigning, vec![Event::Tick, granted(0), joined(), ready()]),
        (Until::Verifying, vec![Event::Won { attempt: 1, key: key(7) }]),
        (Until::Leading, vec![Event::Verified { key: key(7), holds: true }]),
        (Until::Draining, vec![failed()]),
        (Until::Stopping, vec![Event::Drained { key: key(7) }]),
        (Until::Resigning, vec![Event::Stopped { key: key(7) }]),
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

/// The commands, by name alone.
fn names(commands: &[Command]) -> Vec<&'static str> {
    let name = |command: &Command| match command {
        Command::Grant { .. } => "grant",
        Command::Renew { .. } => "renew",
        Command::Revoke { .. } => "revoke",
        Command::Campaign { .. } => "campaign",
        Command::Withdraw { .. } => "withdraw",
        Command::Verify { .. } => "verify",
        Command::Start { .. } => "start",
        Command::Extend { .. } => "extend",
        Command::Drain { .. } => "drain",
        Command::Stop { .. } => "stop",
        Command::Resign { .. } => "resign",
    };
    commands.iter().map(name).collect()
}
