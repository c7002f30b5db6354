//! One call: which hosts may do it, which one does, and what follows when it does not.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{
    balance::{Balance, Flight},
    casts::{Desk, Trouble},
    hop::{Hopped, Hops},
};
use crate::{
    action::{Action, Programme, TaskError, Tasks, Workshop},
    cluster::Peers,
};
use soloist_guests::{
    capability::{CallError, Calls, CastFault, Done, Order},
    plugin::{Answer, Call},
};
use soloist_resources::budget::Account;
use soloist_stores::{CONTENT_TYPE_MAX, Roster, fresh_id, is_content_type};
use soloist_telemetry::measure;
use soloist_trace::{KeyValue, Role, Span, TraceContext};

/// The pause before every host is asked once more, at first; it doubles each time.
const ROUND: Duration = Duration::from_millis(50);
const ROUND_MAX: Duration = Duration::from_secs(2);

/// Takes calls to the hosts that do them.
pub struct Dispatcher {
    host: Arc<str>,
    workshop: Arc<Workshop>,
    programme: watch::Receiver<Arc<Programme>>,
    roster: watch::Receiver<Option<Roster>>,
    casts: Desk,
    balance: Balance,
    hops: Hops,
}

/// A host that may do a call.
struct Worker {
    name: Arc<str>,
    /// Where it answers; nothing for this host itself.
    url: Option<String>,
}

/// What is left to be done about a call.
enum Next {
    /// It is over.
    Over(Result<Answer, CallError>),
    /// Another host is asked.
    Elsewhere(CallError),
    /// It is tried once more.
    Again(CallError),
}

impl Dispatcher {
    /// A dispatcher of `host`, whose own work `workshop` does. Connections to
    /// others belong to `tasks`.
    #[must_use]
    pub fn new(
        host: Arc<str>,
        peers: Peers,
        workshop: Arc<Workshop>,
        programme: watch::Receiver<Arc<Programme>>,
        roster: watch::Receiver<Option<Roster>>,
        casts: Desk,
        tasks: &Tasks,
    ) -> Self {
        let hops = Hops::new(&host, peers, tasks);
        Self { host, workshop, programme, roster, casts, balance: Balance::default(), hops }
    }

    /// The tasks that this host knows, by name.
    #[must_use]
    pub fn tasks(&self) -> Vec<Arc<Action>> {
        self.programme.borrow().tasks().cloned().collect()
    }

    /// Where casts are.
    #[must_use]
    pub fn casts(&self) -> &Desk {
        &self.casts
    }

    /// The task that is called `name`.
    ///
    /// # Errors
    /// There is none, or it is refused.
    pub fn task(&self, name: &str) -> Result<Arc<Action>, CallError> {
        let programme = self.programme.borrow();
        programme.tasks().find(|action| &**action.name() == name).cloned().ok_or_else(|| {
            let name = name.to_owned();
            if let Some(reason) = programme.refusal(&name) {
                return CallError::Unusable { reason: reason.to_owned(), name };
            }
            let known = programme.tasks().map(|action| action.name().to_string()).collect();
            CallError::Unknown { name, known }
        })
    }

    /// The hosts that take calls of `action` now, by name.
    #[must_use]
    pub fn hosts(&self, action: &Action) -> BTreeSet<Arc<str>> {
        self.workers(action).into_iter().map(|worker| worker.name).collect()
    }
}

#[async_trait]
impl Calls for Dispatcher {
    async fn call(&self, order: Order) -> Result<Done, CallError> {
        let action = self.task(&order.name)?;
        if order.content_type.as_deref().is_some_and(|form| !is_content_type(form)) {
            let text = format!("its content type is none: {CONTENT_TYPE_MAX} bytes of plain ASCII");
            return Err(CallError::Refused { host: Arc::clone(&self.host), text });
        }
        let longest = action.config().task.timeout;
        let within = order.within.map_or(longest, |within| within.min(longest));
        let deadline = Instant::now() + within;
        let done = timeout_at(deadline, self.see_to(&action, order, deadline)).await;
        let done = match done {
            // By whichever clock: all of its time is over.
            Err(_) | Ok(Err(CallError::Late { .. })) => Err(CallError::Late { within }),
            Ok(done) => done,
        };
        let outcome = done.as_ref().map_or_else(CallError::as_str, |_| "done");
        measure::task_called(action.name(), outcome);
        done
    }

    async fn cast(
        &self,
        task: &str,
        payload: Bytes,
        content_type: Option<String>,
    ) -> Result<Arc<str>, CastFault> {
        let cast = self.casts.cast(task, payload, content_type).await;
        cast.map(|key| key.id).map_err(|fault| match fault.kind {
            Trouble::Missing => CastFault::Unknown(fault.error),
            Trouble::Bad | Trouble::TooLong => CastFault::Refused(fault.error),
            Trouble::Full => CastFault::Full,
            Trouble::Refused => CastFault::Shut(fault.error),
            Trouble::Unavailable => CastFault::Doubtful(fault.error),
        })
    }
}

impl Dispatcher {
    async fn see_to(
        &self,
        action: &Action,
        order: Order,
        deadline: Instant,
    ) -> Result<Done, CallError> {
        let Order { payload, content_type, attempts, trace, account, .. } = order;
        let (name, id) = (Arc::clone(action.name()), fresh_id().into());
        let mut call = Call { id, name, payload, content_type, attempt: 1, trace: trace.clone() };
        // Who was asked in this round, and what came of it.
        let (mut asked, mut again, mut last) = (BTreeSet::new(), false, None);
        let mut pause = ROUND;
        loop {
            let workers = self.workers(action);
            let names: Vec<_> = (workers.iter().map(|worker| Arc::clone(&worker.name)))
                .filter(|name| !asked.contains(name))
                .collect();
            let Some(flight) = self.balance.pick(&names, |below| fastrand::usize(..below)) else {
                if !again {
                    return Err(last.unwrap_or_else(|| self.nobody(action)));
                }
                sleep(pause).await;
                pause = (pause * 2).min(ROUND_MAX);
                (asked, again) = (BTreeSet::new(), false);
                continue;
            };
            let Some(worker) = workers.iter().find(|worker| worker.name == *flight.host()) else {
                continue;
            };
            let mut span = span(&trace, &call, flight.host());
            call.trace = span.context().cloned();
            let said = self.ask(worker, action, &call, deadline, &account).await;
            said.tell(&mut span);
            let next = self.judge(action, said, &flight, &call, attempts);
            asked.insert(Arc::clone(flight.host()));
            match next {
                Next::Over(Ok(answer)) => {
                    let (host, Answer { payload, content_type }) = (worker.name.clone(), answer);
                    let Call { id, attempt, .. } = call;
                    return Ok(Done { id, host, attempt, payload, content_type });
                }
                Next::Over(Err(error)) => return Err(error),
                Next::Elsewhere(error) => last = Some(error),
                Next::Again(error) => {
                    call.attempt += 1;
                    (again, last) = (true, Some(error));
                }
            }
        }
    }

    async fn ask(
        &self,
        worker: &Worker,
        action: &Action,
        call: &Call,
        by: Instant,
        account: &Account,
    ) -> Hopped {
        let within = by.saturating_duration_since(Instant::now());
        match &worker.url {
            None => match self.workshop.perform(call, within).await {
                Ok(answer) => hold(answer, account),
                error => Hopped::Said(error),
            },
            Some(url) => {
                let most = usize::try_from(action.config().limits.body).unwrap_or(usize::MAX);
                self.hops.send(url, call, within, most, account).await
            }
        }
    }

    /// What follows from what a host said to a call.
    fn judge(
        &self,
        action: &Action,
        said: Hopped,
        flight: &Flight,
        call: &Call,
        attempts: u32,
    ) -> Next {
        let (host, attempt) = (Arc::clone(flight.host()), call.attempt);
        match said {
            Hopped::Said(Ok(answer)) => Next::Over(Ok(answer)),
            Hopped::Said(Err(TaskError::Refused(text))) => {
                Next::Over(Err(CallError::Refused { host, text }))
            }
            Hopped::Said(Err(TaskError::Failed(text))) => {
                let error = CallError::Failed { host, attempt, text };
                if attempt < attempts { Next::Again(error) } else { Next::Over(Err(error)) }
            }
            Hopped::Said(Err(TaskError::Late(within))) => {
                Next::Over(Err(CallError::Late { within }))
            }
            Hopped::Said(Err(TaskError::Busy)) => {
                Next::Elsewhere(CallError::Busy { hosts: list(&self.hosts(action)) })
            }
            Hopped::Said(Err(error @ TaskError::Leaving)) => {
                Next::Elsewhere(self.out_of_reach(action, &host, &error.to_string()))
            }
            Hopped::Overdrawn(error) => Next::Over(Err(error.into())),
            Hopped::Unreachable(reason) => {
                self.balance.shun(&host);
                Next::Elsewhere(self.out_of_reach(action, &host, &reason))
            }
            Hopped::Lost(reason) => {
                self.balance.shun(&host);
                let (task, error) = (&action.config().task, CallError::Lost { host, reason });
                // It may be the call that ends its hosts.
                if task.idempotent && attempt < task.max_attempts {
                    Next::Again(error)
                } else {
                    Next::Over(Err(error))
                }
            }
        }
    }

    /// Who may do calls of `action` now: this host, and those that say so in the store.
    fn workers(&self, action: &Action) -> Vec<Worker> {
        let (name, roster) = (action.name(), self.roster.borrow());
        let own = self.workshop.offers().borrow().contains(name);
        let own = own.then(|| Worker { name: Arc::clone(&self.host), url: None });
        let members = roster.iter().flat_map(|roster| &roster.members);
        let others =
            members.filter(|(_, member)| *member.name != *self.host && member.tasks.contains(name));
        let others = others.map(|(_, member)| Worker {
            name: member.name.as_str().into(),
            url: Some(member.url.clone()),
        });
        own.into_iter().chain(others).collect()
    }

    fn nobody(&self, action: &Action) -> CallError {
        let reason = action
            .config()
            .task
            .on
            .as_ref()
            .map(|label| format!("it asks for hosts with {}={}", label.name, label.value));
        CallError::Nobody { name: Arc::clone(action.name()), reason }
    }

    fn out_of_reach(&self, action: &Action, host: &str, reason: &str) -> CallError {
        let name = Arc::clone(action.name());
        CallError::Nobody { name, reason: Some(format!("{host}: {reason}")) }
    }
}

fn hold(answer: Answer, account: &Account) -> Hopped {
    match account.hold(answer.payload) {
        Ok(payload) => Hopped::Said(Ok(Answer { payload, ..answer })),
        Err(error) => Hopped::Overdrawn(error),
    }
}

/// The span of one attempt at one host.
fn span(parent: &Option<TraceContext>, call: &Call, host: &Arc<str>) -> Span {
    Span::begin(Role::Client, parent.clone(), || {
        let about = vec![
            KeyValue::new("soloist.task", Arc::clone(&call.name)),
            KeyValue::new("soloist.call", Arc::clone(&call.id)),
            KeyValue::new("soloist.attempt", i64::from(call.attempt)),
            KeyValue::new("soloist.worker", Arc::clone(host)),
        ];
        (format!("call {}", call.name).into(), about)
    })
}

fn list(names: &BTreeSet<Arc<str>>) -> String {
    names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ")
}
