//! Who waits for the file to change: campaigns to be won, watchers of the roster.

use tokio::sync::{oneshot, watch};

use super::{
    file::SqliteFile,
    reads::{CandidatePosition, leader_key},
    sqlite_fault::SqliteFault,
};
use crate::Roster;
use soloist_heart::{Group, LeaderKey, LeaseId, Token};
use soloist_text::with_causes;

/// What a watcher is sent: the roster, or how the file failed.
pub(super) type RosterUpdate = Result<Roster, String>;

/// The watcher's end.
pub(super) type RosterWatcher = watch::Receiver<RosterUpdate>;

/// A candidate that stands and whose caller waits.
pub(super) struct SqliteCampaign {
    pub(super) group: Group,
    pub(super) lease: LeaseId,
    pub(super) token: Token,
    /// Closed as soon as the caller left.
    pub(super) reply: oneshot::Sender<Result<LeaderKey, SqliteFault>>,
}

/// Everybody who waits.
#[derive(Default)]
pub(super) struct Waiters {
    campaigns: Vec<SqliteCampaign>,
    /// Candidates to take out of the queue: their callers left.
    abandoned: Vec<Token>,
    watchers: Vec<watch::Sender<RosterUpdate>>,
    /// Whoever relies on what was granted.
    sessions: Vec<oneshot::Sender<SqliteFault>>,
}

impl Waiters {
    /// Adds a campaign; an earlier one of the same candidate is over, and does
    /// not withdraw it when its caller leaves.
    pub(super) fn add_campaign(&mut self, campaign: SqliteCampaign) {
        self.campaigns.retain(|earlier| earlier.token != campaign.token);
        self.campaigns.push(campaign);
    }

    /// Adds somebody who is told when this process has lost hold of the file.
    pub(super) fn add_session(&mut self, session: oneshot::Sender<SqliteFault>) {
        self.sessions.retain(|session| !session.is_closed());
        self.sessions.push(session);
    }

    pub(super) fn withdraw(&mut self, token: Token) {
        self.abandoned.push(token);
    }

    /// Adds a watcher that has yet to see `present`.
    pub(super) fn add_watcher(&mut self, present: Roster) -> RosterWatcher {
        let (sender, mut watcher) = watch::channel(Ok(present));
        watcher.mark_changed();
        self.watchers.push(sender);
        watcher
    }

    /// Takes the candidates whose callers left out of the queue. What fails is tried again.
    pub(super) fn withdraw_abandoned(&mut self, file: &mut SqliteFile) -> Result<(), SqliteFault> {
        for gone in self.campaigns.extract_if(.., |campaign| campaign.reply.is_closed()) {
            self.abandoned.push(gone.token);
        }
        while let Some(token) = self.abandoned.last() {
            file.withdraw(*token)?;
            self.abandoned.pop();
        }
        Ok(())
    }

    /// Tells everybody how the file stands now.
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
            let SqliteCampaign { reply, token, .. } = self.campaigns.remove(next);
            if let Err(Ok(_)) = reply.send(answer) {
                self.abandoned.push(token);
            }
        }
        Ok(())
    }

    /// Sends `roster` to whom it shows anything new; a revision alone is not.
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

    /// Ends every wait: the file is lost. Whoever left does not care.
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
    /// What to tell the caller, if anything.
    fn answer(
        &self,
        file: &SqliteFile,
    ) -> Result<Option<Result<LeaderKey, SqliteFault>>, SqliteFault> {
        Ok(match file.place(self.token)? {
            CandidatePosition::Behind => None,
            CandidatePosition::First => Some(Ok(leader_key(&self.group, self.lease, self.token))),
            CandidatePosition::Gone if file.knows(self.lease)? => Some(Err(SqliteFault::Removed)),
            CandidatePosition::Gone => Some(Err(SqliteFault::LeaseGone)),
        })
    }
}
