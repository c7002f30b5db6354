//! Removes hosts, and admits them again.
//!
//! A host that is gone is forgotten. A host that is alive is kept out (`force`) by a note in the
//! store, which stays until it is erased: the store refuses to let that host join, so that it
//! cannot stand for election, whether it knows of its removal or not. A host that obeys erases
//! itself from the list of known hosts, when nothing of a term is alive on it and before its
//! session ends. By that, its end can be told from a session that has merely expired.

use super::{
    CommandAnswer, Commands, DrainOrder, RemoveOrder, checks::last_seen,
    command_error::CommandError,
};
use soloist_stores::{Note, NoteTopic, Removal, Roster};

impl Commands {
    /// Forgets a host that is gone; with `force` makes a live one leave, and keeps it out.
    ///
    /// # Errors
    /// There is no such host, it is alive and `force` is not set, or the store does not answer.
    pub async fn remove(&self, order: RemoveOrder) -> Result<CommandAnswer, CommandError> {
        let roster = self.roster()?;
        let host = self.host(&roster, Some(order.host.clone()))?;
        // What is written of a name concerns all hosts that have it.
        if *host == **self.host.name() {
            let help = "ask another host to remove it, or stop it and then remove it";
            return Err(CommandError::refused(format!("{host} cannot remove itself"), help));
        }
        if order.force {
            return self.keep_out(host, order, &roster).await;
        }
        if roster.member(&host).is_some() {
            let help = "stop it first, or use --force: it gives up its leaderships, leaves, and \
                        cannot join again";
            return Err(CommandError::refused(format!("{host} is alive"), help));
        }
        if roster.notes.removed.contains_key(&host) {
            let help = format!("`soloist admit {host}` lets it in again");
            return Err(CommandError::refused(format!("{host} is removed already"), help));
        }
        let was = last_seen(roster.notes.known.get(&host));
        self.journal_order("remove", &host, order.by, order.reason);
        self.erase(&NoteTopic::Known(host.clone()), "it joins again by itself when it comes back")
            .await?;
        self.erase(&NoteTopic::Drain(host.clone()), &format!("soloist drain {host}")).await?;
        Ok(CommandAnswer::new(format!(
            "{host} is removed; {was}. If it is started again, or was only cut off, it joins \
             again: --force keeps it out"
        )))
    }

    /// Lets a host that was kept out join again.
    ///
    /// # Errors
    /// There is no such host, it was not removed, or the store does not answer.
    pub async fn admit(&self, order: DrainOrder) -> Result<CommandAnswer, CommandError> {
        let host = self.host(&self.roster()?, order.host)?;
        let undo = format!("soloist remove {host} --force");
        let topic = NoteTopic::Removal(host.clone());
        if !self.take_note_back(&topic, ["admit", &host, &undo], order.by, order.reason).await? {
            let help = "`soloist status` shows the hosts that are removed";
            return Err(CommandError::refused(format!("{host} is not removed"), help));
        }
        Ok(CommandAnswer::new(format!(
            "{host} may join again; where it runs, it does so by itself"
        )))
    }

    /// Writes the note that keeps a host out, and waits until the host has left.
    async fn keep_out(
        &self,
        host: String,
        order: RemoveOrder,
        roster: &Roster,
    ) -> Result<CommandAnswer, CommandError> {
        let there = roster.member(&host).is_some();
        let was_known = roster.notes.known.contains_key(&host);
        let removal =
            Removal { order: self.journal_order("remove", &host, order.by, order.reason) };
        let undo = format!("soloist admit {host}");
        self.note(&NoteTopic::Removal(host.clone()), &Note::Removal(removal), &undo).await?;
        let gone = |roster: &Roster| roster.member(&host).is_none();
        let Some(now) = self.wait_until(gone).await else {
            let error = format!("{host} is removed, and has not left yet; it cannot join again");
            return Err(CommandError::timeout(error, &undo));
        };
        let how = match now.notes.known.get(&host) {
            None if there && was_known => "it has given up its leaderships and left".to_owned(),
            _ if there => {
                "it did not confirm: its session ran out, so its leaderships have ended; \
                           its process may still run"
                    .to_owned()
            }
            known => format!("{}, and its process may still be there", last_seen(known)),
        };
        self.erase(&NoteTopic::Known(host.clone()), &undo).await?;
        self.erase(&NoteTopic::Drain(host.clone()), &undo).await?;
        Ok(CommandAnswer::new(format!(
            "{host} is removed; {how}. It cannot join again before `{undo}`"
        )))
    }
}
