//! One call, attempt by attempt: on which host each is made, and what follows from its outcome.
//!
//! Attempts come in rounds. In one round each host is asked once at most. A new round begins, after
//! a pause that doubles, only if an attempt of this one may be repeated.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    call_router::{CallRouter, CallTarget, busy_error, no_host_error, unreachable_error},
    client::CallOutcome,
    load_balancer::InFlightCall,
};
use crate::{
    action::{Action, TaskError},
    cluster::PeerAddress,
};
use soloist_guests::{
    capability::{CallError, TaskReply, TaskRequest},
    plugin::{TaskCall, TaskOutput},
};
use soloist_resources::budget::Account;
use soloist_stores::fresh_id;
use soloist_trace::{KeyValue, SpanRole, TraceContext, TraceSpan};

/// The pause before the second round; it doubles with each round.
const ROUND: Duration = Duration::from_millis(50);
const ROUND_MAX: Duration = Duration::from_secs(2);

/// A call under way.
pub(super) struct CallLoop<'a> {
    router: &'a CallRouter,
    action: &'a Action,
    call: TaskCall,
    /// How many attempts the caller allows if the task fails.
    max_attempts: u32,
    deadline: Instant,
    /// What the answer is charged to.
    account: Account,
    /// The caller's trace, if it has one.
    trace: Option<TraceContext>,
    round: Round,
}

/// The hosts that were asked in this round, and how it went.
#[derive(Default)]
struct Round {
    asked: BTreeSet<Arc<str>>,
    /// Whether another round follows when all hosts were asked.
    retry: bool,
}

/// What follows from the outcome of an attempt.
enum CallStep {
    /// The call is over.
    Finished(Result<TaskOutput, CallError>),
    /// Another host is asked; the error counts if there is none.
    OtherHost(CallError),
    /// Another attempt is made, by another host first.
    Retry(CallError),
}

impl<'a> CallLoop<'a> {
    pub(super) fn new(
        router: &'a CallRouter,
        action: &'a Action,
        request: TaskRequest,
        deadline: Instant,
    ) -> Self {
        let TaskRequest { payload, content_type, attempts, trace, account, .. } = request;
        let (name, id) = (Arc::clone(action.name()), fresh_id().into());
        let call = TaskCall { id, name, payload, content_type, attempt: 1, trace: trace.clone() };
        let (max_attempts, round) = (attempts, Round::default());
        Self { router, action, call, max_attempts, deadline, account, trace, round }
    }

    /// Makes attempts until there is an answer or none is allowed any more. The caller ends it at
    /// the deadline.
    pub(super) async fn run(mut self) -> Result<TaskReply, CallError> {
        let (mut pause, mut last_error) = (ROUND, None);
        loop {
            let targets = self.router.targets(self.action);
            let Some(in_flight) = self.pick(&targets) else {
                if !self.round.retry {
                    return Err(last_error.unwrap_or_else(|| no_host_error(self.action)));
                }
                sleep(pause).await;
                pause = (pause * 2).min(ROUND_MAX);
                self.round = Round::default();
                continue;
            };
            let host = in_flight.host();
            let Some(target) = targets.iter().find(|target| target.name == *host) else { continue };
            let outcome = self.attempt(target).await;
            self.round.asked.insert(Arc::clone(host));
            match self.next_step(outcome, &in_flight) {
                CallStep::Finished(Ok(output)) => {
                    let TaskOutput { payload, content_type } = output;
                    let (host, TaskCall { id, attempt, .. }) = (Arc::clone(host), self.call);
                    return Ok(TaskReply { id, host, attempt, payload, content_type });
                }
                CallStep::Finished(Err(error)) => return Err(error),
                CallStep::OtherHost(error) => last_error = Some(error),
                CallStep::Retry(error) => {
                    self.call.attempt += 1;
                    (self.round.retry, last_error) = (true, Some(error));
                }
            }
        }
    }

    /// Picks one of `targets` that was not asked in this round.
    fn pick(&self, targets: &[CallTarget]) -> Option<InFlightCall> {
        let names = targets.iter().map(|target| Arc::clone(&target.name));
        let names: Vec<_> = names.filter(|name| !self.round.asked.contains(name)).collect();
        self.router.balancer.pick(&names, |below| fastrand::usize(..below))
    }

    /// Makes one attempt at one host.
    async fn attempt(&mut self, target: &CallTarget) -> CallOutcome {
        let mut span = self.span(&target.name);
        self.call.trace = span.context().cloned();
        let within = self.deadline.saturating_duration_since(Instant::now());
        let (router, call) = (self.router, &self.call);
        let outcome = match &target.url {
            None => match router.pools.perform(call, within).await {
                Ok(output) => charge_answer(output, &self.account),
                error => CallOutcome::Answered(error),
            },
            Some(url) => {
                let limit = self.action.config().limits.max_body_size;
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let to = PeerAddress { host: &target.name, url };
                router.client.send(to, call, within, limit, &self.account).await
            }
        };
        outcome.record_in(&mut span);
        outcome
    }

    /// What follows from the outcome of an attempt.
    fn next_step(&self, outcome: CallOutcome, in_flight: &InFlightCall) -> CallStep {
        let (host, attempt) = (Arc::clone(in_flight.host()), self.call.attempt);
        let (router, action) = (self.router, self.action);
        match outcome {
            CallOutcome::Answered(Ok(output)) => CallStep::Finished(Ok(output)),
            CallOutcome::Answered(Err(TaskError::Refused(text))) => {
                CallStep::Finished(Err(CallError::Refused { host, text }))
            }
            CallOutcome::Answered(Err(TaskError::Failed(text))) => {
                let error = CallError::Failed { host, attempt, text };
                CallStep::retry_if(attempt < self.max_attempts, error)
            }
            CallOutcome::Answered(Err(TaskError::Late(within))) => {
                CallStep::Finished(Err(CallError::Late { within }))
            }
            CallOutcome::Answered(Err(TaskError::Busy)) => {
                CallStep::OtherHost(busy_error(&router.hosts(action)))
            }
            CallOutcome::Answered(Err(error @ TaskError::Leaving)) => {
                CallStep::OtherHost(unreachable_error(action, &host, &error.to_string()))
            }
            CallOutcome::OverBudget(error) => CallStep::Finished(Err(error.into())),
            CallOutcome::Unreachable(reason) => {
                router.balancer.avoid(&host);
                CallStep::OtherHost(unreachable_error(action, &host, &reason))
            }
            CallOutcome::Lost(reason) => {
                router.balancer.avoid(&host);
                let (task, error) = (&action.config().task, CallError::Lost { host, reason });
                // Limited, since the call itself may be what kills its hosts.
                CallStep::retry_if(task.idempotent && attempt < task.max_attempts, error)
            }
        }
    }

    /// The trace span of an attempt at `host`.
    fn span(&self, host: &Arc<str>) -> TraceSpan {
        let call = &self.call;
        TraceSpan::begin(SpanRole::Client, self.trace.clone(), || {
            let about = vec![
                KeyValue::new("soloist.task", Arc::clone(&call.name)),
                KeyValue::new("soloist.call", Arc::clone(&call.id)),
                KeyValue::new("soloist.attempt", i64::from(call.attempt)),
                KeyValue::new("soloist.worker", Arc::clone(host)),
            ];
            (format!("call {}", call.name).into(), about)
        })
    }
}

impl CallStep {
    fn retry_if(may_retry: bool, error: CallError) -> Self {
        if may_retry { Self::Retry(error) } else { Self::Finished(Err(error)) }
    }
}

/// Charges the answer of this host's own guest to the caller.
fn charge_answer(output: TaskOutput, account: &Account) -> CallOutcome {
    match account.hold(output.payload) {
        Ok(payload) => CallOutcome::Answered(Ok(TaskOutput { payload, ..output })),
        Err(error) => CallOutcome::OverBudget(error),
    }
}
