//! One call: which hosts may do it, which one does, and what follows when it does not.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{
    casts::{CastErrorKind, CastService},
    client::{CallOutcome, TaskClient},
    load_balancer::{InFlightCall, LoadBalancer},
};
use crate::{
    action::{Action, Programme, TaskError, TaskPools},
    cluster::PeerClient,
    task_scope::TaskScope,
};
use soloist_guests::{
    capability::{CallError, CastFailure, TaskCaller, TaskReply, TaskRequest},
    plugin::{TaskCall, TaskOutput},
};
use soloist_resources::budget::Account;
use soloist_stores::{CONTENT_TYPE_MAX, Roster, fresh_id, is_content_type};
use soloist_telemetry::measure;
use soloist_trace::{KeyValue, SpanRole, TraceContext, TraceSpan};

/// The pause before every host is asked once more, at first; it doubles each time.
const ROUND: Duration = Duration::from_millis(50);
const ROUND_MAX: Duration = Duration::from_secs(2);

/// Takes calls to the hosts that do them.
pub struct Dispatcher {
    host: Arc<str>,
    pools: Arc<TaskPools>,
    programme: watch::Receiver<Arc<Programme>>,
    roster: watch::Receiver<Option<Roster>>,
    casts: CastService,
    balancer: LoadBalancer,
    client: TaskClient,
}

/// A host that may do a call.
struct CallTarget {
    name: Arc<str>,
    /// Where it answers; nothing for this host itself.
    url: Option<String>,
}

/// What is left to be done about a call.
enum CallStep {
    /// It is over.
    Finished(Result<TaskOutput, CallError>),
    /// Another host is asked.
    OtherHost(CallError),
    /// It is tried once more.
    Retry(CallError),
}

impl Dispatcher {
    /// A dispatcher of `host`, whose own work `workshop` does. Connections to
    /// others belong to `tasks`.
    #[must_use]
    pub fn new(
        host: Arc<str>,
        peers: PeerClient,
        pools: Arc<TaskPools>,
        programme: watch::Receiver<Arc<Programme>>,
        roster: watch::Receiver<Option<Roster>>,
        casts: CastService,
        tasks: &TaskScope,
    ) -> Self {
        let client = TaskClient::new(&host, peers, tasks);
        Self { host, pools, programme, roster, casts, balancer: LoadBalancer::default(), client }
    }

    /// The tasks that this host knows, by name.
    #[must_use]
    pub fn tasks(&self) -> Vec<Arc<Action>> {
        self.programme.borrow().tasks().cloned().collect()
    }

    /// Where casts are.
    #[must_use]
    pub fn casts(&self) -> &CastService {
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
        self.targets(action).into_iter().map(|worker| worker.name).collect()
    }
}

#[async_trait]
impl TaskCaller for Dispatcher {
    async fn call(&self, order: TaskRequest) -> Result<TaskReply, CallError> {
        let action = self.task(&order.name)?;
        if order.content_type.as_deref().is_some_and(|form| !is_content_type(form)) {
            let text = format!("its content type is none: {CONTENT_TYPE_MAX} bytes of plain ASCII");
            return Err(CallError::Refused { host: Arc::clone(&self.host), text });
        }
        let longest = action.config().task.timeout;
        let within = order.within.map_or(longest, |within| within.min(longest));
        let deadline = Instant::now() + within;
        let done = timeout_at(deadline, self.dispatch(&action, order, deadline)).await;
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
    ) -> Result<Arc<str>, CastFailure> {
        let cast = self.casts.cast(task, payload, content_type).await;
        cast.map(|key| key.id).map_err(|fault| match fault.kind {
            CastErrorKind::NotFound => CastFailure::Unknown(fault.error),
            CastErrorKind::Invalid | CastErrorKind::TooLong => CastFailure::Refused(fault.error),
            CastErrorKind::QueueFull => CastFailure::Full,
            CastErrorKind::Refused => CastFailure::Shut(fault.error),
            CastErrorKind::Unavailable => CastFailure::Uncertain(fault.error),
        })
    }
}

impl Dispatcher {
    async fn dispatch(
        &self,
        action: &Action,
        order: TaskRequest,
        deadline: Instant,
    ) -> Result<TaskReply, CallError> {
        let TaskRequest { payload, content_type, attempts, trace, account, .. } = order;
        let (name, id) = (Arc::clone(action.name()), fresh_id().into());
        let mut call =
            TaskCall { id, name, payload, content_type, attempt: 1, trace: trace.clone() };
        // Who was asked in this round, and what came of it.
        let (mut asked, mut again, mut last) = (BTreeSet::new(), false, None);
        let mut pause = ROUND;
        loop {
            let workers = self.targets(action);
            let names: Vec<_> = (workers.iter().map(|worker| Arc::clone(&worker.name)))
                .filter(|name| !asked.contains(name))
                .collect();
            let Some(flight) = self.balancer.pick(&names, |below| fastrand::usize(..below)) else {
                if !again {
                    return Err(last.unwrap_or_else(|| self.no_host_error(action)));
                }
                sleep(pause).await;
                pause = (pause * 2).min(ROUND_MAX);
                (asked, again) = (BTreeSet::new(), false);
                continue;
            };
            let Some(worker) = workers.iter().find(|worker| worker.name == *flight.host()) else {
                continue;
            };
            let mut span = call_span(&trace, &call, flight.host());
            call.trace = span.context().cloned();
            let said = self.call_host(worker, action, &call, deadline, &account).await;
            said.record_in(&mut span);
            let next = self.next_step(action, said, &flight, &call, attempts);
            asked.insert(Arc::clone(flight.host()));
            match next {
                CallStep::Finished(Ok(answer)) => {
                    let (host, TaskOutput { payload, content_type }) =
                        (worker.name.clone(), answer);
                    let TaskCall { id, attempt, .. } = call;
                    return Ok(TaskReply { id, host, attempt, payload, content_type });
                }
                CallStep::Finished(Err(error)) => return Err(error),
                CallStep::OtherHost(error) => last = Some(error),
                CallStep::Retry(error) => {
                    call.attempt += 1;
                    (again, last) = (true, Some(error));
                }
            }
        }
    }

    async fn call_host(
        &self,
        worker: &CallTarget,
        action: &Action,
        call: &TaskCall,
        by: Instant,
        account: &Account,
    ) -> CallOutcome {
        let within = by.saturating_duration_since(Instant::now());
        match &worker.url {
            None => match self.pools.perform(call, within).await {
                Ok(answer) => charge_answer(answer, account),
                error => CallOutcome::Answered(error),
            },
            Some(url) => {
                let most = usize::try_from(action.config().limits.body).unwrap_or(usize::MAX);
                self.client.send(url, call, within, most, account).await
            }
        }
    }

    /// What follows from what a host said to a call.
    fn next_step(
        &self,
        action: &Action,
        said: CallOutcome,
        flight: &InFlightCall,
        call: &TaskCall,
        attempts: u32,
    ) -> CallStep {
        let (host, attempt) = (Arc::clone(flight.host()), call.attempt);
        match said {
            CallOutcome::Answered(Ok(answer)) => CallStep::Finished(Ok(answer)),
            CallOutcome::Answered(Err(TaskError::Refused(text))) => {
                CallStep::Finished(Err(CallError::Refused { host, text }))
            }
            CallOutcome::Answered(Err(TaskError::Failed(text))) => {
                let error = CallError::Failed { host, attempt, text };
                if attempt < attempts {
                    CallStep::Retry(error)
                } else {
                    CallStep::Finished(Err(error))
                }
            }
            CallOutcome::Answered(Err(TaskError::Late(within))) => {
                CallStep::Finished(Err(CallError::Late { within }))
            }
            CallOutcome::Answered(Err(TaskError::Busy)) => {
                CallStep::OtherHost(CallError::Busy { hosts: join_names(&self.hosts(action)) })
            }
            CallOutcome::Answered(Err(error @ TaskError::Leaving)) => {
                CallStep::OtherHost(self.unreachable_error(action, &host, &error.to_string()))
            }
            CallOutcome::OverBudget(error) => CallStep::Finished(Err(error.into())),
            CallOutcome::Unreachable(reason) => {
                self.balancer.avoid(&host);
                CallStep::OtherHost(self.unreachable_error(action, &host, &reason))
            }
            CallOutcome::Lost(reason) => {
                self.balancer.avoid(&host);
                let (task, error) = (&action.config().task, CallError::Lost { host, reason });
                // It may be the call that ends its hosts.
                if task.idempotent && attempt < task.max_attempts {
                    CallStep::Retry(error)
                } else {
                    CallStep::Finished(Err(error))
                }
            }
        }
    }

    /// Who may do calls of `action` now: this host, and those that say so in the store.
    fn targets(&self, action: &Action) -> Vec<CallTarget> {
        let (name, roster) = (action.name(), self.roster.borrow());
        let own = self.pools.offers().borrow().contains(name);
        let own = own.then(|| CallTarget { name: Arc::clone(&self.host), url: None });
        let members = roster.iter().flat_map(|roster| &roster.members);
        let others =
            members.filter(|(_, member)| *member.name != *self.host && member.tasks.contains(name));
        let others = others.map(|(_, member)| CallTarget {
            name: member.name.as_str().into(),
            url: Some(member.url.clone()),
        });
        own.into_iter().chain(others).collect()
    }

    fn no_host_error(&self, action: &Action) -> CallError {
        let reason = action
            .config()
            .task
            .on
            .as_ref()
            .map(|label| format!("it asks for hosts with {}={}", label.name, label.value));
        CallError::Nobody { name: Arc::clone(action.name()), reason }
    }

    fn unreachable_error(&self, action: &Action, host: &str, reason: &str) -> CallError {
        let name = Arc::clone(action.name());
        CallError::Nobody { name, reason: Some(format!("{host}: {reason}")) }
    }
}

fn charge_answer(answer: TaskOutput, account: &Account) -> CallOutcome {
    match account.hold(answer.payload) {
        Ok(payload) => CallOutcome::Answered(Ok(TaskOutput { payload, ..answer })),
        Err(error) => CallOutcome::OverBudget(error),
    }
}

/// The span of one attempt at one host.
fn call_span(parent: &Option<TraceContext>, call: &TaskCall, host: &Arc<str>) -> TraceSpan {
    TraceSpan::begin(SpanRole::Client, parent.clone(), || {
        let about = vec![
            KeyValue::new("soloist.task", Arc::clone(&call.name)),
            KeyValue::new("soloist.call", Arc::clone(&call.id)),
            KeyValue::new("soloist.attempt", i64::from(call.attempt)),
            KeyValue::new("soloist.worker", Arc::clone(host)),
        ];
        (format!("call {}", call.name).into(), about)
    })
}

fn join_names(names: &BTreeSet<Arc<str>>) -> String {
    names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ")
}
