//! The heart: who leads, since when, until when.
//!
//! A pure state machine. Events go in with the moment at which they are looked
//! at, commands come out, and nothing here waits, sends or reads a clock. The
//! term room feeds it from a real store; the simulation feeds it thousands of
//! bad days.
//!
//! A host has one [`Session`] (its lease), and in each group one [`Candidacy`]:
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
//!                  │     session ended, │          is gone, │                    │ a cause (see `cause`)
//!                  │   not ready, barred│                   │                    │
//!                  │◄────stepping back──┴───────────────────┤             drains?│
//!                  │                                        │          ┌───yes───┴───no────┐
//!                  │                                  ended │          ▼                   ▼
//!                  │                                        │      Draining ──drained, ► Stopping
//!                  │                                        ▼               too late       │
//!                  └──────────────resigned──────────── Resigning ◄─────────stopped─────────┘
//! ```
//!
//! Invariants, each held by a test:
//! - `Start` comes only after the key was re-read under the session's live lease, before its deadline.
//! - Who is not among the members stands for nothing: the list shows whoever leads.
//! - The deadline is counted from the moment the renewal was *sent*. Once passed, it is never revived:
//!   the session ends, and with it every term.
//! - A host that stops ends, whatever the store says: when nothing of a term is alive it renews
//!   its lease no more, so that what cannot be given up runs out.
//! - `Resign` and `Revoke` come after `Stopped` for whatever was started: resigning is a term's last act.
//! - A token at or below one that this host led under is never led under again; and when the
//!   store went back, none at all is until the host is restarted.

mod candidacy_stage;
pub mod clock;
mod end_cause;
mod group_candidacy;
mod heart;
mod message;
mod session;
mod spread_plan;
mod strategy;
mod term;
mod timings;

pub use candidacy_stage::CandidacyStage;
pub use end_cause::{EndCause, StandAgain};
pub use group_candidacy::GroupCandidacy;
pub use heart::Heart;
pub use message::{HeartCommand, HeartEvent};
pub use session::Session;
pub use spread_plan::{SpreadGroup, SpreadPlan};
pub use strategy::{Advice, AvoidRule, Contender, HostLabel, Score, Strategy, advise, score};
pub use term::{Group, LeaderKey, LeaseId, Term, Token};
pub use timings::Timings;

#[cfg(test)]
mod tests;
