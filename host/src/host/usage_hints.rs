//! How what answers no requests is asked for, in the words of the command line.

use tokio::sync::watch;
use tracing::info;

use crate::action::Programme;
use soloist_guests::plugin::Kind;
use soloist_stores::Roster;

/// The commands that ask for what is of a kind.
const COMMANDS: [(Kind, &str); 2] = [(Kind::Task, "call"), (Kind::Job, "jobs run")];

/// Tells of each task and each job of `programme` which line asks the host at `url` for it, once
/// that line would do: when the cluster knows that `host` takes calls of its tasks.
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
                "{kind} {name} is asked for by: soloist {command} {name} --url {url}"
            );
        }
    }
}
