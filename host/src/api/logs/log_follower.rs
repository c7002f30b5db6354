//! Following what an action prints, from leader to leader.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::log_api::{LogApi, LogHost, LogQuery};
use crate::api::live_streams::{ListenerGone, StreamWriter};
use soloist_guests::capability::{LINES_MAX, LogLine};
use soloist_heart::Group;
use soloist_stores::Roster;

/// How often a sign of life is sent: well within what who listens to another host waits.
const BEAT: Duration = Duration::from_secs(2);
/// How long the last words of a leader that was replaced are waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a host that does not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Who follows what.
pub(super) struct LogFollower {
    pub(super) source: Arc<LogApi>,
    pub(super) action: Arc<str>,
    /// Whose leader is followed; nothing, if it is one host whoever leads.
    pub(super) group: Option<Group>,
    pub(super) whose: LogHost,
    /// The token of whoever is followed.
    pub(super) term: Option<i64>,
    pub(super) wanted: LogQuery,
}

impl LogFollower {
    pub(super) async fn run(mut self, to: StreamWriter) -> Result<(), ListenerGone> {
        let Some(group) = self.group.clone() else {
            // A host that is named and ends has no successor.
            return self.copy(&to).await;
        };
        let mut roster = self.source.roster.clone();
        loop {
            let leader = self.source.leader(roster.borrow_and_update().as_ref(), &group);
            if let Some((now, whose)) = leader {
                // Before the first one, this host's own lines may have been handed out.
                let begun = self.term.is_some() || self.wanted.after.is_some();
                if begun && self.term != Some(now) {
                    // What the new leader printed in former terms is not what comes next.
                    let wanted = LogQuery { token: Some(now), after: None, ..self.wanted };
                    self.wanted = LogQuery { lines: Some(LINES_MAX), ..wanted };
                }
                (self.term, self.whose) = (Some(now), whose);
            }
            let (source, token) = (Arc::clone(&self.source), self.term);
            let another = |roster: &Option<Roster>| {
                let leader = source.leader(roster.as_ref(), &group);
                leader.is_some_and(|(now, _)| Some(now) != token)
            };
            let changed =
                async { roster.wait_for(another).await.map(drop).map_err(|_| ListenerGone) };
            let ended = tokio::select! {
                copied = self.copy(&to) => Some(copied),
                changed = changed => {
                    changed?;
                    None
                }
            };
            match ended {
                Some(copied) => {
                    copied?;
                    self.send_heartbeat(&to).await?;
                    // It does not answer any more: perhaps somebody else soon leads.
                    let _ = timeout(PAUSE, roster.changed()).await;
                }
                None => {
                    if let Ok(copied) = timeout(LAST_WORDS, self.copy(&to)).await {
                        copied?;
                    }
                }
            }
        }
    }

    /// Hands out the lines of one host, and goes on after the last one when called again.
    /// Returns when that host does not answer.
    async fn copy(&mut self, to: &StreamWriter) -> Result<(), ListenerGone> {
        match &self.whose {
            LogHost::Own => match self.copy_own(to).await? {},
            LogHost::Of(_, url) => {
                let path = self.wanted.path(&self.action);
                // That it does not answer any more is all that matters, and that is known.
                let source = &self.source;
                let Ok(mut reading) = source.peers.read_lines(url, &path, &source.host).await
                else {
                    return Ok(());
                };
                while let Ok(Some(line)) = reading.next().await {
                    self.pass(&line, to).await?;
                }
                Ok(())
            }
        }
    }

    async fn copy_own(&mut self, to: &StreamWriter) -> Result<Infallible, ListenerGone> {
        let shelf = self.source.buffer(&self.action);
        let mut printed = shelf.follow();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            printed.borrow_and_update();
            for line in self.wanted.pick(&shelf) {
                self.hand_out(&line, to).await?;
            }
            // From here on, all that comes.
            self.wanted.after = self.wanted.after.or(Some(0));
            self.wanted.lines = Some(LINES_MAX);
            tokio::select! {
                changed = printed.changed() => changed.map_err(|_| ListenerGone)?,
                _ = beat.tick() => self.send_heartbeat(to).await?,
            }
        }
    }

    /// Hands out what another host sent: a line, or a sign of life.
    async fn pass(&mut self, line: &str, to: &StreamWriter) -> Result<(), ListenerGone> {
        match serde_json::from_str::<LogLine>(line) {
            Ok(line) => self.hand_out(&line, to).await,
            Err(_) => self.send_heartbeat(to).await,
        }
    }

    async fn hand_out(&mut self, line: &LogLine, to: &StreamWriter) -> Result<(), ListenerGone> {
        if self.group.is_some() && self.term.is_some() && line.token > self.term {
            // Of a term that this host has not heard of yet: it comes when it has.
            return Ok(());
        }
        to.send(self.wanted.format.write(line)).await?;
        self.wanted.after = Some(line.id);
        self.wanted.lines = Some(LINES_MAX);
        Ok(())
    }

    async fn send_heartbeat(&self, to: &StreamWriter) -> Result<(), ListenerGone> {
        match self.wanted.format.heartbeat() {
            Some(beat) => to.send(beat).await,
            None => Ok(()),
        }
    }
}
