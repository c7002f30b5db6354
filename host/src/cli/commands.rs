//! `soloist switchover`, `pause`, `resume`, `drain`, `undrain`, `remove` and `admit`: commands to a
//! cluster.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde::Serialize;

use super::{
    ExitError,
    api_client::HostArgs,
    operator::operator,
    terminal::{sanitize, say},
};
use crate::cluster::{CommandAnswer, DrainOrder, PauseOrder, RemoveOrder, SwitchoverOrder};

/// How long a command may take: a drain, followed by a switchover.
const PATIENCE: Duration = Duration::from_secs(120);

/// The host to ask, the person who gives the command, and the reason.
#[derive(Debug, Args)]
struct CommandArgs {
    /// The reason, for the log and the status
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// The person who gives the command [default: the user and the machine, as in ada@desk;
    /// SUDO_USER comes before USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    // Last: its heading would also stand above what follows.
    #[command(flatten)]
    host: HostArgs,
}

impl CommandArgs {
    /// The host to ask, the person who gives the command, and the reason.
    fn into_parts(self) -> (HostArgs, String, String) {
        (self.host, self.by.unwrap_or_else(operator), self.reason)
    }
}

/// Hand the leadership of a group over to another host
///
/// The leader drains and ends its term, and the command returns when the other host leads. With
/// --to the named host becomes the next in line first; a host that cannot lead is refused, and
/// nothing changes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist switchover
  soloist switchover --to c --reason 'new disks in a'
  soloist switchover --group reports")]
pub(super) struct SwitchoverArgs {
    /// The group
    #[arg(long, value_name = "GROUP", default_value = "main")]
    group: String,
    /// The host that is to lead [default: the next in line]
    #[arg(long, value_name = "HOST")]
    to: Option<String>,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Stop all automatic changes of leadership, as for maintenance
///
/// The leader goes on leading. A leader that dies is not replaced before `soloist resume`, unless
/// --keep-failover is given; then only changes by preference stop. A switchover or a drain of the
/// leader is refused meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist pause --reason 'the network is being rebuilt'
  soloist pause --keep-failover --group reports")]
pub(super) struct PauseArgs {
    /// The group [default: all groups]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Stop changes by preference only: a leader that dies is still replaced
    #[arg(long)]
    keep_failover: bool,
    #[command(flatten)]
    asking: CommandArgs,
}

/// End a pause
///
/// A pause of one group and a pause of all groups are ended separately.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist resume
  soloist resume --group reports")]
pub(super) struct ResumeArgs {
    /// The group [default: the pause of all groups]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Make a host hand over all it leads, and keep it from leading
///
/// The host stays in the cluster, and forwards requests; it stands for no election before `soloist
/// undrain`, even if it is started again. The command returns when the host has handed over.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist drain c --reason 'kernel update'
  soloist drain                               the host that is asked")]
pub(super) struct DrainArgs {
    /// The host [default: the one that is asked]
    host: Option<String>,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Let a drained host lead again
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist undrain c")]
pub(super) struct UndrainArgs {
    /// The host [default: the one that is asked]
    host: Option<String>,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Remove a host from the list of known hosts
///
/// A host that is gone is forgotten; if it is started again, it joins again. A host that is alive
/// is refused, unless --force is given: then it hands over, leaves, and cannot join again before
/// `soloist admit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist remove c
  soloist remove c --force --reason 'stolen'")]
pub(super) struct RemoveArgs {
    /// The host
    host: String,
    /// Remove a live host as well, and keep it out until it is admitted
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    asking: CommandArgs,
}

/// Let a host join again that was removed by force
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist admit c")]
pub(super) struct AdmitArgs {
    /// The host
    host: String,
    #[command(flatten)]
    asking: CommandArgs,
}

pub(super) async fn switchover(args: SwitchoverArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    let order =
        SwitchoverOrder { group: Some(args.group), to: args.to, fencing_token: None, by, reason };
    tell(&to, "switchover", &order).await
}

pub(super) async fn pause(args: PauseArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    let order = PauseOrder { group: args.group, keep_failover: args.keep_failover, by, reason };
    tell(&to, "pause", &order).await
}

pub(super) async fn resume(args: ResumeArgs) -> Result<(), ExitError> {
    let (to, by, reason) = args.asking.into_parts();
    let order = PauseOrder { group: args.group, keep_failover: false, by, reason };
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
