//! The report, as Markdown, in the form that `docs/reliability.md` shows.

use std::fmt::Write;
use std::time::Duration;

use soloist_devtools::times::Times;

use super::checker::Verdict;
use super::checker::takeover::KindCost;
use super::clock::{ms, ns};
use super::kind::Kind;

/// How many violations are listed.
const TOLD: usize = 30;

/// The parameters of a run.
pub(super) struct RunSummary {
    pub(super) seeds: Vec<u64>,
    pub(super) lasted: Duration,
    pub(super) ttl: Duration,
    /// The store and its version.
    pub(super) store: String,
    /// The kinds of faults that were left out, and why.
    pub(super) left_out: Vec<(Kind, String)>,
    /// The hosts whose process has ended by itself, once for each time.
    pub(super) ended: Vec<&'static str>,
}

/// Writes the report. Writing to a `String` cannot fail.
pub(super) fn markdown(about: &RunSummary, verdict: &Verdict) -> String {
    let mut page = String::new();
    let faults: usize = verdict.costs.iter().map(|cost| cost.count).sum();
    let _ = writeln!(
        page,
        "Five hosts, {}, leases of {} s; {:.1} minutes, {faults} faults, \
         {} terms; seeds {}.\n",
        about.store,
        about.ttl.as_secs(),
        about.lasted.as_secs_f64() / 60.0,
        verdict.terms,
        about.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    );
    promises(&mut page, verdict);
    costs(&mut page, about.ttl, &verdict.costs);
    for (kind, why) in &about.left_out {
        let _ = writeln!(page, "Left out: {} ({why}).\n", kind.name());
    }
    if !about.ended.is_empty() {
        let _ = writeln!(page, "Processes that ended by themselves: {}.\n", about.ended.join(", "));
    }
    answers(&mut page, verdict);
    violations(&mut page, verdict);
    page
}

fn promises(page: &mut String, verdict: &Verdict) {
    let (sum, most) = verdict.overlap_ms();
    let _ = writeln!(page, "| promise | broken |\n|---|---|");
    let _ = writeln!(
        page,
        "| two hosts never act at once | {} times, {sum:.3} ms in all, {most:.3} ms at most |",
        verdict.overlaps.len()
    );
    let _ = writeln!(
        page,
        "| no answer under an older fencing token after one under a newer | {} times |",
        verdict.stale
    );
    let (observations, failed) = verdict.observations;
    let _ = writeln!(
        page,
        "| no answer by a host that has seen the store go back, before its restart | {} times |\n\
         | hosts say what is wrong, in time | {failed} of {observations} looks |",
        verdict.overdue
    );
    match &verdict.register {
        Some(register) => {
            let _ = writeln!(
                page,
                "| no acknowledged write is lost | {} of {} |\n\
                 | no write counts twice | {} times |\n\
                 | no write under an older fencing token after one under a newer | {} times |",
                register.lost.len(),
                register.acknowledged,
                register.doubled.len(),
                register.stale.len(),
            );
            let _ = writeln!(
                page,
                "\n{} increments were acknowledged, of {} the client does not know. {} times the \
                 store was put back or emptied by the bench, which took {} of them back; since \
                 the last time the register has come to {}.\n",
                register.acknowledged,
                register.uncertain,
                register.rebased,
                register.taken_back,
                register.last
            );
        }
        None => page.push_str("\nThe register was not part of this run.\n\n"),
    }
}

fn costs(page: &mut String, ttl: Duration, costs: &[KindCost]) {
    let _ = writeln!(
        page,
        "Failover: from the fault (where it is a story, from its last step) to the first good \
         answer under a newer fencing token. Silence: the longest time without a good answer. In \
         milliseconds.\n\n\
         | fault | | times | terms ended | failover p50 | p99 | max | bound of p99 | silence p50 | max |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for cost in costs {
        let at = |times: &Times, percent| format!("{:.0}", ms(ns(times.percentile(percent))));
        let take_over = |percent| match cost.ended {
            0 => "–".to_owned(),
            _ => at(&cost.take_overs, percent),
        };
        let limit = cost.kind.bound().limit(ttl);
        let limit = limit.map_or_else(|| "–".to_owned(), |limit| format!("{:.0}", ms(ns(limit))));
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {limit} | {} | {} |",
            cost.kind.name(),
            cost.kind.what(),
            cost.count,
            cost.ended,
            take_over(50),
            take_over(99),
            take_over(100),
            at(&cost.silences, 50),
            at(&cost.silences, 100),
        );
    }
    page.push('\n');
}

fn answers(page: &mut String, verdict: &Verdict) {
    let count = |status| verdict.statuses.get(&status).copied().unwrap_or_default();
    let other: u64 = verdict
        .statuses
        .iter()
        .filter(|(status, _)| ![0, 200, 500, 503].contains(*status))
        .map(|(_, count)| count)
        .sum();
    let _ = writeln!(
        page,
        "Clients got {} good answers, {} times 503, {} times 500, {other} others, {} times none \
         to a request that was sent, and {} times no connection (standbys do not listen).\n",
        count(200),
        count(503),
        count(500),
        count(0),
        verdict.unreached
    );
    if !verdict.causes.is_empty() {
        let causes = verdict.causes.iter().map(|(cause, count)| format!("{cause}: {count}"));
        let list = causes.collect::<Vec<_>>().join("; ");
        let _ = writeln!(page, "Why hosts ended terms, by their logs: {list}.\n");
    }
}

fn violations(page: &mut String, verdict: &Verdict) {
    if verdict.violations.is_empty() {
        return;
    }
    let _ = writeln!(page, "**{} promises broken:**\n", verdict.violations.len());
    for violation in verdict.violations.iter().take(TOLD) {
        let _ = writeln!(page, "- {violation}");
    }
    if verdict.violations.len() > TOLD {
        let _ = writeln!(page, "- and {} more", verdict.violations.len() - TOLD);
    }
}
