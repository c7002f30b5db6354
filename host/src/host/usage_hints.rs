//! Hints for the start of a single plugin: the command lines that call its tasks and run its jobs.

use tokio::sync::watch;
use tracing::info;

use crate::action::Programme;
use soloist_guests::plugin::Kind;
use soloist_stores::Roster;

/// The command for each kind of action that answers no HTTP requests.
const COMMANDS: [(Kind, &str); 2] = [(Kind::Task, "task call"), (Kind::Job, "job run")];

/// Logs for each task and job of `programme` the command line that runs it by the host at `url`.
/// Waits until that would work: until the store shows that `host` takes calls of its tasks.
pub(super) async fn log_usage_hints(
    programme: &Programme,
    host: &str,
    url: &str,
    mut roster: watch::Receiver<Option<Roster>>,
) {
    let takes = |roster: &Option<Roster>| {
        let member = roster.as_ref().and_then(|roster| roster.member(host));
        let known = |task: &str| member.is_some_and(|member| member.tasks.contains(task));
        member.is_some() && programme.tasks().all(|action| known(action.name()))
    };
    if roster.wait_for(takes).await.is_err() {
        // The host is stopping.
        return;
    }
    for action in &programme.actions {
        let name = action.name();
        for (kind, command) in COMMANDS.iter().filter(|(kind, _)| action.kinds().has(*kind)) {
            info!(
                target: "soloist::api", event = "asking",
                "to run the {kind} {name}: soloist {command} {name} --url {url}"
            );
        }
    }
}
