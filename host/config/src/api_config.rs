//! `[api]`: who may use the control API.
//!
//! Only the hash of a token is stored. Tokens are long and random (`soloist token new`), so a
//! plain SHA-256 is enough: they cannot be guessed.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use super::{
    ConfigError, Secret,
    choice::{Choice, choice},
    problem::{Location, Problem},
    resolver::Resolver,
    settings_file::{ApiTable, LocatedText, SourceFile, TokenTable},
    value,
};

/// The least length of a peer token, in characters: shorter ones could be guessed.
const PEER_TOKEN_MIN: usize = 32;

/// What a client of the control API may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiRole {
    /// May read status, jobs, tasks, state and metrics.
    Read,
    /// May do everything.
    Operate,
}

choice! {
    ApiRole { Read = "read", Operate = "operate" },
    "role",
    "write `read` or `operate`"
}

impl FromStr for ApiRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|problem| problem.one_line())
    }
}

/// A token that opens the control API.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// The name of its owner.
    pub name: Arc<str>,
    /// What it allows.
    pub role: ApiRole,
    /// The SHA-256 of the token.
    pub sha256: [u8; 32],
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({} {})", self.name, self.role)
    }
}

/// Who may use the control API.
#[derive(Clone, Debug, Default)]
pub struct ApiConfig {
    /// The tokens of the settings file.
    pub tokens: Vec<ApiToken>,
    /// A file with further tokens.
    pub tokens_file: Option<PathBuf>,
    /// The token that hosts present to each other.
    pub peer_token: Option<Secret>,
}

impl ApiConfig {
    /// Whether any token is required.
    #[must_use]
    pub fn requires_credentials(&self) -> bool {
        !self.tokens.is_empty() || self.tokens_file.is_some() || self.peer_token.is_some()
    }
}

/// Reads a file of tokens: lines as `soloist token new` prints them.
///
/// # Errors
/// Reports everything that is wrong with the file.
pub fn read_tokens(file: &Path) -> Result<Vec<ApiToken>, ConfigError> {
    let source = SourceFile::open_secret(file.to_owned()).map_err(|error| {
        let what = format!("cannot read `{}`: {error}", file.display());
        Problem::new(what, "name a file of tokens that this user can read")
    })?;
    let mistake = Problem::new(
        "this is no line of a file of tokens",
        "write NAME = { role = \"read\", sha256 = \"…\" }: `soloist token new NAME --role read \
         --file NAME.token` prints that line, and keeps the token itself in NAME.token",
    );
    let table: BTreeMap<LocatedText, TokenTable> = source.parse_secret(mistake)?;
    let mut resolver = Resolver::new(&source);
    let tokens = tokens(&mut resolver, table);
    resolver.finish(tokens)
}

/// The settings of `table`; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: ApiTable) -> Option<ApiConfig> {
    let own = tokens(resolver, table.tokens);
    let tokens_file = table.tokens_file.map(|text| {
        let file = resolver.file(text);
        match read_tokens(&file) {
            Ok(_) => Some(file),
            Err(error) => {
                resolver.report_all(error.into_problems());
                None
            }
        }
    });
    let peer_token = table.peer_token.map(|text| {
        let reader = resolver.secret_reader();
        let setting = resolver.written(Some(text), "");
        let place = setting.place.clone().map(Location::without_text);
        let secret = reader.fetch(&setting.text).and_then(long_enough);
        secret.map_err(|problem| resolver.report(problem.at(place))).ok()
    });
    Some(ApiConfig { tokens: own?, tokens_file: all(tokens_file)?, peer_token: all(peer_token)? })
}

/// Turns "not written" into a valid `None`, and keeps an invalid value as a failure.
fn all<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    written.map_or(Some(None), |value| value.map(Some))
}

fn tokens(
    resolver: &mut Resolver<'_>,
    table: BTreeMap<LocatedText, TokenTable>,
) -> Option<Vec<ApiToken>> {
    let read: Vec<_> = table
        .into_iter()
        .map(|(name, token)| {
            // The line may hold a token by mistake, so it is not shown.
            let unseen = |text| {
                let mut setting = resolver.written(Some(text), "");
                setting.place = setting.place.map(Location::without_text);
                setting
            };
            let (name, role) = (unseen(name), unseen(token.role));
            let sha256 = unseen(token.sha256);
            let name = resolver.read(&name, value::name);
            let role = resolver.read(&role, |text| {
                let unseen = |wrong: Problem| Problem::new("this is no role", wrong.into_parts().1);
                ApiRole::parse(text).map_err(unseen)
            });
            let sha256 = resolver.read(&sha256, value::sha256);
            Some(ApiToken { name: name?.into(), role: role?, sha256: sha256? })
        })
        .collect();
    read.into_iter().collect()
}

fn long_enough(secret: Secret) -> Result<Secret, Problem> {
    let token = secret.reveal();
    if token.len() >= PEER_TOKEN_MIN && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(secret);
    }
    Err(Problem::new(
        format!(
            "this is not a token: it is shorter than {PEER_TOKEN_MIN} characters, or contains characters other than printable ASCII"
        ),
        "create one with `soloist token new hosts --role operate`, and give it to all hosts",
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The log has what is wrong with the file, and many people read it.
    #[test]
    fn no_token_in_the_file_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.toml");
        let right = format!("ops = {{ role = \"read\", sha256 = \"{}\" }}\n", "0".repeat(64));
        for wrong in [
            "s3cret",
            "ada = \"s3cret\"",
            "ada = { role = \"s3cret\", sha256 = \"s3cret\" }",
            "ada = { role = \"read\", s3cret = 1 }",
        ] {
            fs::write(&file, format!("{right}{wrong}\n")).unwrap();
            let error = read_tokens(&file).unwrap_err().to_string();
            assert!(error.contains("tokens.toml:2:"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
