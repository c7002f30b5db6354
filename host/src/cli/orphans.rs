//! Reaps orphaned child processes.
//!
//! The first process of a container becomes the parent of processes whose own parent has ended
//! (pid_namespaces(7)): what `docker exec` left behind, or the compilation of a plugin whose host
//! was killed. Until the first process waits for them, they stay in the process table.
//!
//! Invariant: no child that other code here waits for is reaped. Those are waited for at once, so
//! only a child that is still there a while later is an orphan.

use std::{collections::BTreeSet, fs, time::Duration};

use rustix::process::{Pid, WaitOptions, getpid, waitpid};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::ExitError;

/// How long an ended child is left to other code that may wait for it.
const GRACE: Duration = Duration::from_secs(1);

/// Reaps orphans for as long as the returned guard lives, if this process becomes their parent.
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

/// The children of this process that have ended and were not waited for yet.
fn dead_children() -> BTreeSet<i32> {
    let own = getpid().as_raw_nonzero().get();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_dead_child(*pid, own)).collect()
}

fn is_dead_child(pid: i32, parent: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // proc(5): `pid (name) state ppid …`; the name may contain anything.
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
