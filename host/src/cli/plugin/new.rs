//! `soloist plugin new`: a project to start from.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::super::{Exit, ExitError, terminal::say};
use crate::scaffold::{Kind, Language, Project, ScaffoldError};

/// Start a plugin: write a small project that builds as it stands
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The plugin's name, and that of its folder
    name: String,
    /// The language
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// What it is to become
    #[arg(long, value_enum, default_value_t = Kind::Http)]
    kind: Kind,
    /// The folder to make the project's folder in
    #[arg(long = "in", value_name = "DIR", default_value = ".")]
    parent: PathBuf,
}

/// Writes the project and says how to build it.
pub(super) fn main(args: &NewArgs) -> Result<ExitCode, ExitError> {
    let project = Project::new(&args.name, args.lang, args.kind)?;
    let folder = args.parent.join(project.name());
    project.write(&folder)?;
    say(&told(args, &project, &folder));
    Ok(Exit::Ok.into())
}

fn told(args: &NewArgs, project: &Project, folder: &Path) -> String {
    // As it is typed: `demo`, not `./demo`.
    let folder = folder.strip_prefix(".").unwrap_or(folder);
    let lines = project.build().into_iter().map(|line| format!("    {line}\n"));
    let settings = project.settings().map_or(String::new(), |settings| {
        let path = folder.join(&settings);
        format!(
            " and {} beside it, as {settings}: without it, it is no {}",
            path.display(),
            args.kind
        )
    });
    format!(
        "made {folder}: a plugin of kind {kind}, in {language}\n\n\
         to build it, with {needs}:\n    cd {folder}\n{build}\n\
         to work on it, building and running it again at each change:\n    \
         cd {folder} && soloist dev\n\n\
         to run it, copy {output} to the plugins folder of a host, as {name}.wasm{settings}\n",
        folder = folder.display(),
        kind = args.kind,
        language = args.lang,
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
