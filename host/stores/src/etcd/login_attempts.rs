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

/// The longest pause, in multiples of the first one. This is how long a host may take to notice
/// that people have corrected the password.
const LONGEST: u32 = 8;

/// The logins to one etcd cluster. Clones share their state.
#[derive(Clone)]
pub(super) struct LoginAttempts {
    refusal: Arc<Mutex<Option<LoginRefusal>>>,
    /// The first pause.
    pause: Duration,
}

struct LoginRefusal {
    said: Status,
    pause: Duration,
    /// When the next attempt is allowed.
    again: Instant,
}

impl LoginAttempts {
    /// No login was refused yet; the first pause is `pause`.
    pub(super) fn new(pause: Duration) -> Self {
        Self { refusal: Arc::default(), pause }
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
        let made = login.await;
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
        let logins = LoginAttempts::new(PAUSE);
        // After 1, 2, 4, and then every 8 seconds.
        assert_eq!(reach(&logins, "etcdserver: authentication failed").await, 10);
        assert!(logins.last_refusal().is_some(), "it is told");
        // An error that another member may not give is retried at once.
        tokio::time::sleep(PAUSE * LONGEST).await;
        assert_eq!(reach(&logins, "etcdserver: request timed out").await, 600);
        logins.attempt(async { Ok(()) }).await.expect("let in");
        assert!(logins.last_refusal().is_none(), "it is forgotten");
    }
}
