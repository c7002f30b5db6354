//! What is measured when somebody asks for the metrics: states, and counters that start at 0.

use super::HostStatusSource;
use crate::{action::Action, tasks::call_queue::ATTEMPT_OUTCOMES};
use soloist_guests::{capability::CallError, plugin::Kind};
use soloist_heart::EndCause;
use soloist_jobs::RunOutcome;
use soloist_leadership::{CandidacyRole, GateShut};
use soloist_telemetry::measure;

impl HostStatusSource {
    /// Sets the metrics that show a present state, and makes those counters whose labels are known
    /// beforehand: an alert about a counter that comes with its first event would miss that event.
    pub(super) fn measure(&self) {
        self.measure_groups();
        measure::instances(self.context.engine.live_instances());
        let programme = self.context.programme.borrow().clone();
        measure::refused_actions(programme.refused.len() + self.refused_strategies.len());
        programme.actions.iter().for_each(|action| start_counters(action));
        for task in self.pools.offers().borrow().iter() {
            measure::task_calls_in_flight(task, self.pools.load(task));
        }
    }

    fn measure_groups(&self) {
        let view = self.current_view();
        let known = self.context.roster_view.current();
        let gaps = self.context.gaps.borrow().clone();
        for (group, here) in &view.groups {
            let leader = self.leader(group, &known, &view);
            let fencing_token = leader.map(|leader| leader.key.fencing_token.0);
            measure::group(group.as_str(), here.role == CandidacyRole::Leader, fencing_token);
            measure::leaderless(group.as_str(), gaps.duration(group));
            measure::start_group(group.as_str(), &EndCause::WORDS);
        }
    }
}

fn start_counters(action: &Action) {
    let (name, kinds) = (action.name(), action.kinds());
    measure::start_action(name, kinds.has(Kind::Service));
    if kinds.has(Kind::Http) {
        measure::start_http(name, &GateShut::WORDS);
    }
    if action.job().is_some() {
        measure::start_job(name, &RunOutcome::ENDS.map(RunOutcome::as_str));
    }
    if kinds.has(Kind::Task) {
        let mut outcomes = vec!["done"];
        outcomes.extend(CallError::WORDS);
        measure::start_task(name, &outcomes, &ATTEMPT_OUTCOMES);
    }
}
