//! Who waits for the file to change: campaigns to be won, watchers of the roster.

use tokio::sync::{oneshot, watch};

use super::{
    fault::Fault,
    file::File,
    reads::{Place, leader_key},
};
use crate::Roster;
use soloist_heart::{Group, LeaderKey, LeaseId, Token};
use soloist_text::with_causes;

/// What a watcher is sent: the roster, or how the file failed.
pub(super) type News = Result<Roster, String>;

/// The watcher's end.
pub(super) type Watcher = watch::Receiver<News>;

/// A candidate that stands and whose caller waits.
pub(super) struct Campaign {
    pub(super) group: Group,
    pub(super) lease: LeaseId,
    pub(super) token: Token,
    /// Closed as soon as the caller left.
    pub(super) reply: oneshot::Sender<Result<LeaderKey, Fault>>,
}

/// Everybody who waits.
#[derive(Default)]
pub(super) struct Waiting {
    campaigns: Vec<Campaign>,
    /// Candidates to take out of the queue: their callers left.
    left: Vec<Token>,
    watchers: Vec<watch::Sender<News>>,
    /// Whoever relies on what was granted.
    sessions: Vec<oneshot::Sender<Fault>>,
}

impl Waiting {
    /// Adds a campaign; an earlier one of the same candidate is over, and does
    /// not withdraw it when its caller leaves.
    pub(super) fn stands(&mut self, campaign: Campaign) {
        self.campaigns.retain(|earlier| earlier.token != campaign.token);
        self.campaigns.push(campaign);
    }

    /// Adds somebody who is told when this process has lost hold of the file.
    pub(super) fn attend(&mut self, session: oneshot::Sender<Fault>) {
        self.sessions.retain(|session| !session.is_closed());
        self.sessions.push(session);
    }

    pub(super) fn withdraw(&mut self, token: Token) {
        self.left.push(token);
    }

    /// Adds a watcher that has yet to see `present`.
    pub(super) fn watch(&mut self, present: Roster) -> Watcher {
        let (sender, mut watcher) = watch::channel(Ok(present));
        watcher.mark_changed();
        self.watchers.push(sender);
        watcher
    }

    /// Takes the candidates whose callers left out of the queue. What fails is tried again.
    pub(super) fn withdraw_left(&mut self, file: &mut File) -> Result<(), Fault> {
        for gone in self.campaigns.extract_if(.., |campaign| campaign.reply.is_closed()) {
            self.left.push(gone.token);
        }
        while let Some(token) = self.left.last() {
            file.withdraw(*token)?;
            self.left.pop();
        }
        Ok(())
    }

    /// Tells everybody how the file stands now.
    pub(super) fn tell(&mut self, file: &mut File) -> Result<(), Fault> {
        self.answer_campaigns(file)?;
        self.watchers.retain(|watcher| !watcher.is_closed());
        if !self.watchers.is_empty() {
            self.publish(&file.roster()?);
        }
        Ok(())
    }

    fn answer_campaigns(&mut self, file: &File) -> Result<(), Fault> {
        let mut next = 0;
        while let Some(campaign) = self.campaigns.get(next) {
            let Some(answer) = campaign.answer(file)? else {
                next += 1;
                continue;
            };
            let Campaign { reply, token, .. } = self.campaigns.remove(next);
            if let Err(Ok(_)) = reply.send(answer) {
                self.left.push(token);
            }
        }
        Ok(())
    }

    /// Sends `roster` to whom it shows anything new; a revision alone is not.
    fn publish(&mut self, roster: &Roster) {
        for watcher in &self.watchers {
            watcher.send_if_modified(|last| {
                let same = last.as_ref().is_ok_and(|last| last.shows_the_same(roster));
                if !same {
                    *last = Ok(roster.clone());
                }
                !same
            });
        }
    }

    /// Ends every wait: the file is lost. Whoever left does not care.
    pub(super) fn fail(&mut self, fault: &Fault) {
        let told = || Fault::Broken(with_causes(fault));
        if fault.has_strayed() {
            self.sessions.drain(..).for_each(|session| drop(session.send(told())));
        }
        for campaign in self.campaigns.drain(..) {
            drop(campaign.reply.send(Err(told())));
        }
        for watcher in self.watchers.drain(..) {
            drop(watcher.send_replace(Err(with_causes(fault))));
        }
        self.left.clear();
    }
}

impl Campaign {
    /// What to tell the caller, if anything.
    fn answer(&self, file: &File) -> Result<Option<Result<LeaderKey, Fault>>, Fault> {
        Ok(match file.place(self.token)? {
            Place::Behind => None,
            Place::First => Some(Ok(leader_key(&self.group, self.lease, self.token))),
            Place::Gone if file.knows(self.lease)? => Some(Err(Fault::Removed)),
            Place::Gone => Some(Err(Fault::LeaseGone)),
        })
    }
}
