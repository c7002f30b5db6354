//! `soloist plugin bindings`: generates the interfaces and bindings of a project again.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::super::{ExitError, ExitKind};
use crate::scaffold::{self, Language, ProjectKind};

/// Write the interfaces of this version into a project, with bindings for C and Go
///
/// `soloist plugin new` does so for a new project. This is for a project that is older than this
/// version of soloist, or was begun by hand. It replaces `wit/` and `gen/`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist plugin bindings hello
  soloist plugin bindings --lang c --kind task")]
pub(super) struct BindingsArgs {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The language [default: the one in its dev.toml]
    #[arg(long, value_enum)]
    lang: Option<Language>,
    /// The kind of plugin [default: the one in its dev.toml]
    #[arg(long, value_enum)]
    kind: Option<ProjectKind>,
}

/// Writes the files.
pub(super) fn main(args: &BindingsArgs) -> Result<ExitCode, ExitError> {
    scaffold::regenerate(&args.folder, args.lang, args.kind)?;
    Ok(ExitKind::Ok.into())
}
