//! `soloist plugin new`: creates a project to start from.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::super::{ExitError, ExitKind, terminal::say};
use crate::scaffold::{Language, Project, ProjectKind, ScaffoldError, Template};

/// Start a plugin: write a small project that builds without changes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist plugin new hello
  soloist plugin new report --lang go --kind job
  soloist plugin new billing --template webhook-receiver --in services")]
pub(super) struct PluginNewArgs {
    /// The name of the plugin and of its folder
    name: String,
    /// The language [default: rust]
    #[arg(long, value_enum)]
    lang: Option<Language>,
    /// The kind of plugin [default: http]
    #[arg(long, value_enum)]
    kind: Option<ProjectKind>,
    /// Start from a complete example, in Rust, with its own kind
    #[arg(long, value_enum)]
    template: Option<Template>,
    /// The folder in which the project's folder is made
    #[arg(long = "in", value_name = "DIR", default_value = ".")]
    parent: PathBuf,
}

/// Writes the project, and says how to build it.
pub(super) fn main(args: &PluginNewArgs) -> Result<ExitCode, ExitError> {
    let project = match args.template {
        Some(template) => Project::of_template(&args.name, template, args.lang, args.kind),
        None => Project::new(
            &args.name,
            args.lang.unwrap_or(Language::Rust),
            args.kind.unwrap_or(ProjectKind::Http),
        ),
    }?;
    let folder = args.parent.join(project.name());
    project.write(&folder)?;
    say(&told(&project, &folder));
    Ok(ExitKind::Ok.into())
}

fn told(project: &Project, folder: &Path) -> String {
    // As people type it: `demo` instead of `./demo`.
    let folder = folder.strip_prefix(".").unwrap_or(folder);
    let lines = project.build().into_iter().map(|line| format!("    {line}\n"));
    let settings = project.settings().map_or(String::new(), |settings| {
        let path = folder.join(&settings);
        let why = if project.kind() == ProjectKind::Job {
            " (without it, it would be a service)"
        } else {
            ""
        };
        format!("{} to the plugins folder of a host, as {settings}{why}; then ", path.display())
    });
    let first = project
        .first()
        .map_or(String::new(), |first| format!("\nfirst: {}\n", first.replace('\n', " ")));
    format!(
        "made {folder}: a plugin of kind {kind}, in {language}\n{first}\n\
         to build it, with {needs}:\n    cd {folder}\n{build}\n\
         to work on it, building and running it again at each change:\n    \
         cd {folder} && soloist dev\n\n\
         to run it, copy {settings}{output} {to}, as {name}.wasm\n",
        to = if settings.is_empty() { "to the plugins folder of a host" } else { "next to it" },
        folder = folder.display(),
        kind = project.kind(),
        language = project.language(),
        needs = project.needs(),
        build = lines.collect::<String>(),
        output = folder.join(project.output()).display(),
        name = project.name(),
    )
}

impl From<ScaffoldError> for ExitError {
    fn from(error: ScaffoldError) -> Self {
        let cause = std::error::Error::source(&error);
        match (&error, cause) {
            (ScaffoldError::Bindings { .. }, Some(cause)) => Self::internal(&error, cause),
            (_, Some(cause)) => Self::usage(&error).caused_by(cause),
            (_, None) => Self::usage(&error),
        }
    }
}
