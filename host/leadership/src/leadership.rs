//! Leadership as a library: for a program that is not a soloist host and has a store, a name and
//! some work to perform.

use std::{collections::BTreeSet, io, sync::Arc};

use tokio::{sync::watch, task::JoinError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{DriverHandle, Election, ElectionSpec, ElectionThread, HostView, Performer, Watchdog};
use soloist_config::StoreUrl;
use soloist_heart::{Group, HeartEvent, Timings};
use soloist_stores::{self as stores, Member, StoreError, ThisHost};

/// A process that wants to be elected: its name, its store and its groups.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// The store in which the election is held.
    pub store: StoreUrl,
    /// The name of the cluster. Processes with the same store and cluster name elect one of
    /// themselves.
    pub cluster: String,
    /// This process. No other process of the cluster may have its name.
    pub member: Member,
    /// The groups to stand in: one election each.
    pub groups: BTreeSet<Group>,
    /// The durations of leadership.
    pub timings: Timings,
}

/// A process that stands for election, and performs its work while it leads.
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
    #[error(
        "cannot start a thread: close other programs, or raise this user's limits (`ulimit -u`)"
    )]
    System(#[from] io::Error),
    /// The store refuses the process, and waiting will not help.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Candidacy {
    /// Starts to stand for election. The leader's work, `performer`, runs on the tokio runtime that
    /// this is called on.
    ///
    /// # Errors
    /// The system has no thread to give, or the store cannot be used. A store that is merely
    /// unreachable is waited for.
    pub fn stand(self, performer: impl Performer) -> Result<Leadership, StandError> {
        let Self { store, cluster, member, groups, timings } = self;
        let (thread, watchdog) = (ElectionThread::start()?, Watchdog::start(timings)?);
        drop(thread.handle().spawn(watchdog.pulse("the election")));
        let opened = {
            // The store's connections belong to the election thread, like everything that renews
            // the lease.
            let _inside = thread.handle().enter();
            stores::open(&store, &cluster, timings.request_timeout)?
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let election = Election::new(opened, ThisHost::of(&member), timings);
        let spec = ElectionSpec {
            member: watch::Sender::new(member).subscribe(),
            groups: groups.clone(),
            spread: BTreeSet::new(),
            performer: Arc::new(performer),
            watchdog,
            session_observer: Box::new(()),
        };
        let driver = election.start(spec, thread.handle(), &tasks, stop.clone());
        for group in groups {
            // A driver that was just started is listening.
            let _ = driver.events().send(HeartEvent::Ready { group });
        }
        Ok(Leadership { driver, thread, tasks, stop })
    }
}

impl Leadership {
    /// The process's role in each group; and if it cannot stand, why not.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<HostView> {
        self.driver.view()
    }

    /// Ends the running work, gives up every leadership, and returns when that is done.
    ///
    /// # Errors
    /// The driver panicked; the session expires by itself.
    pub async fn stop(self) -> Result<(), JoinError> {
        let ended = self.driver.shut_down().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.thread.stop();
        ended
    }
}
