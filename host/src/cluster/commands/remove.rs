//! Removing a host: it is forgotten, and if it is alive it leaves first.

use super::{Commands, Done, RemoveOrder, last_seen, refusal::CommandError};
use crate::store::{Drain, Note, Roster, Topic};

impl Commands {
    /// Forgets a host, which leaves the cluster first if it is alive.
    ///
    /// # Errors
    /// There is no such host, it is alive and nobody forces it, or the store does not answer.
    pub async fn remove(&self, order: RemoveOrder) -> Result<Done, CommandError> {
        let roster = self.roster()?;
        let host = self.host(&roster, Some(order.host))?;
        let alive = roster.member(&host).is_some();
        if alive && !order.force {
            let help = "stop it first, or use --force, which makes it stand down and leave";
            return Err(CommandError::refused(format!("{host} is alive"), help));
        }
        if alive && host == self.member.name {
            let help = "ask another host to remove it, or stop it and then remove it";
            return Err(CommandError::refused(format!("{host} cannot remove itself"), help));
        }
        let asker = self.take_down("remove", &host, order.by, order.reason);
        if alive {
            let drain = Note::Drain(Drain { order: asker, leave: true });
            self.note(&Topic::Drain(host.clone()), &drain).await?;
            let gone = |roster: &Roster| roster.member(&host).is_none();
            if self.wait(gone).await.is_none() {
                return Err(CommandError::late(format!("{host} has not left yet")));
            }
        }
        let was = last_seen(roster.notes.known.get(&host));
        // In this order: who sees the host leave writes nothing of it while this stands.
        self.erase(&Topic::Known(host.clone())).await?;
        self.erase(&Topic::Drain(host.clone())).await?;
        let done = if alive { "it has left".to_owned() } else { was };
        Ok(Done::new(format!("{host} is removed; {done}")))
    }
}
