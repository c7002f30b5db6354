//! Waiting for the dead that nobody else waits for.
//!
//! The first process of a container is given the children of those that end
//! before them (pid_namespaces(7)): what `docker exec` left behind, or a plugin's
//! compilation whose host was killed. Until it waits for them they stay in the
//! table of processes.
//!
//! Invariant: no process of our own is taken from whoever waits for it. Those are
//! waited for at once; only who is still there a while later is an orphan.

use std::{collections::BTreeSet, fs, time::Duration};

use rustix::process::{Pid, WaitOptions, getpid, waitpid};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::ExitError;

/// How long a dead child is left to whoever may wait for it.
const GRACE: Duration = Duration::from_secs(1);

/// Looks after orphans as long as the returned guard lives, if they come to this process.
pub(super) fn reap_orphans() -> Result<Option<AbortOnDropHandle<()>>, ExitError> {
    if !getpid().is_init() {
        return Ok(None);
    }
    let mut deaths = signal(SignalKind::child())
        .map_err(|error| ExitError::internal("cannot listen for the end of processes", &error))?;
    let look = async move {
        let mut known = BTreeSet::new();
        loop {
            if known.is_empty() {
                deaths.recv().await;
            }
            sleep(GRACE).await;
            let dead = dead_children();
            dead.intersection(&known).copied().for_each(reap);
            known = &dead - &known;
        }
    };
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(look))))
}

/// The processes that have ended and wait for this one to take note.
fn dead_children() -> BTreeSet<i32> {
    let own = getpid().as_raw_nonzero().get();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_dead_child(*pid, own)).collect()
}

fn is_dead_child(pid: i32, parent: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // proc(5): `pid (name) state ppid …`; the name may hold anything.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let mut fields = fields.split(' ');
    fields.next() == Some("Z") && fields.next() == Some(&parent.to_string())
}

fn reap(pid: i32) {
    if let Some(orphan) = Pid::from_raw(pid)
        && let Ok(Some(_)) = waitpid(Some(orphan), WaitOptions::NOHANG)
    {
        debug!(pid, "an orphan has ended");
    }
}
