//! `soloist plugin bindings`: generates the interfaces and bindings of a project again.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::super::{ExitError, ExitKind};
use crate::scaffold::{self, Language, ProjectKind};

/// Write the interfaces of this version into a project, with bindings for C and Go
///
/// `plugin new` has done so for a new project. This is for one that is older
/// than this version of soloist, or was begun by hand. It replaces `wit/` and
/// `gen/`.
#[derive(Debug, Args)]
pub(super) struct BindingsArgs {
    /// The project
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The language [default: as its dev.toml says]
    #[arg(long, value_enum)]
    lang: Option<Language>,
    /// What the plugin is [default: as its dev.toml says]
    #[arg(long, value_enum)]
    kind: Option<ProjectKind>,
}

/// Writes the files.
pub(super) fn main(args: &BindingsArgs) -> Result<ExitCode, ExitError> {
    scaffold::regenerate(&args.folder, args.lang, args.kind)?;
    Ok(ExitKind::Ok.into())
}
