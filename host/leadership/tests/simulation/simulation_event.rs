//! The events of a simulation.

use soloist_heart::{Group, HeartEvent, LeaderKey, LeaseId};

use crate::{
    clocks::ClockAnswers,
    jobs::{LedgerAnswer, LedgerCall},
    register::{RegisterWrite, WriteFate},
    roster_news::RosterNews,
    simulated_store::HostLife,
    store_request::StoreCall,
};

/// An event that is scheduled for a certain moment.
#[derive(Clone, Debug)]
pub(crate) enum SimulationEvent {
    ToHost(HostLife, HeartEvent),
    ToStore(StoreCall),
    /// A term's teardown is complete.
    TornDown(HostLife, LeaderKey),
    /// The timer that was set for this moment expires.
    Wake(HostLife, u64),
    /// The watchdog checks a term that takes long to end.
    Watchdog(HostLife, LeaderKey),
    /// A host that was told to stop at this moment has had enough time.
    StopDeadline(HostLife, u64),
    /// A client's request arrives.
    Request(HostLife, LeaderKey),
    /// The answer to a client is ready to be sent.
    Answer(HostLife, LeaderKey),
    /// An action wants to write.
    Write(HostLife, LeaderKey),
    /// An action learns the outcome of its write.
    Written(HostLife, RegisterWrite, WriteFate),
    /// The supervisor of a dead process revokes its lease.
    Supervise(usize, LeaseId),
    Boot(usize),
    /// The store looks for expired leases.
    Sweep,
    /// The store publishes its roster to each host …
    ShowRoster,
    /// … and a host receives it.
    RosterSeen(HostLife, RosterNews),
    /// A host's strategist looks, as scheduled for this moment.
    Advise(HostLife, u64),
    Fault,
    /// A foreign key is removed from its queue.
    Remove(LeaderKey),
    /// The campaign with this number, whose notification was lost, checks again.
    SecondLook(HostLife, Group, u64),
    /// A host notices that its wall clock was set.
    ClockSet(HostLife),
    /// A host compares its clock with others, as scheduled for this moment …
    Compare(HostLife, u64),
    /// … and they have answered.
    Compared(HostLife, Box<ClockAnswers>),
    /// A host checks whether it could lead.
    Readiness(HostLife),
    /// A job does what is due: at the scheduled moment, or after a run has ended.
    JobTimer(HostLife, LeaderKey, Option<u64>),
    /// A job repeats its call to the store …
    LedgerCall(HostLife, Box<LedgerCall>),
    /// … and gets the answer.
    LedgerAnswered(HostLife, Box<LedgerCall>, LedgerAnswer),
    /// The checker looks at which hosts lead and what they report.
    CheckLiveness,
    /// Somebody copies the store's data …
    Backup,
    /// … and replaces the data by the copy, or by nothing.
    Restore,
    /// The obstacles are removed; the longest freeze is over.
    Clear,
}

impl SimulationEvent {
    /// The process that the event happens in. If it no longer exists, neither does the event.
    pub(crate) fn process(&self) -> Option<HostLife> {
        match self {
            Self::ToHost(caller, _)
            | Self::TornDown(caller, _)
            | Self::Wake(caller, _)
            | Self::Watchdog(caller, _)
            | Self::StopDeadline(caller, _)
            | Self::Request(caller, _)
            | Self::Answer(caller, _)
            | Self::Write(caller, _)
            | Self::RosterSeen(caller, ..)
            | Self::Advise(caller, _)
            | Self::ClockSet(caller)
            | Self::Compare(caller, _)
            | Self::Compared(caller, _)
            | Self::Readiness(caller)
            | Self::JobTimer(caller, ..)
            | Self::LedgerCall(caller, _)
            | Self::LedgerAnswered(caller, ..)
            | Self::Written(caller, ..) => Some(*caller),
            _ => None,
        }
    }
}
