//! A request under way to the store, and what its caller gets if no answer comes.

use soloist_heart::{HeartCommand, HeartEvent, LeaderKey};

use crate::{
    jobs::{LedgerAnswer, LedgerCall},
    register::{RegisterWrite, WriteFate},
    simulated_store::HostLife,
    simulation_event::SimulationEvent,
};

/// A request under way to the store.
#[derive(Clone, Debug)]
pub(crate) struct StoreCall {
    pub(crate) from: HostLife,
    pub(crate) request: StoreRequest,
    /// When the caller times out.
    pub(crate) until: u64,
    /// Whether the caller still waits; otherwise a failure was already reported to it.
    pub(crate) awaited: bool,
}

/// What a caller wants of the store.
#[derive(Clone, Debug)]
pub(crate) enum StoreRequest {
    /// A command of the heart.
    Command(HeartCommand),
    /// A leader announces that it leads.
    Proclaim(LeaderKey),
    /// An action writes to its register.
    Write(RegisterWrite),
    /// A job uses its ledger.
    Job(Box<LedgerCall>),
}

impl StoreRequest {
    /// Whether the call may wait without limit.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Command(HeartCommand::Campaign { .. }))
    }

    /// The event for the caller if no answer comes.
    pub(crate) fn failure(self, from: HostLife) -> Option<SimulationEvent> {
        let event = match self {
            Self::Write(write) => {
                return Some(SimulationEvent::Written(from, write, WriteFate::Unknown));
            }
            Self::Job(ledger_call) => {
                return Some(SimulationEvent::LedgerAnswered(
                    from,
                    ledger_call,
                    LedgerAnswer::Unknown,
                ));
            }
            // It is announced again if the store does not show it.
            Self::Proclaim(_) => return None,
            Self::Command(command) => match command {
                HeartCommand::Grant { .. } => HeartEvent::GrantFailed,
                HeartCommand::Renew { lease, .. } => HeartEvent::RenewFailed { lease },
                HeartCommand::Revoke { lease } => HeartEvent::Released { lease },
                HeartCommand::Campaign { group, attempt, .. } => {
                    HeartEvent::CampaignFailed { group, attempt }
                }
                HeartCommand::Verify { key } => HeartEvent::VerifyFailed { key },
                HeartCommand::Resign { key } => HeartEvent::ResignFailed { key },
                HeartCommand::RaiseTokens { .. } => HeartEvent::RaiseFailed,
                _ => return None,
            },
        };
        Some(SimulationEvent::ToHost(from, event))
    }
}
