//! `dev.toml`: what a project says of itself to `soloist dev` and `soloist plugin bindings`.

use std::{
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Kind, Language, ScaffoldError};
use soloist_config::small_file;

/// How a project is built, what that makes, and what was written into it.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectManifest {
    /// What is done once, before the first build.
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
    /// What it was begun as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
}

/// What its file begins with.
const SAYS: &str = "# What `soloist dev` does in this folder: `prepare` once, if there \
                             is such a line, and `build`\n# whenever a file changes that git \
                             keeps. `output` is what the build makes, and what is run.\n# `lang` \
                             and `kind` are what `soloist plugin bindings` goes by.";

impl ProjectManifest {
    /// The name of its file, in the project's folder.
    pub const FILE: &str = "dev.toml";

    /// What the project in `folder` says; nothing, if it has no such file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn read(folder: &Path) -> Result<Self, ScaffoldError> {
        let path = folder.join(Self::FILE);
        let read = match small_file::read_named(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            read => read.and_then(|text| toml::from_str(&text).map_err(Error::other)),
        };
        read.map_err(|source| ScaffoldError::Manifest { path, source })
    }

    /// The text of its file.
    pub(super) fn text(&self) -> Result<String, ScaffoldError> {
        let failed = |error| ScaffoldError::Manifest {
            path: Self::FILE.into(),
            source: Error::other(error),
        };
        toml::to_string(self).map(|text| format!("{SAYS}\n{text}")).map_err(failed)
    }
}
