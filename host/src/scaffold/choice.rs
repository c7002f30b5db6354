//! The language of a project and the kind of its plugin.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The languages that a project can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust, by cargo alone.
    Rust,
    /// JavaScript, in the engine that componentize-js brings.
    #[value(name = "js", alias = "javascript")]
    #[serde(rename = "js")]
    JavaScript,
    /// Python, in the interpreter that componentize-py brings.
    #[value(alias = "py")]
    Python,
    /// C, by any clang that has WASI's C library; zig has it.
    C,
    /// Go, by its own compiler.
    Go,
}

/// What a project is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ProjectKind {
    /// It answers HTTP requests.
    Http,
    /// It runs for as long as the term lasts.
    Service,
    /// It does one piece of work and ends.
    Job,
    /// Any host runs it when it is called.
    Task,
}

impl ProjectKind {
    pub(super) fn does(self) -> &'static str {
        match self {
            Self::Http => "It answers every request with the term that it runs under.",
            Self::Service => {
                "It works as long as its host leads, and leaves when the term is ending."
            }
            Self::Job => "It does one piece of work and ends.",
            Self::Task => "It answers a call with its text in capital letters.",
        }
    }

    /// Whether it needs a settings file.
    pub(super) fn has_settings(self) -> bool {
        self == Self::Job
    }

    /// What happens once it is in the plugins folder.
    pub(super) fn run(self) -> &'static str {
        match self {
            Self::Http => {
                "The host that leads answers at <http://127.0.0.1:3000/{{name}}>, and at\n<http://127.0.0.1:3000/> as well as long as no other plugin does."
            }
            Self::Service => "The host that leads runs it, and that host's log shows its output.",
            Self::Job => {
                "The host that leads runs it by the `schedule` in `{{name}}.toml`, and whenever\n`soloist job run {{name}}` asks for it."
            }
            Self::Task => "Any host does it when it is called: `soloist task call {{name}} hello`.",
        }
    }
}

impl fmt::Display for ProjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Service => "service",
            Self::Job => "job",
            Self::Task => "task",
        })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
            Self::Go => "Go",
        })
    }
}
