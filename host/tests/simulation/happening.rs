//! What can happen in a world.

use soloist_heart::{Event, Group, LeaderKey, LeaseId};

use crate::{
    calls::Call,
    clocks::Asked,
    jobs::{Errand, Said},
    register::{Fate, Write},
    sight::News,
    store::Caller,
};

/// Something that is due at a moment.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    ToHost(Caller, Event),
    ToStore(Call),
    /// A term's teardown is complete.
    TornDown(Caller, LeaderKey),
    /// The timer that was set for this moment runs out.
    Wake(Caller, u64),
    /// The watchdog looks at a term that takes long to end.
    Watchdog(Caller, LeaderKey),
    /// A host that was told to stop at that moment has had its time.
    EndIsDue(Caller, u64),
    /// A client's request arrives.
    Request(Caller, LeaderKey),
    /// The answer to a client is ready to leave.
    Answer(Caller, LeaderKey),
    /// An action wants to write.
    Write(Caller, LeaderKey),
    /// An action hears what became of its write.
    Written(Caller, Write, Fate),
    /// The supervisor of a dead process revokes its lease.
    Supervise(usize, LeaseId),
    Boot(usize),
    /// The store looks for leases that have run out.
    Sweep,
    /// The store shows each host who is there and who stands where …
    Show,
    /// … and a host sees that.
    Seen(Caller, News),
    /// A host's strategist looks, as it was to at this moment.
    Advise(Caller, u64),
    Fault,
    /// A stranger's key is taken out of its queue.
    Remove(LeaderKey),
    /// The campaign of this number, whose wake-up was lost, looks again.
    SecondLook(Caller, Group, u64),
    /// A host notices that its wall clock was set.
    ClockSet(Caller),
    /// It compares that with those of others, as it was to at this moment …
    Compare(Caller, u64),
    /// … and they have answered.
    Compared(Caller, Box<Asked>),
    /// It looks whether it could lead.
    Readiness(Caller),
    /// A job looks what is due: at the moment that was set, or since a firing has ended.
    Keep(Caller, LeaderKey, Option<u64>),
    /// It asks the store again …
    Errand(Caller, Box<Errand>),
    /// … and hears from it.
    Said(Caller, Box<Errand>, Said),
    /// The checker looks who leads, and who says what.
    Look,
    /// Somebody copies the store's data …
    Backup,
    /// … and puts the copy, or nothing, in the data's place.
    Restore,
    /// The obstacles are out of the way, the longest freeze over.
    Clear,
}

impl Happening {
    /// The process without which it cannot happen.
    pub(crate) fn process(&self) -> Option<Caller> {
        match self {
            Self::ToHost(caller, _)
            | Self::TornDown(caller, _)
            | Self::Wake(caller, _)
            | Self::Watchdog(caller, _)
            | Self::EndIsDue(caller, _)
            | Self::Request(caller, _)
            | Self::Answer(caller, _)
            | Self::Write(caller, _)
            | Self::Seen(caller, ..)
            | Self::Advise(caller, _)
            | Self::ClockSet(caller)
            | Self::Compare(caller, _)
            | Self::Compared(caller, _)
            | Self::Readiness(caller)
            | Self::Keep(caller, ..)
            | Self::Errand(caller, _)
            | Self::Said(caller, ..)
            | Self::Written(caller, ..) => Some(*caller),
            _ => None,
        }
    }
}
