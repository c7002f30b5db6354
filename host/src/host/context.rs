//! What the parts of a running host share, made once at the start.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use tokio::sync::watch;

use super::{HostError, PreparedHost, member};
use crate::{
    action::{ActionDirectory, JobServices, JobTriggers, Programme},
    cluster::{AddressWarning, PeerClient},
    term::{ActionHealth, Gaps, StandbyHooks},
    wall_clock::{WallClock, WallClockWatch},
};
use soloist_config::{Config, Limits};
use soloist_guests::plugin::PluginEngine;
use soloist_heart::clock::ClockComparison;
use soloist_leadership::{Election, RehearsalResult, RosterView};
use soloist_stores::{Member, Roster, StateQuota, Store, ThisHost};
use soloist_telemetry::{journal::Journal, measure::Measurements};

/// What the parts of a running host share. Clones share everything.
#[derive(Clone)]
pub(super) struct HostContext {
    pub(super) config: Arc<Config>,
    /// The name of this host.
    pub(super) name: Arc<str>,
    /// Tells this host's own entries in the store from those of others.
    pub(super) this: ThisHost,
    /// The entry of this host among the members, without its failures and tasks, which change.
    pub(super) member: Member,
    /// The address that the control API listens on.
    pub(super) listen: SocketAddr,
    pub(super) store: Arc<dyn Store>,
    /// The state of all actions, each within its quota.
    pub(super) state: Arc<StateQuota>,
    pub(super) peers: PeerClient,
    pub(super) programme: watch::Receiver<Arc<Programme>>,
    pub(super) engine: Arc<PluginEngine>,
    /// The actions that run on this host.
    pub(super) directory: ActionDirectory,
    /// The last roster that was read from the store.
    pub(super) roster: watch::Receiver<Option<Roster>>,
    /// The same, together with whether it can still be relied on.
    pub(super) roster_view: RosterView,
    pub(super) rehearsed: watch::Receiver<RehearsalResult>,
    pub(super) gaps: watch::Receiver<Gaps>,
    /// What is wrong with the addresses that hosts advertise.
    pub(super) address_warnings: watch::Receiver<BTreeSet<AddressWarning>>,
    pub(super) clock: WallClock,
    pub(super) jobs: JobServices,
    pub(super) health: ActionHealth,
    pub(super) standby_hooks: StandbyHooks,
    pub(super) journal: Journal,
    pub(super) measurements: Measurements,
}

/// The sending ends of what a [`HostContext`] receives, each for the task that feeds it.
pub(super) struct ContextFeeds {
    /// This host's own entry, as it changes.
    pub(super) member: watch::Sender<Member>,
    pub(super) rehearsed: watch::Sender<RehearsalResult>,
    pub(super) gaps: watch::Sender<Gaps>,
    pub(super) address_warnings: watch::Sender<BTreeSet<AddressWarning>>,
    pub(super) clock_watch: WallClockWatch,
    pub(super) compared: watch::Sender<Option<ClockComparison>>,
}

impl HostContext {
    /// Makes the context, and the elections that are to fill its roster and its journal.
    pub(super) fn new(
        config: &Arc<Config>,
        prepared: &PreparedHost,
    ) -> Result<(Self, ContextFeeds, Election), HostError> {
        let PreparedHost { catalog, listener, store, peers, measurements, .. } = prepared;
        let (name, timings) = (Arc::clone(&config.host.name), config.timings);
        let listen = listener.local_addr().map_err(HostError::System)?;
        let member = member::own_entry(config, config.host.url(listen));
        let this = ThisHost::of(&member);
        let election = Election::new(Arc::clone(store), this.clone(), timings);
        let roster = election.roster();
        let (rehearsed_to, rehearsed) = watch::channel(RehearsalResult::default());
        let (gaps_to, gaps) = watch::channel(Gaps::default());
        let (warnings_to, address_warnings) = watch::channel(BTreeSet::new());
        let (compared_to, compared) = watch::channel(None);
        let (clock, clock_watch) = WallClock::of_this_machine();
        let clock = clock.compared_by(compared);
        let ledger = store.ledger().map_err(HostError::Store)?;
        let member_to = watch::Sender::new(member.clone());
        let context = Self {
            member,
            listen,
            state: state_within_quotas(&**store, catalog.programme())?,
            store: Arc::clone(store),
            peers: peers.clone(),
            programme: catalog.programme(),
            engine: catalog.engine(),
            directory: ActionDirectory::default(),
            roster_view: election.roster_view(),
            rehearsed,
            gaps,
            address_warnings,
            jobs: JobServices { ledger, triggers: JobTriggers::default(), clock: clock.clone() },
            clock,
            health: ActionHealth::new(this.clone(), timings.cooldown_max, roster.clone()),
            standby_hooks: StandbyHooks::new(this.clone()),
            roster,
            journal: election.journal(),
            measurements: measurements.clone(),
            name,
            this,
            config: Arc::clone(config),
        };
        let feeds = ContextFeeds {
            member: member_to,
            rehearsed: rehearsed_to,
            gaps: gaps_to,
            address_warnings: warnings_to,
            clock_watch,
            compared: compared_to,
        };
        Ok((context, feeds, election))
    }
}

/// The state of all actions, each within the quota of its settings as they are at the time. What
/// this host does not know yet has the default.
fn state_within_quotas(
    store: &dyn Store,
    programme: watch::Receiver<Arc<Programme>>,
) -> Result<Arc<StateQuota>, HostError> {
    let quota = move |name: &str| {
        let programme = programme.borrow();
        let action = programme.actions.iter().find(|action| **action.name() == *name);
        action.map_or(Limits::default().max_state_size, |it| it.config().limits.max_state_size)
    };
    let state = store.state().map_err(HostError::Store)?;
    Ok(Arc::new(StateQuota::new(state, Box::new(quota))))
}
