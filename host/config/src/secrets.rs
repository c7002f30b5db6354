//! Secrets: the settings only say where they are kept.
//!
//! Invariant: a [`Secret`] is never printed by accident; its `Debug` output shows only that there
//! is one.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{problem::Problem, small_file};

/// The largest secret, in bytes.
const SECRET_MAX: u64 = 64 << 10;

/// A value that only the plugin may see.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret whose text is already known.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text of the secret.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Reads the secrets that settings refer to.
#[derive(Clone, Debug)]
pub(super) struct SecretReader {
    /// The folder that relative paths start from.
    pub(super) folder: PathBuf,
    /// Whether secrets may be missing: then each one is [`ABSENT`].
    pub(super) allow_missing: bool,
}

/// The placeholder for a secret that nothing will use; long enough to pass the checks.
const ABSENT: &str = "................................................................";

impl SecretReader {
    /// Reads the secret that `text` refers to: `env:NAME` or `file:PATH`.
    pub(super) fn fetch(&self, text: &str) -> Result<Secret, Problem> {
        match text.split_once(':') {
            Some(("env" | "file", _)) if self.allow_missing => Ok(Secret::new(ABSENT)),
            Some(("env", name)) => from_env(name).map_err(Problem::external),
            Some(("file", path)) => {
                from_file(path, &self.folder.join(path)).map_err(Problem::external)
            }
            // This may be the secret itself, so it is not repeated.
            _ => Err(Problem::new(
                "this does not name a source of the secret",
                "write `env:NAME` or `file:PATH`, and keep the secret itself out of this file",
            )),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn from_env(name: &str) -> Result<Secret, Problem> {
    let help = "set it in the environment of `soloist run`, or name another";
    match env::var(name) {
        Ok(secret) => Ok(Secret::new(&secret)),
        Err(env::VarError::NotPresent) => {
            Err(Problem::new(format!("the variable `{name}` is not set"), help))
        }
        Err(env::VarError::NotUnicode(_)) => {
            Err(Problem::new(format!("the variable `{name}` is not UTF-8 text"), help))
        }
    }
}

/// Reads a secret from a file; the final line break does not belong to it.
fn from_file(path: &str, file: &Path) -> Result<Secret, Problem> {
    let refused = |what: String| {
        let help = "name a file that this user can read; a relative path starts from the settings \
                    file's folder";
        Problem::new(format!("cannot read the secret `{path}`: {what}"), help)
    };
    let bytes = small_file::read_up_to(file, SECRET_MAX);
    let bytes = bytes.map_err(|error| refused(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8 text".into()))?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(secret.strip_suffix('\r').unwrap_or(secret)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn fetch(text: &str, folder: &Path) -> Result<Secret, Problem> {
        SecretReader { folder: folder.to_owned(), allow_missing: false }.fetch(text)
    }

    #[test]
    fn one_that_nobody_is_told_need_not_be_there() {
        let reader = SecretReader { folder: PathBuf::new(), allow_missing: true };
        for text in ["file:no/such/key", "env:NO_SUCH_VARIABLE"] {
            assert!(fetch(text, Path::new("")).is_err());
            assert!(reader.fetch(text).is_ok());
        }
        assert!(reader.fetch("s3cret").is_err(), "this says not where it is");
    }

    #[test]
    fn a_file_is_read_without_its_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        for (text, secret) in [("s3cret\n", "s3cret"), ("a\nb\r\n", "a\nb"), ("", "")] {
            fs::write(folder.path().join("key"), text).unwrap();
            assert_eq!(fetch("file:key", folder.path()).unwrap().reveal(), secret);
        }
        fs::write(folder.path().join("key"), vec![b'x'; 70_000]).unwrap();
        let problem = fetch("file:key", folder.path()).unwrap_err();
        assert!(problem.to_string().contains("larger than 64KiB"), "{problem}");
    }

    #[test]
    fn the_environment_is_read_by_name() {
        let folder = Path::new("");
        let path = env::var("PATH").unwrap();
        assert_eq!(fetch("env:PATH", folder).unwrap().reveal(), path);
    }

    #[test]
    fn none_is_shown() {
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "Secret(…)");
        let misplaced = fetch("s3cret", Path::new("")).unwrap_err();
        assert!(!format!("{misplaced} {misplaced:?}").contains("s3cret"));
    }
}
