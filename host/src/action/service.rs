//! The runner of kind `service`: one instance for as long as the term lives.
//!
//! A service that ends is started again after a pause, in whatever way it ended,
//! unless its settings say otherwise (`restart`); the term goes on without one
//! that is not. One that keeps ending without ever having run well is given up.
//! Once the term is ending, none is started any more, and the one that runs is
//! waited for if it has asked to be told of the end.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use wasmtime_wasi::I32Exit;

use super::{
    State, Tasks,
    limits::{ENDS_IN_A_ROW, GOOD_RUN, RESTART},
    running::Run,
};
use crate::{
    capability::{GuestState, Heed},
    config::Restart,
    plugin::{Guest, Kind, ServiceEntry, Slot},
};

/// The instance that runs now, if one does.
#[derive(Debug)]
pub(super) struct Current(watch::Receiver<Option<Heed>>);

impl Current {
    /// Waits until the instance that runs now has ended, if it has asked to be
    /// told of that. It is leaving, so no other follows.
    pub(super) async fn leave(&mut self) {
        if self.0.borrow().as_ref().is_some_and(Heed::asked) {
            // An error means that the supervision itself is over.
            let _ = self.0.wait_for(Option::is_none).await;
        }
    }
}

/// Starts the task that keeps the service running; `tasks` own it.
pub(super) fn start(run: Arc<Run>, entry: ServiceEntry, tasks: &Tasks) -> Current {
    let (tell, current) = watch::channel(None);
    tasks.spawn(supervise(run, entry, tell));
    Current(current)
}

async fn supervise(run: Arc<Run>, entry: ServiceEntry, current: watch::Sender<Option<Heed>>) {
    let mut pauses = Pauses::default();
    loop {
        let slot = run.action.slot().await;
        // Nothing begins anew in a term that is ending, or of a version that goes.
        if run.is_leaving() {
            return;
        }
        let began = Instant::now();
        let end = once(&run, &entry, slot, &current).await;
        if run.gate().pass().is_err() {
            return;
        }
        let well = end.is_ok();
        // It was told of the end, and left.
        if well && run.is_leaving() {
            return;
        }
        let restart = run.action.restart();
        if well && restart != Restart::Always {
            return run.rest(State::Done);
        }
        let (Ok(end) | Err(end)) = end;
        run.trouble("the service ended", &end);
        if run.is_leaving() {
            return;
        }
        if !well && run.action.on_trial() {
            return run.fail(&format!("it did not run well at first: {end}"));
        }
        if restart == Restart::Never {
            return run.rest(State::Failed);
        }
        let Some(pause) = pauses.next(began.elapsed()) else {
            return run
                .fail(&format!("it ended {ENDS_IN_A_ROW} times in a row; the last time, {end}"));
        };
        run.action.board().lock().restarts += 1;
        run.enter(State::Restarting);
        sleep(pause).await;
    }
}

/// Runs one instance to its end, and says how it ended, well or not.
async fn once(
    run: &Run,
    entry: &ServiceEntry,
    slot: Slot,
    current: &watch::Sender<Option<Heed>>,
) -> Result<String, String> {
    let state = GuestState::new(&run.access).map_err(|error| error.to_string())?;
    current.send_replace(Some(state.heed().clone()));
    let mut guest = Guest::new(entry.engine(), slot, state);
    let store = guest.store();
    let ended = async {
        let program = entry.instantiate(store).await?;
        run.up(Kind::Service);
        program.run(store).await
    };
    let ended = run.action.pace().run(ended).await;
    // After the store: whoever waits for the instance must not find it alive.
    drop(guest);
    current.send_replace(None);
    match ended {
        Ok(Ok(())) => Ok("it returned".to_owned()),
        Ok(Err(())) => Err("it returned an error".to_owned()),
        Err(error) => describe(&error),
    }
}

fn describe(error: &wasmtime::Error) -> Result<String, String> {
    match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(0)) => Ok("it exited with code 0".to_owned()),
        Some(I32Exit(code)) => Err(format!("it exited with code {code}")),
        None => Err(format!("it trapped: {}", error.root_cause())),
    }
}

/// How long to pause before the next start.
#[derive(Debug, Default)]
struct Pauses {
    ends: u32,
}

impl Pauses {
    /// The pause after a run of this length, or `None` if it was one too many.
    fn next(&mut self, ran: Duration) -> Option<Duration> {
        if ran >= GOOD_RUN {
            self.ends = 0;
        }
        let pause = RESTART * 2_u32.saturating_pow(self.ends);
        self.ends += 1;
        (self.ends < ENDS_IN_A_ROW).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_it_is_given_up() {
        let mut pauses = Pauses::default();
        let short = Duration::from_secs(1);
        let list: Vec<_> = (0..4).map(|_| pauses.next(short).unwrap().as_secs()).collect();
        assert_eq!(list, [1, 2, 4, 8]);
        assert_eq!(pauses.next(short), None);
    }

    #[test]
    fn a_good_run_starts_over() {
        let mut pauses = Pauses::default();
        for _ in 0..100 {
            assert_eq!(pauses.next(GOOD_RUN), Some(RESTART));
        }
    }
}
