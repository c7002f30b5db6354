//! Follows what an action prints, from leader to leader.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::log_api::{LogApi, LogHost, LogQuery};
use crate::{
    api::live_streams::{ListenerGone, StreamWriter},
    cluster::{PeerAddress, PeerError},
};
use soloist_guests::capability::{LINES_MAX, LogLine};
use soloist_heart::Group;
use soloist_stores::Roster;

/// How often a heartbeat is sent: well below the time after which a listening host gives up.
const BEAT: Duration = Duration::from_secs(2);
/// How long to wait for the final lines of a leader that was replaced.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long to wait before asking an unresponsive host again.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the lines of one action for one listener.
pub(super) struct LogFollower {
    pub(super) source: Arc<LogApi>,
    pub(super) action: Arc<str>,
    /// The group whose leader is followed; `None` to stay with one host.
    pub(super) group: Option<Group>,
    pub(super) whose: LogHost,
    /// The fencing token of the leader that is followed.
    pub(super) term: Option<i64>,
    pub(super) wanted: LogQuery,
}

impl LogFollower {
    pub(super) async fn run(mut self, to: StreamWriter) -> Result<(), ListenerGone> {
        let Some(group) = self.group.clone() else {
            // A host that was named has no successor when it ends.
            return self.copy(&to).await;
        };
        let mut roster = self.source.roster.clone();
        loop {
            let leader = self.source.leader(roster.borrow_and_update().as_ref(), &group);
            if let Some((now, whose)) = leader {
                // Before the first leader was found, lines of this host may have been sent
                // already.
                let begun = self.term.is_some() || self.wanted.after.is_some();
                if begun && self.term != Some(now) {
                    // Skip what the new leader printed in earlier terms.
                    let wanted = LogQuery { fencing_token: Some(now), after: None, ..self.wanted };
                    self.wanted = LogQuery { lines: Some(LINES_MAX), ..wanted };
                }
                (self.term, self.whose) = (Some(now), whose);
            }
            let (source, fencing_token) = (Arc::clone(&self.source), self.term);
            let another = |roster: &Option<Roster>| {
                let leader = source.leader(roster.as_ref(), &group);
                leader.is_some_and(|(now, _)| Some(now) != fencing_token)
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
                    // It does not answer any more; there may be another leader soon.
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

    /// Sends the lines of one host; called again, it continues after the last one. Returns when
    /// that host does not answer.
    async fn copy(&mut self, to: &StreamWriter) -> Result<(), ListenerGone> {
        match &self.whose {
            LogHost::Own => match self.copy_own(to).await? {},
            LogHost::Of(host, url) => {
                let (source, path) = (&self.source, self.wanted.path(&self.action));
                let of = PeerAddress { host, url };
                let mut reading = match source.peers.read_lines(of, &path, source.host.name()).await
                {
                    Ok(reading) => reading,
                    // Waiting does not help. A listener that comes back gets the reason.
                    Err(PeerError::Misdirected(_)) => return Err(ListenerGone),
                    Err(_) => return Ok(()),
                };
                while let Ok(Some(line)) = reading.next().await {
                    self.pass(&line, to).await?;
                }
                Ok(())
            }
        }
    }

    async fn copy_own(&mut self, to: &StreamWriter) -> Result<Infallible, ListenerGone> {
        let buffer = self.source.buffer(&self.action);
        let mut printed = buffer.follow();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            printed.borrow_and_update();
            for line in self.wanted.pick(&buffer) {
                self.hand_out(&line, to).await?;
            }
            // From here on, send every line.
            self.wanted.after = self.wanted.after.or(Some(0));
            self.wanted.lines = Some(LINES_MAX);
            tokio::select! {
                changed = printed.changed() => changed.map_err(|_| ListenerGone)?,
                _ = beat.tick() => self.send_heartbeat(to).await?,
            }
        }
    }

    /// Sends what another host sent: a line or a heartbeat.
    async fn pass(&mut self, line: &str, to: &StreamWriter) -> Result<(), ListenerGone> {
        match serde_json::from_str::<LogLine>(line) {
            Ok(line) => self.hand_out(&line, to).await,
            Err(_) => self.send_heartbeat(to).await,
        }
    }

    async fn hand_out(&mut self, line: &LogLine, to: &StreamWriter) -> Result<(), ListenerGone> {
        if self.group.is_some() && self.term.is_some() && line.fencing_token > self.term {
            // The line belongs to a term that this host does not know yet. It is sent once it
            // does.
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
