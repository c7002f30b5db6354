//! What can happen in a world.

use soloist_heart::{Group, HeartEvent, LeaderKey, LeaseId};

use crate::{
    clocks::ClockAnswers,
    jobs::{LedgerAnswer, LedgerCall},
    register::{RegisterWrite, WriteFate},
    roster_news::RosterNews,
    simulated_store::HostLife,
    store_calls::StoreCall,
};

/// Something that is due at a moment.
#[derive(Clone, Debug)]
pub(crate) enum SimulationEvent {
    ToHost(HostLife, HeartEvent),
    ToStore(StoreCall),
    /// A term's teardown is complete.
    TornDown(HostLife, LeaderKey),
    /// The timer that was set for this moment runs out.
    Wake(HostLife, u64),
    /// The watchdog looks at a term that takes long to end.
    Watchdog(HostLife, LeaderKey),
    /// A host that was told to stop at that moment has had its time.
    StopDeadline(HostLife, u64),
    /// A client's request arrives.
    Request(HostLife, LeaderKey),
    /// The answer to a client is ready to leave.
    Answer(HostLife, LeaderKey),
    /// An action wants to write.
    Write(HostLife, LeaderKey),
    /// An action hears what became of its write.
    Written(HostLife, RegisterWrite, WriteFate),
    /// The supervisor of a dead process revokes its lease.
    Supervise(usize, LeaseId),
    Boot(usize),
    /// The store looks for leases that have run out.
    Sweep,
    /// The store shows each host who is there and who stands where …
    ShowRoster,
    /// … and a host sees that.
    RosterSeen(HostLife, RosterNews),
    /// A host's strategist looks, as it was to at this moment.
    Advise(HostLife, u64),
    Fault,
    /// A stranger's key is taken out of its queue.
    Remove(LeaderKey),
    /// The campaign of this number, whose wake-up was lost, looks again.
    SecondLook(HostLife, Group, u64),
    /// A host notices that its wall clock was set.
    ClockSet(HostLife),
    /// It compares that with those of others, as it was to at this moment …
    Compare(HostLife, u64),
    /// … and they have answered.
    Compared(HostLife, Box<ClockAnswers>),
    /// It looks whether it could lead.
    Readiness(HostLife),
    /// A job looks what is due: at the moment that was set, or since a firing has ended.
    JobTimer(HostLife, LeaderKey, Option<u64>),
    /// It asks the store again …
    LedgerCall(HostLife, Box<LedgerCall>),
    /// … and hears from it.
    LedgerAnswered(HostLife, Box<LedgerCall>, LedgerAnswer),
    /// The checker looks who leads, and who says what.
    CheckLiveness,
    /// Somebody copies the store's data …
    Backup,
    /// … and puts the copy, or nothing, in the data's place.
    Restore,
    /// The obstacles are out of the way, the longest freeze over.
    Clear,
}

impl SimulationEvent {
    /// The process without which it cannot happen.
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
