//! How soon etcd is asked again after it has refused a login.
//!
//! A host makes many calls, and each of them begins with the login. etcd hashes a password (bcrypt)
//! before it refuses it, one login after the other. Hosts that retried with each call would slow
//! down everybody's logins, and would see time-outs instead of the refusal.
//!
//! Invariant: after each refused login there is a pause, which grows with each refusal. A call
//! during the pause gets the last refusal as its answer.

use std::{sync::Arc, time::Duration};

use etcd_client::Error;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tonic::Status;

use super::error_meaning::{ErrorMeaning, meaning};
use soloist_telemetry::log_throttle::LogThrottle;
use soloist_text::millis;

/// What people can do where a login takes longer than a call may.
const SLOW_LOGIN_HELP: &str = "where etcd takes that long to hash a password (bcrypt), raise \
                               `lease.ttl` here, lower its --bcrypt-cost, or use certificates";

/// The longest pause, in multiples of the first one. This is how long a host may take to notice
/// that people have corrected the password.
const LONGEST: u32 = 8;

/// The logins to one etcd cluster. Clones share their state.
#[derive(Clone)]
pub(super) struct LoginAttempts {
    /// The user that logs in; none where etcd asks for no login.
    user: Option<Arc<str>>,
    refusal: Arc<Mutex<Option<LoginRefusal>>>,
    /// Since when etcd has not answered the login.
    unanswered: Arc<Mutex<Option<Instant>>>,
    slow: Arc<LogThrottle>,
    /// The first pause, which is also how long a call may take.
    pause: Duration,
}

struct LoginRefusal {
    said: Status,
    pause: Duration,
    /// When the next attempt is allowed.
    again: Instant,
}

impl LoginAttempts {
    /// No login of `user` was refused yet; the first pause is `pause`.
    pub(super) fn new(user: Option<&str>, pause: Duration) -> Self {
        Self {
            user: user.map(Arc::from),
            refusal: Arc::default(),
            unanswered: Arc::default(),
            slow: Arc::default(),
            pause,
        }
    }

    /// Attempts `login`, or repeats the last refusal if that is recent.
    pub(super) async fn attempt<T>(
        &self,
        login: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let refused = |refusal: &&LoginRefusal| Instant::now() < refusal.again;
        let said = self.lock().as_ref().filter(refused).map(|refusal| refusal.said.clone());
        if let Some(said) = said {
            return Err(Error::GRpcStatus(said));
        }
        self.unanswered.lock().get_or_insert_with(Instant::now);
        let made = login.await;
        // A login that was given up has had no answer.
        let given_up = matches!(made, Err(Error::EndpointError(_)));
        let began = if given_up { None } else { self.unanswered.lock().take() };
        if let (Ok(_), Some(began)) = (&made, began) {
            self.report_slow(began.elapsed());
        }
        match &made {
            Ok(_) => *self.lock() = None,
            Err(Error::GRpcStatus(said)) if is_refusal(&made) => self.record_refusal(said.clone()),
            // Other errors say nothing about the login.
            Err(_) => {}
        }
        made
    }

    /// What etcd answered to the last login, if it refused that.
    pub(super) fn last_refusal(&self) -> Option<Error> {
        self.lock().as_ref().map(|refusal| Error::GRpcStatus(refusal.said.clone()))
    }

    /// What a call waits for that is waiting for the login, with what to do if that takes long.
    pub(super) fn wait_reason(&self) -> Option<String> {
        let (user, began) = (self.user.as_deref()?, (*self.unanswered.lock())?);
        let waited = millis(began.elapsed());
        Some(format!("it has not answered the login of {user} for {waited} ms; {SLOW_LOGIN_HELP}"))
    }

    /// Reports a login that has `taken` longer than a call may take.
    fn report_slow(&self, taken: Duration) {
        let Some(user) = self.user.as_deref().filter(|_| taken > self.pause) else { return };
        let (took_ms, limit_ms) = (millis(taken), millis(self.pause));
        self.slow.report(|repeats| {
            tracing::warn!(
                event = "slow-login",
                took_ms,
                "the login of {user} took {took_ms} ms, and a call may take {limit_ms} ms; \
                 {SLOW_LOGIN_HELP}{repeats}"
            );
        });
    }

    fn record_refusal(&self, said: Status) {
        let mut last = self.lock();
        let pause = last.as_ref().map_or(self.pause, |last| last.pause * 2);
        let pause = pause.min(self.pause * LONGEST);
        *last = Some(LoginRefusal { said, pause, again: Instant::now() + pause });
    }

    /// Must not be held across an await.
    fn lock(&self) -> MutexGuard<'_, Option<LoginRefusal>> {
        self.refusal.lock()
    }
}

/// Whether etcd has checked the password for this, and every member would give the same answer.
fn is_refusal<T>(made: &Result<T, Error>) -> bool {
    let Err(error) = made else { return false };
    matches!(meaning(error), ErrorMeaning::WrongLogin | ErrorMeaning::Forbidden)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    /// How many logins reach etcd during a minute with ten calls per second.
    async fn reach(logins: &LoginAttempts, said: &str) -> usize {
        let reached = Cell::new(0);
        for _ in 0..600 {
            let login = async {
                reached.set(reached.get() + 1);
                Err::<(), _>(Error::GRpcStatus(Status::invalid_argument(said)))
            };
            let told = logins.attempt(login).await.expect_err("refused");
            assert!(told.to_string().contains(said), "{told}");
            tokio::time::sleep(PAUSE / 10).await;
        }
        reached.get()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_tried_less_and_less() {
        let logins = LoginAttempts::new(Some("soloist"), PAUSE);
        // After 1, 2, 4, and then every 8 seconds.
        assert_eq!(reach(&logins, "etcdserver: authentication failed").await, 10);
        assert!(logins.last_refusal().is_some(), "it is told");
        // An error that another member may not give is retried at once.
        tokio::time::sleep(PAUSE * LONGEST).await;
        assert_eq!(reach(&logins, "etcdserver: request timed out").await, 600);
        logins.attempt(async { Ok(()) }).await.expect("let in");
        assert!(logins.last_refusal().is_none(), "it is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_without_an_answer_is_told_with_the_time_it_has_taken() {
        let logins = LoginAttempts::new(Some("soloist"), PAUSE);
        assert_eq!(logins.wait_reason(), None);
        let given_up = async {
            tokio::time::sleep(PAUSE * 3).await;
            Err::<(), _>(Error::EndpointError("too slow".to_owned()))
        };
        logins.attempt(given_up).await.expect_err("given up");
        let slow = async {
            tokio::time::sleep(PAUSE * 2).await;
            let said = logins.wait_reason().expect("it waits");
            assert!(said.contains("the login of soloist for 5000 ms"), "{said}");
            assert!(said.contains("--bcrypt-cost"), "{said}");
            Ok(())
        };
        logins.attempt(slow).await.expect("let in");
        assert_eq!(logins.wait_reason(), None);
        let open = LoginAttempts::new(None, PAUSE);
        let waits = async { Ok(open.wait_reason()) };
        assert_eq!(open.attempt(waits).await.expect("let in"), None, "there is no login");
    }
}
