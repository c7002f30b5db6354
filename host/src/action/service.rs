//! The runner of kind `service`: one instance for as long as the term lives.
//!
//! A service that fails is started again after a pause. One that ends well has done its work and is
//! not started again, unless its settings say otherwise (`restart`); the term goes on without it.
//! One that fails more often than its settings allow (`max_restarts` in `restart_window`) is given up.
//!
//! Once the term is ending, no service is started any more, and a running one is waited for if it
//! has subscribed to the end of its term.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use wasmtime_wasi::I32Exit;

use super::{action_status::ActionState, limits::RESTART_PAUSE, version_context::VersionContext};
use crate::task_scope::TaskScope;
use soloist_config::{RestartLimit, RestartPolicy};
use soloist_guests::{
    capability::{EndingInterest, GuestState},
    plugin::{Guest, InstanceSlot, Kind, ServiceEntryPoint},
};
use soloist_telemetry::measure;

/// The instance that is running, if there is one.
#[derive(Debug)]
pub(super) struct ServiceHandle(watch::Receiver<Option<EndingInterest>>);

impl ServiceHandle {
    /// Waits until the running instance has ended, if it has subscribed to the end of its term. The
    /// version is leaving, so no other instance follows.
    pub(super) async fn wait_for_end(&mut self) {
        if self.0.borrow().as_ref().is_some_and(EndingInterest::is_registered) {
            // An error means that the supervising task has ended.
            let _ = self.0.wait_for(Option::is_none).await;
        }
    }
}

/// Starts the task that keeps the service running; `tasks` own it.
pub(super) fn start_service(
    version: Arc<VersionContext>,
    entry: ServiceEntryPoint,
    tasks: &TaskScope,
) -> ServiceHandle {
    let (tell, current) = watch::channel(None);
    tasks.spawn(supervise(version, entry, tell));
    ServiceHandle(current)
}

async fn supervise(
    version: Arc<VersionContext>,
    entry: ServiceEntryPoint,
    current: watch::Sender<Option<EndingInterest>>,
) {
    let mut restarts = RestartBackoff::new(version.action.config().restart_limit);
    loop {
        let slot = version.action.slot().await;
        // Nothing is started in a term that is ending, or for a version that is being replaced.
        if version.is_leaving() {
            return;
        }
        let end = run_once(&version, &entry, slot, &current).await;
        if version.gate().pass().is_err() {
            return;
        }
        let well = end.is_ok();
        // The guest learned of the end and left.
        if well && version.is_leaving() {
            return;
        }
        let restart = version.action.restart_policy();
        if well && restart != RestartPolicy::Always {
            return version.mark_not_restarted(ActionState::Done);
        }
        let (Ok(end) | Err(end)) = end;
        version.note_error("the service ended", &end);
        if version.is_leaving() {
            return;
        }
        if !well && version.action.on_trial() {
            return version.fail(&format!("it did not run well at first: {end}"));
        }
        if restart == RestartPolicy::Never {
            return version.mark_not_restarted(ActionState::Failed);
        }
        let Some(pause) = restarts.next(Instant::now()) else {
            return version.fail(&too_often_message(&restarts.patience, &end));
        };
        version.action.live_status().lock().restarts += 1;
        measure::restarted(version.action.name());
        version.set_state(ActionState::Restarting);
        sleep(pause).await;
    }
}

/// Runs one instance to its end; `Ok` if it ended well.
async fn run_once(
    version: &VersionContext,
    entry: &ServiceEntryPoint,
    slot: InstanceSlot,
    current: &watch::Sender<Option<EndingInterest>>,
) -> Result<String, String> {
    let state = GuestState::new(&version.access).await.map_err(|error| error.to_string())?;
    current.send_replace(Some(state.ending_interest().clone()));
    let mut guest = Guest::new(entry.engine(), slot, state);
    let store = guest.store();
    let ended = async {
        let program = entry.instantiate(store).await?;
        version.mark_up(Kind::Service);
        program.run(store).await
    };
    let ended = version.action.run(ended).await;
    // The store goes first: whoever waits for the instance must not find it alive.
    drop(guest);
    current.send_replace(None);
    match ended {
        Ok(Ok(())) => Ok("it returned".to_owned()),
        Ok(Err(())) => Err("it returned an error".to_owned()),
        Err(error) => {
            // Exiting with a code is no trap, and neither is being interrupted by a stop.
            if !error.is::<I32Exit>() && version.gate().pass().is_ok() {
                measure::trapped(version.action.name());
            }
            describe_exit(&error)
        }
    }
}

fn too_often_message(patience: &RestartLimit, end: &str) -> String {
    match patience.max_restarts + 1 {
        1 => format!("it ended: {end}"),
        count => {
            let window = humantime::format_duration(patience.restart_window);
            format!("it ended {count} times within {window}; the last time, {end}")
        }
    }
}

fn describe_exit(error: &wasmtime::Error) -> Result<String, String> {
    match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(0)) => Ok("it exited with code 0".to_owned()),
        Some(I32Exit(code)) => Err(format!("it exited with code {code}")),
        None => Err(format!("it trapped: {}", error.root_cause())),
    }
}

/// How often the service was restarted lately, and how long to pause before the next time.
#[derive(Debug)]
struct RestartBackoff {
    patience: RestartLimit,
    /// When it ended, for each restart within the window.
    ends: VecDeque<Instant>,
}

impl RestartBackoff {
    fn new(patience: RestartLimit) -> Self {
        Self { patience, ends: VecDeque::new() }
    }

    /// The pause after an end at `now`; `None` if it was restarted too often.
    fn next(&mut self, now: Instant) -> Option<Duration> {
        let RestartLimit { max_restarts, restart_window: window } = self.patience;
        while self.ends.front().is_some_and(|end| now.duration_since(*end) > window) {
            self.ends.pop_front();
        }
        let count = self.ends.len();
        if count >= max_restarts {
            return None;
        }
        self.ends.push_back(now);
        // All restarts must fit into the window, however long the last run is.
        let longest = window / u32::try_from(max_restarts + 1).unwrap_or(u32::MAX);
        let doubled =
            RESTART_PAUSE.saturating_mul(2_u32.saturating_pow(count.try_into().unwrap_or(31)));
        Some(doubled.min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(max_restarts: usize, window: u64) -> RestartLimit {
        RestartLimit { max_restarts, restart_window: Duration::from_secs(window) }
    }

    /// The pauses of a service that runs for `ran` each time, in milliseconds, until it is given
    /// up.
    async fn pauses(patience: RestartLimit, ran: Duration) -> Vec<u128> {
        let mut restarts = RestartBackoff::new(patience);
        let mut list = Vec::new();
        for _ in 0..100 {
            sleep(ran).await;
            let Some(pause) = restarts.next(Instant::now()) else { break };
            list.push(pause.as_millis());
            sleep(pause).await;
        }
        list
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_until_it_is_given_up() {
        let at_once = Duration::from_millis(1);
        assert_eq!(pauses(RestartLimit::default(), at_once).await, [1000, 2000, 4000, 8000]);
        assert_eq!(pauses(patience(0, 60), at_once).await, [0; 0]);
        assert_eq!(pauses(patience(1, 1), at_once).await, [500]);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_there_are_they_fit_the_window() {
        for (max_restarts, window) in [(1, 1), (4, 5), (10, 60), (1000, 60), (100, 3600)] {
            let list = pauses(patience(max_restarts, window), Duration::ZERO).await;
            assert_eq!(list.len(), max_restarts.min(100), "{max_restarts} in {window} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_window_does_not_count() {
        let five = patience(4, 10);
        assert_eq!(pauses(five, Duration::from_millis(500)).await.len(), 4);
        // There are never more than two within ten seconds.
        let long = pauses(five, Duration::from_secs(4)).await;
        assert_eq!((long.len(), long[99]), (100, 2000));
        let well = pauses(five, Duration::from_secs(11)).await;
        assert_eq!((well.len(), well[99]), (100, 1000));
    }
}
