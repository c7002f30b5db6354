//! Where a host's process is, so that others of its machine can tell whether it still is.
//!
//! A host that comes back after a crash finds the entry of its former self among the
//! members. It may take that over at once; that of another host, which is alive under the
//! same name, it may not.

use std::fs;

use rustix::{
    io::Errno,
    process::{Pid, getpid, test_kill_process},
};
use serde::{Deserialize, Serialize};

/// Where a process is on its machine; empty where the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessLocation {
    /// The network that its addresses are of (network_namespaces(7)).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// Among which processes its number counts (pid_namespaces(7)).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub processes: String,
    /// That number.
    pub pid: i32,
    /// When it began, in ticks since the boot (proc_pid_stat(5): `starttime`): numbers are
    /// given out again.
    pub began: u64,
}

impl ProcessLocation {
    /// Those of this process.
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

    /// Whether anything is known of it.
    pub(super) fn is_known(&self) -> bool {
        self.began > 0
    }

    /// Whether the process at `former`, which is on the same machine and has said that it
    /// answers at the address that this one has (`same_address`), cannot be any more.
    pub(super) fn supersedes(&self, former: &Self, same_address: bool) -> bool {
        if !self.processes.is_empty() && self.processes == former.processes {
            return former.is_dead();
        }
        // This process has bound that address.
        same_address && !self.network.is_empty() && self.network == former.network
    }

    /// Whether it is, among the processes of this one.
    fn is_dead(&self) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        // A zombie, or another that was given the same number. What is hidden may live.
        stat(pid).is_some_and(|(state, began)| matches!(state, 'Z' | 'X') || began != self.began)
    }
}

/// State and beginning of a process (proc_pid_stat(5)).
fn stat(pid: Pid) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name of the program, in brackets, may hold anything.
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
        // Until somebody has waited for it, it is a zombie.
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
