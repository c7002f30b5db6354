//! Hands over a leadership: to the next in line, or to a named host.
//!
//! A named host becomes the next in line first: the leader writes its name into its own candidacy,
//! and the hosts before it in the queue step back. So it takes over as fast as any host that is
//! next in line, and if it dies meanwhile, another one takes over.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    CommandAnswer, Commands, HandedOver, SwitchoverOrder,
    checks::{check_next_is_host, check_not_paused, last_seen},
    command_error::CommandError,
};
use crate::cluster::peer_client::PeerError;
use soloist_heart::{EndCause, Group, HeartEvent, LeaderKey, clock::unix_ms};
use soloist_stores::{Candidate, OperatorOrder, QueuedCandidate, Roster};
use soloist_text::with_causes;

/// The pause before the host at the head of a queue is asked whether it leads. As a rule it has
/// written so before.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Commands {
    /// Hands over the leadership of a group, and returns when another host leads. `passed_on` is
    /// whether another host has forwarded the command.
    ///
    /// # Errors
    /// There is no such group or host, it is paused, nobody leads, nobody can take over, or it took
    /// too long.
    pub async fn switchover(
        &self,
        order: SwitchoverOrder,
        passed_on: bool,
    ) -> Result<CommandAnswer, CommandError> {
        let mut roster = self.roster()?;
        let group = self.group(&roster, order.group.as_deref().unwrap_or("main"))?;
        if let Some(fencing_token) = order.fencing_token {
            let read = |roster: &Roster| {
                roster
                    .leader(&group)
                    .is_some_and(|leader| leader.key.fencing_token.0 >= fencing_token)
            };
            roster = self.wait_until(read).await.unwrap_or(roster);
        }
        let Some(leader) = roster.leader(&group) else {
            return Err(nobody_leads(&roster, &group));
        };
        if !self.host.is(&leader.candidate) {
            if passed_on {
                let help = "ask again: the leader has just changed";
                return Err(CommandError::refused(
                    format!("this host does not lead {group}"),
                    help,
                ));
            }
            let order =
                SwitchoverOrder { fencing_token: Some(leader.key.fencing_token.0), ..order };
            return self.forward(&leader.candidate, &order).await;
        }
        check_not_paused(&roster, &group)?;
        match &order.to {
            Some(host) => self.check_can_lead(&roster, &group, host).await?,
            None if roster.next_leader(&group).is_none() => {
                return Err(no_next_leader(&roster, &group));
            }
            None => {}
        }
        let (leader, to) = (leader.clone(), order.to.clone());
        let asker = self.journal_order("switchover", group.as_str(), order.by, order.reason);
        if let Some(host) = &to {
            self.set_next_leader(&leader, host).await?;
        }
        self.hand_over(leader, to, asker).await
    }

    /// Forwards the command to the leader.
    async fn forward(
        &self,
        leader: &Candidate,
        order: &SwitchoverOrder,
    ) -> Result<CommandAnswer, CommandError> {
        // The leader answers only when the hand-over is done.
        let within = self.patience * 2 + Duration::from_secs(5);
        match self.peers.switchover(leader.into(), self.host.name(), order, within).await {
            Ok(answer) => answer,
            Err(PeerError::Misdirected(misdirected)) => {
                let misdirected = misdirected.to_leader();
                Err(CommandError::unavailable(misdirected.error(), misdirected.help()))
            }
            Err(error) => Err(CommandError::unavailable(
                format!(
                    "the leader {} does not answer at {}: {}",
                    leader.host,
                    leader.url,
                    with_causes(&error)
                ),
                "it may hand over nevertheless: `soloist status` shows who leads. Check \
                 `host.advertise` of that host, or ask it directly",
            )),
        }
    }

    /// Checks that `host` could lead `group` at once.
    async fn check_can_lead(
        &self,
        roster: &Roster,
        group: &Group,
        host: &str,
    ) -> Result<(), CommandError> {
        self.host(roster, Some(host.to_owned()))?;
        let refused = |why: String, help: &str| Err(CommandError::refused(why, help));
        if *host == **self.host.name() {
            return refused(format!("{host} leads {group} already"), "name another host");
        }
        if let Some(removal) = roster.notes.removed.get(host) {
            let help = format!("run `soloist admit {host}` first");
            return refused(format!("{host} is removed, by {}", removal.order.by), &help);
        }
        let Some(member) = roster.member(host) else {
            let seen = last_seen(roster.notes.known.get(host));
            return refused(
                format!("{host} is not alive; {seen}"),
                "start it, or name another host",
            );
        };
        if let Some(drain) = roster.notes.drained.get(host) {
            let by = &drain.order.by;
            let help = format!("run `soloist undrain {host}` first");
            return refused(format!("{host} is drained, by {by}"), &help);
        }
        let stands = |roster: &Roster| {
            roster.queue(group).iter().any(|standing| standing.candidate.host == host)
        };
        if stands(roster) {
            let waits = roster.succession(group).iter().any(|it| it.candidate.host == host);
            return if waits { Ok(()) } else { Err(no_next_leader(roster, group)) };
        }
        let part =
            self.peers.group_status((&**member).into(), self.host.name(), group.as_str()).await;
        // That host knows of its candidacy before this one has read it from the store.
        let newer = part.as_ref().is_some_and(|part| part.standbys.iter().any(|by| by == host));
        if newer && self.wait_until(stands).await.is_some() {
            return Ok(());
        }
        let why = part.and_then(|part| part.obstacle);
        let why = why.unwrap_or_else(|| "it does not run its actions".to_owned());
        let help = "correct that, or name a standby: `soloist status` shows them";
        refused(format!("{host} does not stand for {group}: {why}"), help)
    }

    /// Names `host` as the next in line in the leader's candidacy, and waits until it is next in
    /// line.
    async fn set_next_leader(
        &self,
        leader: &QueuedCandidate,
        host: &str,
    ) -> Result<(), CommandError> {
        let group = &leader.key.group;
        // This host leads, even if the roster does not show `since` yet.
        let since = leader.candidate.since.unwrap_or_else(unix_ms);
        let says =
            |next_leader| Candidate { next_leader, since: Some(since), ..leader.candidate.clone() };
        let undo = "soloist switchover, to the host that should lead";
        let doubt = |error| CommandError::store(&error, undo);
        let named = says(Some(host.to_owned()));
        self.store.proclaim(&leader.key, &named).await.map_err(doubt)?;
        let next = |roster: &Roster| {
            roster.next_leader(group).is_some_and(|next_leader| next_leader.candidate.host == host)
                || !roster.has(&leader.key)
        };
        match self.wait_until(next).await {
            Some(roster) if roster.has(&leader.key) => Ok(()),
            Some(_) => {
                let help = "ask again: the leader has just changed";
                Err(CommandError::refused(
                    format!("this host does not lead {group} any more"),
                    help,
                ))
            }
            None => {
                self.store.proclaim(&leader.key, &says(None)).await.map_err(doubt)?;
                let help = "check that it is alive and reaches the store, or name another host";
                let error = format!("{host} did not become next in line for {group}");
                Err(CommandError::refused(error, help))
            }
        }
    }

    /// Asks the heart to hand over, and waits until another host leads.
    async fn hand_over(
        &self,
        leader: QueuedCandidate,
        to: Option<String>,
        asker: OperatorOrder,
    ) -> Result<CommandAnswer, CommandError> {
        let (group, key) = (leader.key.group.clone(), leader.key);
        let cause = EndCause::Commanded { by: asker.by, reason: asker.reason };
        // Without a driver the host is stopping, and hands over anyway.
        let _ = self.events.send(HeartEvent::HandOver { key: key.clone(), cause });
        let from = self.host.name().to_string();
        let Some(next) = self.next_term(&key).await else {
            let error = format!("{from} has given {group} up, and nobody leads it yet");
            return Err(CommandError::timeout(error, &format!("soloist switchover --to {from}")));
        };
        let (host, fencing_token) = (next.candidate.host.clone(), next.key.fencing_token.0);
        if let Some(to) = to.filter(|to| *to != host) {
            let again = format!("soloist switchover --group {group} --to {to}");
            return Err(CommandError::unavailable(
                format!("{host} leads {group} now, and not {to}, which was gone"),
                format!("run `{again}` when `soloist status` shows that {to} stands again"),
            ));
        }
        let done = match next.candidate.since {
            Some(_) => format!("{host} leads {group} now"),
            None => format!("{host} leads {group} now, and cannot write so to the store"),
        };
        let handed_over =
            HandedOver { group: group.to_string(), from, leader: host, fencing_token };
        Ok(CommandAnswer { done, handed_over: Some(handed_over) })
    }
}

impl Commands {
    /// The leader after the term under `key`, when it performs: when it has written so, or, where
    /// the store refuses that, says so when it is asked. None if that takes longer than
    /// `patience`.
    async fn next_term(&self, key: &LeaderKey) -> Option<QueuedCandidate> {
        let next = |roster: &Roster| {
            let next = roster.leader(&key.group)?;
            (next.key.fencing_token > key.fencing_token).then(|| next.clone())
        };
        let has_written =
            |roster: &Roster| next(roster).is_some_and(|next| next.candidate.since.is_some());
        let asking = async {
            let rosters = self.roster_view.rosters();
            loop {
                sleep(ASK_AGAIN).await;
                let head = rosters.borrow().as_ref().and_then(next);
                if let Some(head) = head
                    && let Some(terms) =
                        self.peers.own_terms((&head.candidate).into(), self.host.name()).await
                    && terms.include(&head.key)
                {
                    return head;
                }
            }
        };
        tokio::select! {
            roster = self.wait_until(has_written) => next(&roster?),
            head = asking => Some(head),
        }
    }
}

/// The error for a group that has no leader to hand over.
fn nobody_leads(roster: &Roster, group: &Group) -> CommandError {
    match roster.foreign_candidates(group).first() {
        Some(it) => {
            let error = format!("nobody leads {group}: {it} heads its queue");
            CommandError::refused(
                error,
                format!("run `{}`, so that the next host leads", it.remove),
            )
        }
        None => CommandError::refused(
            format!("nobody leads {group}"),
            "`soloist status` shows the candidates and the obstacles",
        ),
    }
}

/// The error for a group that no other host could take over.
fn no_next_leader(roster: &Roster, group: &Group) -> CommandError {
    check_next_is_host(roster, group).err().unwrap_or_else(|| {
        CommandError::refused(
            format!("no other host stands for {group}"),
            "start another host that runs its actions, or stop this one",
        )
    })
}
