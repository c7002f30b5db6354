//! The heart: a state machine that decides who leads, since when, and until when.
//!
//! It is pure: events go in, each with the current time, and commands come out. Nothing here waits,
//! sends or reads a clock. The `soloist-leadership` crate feeds it from a real store; the
//! simulation feeds it thousands of failure scenarios.
//!
//! A host has one [`Session`] (its lease), and one [`GroupCandidacy`] in each group:
//!
//! ```text
//!   session      Absent ──grant──► Granting ──granted──► Live ◄─┐ renewed: deadline = sent + TTL − margin
//!                  ▲                                      │ └───┘
//!                  │              lease gone, deadline passed, shutdown
//!                  │                                      ▼
//!                  └──────── Revoking ◄──all idle── Ending
//!                                │
//!                                └──if the host stops──► Over
//!
//!   candidacy    Idle ──campaign──► Campaigning ──won──► Verifying ──holds──► Leading
//!                  ▲                    │                   │                    │
//!                  │     session ended, │          is gone, │                    │ an `EndCause`
//!                  │   not ready, barred│                   │                    │
//!                  │◄────stepping back──┴───────────────────┤             drains?│
//!                  │                                        │          ┌───yes───┴───no────┐
//!                  │                                  ended │          ▼                   ▼
//!                  │                                        │      Draining ──drained, ► Stopping
//!                  │                                        ▼               too late       │
//!                  └──────────────resigned──────────── Resigning ◄─────────stopped─────────┘
//! ```
//!
//! Invariants, each covered by a test:
//! - `Start` is issued only after the key was re-read under the session's live lease and before the
//!   deadline.
//! - A host that is not among the members stands in no election, so the member list shows every
//!   leader.
//! - The deadline is counted from the moment the renewal was *sent*. A deadline that has passed is
//!   never revived: the session ends, and every term with it.
//! - A host that is told to stop does end, whatever the store answers: once nothing of a term is
//!   alive it no longer renews its lease, so keys that cannot be given up expire with the lease.
//! - For every term that was started, `Resign` and `Revoke` come after `Stopped`: resigning is the
//!   last thing that a term does.
//! - A host never leads under a fencing token at or below one that it has seen. If the store went
//!   back to an older state or is another one, the host stands in no election before the store's
//!   fencing tokens rise above all that it has seen.

mod candidacy_stage;
pub mod clock;
mod end_cause;
mod group_candidacy;
mod heart;
mod heart_command;
mod heart_event;
mod session;
mod spread_plan;
mod store_setback;
mod strategy;
mod term;
mod timings;

pub use candidacy_stage::CandidacyStage;
pub use end_cause::{EndCause, StandAgain};
pub use group_candidacy::GroupCandidacy;
pub use heart::Heart;
pub use heart_command::HeartCommand;
pub use heart_event::HeartEvent;
pub use session::Session;
pub use spread_plan::{SpreadGroup, SpreadPlan};
pub use strategy::{Advice, AvoidRule, Contender, HostLabel, Score, Strategy, advise, score};
pub use term::{FencingToken, Group, LeaderKey, LeaseId, Term};
pub use timings::Timings;

#[cfg(test)]
mod tests;
