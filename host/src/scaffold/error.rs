//! Why a project was not written, and what to do about it.

use std::{io, path::PathBuf};

use super::Template;

/// A project could not be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the message says")]
pub enum ScaffoldError {
    /// The name is not valid as the name of a file, a package and an action.
    #[error(
        "`{name}` is not a valid name for a plugin: lower-case letters, digits and single `-` \
         between them, a letter first, 40 at most; `{better}` would do"
    )]
    Name { name: String, better: String },
    /// The name is a keyword of the language.
    #[error("`{name}` is a word of Rust, which cargo does not take for a package: try `my-{name}`")]
    Word { name: String },
    /// The language or kind differs from that of the template.
    #[error(
        "the template `{template}` is of kind `{kind}`, in Rust: leave out --lang and --kind, or write `--kind {kind}`; without --template every kind goes with every language",
        kind = .template.kind()
    )]
    Template { template: Template },
    /// The folder is not empty.
    #[error("the folder {} is not empty: choose another name, or remove it", folder.display())]
    NotEmpty { folder: PathBuf },
    /// There is something at the path that is not a folder.
    #[error("{} is there already, and is not a folder: choose another name, or remove it", path.display())]
    NotAFolder { path: PathBuf },
    /// A file could not be written.
    #[error("cannot write {}: choose a folder that this user may write to", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A file that describes the project could not be read.
    #[error("cannot read {}: name the folder of a Go module", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// `dev.toml` could not be parsed.
    #[error("cannot read {}: correct it as follows, or remove it", path.display())]
    Manifest { path: PathBuf, source: io::Error },
    /// Neither flags nor `dev.toml` say what the bindings are for.
    #[error(
        "nothing says what language {} is written in, and of what kind it is: give --lang and --kind, or write `lang` and `kind` into its dev.toml",
        folder.display()
    )]
    Unknown { folder: PathBuf },
    /// go.mod does not name the module.
    #[error("{} names no module: begin it with a line like `module example.com/web`", path.display())]
    NoModule { path: PathBuf },
    /// The generator of the bindings failed.
    #[error(
        "cannot generate the bindings for {language}: that is a fault of soloist, please report it"
    )]
    Bindings { language: String, source: Box<dyn std::error::Error + Send + Sync> },
}
