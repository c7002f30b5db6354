//! One version after another in a term: requests move over, and nothing of the old version stays; a
//! version that fails at once gets no requests.

use std::{fs, sync::Arc};

use soloist::action::{Action, ActionFailure, Catalog, Programme};
use soloist_config::{ActionConfig, ActionSet, Config, Overrides};
use soloist_guests::plugin::{PluginEngine, PoolUsage};
use soloist_heart::clock::BootTime;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    module::trap_at_start,
    rig::{
        PATIENCE, Prepared, RunningAction, config, free_address, gate, guest_file, prepare,
        read_until, rest_of, until,
    },
};

/// `guest` as another version of the action of `rig`.
fn version(rig: &RunningAction, guest: &str) -> Arc<Action> {
    let config = ActionConfig {
        name: rig.action.name().clone(),
        ..config(guest_file(guest), rig.action.listen().unwrap())
    };
    Action::prepare(&config, &rig.engine).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_version_has_begun_it_finishes_and_then_it_is_gone() {
    let mut rig = RunningAction::up("spin").await;
    let mut kept_open = rig.send("GET /sleep?ms=0 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    read_until(&mut kept_open, "slept").await;
    let begun =
        rig.send("GET /sleep?ms=300 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    rig.instances(1).await;

    let new = version(&rig, "i-am-server");
    rig.running.set(std::slice::from_ref(&new));
    // The new version answers at once, on the same connection that the old one answered on.
    until("the new version", || new.status().state == soloist::action::ActionState::Running).await;
    tokio::io::AsyncWriteExt::write_all(&mut kept_open, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut kept_open, "I am server a").await;
    let (finished, in_order) = rest_of(begun).await;
    assert!(in_order && finished.contains("slept"), "{finished}");

    // Whoever still holds the old version, it is not the host.
    let old = Arc::downgrade(&std::mem::replace(&mut rig.action, new));
    until("the old version is dropped", || old.upgrade().is_none()).await;
    assert_eq!(rig.engine.pool_usage().unwrap(), PoolUsage::default());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_midst_of_a_replacement_leaves_nothing() {
    let (engine, action): Prepared = prepare("spin", free_address());
    let mut rig = RunningAction::start((engine, action), gate(1, BootTime::NEVER));
    rig.running.started().await.unwrap();
    let _streams = rig.begin("GET /spin HTTP/1.1\r\nhost: a\r\n\r\n", 4).await;
    let new = version(&rig, "i-am-server");
    rig.running.set(std::slice::from_ref(&new));
    rig.stop().await;
    assert_eq!(new.status().state, soloist::action::ActionState::Standby);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_is_taken_away_lets_go_of_its_address() {
    let mut rig = RunningAction::up("i-am-server").await;
    // Its task may or may not have ended by the time that it comes back.
    for _ in 0..50 {
        rig.running.set(&[]);
        until("the address is let go", || rig.action.preflight().is_ok()).await;
        rig.running.set(std::slice::from_ref(&rig.action));
        rig.running.started().await.unwrap();
        assert_eq!(rig.ask("/").await.0, 200);
    }
    rig.stop().await;
}

/// Names that come and go leave nothing behind, even while the term lasts.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_left_keeps_no_task() {
    let mut rig = RunningAction::up("i-am-server").await;
    let before = rig.tasks.len();
    for round in 0..20 {
        let config = ActionConfig {
            name: format!("guest-{round}").into(),
            ..config(guest_file("i-am-server"), free_address())
        };
        let passing = Action::prepare(&config, &rig.engine).unwrap();
        rig.running.set(&[Arc::clone(&rig.action), Arc::clone(&passing)]);
        rig.running.started().await.unwrap();
        rig.running.set(std::slice::from_ref(&rig.action));
        until("the address is let go", || passing.preflight().is_ok()).await;
    }
    // The last one may still be there: it is removed with the next change.
    until("the tasks end", || rig.tasks.len() <= before + 2).await;
    assert_eq!(rig.ask("/").await.0, 200);
    rig.stop().await;
}

/// A folder whose only plugin is the action `web`, first as `i-am-server`, followed by a catalog.
pub(crate) struct WatchedFolder {
    pub(crate) folder: TempDir,
    engine: Arc<PluginEngine>,
    pub(crate) programme: watch::Receiver<Arc<Programme>>,
    failed: UnboundedSender<ActionFailure>,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

impl WatchedFolder {
    fn up() -> Self {
        Self::up_by(PluginEngine::new(None).unwrap())
    }

    pub(crate) fn up_by(engine: PluginEngine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plugins = folder.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        fs::copy(guest_file("i-am-server"), plugins.join("web.wasm")).unwrap();
        fs::write(plugins.join("web.toml"), format!("listen = \"{}\"\n", free_address())).unwrap();
        let settings = folder.path().join("soloist.toml");
        fs::write(&settings, "").unwrap();
        let overrides = Overrides { config: Some(settings), ..Overrides::default() };
        let config = Config::load(&overrides).unwrap();
        let engine = Arc::new(engine);
        let Config { source, actions, refused, .. } = config;
        let catalog = {
            let (reading, told) = (ActionSet { actions, refused }, watch::Sender::default());
            Catalog::prepare(source, reading, engine.clone(), &told)
        };
        let (programme, failed) = (catalog.programme(), catalog.failures());
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(catalog.follow_folder(stop.clone()));
        Self { folder, engine, programme, failed, stop, keeper }
    }

    fn put(&self, plugin: &[u8]) {
        fs::write(self.folder.path().join("plugins/web.wasm"), plugin).unwrap();
    }

    fn action(&self) -> Arc<Action> {
        self.programme.borrow().actions[0].clone()
    }

    /// The action, as soon as `wanted` accepts it.
    async fn until(&mut self, wanted: impl Fn(&Arc<Action>) -> bool) -> Arc<Action> {
        let found = self.programme.wait_for(|programme| programme.actions.iter().any(&wanted));
        timeout(PATIENCE, found).await.expect("it does not start").unwrap();
        self.action()
    }

    pub(crate) async fn down(self) {
        self.stop.cancel();
        self.keeper.await.unwrap();
    }
}

/// Whether the action's latest error contains `text`.
fn error(action: &Action, text: &str) -> bool {
    action.status().last_error.is_some_and(|error| error.contains(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_traps_at_its_start_is_let_near_no_request() {
    let mut kept = WatchedFolder::up();
    let first = kept.action();
    let mut rig =
        RunningAction::start((kept.engine.clone(), first.clone()), gate(1, BootTime::NEVER));
    rig.running.started().await.unwrap();

    kept.put(&trap_at_start());
    let second = kept.until(|it| !Arc::ptr_eq(it, &first)).await;
    rig.running.set(std::slice::from_ref(&second));
    let failure = rig.failures.recv().await.unwrap();
    assert!(failure.reason.contains("trapped at its start"), "{failure}");
    assert_eq!(rig.ask("/").await, (200, "I am server a\n".to_owned()));

    // The term reports the failure, and gets the version before.
    kept.failed.send(failure).unwrap();
    kept.until(|it| Arc::ptr_eq(it, &first)).await;
    rig.running.set(std::slice::from_ref(&first));
    assert!(error(&first, "trapped at its start"), "{:?}", first.status());
    assert_eq!(rig.ask("/").await, (200, "I am server a\n".to_owned()));
    drop(second);
    rig.stop().await;
    kept.down().await;
}

/// Neither an invalid file nor an untried version replaces a version that is known to run.
#[tokio::test(flavor = "multi_thread")]
async fn what_ran_last_is_gone_back_to_over_what_never_ran() {
    let mut kept = WatchedFolder::up();
    let good = kept.action();
    kept.put(&trap_at_start());
    let second = kept.until(|it| !Arc::ptr_eq(it, &good)).await;
    kept.put(b"no component");
    kept.until(|it| Arc::ptr_eq(it, &second) && error(it, "web.wasm")).await;
    kept.put(&fs::read(guest_file("spin")).unwrap());
    let third = kept.until(|it| !Arc::ptr_eq(it, &second)).await;

    kept.failed
        .send(ActionFailure {
            action: third,
            reason: "it does not run".to_owned(),
            may_pass: false,
        })
        .unwrap();
    kept.until(|it| Arc::ptr_eq(it, &good) && error(it, "does not run")).await;
    kept.down().await;
}
