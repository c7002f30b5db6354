//! Where a host's process is, so that other processes of the same machine can tell whether it still
//! exists.
//!
//! A host that restarts after a crash finds its former entry among the members, and may replace it
//! at once. It must not replace the entry of another live host with the same name.

use std::fs;

use rustix::{
    io::Errno,
    process::{Pid, getpid, test_kill_process},
};
use serde::{Deserialize, Serialize};

/// The location of a process on its machine; empty where the system does not reveal it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessLocation {
    /// The network namespace of its addresses (network_namespaces(7)).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// The namespace in which its process id is valid (pid_namespaces(7)).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub processes: String,
    /// The process id.
    pub pid: i32,
    /// When the process began, in clock ticks since boot (proc_pid_stat(5): `starttime`), because
    /// process ids are reused.
    pub began: u64,
}

impl ProcessLocation {
    /// The location of this process.
    #[must_use]
    pub fn own() -> Self {
        let namespace = |kind: &str| {
            let link = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
            link.to_string_lossy().into_owned()
        };
        let began = stat(getpid()).map_or(0, |(_, began)| began);
        let pid = getpid().as_raw_nonzero().get();
        Self { network: namespace("net"), processes: namespace("pid"), pid, began }
    }

    /// Whether the process at `former`, on the same machine, can no longer exist. `same_address`:
    /// it advertised the same address as this process.
    pub(super) fn supersedes(&self, former: &Self, same_address: bool) -> bool {
        if !self.processes.is_empty() && self.processes == former.processes {
            return former.is_dead();
        }
        // This process has bound that address itself.
        same_address && !self.network.is_empty() && self.network == former.network
    }

    /// Whether the process, in this process's pid namespace, is dead.
    fn is_dead(&self) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        // It is a zombie, or its id was reused. A process that is hidden from this one may be
        // alive.
        stat(pid).is_some_and(|(state, began)| matches!(state, 'Z' | 'X') || began != self.began)
    }
}

/// The state and start time of a process (proc_pid_stat(5)).
fn stat(pid: Pid) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The program's name, in brackets, may contain anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_lives_is_not_outlived() {
        let own = ProcessLocation::own();
        assert!(own.began > 0 && !own.network.is_empty() && !own.processes.is_empty(), "{own:?}");
        assert!(!own.supersedes(&own, true), "itself");
        let other = ProcessLocation { began: own.began + 1, ..own.clone() };
        assert!(own.supersedes(&other, false), "its number was given to another");
    }

    #[test]
    fn a_process_that_is_dead_is_outlived() {
        let own = ProcessLocation::own();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let began = stat(Pid::from_raw(pid).unwrap()).unwrap().1;
        let former = ProcessLocation { pid, began, ..own.clone() };
        assert!(!own.supersedes(&former, true));
        child.kill().unwrap();
        // Until its parent has waited for it, it is a zombie.
        while !own.supersedes(&former, false) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(own.supersedes(&former, false));
    }

    #[test]
    fn of_another_container_only_the_address_tells() {
        let own = ProcessLocation::own();
        let there = ProcessLocation { processes: "pid:[1]".into(), ..own.clone() };
        assert!(own.supersedes(&there, true), "the containers of a pod share their network");
        assert!(!own.supersedes(&there, false));
        let elsewhere = ProcessLocation { network: "net:[1]".into(), ..there };
        assert!(!own.supersedes(&elsewhere, true), "it has an address of that name as well");
        assert!(
            !own.supersedes(&ProcessLocation::default(), true),
            "an older version does not tell"
        );
    }
}
