//! Checks during a fault: do all hosts report it, and does the leader answer?

use std::time::Duration;

use anyhow::Result;

use super::clients::LeaderView;
use super::clock;
use super::cluster::{POLL_INTERVAL, TestCluster};
use super::host::Host;
use super::injected_fault::Observation;
use super::net::Node;

impl TestCluster {
    /// Polls all hosts until each one reports what it should, but not longer than it may take.
    /// `says` returns none if a host does, and else what it reports instead.
    pub(super) fn observe(
        &mut self,
        what: &str,
        within: Duration,
        says: impl Fn(&Host, &LeaderView) -> Option<String>,
    ) -> Result<Observation> {
        let deadline = clock::now() + clock::ns(within);
        let mut owing: Vec<_> = self.hosts.iter().map(|host| host.node).collect();
        loop {
            let is_last = clock::now() > deadline;
            let view = self.clients.view();
            let mut failed = Vec::new();
            for host in self.hosts.iter().filter(|host| owing.contains(&host.node)) {
                let instead = says(host, &view);
                failed.extend(instead.map(|instead| (host.node, instead)));
            }
            owing.retain(|node| failed.iter().any(|(failing, _)| failing == node));
            if owing.is_empty() || is_last {
                let tell = |(node, instead): (Node, String)| {
                    format!("{} has not within {within:.1?}: {instead}", node.name)
                };
                let failed = failed.into_iter().map(tell).collect();
                return Ok(Observation { what: what.to_owned(), failed });
            }
            self.pause(POLL_INTERVAL)?;
        }
    }

    /// Holds a fault for `time`, during which the leader must answer clients.
    pub(super) fn observe_answers(&mut self, what: &str, time: Duration) -> Result<Observation> {
        let (from, until) = (clock::now(), clock::now() + clock::ns(time));
        let fencing_token = self.clients.view().fencing_token;
        let mut silence = 0;
        while clock::now() < until {
            let since = self.clients.view().last.max(from);
            silence = silence.max(clock::now().saturating_sub(since));
            self.pause(POLL_INTERVAL)?;
        }
        let mut failed = Vec::new();
        if silence > clock::ns(SILENCE) {
            failed.push(format!("there was no answer for {:.0} ms", clock::ms(silence)));
        }
        if self.clients.view().fencing_token != fencing_token {
            failed.push("its term has ended".to_owned());
        }
        Ok(Observation { what: what.to_owned(), failed })
    }
}

/// The longest pause of a leader that should keep answering: the budget of a stop. After a longer
/// one, the term could as well have ended.
const SILENCE: Duration = Duration::from_millis(500);
