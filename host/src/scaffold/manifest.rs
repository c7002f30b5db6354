//! `dev.toml`: describes a project to `soloist dev` and `soloist plugin bindings`.

use std::{
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Language, ProjectKind, ScaffoldError};
use soloist_config::small_file;

/// How a project is built, what the build makes, and how the project began.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectManifest {
    /// The command to run once, before the first build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<String>,
    /// The command that builds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The file that the build makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// The language that it is written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<Language>,
    /// The kind that it was created as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ProjectKind>,
}

/// The comment at the top of the file.
const SAYS: &str = "# What `soloist dev` does in this folder: `prepare` once, if there \
                             is such a line, and `build`\n# whenever a file changes that git \
                             keeps. `output` is what the build makes, and what is run.\n# `lang` \
                             and `kind` are used by `soloist plugin bindings`.";

impl ProjectManifest {
    /// The file's name in the project's folder.
    pub const FILE: &str = "dev.toml";

    /// Reads the manifest of the project in `folder`; an empty one if there is no such file.
    ///
    /// # Errors
    /// The file cannot be read or parsed.
    pub fn read(folder: &Path) -> Result<Self, ScaffoldError> {
        let path = folder.join(Self::FILE);
        let read = match small_file::read_named(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            read => read.and_then(|text| toml::from_str(&text).map_err(Error::other)),
        };
        read.map_err(|source| ScaffoldError::Manifest { path, source })
    }

    /// The content of the file.
    pub(super) fn text(&self) -> Result<String, ScaffoldError> {
        let failed = |error| ScaffoldError::Manifest {
            path: Self::FILE.into(),
            source: Error::other(error),
        };
        toml::to_string(self).map(|text| format!("{SAYS}\n{text}")).map_err(failed)
    }
}
