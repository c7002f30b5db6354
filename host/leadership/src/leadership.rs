//! Leadership for a program that has no host of soloist's: a store, a name, and what is performed.

use std::{collections::BTreeSet, io, sync::Arc};

use tokio::{runtime, sync::watch, task::JoinError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Driver, DriverHandle, ElectionThread, HostView, Performer, RosterFollower, RosterFreshness,
    Watchdog,
};
use soloist_config::StoreUrl;
use soloist_heart::{Group, HeartEvent, Timings};
use soloist_stores::{self as stores, Member, StoreError};
use soloist_telemetry::journal::Journal;

/// Who stands, where, and for what.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// Where the election is held.
    pub store: StoreUrl,
    /// The cluster's name: those who share it and the store elect one of them.
    pub cluster: String,
    /// This process, by a name that no other one of the cluster has.
    pub member: Member,
    /// The groups it stands in: one election each.
    pub groups: BTreeSet<Group>,
    /// The durations.
    pub timings: Timings,
}

/// A process that stands for election, and performs while it leads.
pub struct Leadership {
    driver: DriverHandle,
    thread: ElectionThread,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Why a process cannot stand.
#[derive(Debug, thiserror::Error)]
pub enum StandError {
    /// The system has no thread or no runtime to give.
    #[error("the system gives no thread: close other programs, or raise its limits")]
    System(#[from] io::Error),
    /// The store refuses what waiting cannot mend.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Candidacy {
    /// Stands for election from now on. What `performer` does as a leader runs on the tokio
    /// runtime that this is called on.
    ///
    /// # Errors
    /// The system has no thread to give, or the store cannot be used. A store that is merely
    /// down is waited for.
    pub fn stand(self, performer: impl Performer) -> Result<Leadership, StandError> {
        let Self { store, cluster, member, groups, timings } = self;
        let (thread, watchdog) = (ElectionThread::start()?, Watchdog::start(timings)?);
        drop(thread.handle().spawn(watchdog.pulse("the election")));
        let opened = {
            // Its connections belong to the thread of the election, as all that renews.
            let _inside = thread.handle().enter();
            stores::open(&store, &cluster, timings.request_timeout)?
        };
        let (roster_to, roster) = watch::channel(None);
        let (freshness, journal) = (RosterFreshness::default(), Journal::default());
        let follower = RosterFollower {
            store: Arc::clone(&opened),
            host: member.name.as_str().into(),
            freshness: freshness.clone(),
            journal: journal.clone(),
            retry: timings.retry,
        };
        let driver = Driver {
            timings,
            member: watch::Sender::new(member).subscribe(),
            store: opened,
            groups: groups.clone(),
            performer: Arc::new(performer),
            watchdog,
            spread: BTreeSet::new(),
            roster,
            freshness,
            session_observer: Box::new(()),
            journal,
        }
        .start(thread.handle(), runtime::Handle::current());
        for group in groups {
            // A driver that has just been started listens.
            let _ = driver.events().send(HeartEvent::Ready { group });
        }
        let (around, stop) = (TaskTracker::new(), CancellationToken::new());
        around.spawn_on(follower.run(roster_to, stop.clone()), thread.handle());
        Ok(Leadership { driver, thread, tasks: around, stop })
    }
}

impl Leadership {
    /// In which groups this process leads, stands by, or cannot stand, and why.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<HostView> {
        self.driver.view()
    }

    /// Ends what is performed, gives every leadership up, and returns when that is done.
    ///
    /// # Errors
    /// The driver broke down; the session runs out by itself.
    pub async fn stop(self) -> Result<(), JoinError> {
        let ended = self.driver.shut_down().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.thread.stop();
        ended
    }
}
