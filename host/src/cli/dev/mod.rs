//! `soloist dev`: builds a plugin, runs it, and does both again at each change.
//!
//! It runs a copy of the plugin, which is replaced atomically, in a separate process of `soloist
//! plugin run --watch`. So a failed build or a half-written file does not disturb what is
//! running.

mod dev_project;
mod dev_runner;
mod project_files;

use std::{convert::Infallible, ffi::OsString, path::PathBuf};

use clap::Args;

use self::{
    dev_project::DevProject,
    dev_runner::DevRunner,
    project_files::{ProjectChange, ProjectFiles},
};
use super::{ExitError, signals::Signals, terminal::remark};

/// Build a plugin and run it, and do so again whenever a file of it changes
///
/// In the folder of a project. How it is built stands in its `dev.toml`, which `soloist plugin
/// new` writes; a project of cargo needs none. It runs as by `soloist plugin run`, with the
/// settings of its NAME.toml; what git ignores is not looked at.
#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The command that builds it, for a shell [default: `build` in dev.toml]
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// The file that the build makes, from the project's folder [default: `output` in dev.toml]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Handed to `soloist plugin run`, as in `-- --state --listen 127.0.0.1:8080`
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<OsString>,
}

/// Builds and runs until Ctrl-C.
pub(super) async fn main(args: DevArgs) -> Result<(), ExitError> {
    let (signal, _second) = Signals::listen(false)?.split();
    let project = DevProject::read(&args.folder, args.build, args.output)?;
    let mut runner = DevRunner::set_up(project.settings(), args.flags)?;
    let result = tokio::select! {
        _ = signal => Ok(()),
        result = work(&project, &mut runner) => result.map(|never| match never {}),
    };
    runner.end().await?;
    result
}

async fn work(project: &DevProject, runner: &mut DevRunner) -> Result<Infallible, ExitError> {
    project.prepare().await?;
    loop {
        // Taken before the build: whatever changes during it triggers another one.
        let mut sources = ProjectFiles::of(project)?;
        if project.build().await? {
            runner.show(&project.output()?)?;
        } else {
            remark(&format!(
                "the build failed: {}the next change is tried",
                if runner.runs() { "what was built before runs on, and " } else { "" }
            ));
        }
        sources.take_made(project)?;
        loop {
            tokio::select! {
                change = sources.changed(project) => match change? {
                    ProjectChange::Sources => break,
                    ProjectChange::Settings => runner.restart().await?,
                },
                end = runner.ended() => {
                    remark(&format!("the plugin's host ended ({end}): the next change starts it again"));
                }
            }
        }
    }
}
