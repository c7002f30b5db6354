//! Hooks: what they may do, how they fail, and that they end.

use std::{sync::Arc, time::Duration};

use soloist::{
    action::{
        Action, ActionDirectory, ActionFailure, ActionState, GroupTerm, LeaderHooks, TermServices,
    },
    task_scope::TaskScope,
};
use soloist_config::{ActionConfig, Grants, Limits};
use soloist_guests::{
    capability::TermLink,
    plugin::{HookLeader, PluginEngine},
};
use soloist_heart::{LeaderKey, clock::BootTime};
use soloist_leadership::Gate;
use tokio::{
    sync::mpsc::unbounded_channel,
    time::{Instant, timeout},
};

use crate::{
    backend::{Backend, BackendBehaviour},
    log::Log,
    rig::{PATIENCE, STOP, TestStore, config, free_address, gate, guest_file, until},
};

/// A term that was won, for actions with hooks.
struct HookTerm {
    world: TestStore,
    key: LeaderKey,
    engine: Arc<PluginEngine>,
    gate: Arc<Gate>,
    tasks: TaskScope,
}

impl HookTerm {
    async fn won() -> Self {
        let world = TestStore::new();
        let key = world.win().await;
        let gate = gate(key.fencing_token.0, BootTime::NEVER);
        let engine = Arc::new(PluginEngine::new(None).unwrap());
        Self { world, key, engine, gate, tasks: TaskScope::new() }
    }

    fn scope(&self) -> TermServices {
        let (notices, _) = unbounded_channel();
        let (failures, _) = unbounded_channel();
        let (gate, key) = (self.gate.clone(), self.key.clone());
        let term = TermLink {
            gate,
            key,
            state: self.world.store.state().unwrap(),
            notices,
            task_caller: None,
        };
        TermServices {
            term,
            tasks: self.tasks.clone(),
            failures,
            directory: ActionDirectory::default(),
            jobs: self.world.jobs(),
            drain: PATIENCE,
        }
    }

    /// An action with hooks only, which do what `on_leader` and `on_standby` say.
    fn action(&self, name: &str, on_leader: &str, on_standby: &str, grants: Grants) -> Arc<Action> {
        let orders = [("on-leader", on_leader), ("on-standby", on_standby)];
        let orders = orders.map(|(hook, order)| (hook.to_owned(), order.to_owned())).into();
        let config = ActionConfig {
            name: name.into(),
            grants: Grants { config: orders, ..grants }.into(),
            limits: Limits { hook_timeout: Duration::from_millis(300), ..Limits::default() },
            ..config(guest_file("hooks"), free_address())
        };
        Action::prepare(&config, &self.engine).unwrap()
    }

    async fn led(&self, actions: &[Arc<Action>]) -> Result<(), ActionFailure> {
        let mut hooks = LeaderHooks::start(actions, &self.scope());
        timeout(PATIENCE, hooks.done()).await.expect("the hooks never return")
    }

    async fn fails(&self, order: &str, reason: &str) {
        let action = self.action("failing", order, "", Grants::default());
        let mut hooks = LeaderHooks::start(std::slice::from_ref(&action), &self.scope());
        let failure = timeout(PATIENCE, hooks.done()).await.expect("it never fails").unwrap_err();
        assert!(failure.reason.contains(reason), "{failure}");
        let status = action.status();
        assert_eq!((status.state, status.last_error), (ActionState::Failed, Some(failure.reason)));
        drop(hooks);
        assert_eq!(
            (action.status().state, self.engine.live_instances()),
            (ActionState::Standby, 0)
        );
    }

    /// Calls the standby hook of `action` with a leader, and returns what it logged.
    async fn told(&self, action: &Arc<Action>, leader: Option<HookLeader>) {
        let links = self.tasks.child();
        timeout(PATIENCE, action.on_standby(outside(), leader, links)).await.expect("it returns");
        assert_eq!(self.engine.live_instances(), 0);
    }
}

/// The gate of a host that stands by.
fn outside() -> Arc<Gate> {
    gate(0, BootTime::NEVER)
}

fn state() -> Grants {
    Grants { state: true, ..Grants::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_leader_runs_in_the_term_and_returns() {
    let log = Log::of_all();
    let term = HookTerm::won().await;
    let action = term.action("led", "state", "", state());
    assert_eq!(action.kinds().to_string(), "hooks");
    for count in 1..3 {
        term.led(std::slice::from_ref(&action)).await.unwrap();
        let entry = term.world.store.state().unwrap().get("led", &["hooks".into()]).await.unwrap();
        assert_eq!(entry[0].as_ref().unwrap().value, count.to_string());
    }
    let fencing_token = term.key.fencing_token.0;
    for line in [
        format!("on-leader: a of main, fencing token {fencing_token}"),
        "on-leader: done".to_owned(),
    ] {
        assert!(
            log.text().contains(&format!(
                "{line} action=led host=a group=main fencing_token={fencing_token}"
            )),
            "{line}"
        );
    }
    assert_eq!((action.status().last_error, term.engine.live_instances()), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_fail_is_a_failure_of_the_action() {
    let term = HookTerm::won().await;
    term.fails("fail no\nroute", "its hook on-leader failed: no route").await;
    term.fails("fail", "it gave no reason").await;
    term.fails("trap", "it trapped").await;
    let too_long = "it took longer than 300ms; raise `hook_timeout`";
    term.fails("spin", too_long).await;
    term.fails("wait", too_long).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_side_by_side_and_the_first_failure_counts() {
    let term = HookTerm::won().await;
    // The two must run in parallel: one after the other, the first would use up the time.
    let actions = [
        term.action("waiting", "wait", "", Grants::default()),
        term.action("failing", "fail at once", "", Grants::default()),
    ];
    let mut hooks = LeaderHooks::start(&actions, &term.scope());
    let failure = timeout(PATIENCE, hooks.done()).await.expect("it fails").unwrap_err();
    assert_eq!(&**failure.action.name(), "failing");
    // The other hook can still be waited for, if the term goes on.
    let failure = timeout(PATIENCE, hooks.done()).await.expect("it fails").unwrap_err();
    assert_eq!(&**failure.action.name(), "waiting");
    timeout(PATIENCE, hooks.done()).await.expect("all have returned").unwrap();
    assert_eq!(hooks.succeeded().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_interrupts_them_at_once() {
    let term = HookTerm::won().await;
    for order in ["spin", "wait"] {
        let action = term.action("stopped", order, "", Grants::default());
        let hooks = LeaderHooks::start(std::slice::from_ref(&action), &term.scope());
        until("it runs", || term.engine.live_instances() == 1).await;
        let began = Instant::now();
        timeout(PATIENCE, hooks.stop()).await.expect("the stop hangs");
        assert!(began.elapsed() < STOP, "the stop took {:?}", began.elapsed());
        assert_eq!((term.engine.live_instances(), term.tasks.len()), (0, 0));
        drop(hooks);
        let status = action.status();
        assert_eq!(
            (status.state, status.last_error),
            (ActionState::Standby, None),
            "it did not fail"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_term_interrupts_one_that_computes_and_blames_nobody() {
    let term = HookTerm::won().await;
    let action = term.action("lost", "spin", "", Grants::default());
    let mut hooks = LeaderHooks::start(std::slice::from_ref(&action), &term.scope());
    until("it runs", || term.engine.live_instances() == 1).await;
    term.gate.revoke();
    timeout(STOP, hooks.done()).await.expect("it is interrupted").unwrap();
    assert_eq!((term.engine.live_instances(), action.status().last_error), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_standby_has_neither_state_nor_a_token() {
    let log = Log::of_all();
    let term = HookTerm::won().await;
    let backend = Backend::start(BackendBehaviour::Prompt);
    let leader = Some(HookLeader { host: "b".to_owned(), fencing_token: 41 });

    let action = term.action("aside-state", "", "state", state());
    term.told(&action, leader.clone()).await;
    let text = log.text();
    assert!(
        text.contains("on-standby: b leads main, fencing token 41 action=aside-state"),
        "{text}"
    );
    assert!(
        text.contains("no state: Error::Other(\"state is not available outside of a term"),
        "{text}"
    );
    assert_eq!(action.status().last_error, None);
    let state = term.world.store.state().unwrap();
    assert_eq!(state.get("aside-state", &["hooks".into()]).await.unwrap(), [None]);

    let action = term.action("aside-term", "", "term", Grants::default());
    term.told(&action, None).await;
    assert!(log.text().contains("on-standby: nobody leads main action=aside-term"));
    let error = action.status().last_error.unwrap();
    assert!(error.contains("outside of a term"), "{error}");
    assert_eq!(action.status().state, ActionState::Standby, "it changes nothing else");

    let order = format!("send {}", backend.address);
    let action = term.action("aside-send", &order, &order, backend.granted());
    term.told(&action, None).await;
    let seen = backend.seen().concat();
    assert!(seen.starts_with("GET / ") && !seen.contains("soloist"), "{seen}");
    // Under a term the same request carries the fencing token.
    term.led(std::slice::from_ref(&action)).await.unwrap();
    let fencing_token = format!("soloist-fencing-token: {}", term.key.fencing_token.0);
    assert!(backend.seen().concat().contains(&fencing_token), "{:?}", backend.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_standby_is_interrupted_and_limited() {
    let term = HookTerm::won().await;
    let action = term.action("aside-spin", "", "spin", Grants::default());
    term.told(&action, None).await;
    let error = action.status().last_error.unwrap();
    assert!(error.contains("its hook on-standby failed: it took longer than 300ms"), "{error}");

    let action = term.action("aside-cut", "", "spin", Grants::default());
    let (own, gate, links) = (action.clone(), outside(), term.tasks.child());
    let closing = gate.clone();
    let call = term.tasks.spawn(async move { own.on_standby(gate, None, links).await });
    until("it runs", || term.engine.live_instances() == 1).await;
    closing.close();
    timeout(STOP, call).await.expect("it is interrupted").unwrap();
    assert_eq!((term.engine.live_instances(), action.status().last_error), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_of_hooks_alone_is_done_when_they_are() {
    let term = HookTerm::won().await;
    let action = term.action("alone", "", "", Grants::default());
    let mut stage = GroupTerm::new(term.scope());
    stage.set(std::slice::from_ref(&action));
    timeout(PATIENCE, stage.started()).await.expect("it is up").unwrap();
    assert_eq!((action.status().state, action.listen()), (ActionState::Done, None));
    term.gate.close();
    stage.stop().await;
    assert_eq!(action.status().state, ActionState::Standby);
}
