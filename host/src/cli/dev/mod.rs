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

/// Build and run a plugin, again at each change of its files
///
/// The project's `dev.toml`, which `soloist plugin new` writes, says how it is built; a cargo
/// project needs none. The plugin runs as with `soloist plugin run`, with the settings of its
/// NAME.toml. Files that git ignores are not watched.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist dev
  soloist dev hello -- --state --listen 127.0.0.1:8080
  soloist dev --build make --output hello.wasm")]
pub(super) struct DevArgs {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The shell command that builds it [default: `build` in dev.toml]
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// The file that the build makes, relative to the project [default: `output` in dev.toml]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Flags for `soloist plugin run`
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
                if runner.runs() { "the previous build continues, and " } else { "" }
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
