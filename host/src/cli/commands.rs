//! `soloist resign`, `pause`, `resume`, `drain`, `undrain`, `remove` and `admit`: commands to a
//! cluster.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde::Serialize;

use super::{
    ExitError,
    api_client::HostArgs,
    terminal::{sanitize, say},
};
use crate::cluster::{CommandAnswer, DrainOrder, PauseOrder, RemoveOrder, ResignOrder};

/// How long a command may take: a drain, followed by a take-over.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whom to ask, and what to say of oneself.
#[derive(Debug, Args)]
struct CommandArgs {
    #[command(flatten)]
    host: HostArgs,
    /// Why; it stands in the log and in the status
    #[arg(long, default_value = "")]
    reason: String,
    /// Who wants it (default: who is logged in here, as in `ada@desk`)
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
}

impl CommandArgs {
    /// The host to ask, the person who gives the command, and the reason.
    fn into_parts(self) -> (HostArgs, String, String) {
        (self.host, self.by.unwrap_or_else(whoami), self.reason)
    }
}

/// Hand the leadership of a group over, and wait until another host leads
#[derive(Debug, Args)]
pub(super) struct ResignArgs {
    /// The group
    #[arg(long, default_value = "main")]
    group: String,
    /// The host that is to lead [default: the next in line]
    #[arg(long, value_name = "HOST")]
    to: Option<String>,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Let no leadership change by preference, as for maintenance
///
/// Who dies is still replaced, unless --freeze is given.
#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// The group [default: all of them]
    #[arg(long)]
    group: Option<String>,
    /// Do not replace a leader that dies, either
    #[arg(long)]
    freeze: bool,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Take a pause back
#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// The group [default: the pause of all of them]
    #[arg(long)]
    group: Option<String>,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Have a host give everything up and stay out until it is undrained
#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// The host [default: the one that is asked]
    host: Option<String>,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Let a drained host stand for election again
#[derive(Debug, Args)]
pub(super) struct UndrainArgs {
    /// The host [default: the one that is asked]
    host: Option<String>,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Take a host out of the list of those that are known
#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The host
    host: String,
    /// Make it give everything up and leave if it is alive, and keep it out until it is admitted
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Let a host join again that was removed by force
#[derive(Debug, Args)]
pub(super) struct AdmitArgs {
    /// The host
    host: String,
    #[command(flatten)]
    asking: CommandArgs,
}

pub(super) async fn resign(args: ResignArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    let order =
        ResignOrder { group: Some(args.group), to: args.to, fencing_token: None, by, reason };
    tell(&to, "resign", &order).await
}

pub(super) async fn pause(args: PauseArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    let order = PauseOrder { group: args.group, freeze: args.freeze, by, reason };
    tell(&to, "pause", &order).await
}

pub(super) async fn resume(args: ResumeArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    let order = PauseOrder { group: args.group, freeze: false, by, reason };
    tell(&to, "resume", &order).await
}

pub(super) async fn drain(args: DrainArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    tell(&to, "drain", &DrainOrder { host: args.host, by, reason }).await
}

pub(super) async fn undrain(args: UndrainArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    tell(&to, "undrain", &DrainOrder { host: args.host, by, reason }).await
}

pub(super) async fn remove(args: RemoveArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    let order = RemoveOrder { host: args.host, force: args.force, by, reason };
    tell(&to, "remove", &order).await
}

pub(super) async fn admit(args: AdmitArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    tell(&to, "admit", &DrainOrder { host: Some(args.host), by, reason }).await
}

/// Sends a command and prints the result.
async fn tell(to: &HostArgs, command: &str, order: &impl Serialize) -> Result<(), ExitError> {
    let client = to.client()?;
    let question = client.request(Method::POST, &["v1", command]).json_body(order)?;
    let done: CommandAnswer = question.send(PATIENCE).await?.json()?;
    say(&format!("{}\n", sanitize(&done.done)));
    Ok(())
}

/// Formats as in `ada@desk`.
fn whoami() -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{}@{machine}", user(std::env::var("USER").ok()))
}

/// The user of the environment variable, or else of the system.
fn user(variable: Option<String>) -> String {
    let uid = nix::unistd::Uid::current();
    let known = || nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    let named = variable.filter(|name| !name.is_empty()).or_else(known);
    named.unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn who_has_no_name_in_the_environment_is_who_the_system_says() {
        assert_eq!(user(Some("ada".into())), "ada");
        let id = |flags: &str| {
            let said = Command::new("id").arg(flags).output().unwrap();
            (said.status.success(), String::from_utf8(said.stdout).unwrap().trim().to_owned())
        };
        let known = match id("-un") {
            (true, name) => name,
            (false, _) => format!("uid {}", id("-u").1),
        };
        for nobody in [None, Some(String::new())] {
            assert_eq!(user(nobody), known);
        }
    }
}
