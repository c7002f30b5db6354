//! Honesty, looked at: what every host has to say while there is a fault.

use std::time::Duration;

use anyhow::Result;

use super::bed::{Bed, LOOK};
use super::clients::View;
use super::clock;
use super::host::Host;
use super::injected::Look;
use super::net::Node;

impl Bed {
    /// Looks at all hosts until each has said what it has to, for as long as that may take.
    /// `says` is none if a host does, and else what it does instead.
    pub(super) fn look(
        &mut self,
        what: &str,
        within: Duration,
        says: impl Fn(&Host, &View) -> Option<String>,
    ) -> Result<Look> {
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
                return Ok(Look { what: what.to_owned(), failed });
            }
            self.pause(LOOK)?;
        }
    }

    /// Holds a fault for `time`, while whoever performs has to answer clients all along.
    pub(super) fn look_at_answers(&mut self, what: &str, time: Duration) -> Result<Look> {
        let (from, until) = (clock::now(), clock::now() + clock::ns(time));
        let token = self.clients.view().token;
        let mut silence = 0;
        while clock::now() < until {
            let since = self.clients.view().last.max(from);
            silence = silence.max(clock::now().saturating_sub(since));
            self.pause(LOOK)?;
        }
        let mut failed = Vec::new();
        if silence > clock::ns(SILENCE) {
            failed.push(format!("there was no answer for {:.0} ms", clock::ms(silence)));
        }
        if self.clients.view().token != token {
            failed.push("its term has ended".to_owned());
        }
        Ok(Look { what: what.to_owned(), failed })
    }
}

/// How long nobody answers, at most, where one is to answer all along: the budget of a
/// stop, after which nobody could speak of going on.
const SILENCE: Duration = Duration::from_millis(500);
