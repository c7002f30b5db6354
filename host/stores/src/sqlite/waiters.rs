//! Everybody who waits for the file to change: campaigns, watchers of the roster, and sessions.

use tokio::sync::{oneshot, watch};

use super::{
    file::SqliteFile,
    reads::{CandidatePosition, leader_key},
    sqlite_fault::SqliteFault,
};
use crate::Roster;
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId};
use soloist_text::with_causes;

/// An update for a watcher: the roster, or the error of the file.
pub(super) type RosterUpdate = Result<Roster, String>;

/// The watcher's end of the channel.
pub(super) type RosterWatcher = watch::Receiver<RosterUpdate>;

/// A candidate in the queue whose caller waits.
pub(super) struct SqliteCampaign {
    pub(super) group: Group,
    pub(super) lease: LeaseId,
    pub(super) fencing_token: FencingToken,
    /// Closed as soon as the caller has left.
    pub(super) reply: oneshot::Sender<Result<LeaderKey, SqliteFault>>,
}

/// Everybody who waits.
#[derive(Default)]
pub(super) struct Waiters {
    campaigns: Vec<SqliteCampaign>,
    /// Candidates to remove from the queue, because their callers have left.
    abandoned: Vec<FencingToken>,
    watchers: Vec<watch::Sender<RosterUpdate>>,
    /// Callers that must know if their session is lost.
    sessions: Vec<oneshot::Sender<SqliteFault>>,
}

impl Waiters {
    /// Adds a campaign. It replaces an earlier one of the same candidate, which then does not
    /// withdraw the candidate when its caller leaves.
    pub(super) fn add_campaign(&mut self, campaign: SqliteCampaign) {
        self.campaigns.retain(|earlier| earlier.fencing_token != campaign.fencing_token);
        self.campaigns.push(campaign);
    }

    /// Adds a caller to be notified when this process has lost the file.
    pub(super) fn add_session(&mut self, session: oneshot::Sender<SqliteFault>) {
        self.sessions.retain(|session| !session.is_closed());
        self.sessions.push(session);
    }

    pub(super) fn withdraw(&mut self, fencing_token: FencingToken) {
        self.abandoned.push(fencing_token);
    }

    /// Adds a watcher, whose first update is `present`.
    pub(super) fn add_watcher(&mut self, present: Roster) -> RosterWatcher {
        let (sender, mut watcher) = watch::channel(Ok(present));
        watcher.mark_changed();
        self.watchers.push(sender);
        watcher
    }

    /// Removes the candidates whose callers have left from the queue. What fails is tried again
    /// later.
    pub(super) fn withdraw_abandoned(&mut self, file: &mut SqliteFile) -> Result<(), SqliteFault> {
        for gone in self.campaigns.extract_if(.., |campaign| campaign.reply.is_closed()) {
            self.abandoned.push(gone.fencing_token);
        }
        while let Some(fencing_token) = self.abandoned.last() {
            file.withdraw(*fencing_token)?;
            self.abandoned.pop();
        }
        Ok(())
    }

    /// Notifies everybody of the file's current state.
    pub(super) fn notify_all(&mut self, file: &mut SqliteFile) -> Result<(), SqliteFault> {
        self.answer_campaigns(file)?;
        self.watchers.retain(|watcher| !watcher.is_closed());
        if !self.watchers.is_empty() {
            self.publish(&file.roster()?);
        }
        Ok(())
    }

    fn answer_campaigns(&mut self, file: &SqliteFile) -> Result<(), SqliteFault> {
        let mut next = 0;
        while let Some(campaign) = self.campaigns.get(next) {
            let Some(answer) = campaign.answer(file)? else {
                next += 1;
                continue;
            };
            let SqliteCampaign { reply, fencing_token, .. } = self.campaigns.remove(next);
            if let Err(Ok(_)) = reply.send(answer) {
                self.abandoned.push(fencing_token);
            }
        }
        Ok(())
    }

    /// Sends `roster` to the watchers for which it contains anything new; a new revision alone is
    /// not new.
    fn publish(&mut self, roster: &Roster) {
        for watcher in &self.watchers {
            watcher.send_if_modified(|last| {
                let same = last.as_ref().is_ok_and(|last| last.same_content(roster));
                if !same {
                    *last = Ok(roster.clone());
                }
                !same
            });
        }
    }

    /// Ends every wait, because the file is lost.
    pub(super) fn fail(&mut self, fault: &SqliteFault) {
        let told = || SqliteFault::Broken(with_causes(fault));
        if fault.lost_the_file() {
            self.sessions.drain(..).for_each(|session| drop(session.send(told())));
        }
        for campaign in self.campaigns.drain(..) {
            drop(campaign.reply.send(Err(told())));
        }
        for watcher in self.watchers.drain(..) {
            drop(watcher.send_replace(Err(with_causes(fault))));
        }
        self.abandoned.clear();
    }
}

impl SqliteCampaign {
    /// The answer to the campaign's caller, if there is one.
    fn answer(
        &self,
        file: &SqliteFile,
    ) -> Result<Option<Result<LeaderKey, SqliteFault>>, SqliteFault> {
        Ok(match file.place(self.fencing_token)? {
            CandidatePosition::Behind => None,
            CandidatePosition::First => {
                Some(Ok(leader_key(&self.group, self.lease, self.fencing_token)))
            }
            CandidatePosition::Gone if file.knows(self.lease)? => Some(Err(SqliteFault::Removed)),
            CandidatePosition::Gone => Some(Err(SqliteFault::LeaseGone)),
        })
    }
}
