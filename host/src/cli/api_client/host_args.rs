//! The flags that say which host is asked, and with which credentials.

use std::{env::VarError, path::PathBuf, sync::Arc};

use clap::Args;

use super::client::ApiClient;
use crate::{cli::ExitError, cluster::PeerCredentials};
use soloist_config::{Secret, TlsFiles, small_file};

/// The environment variable that holds the token itself.
const TOKEN: &str = "SOLOIST_TOKEN";

/// The hosts to ask, and the credentials to show them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "The host to ask")]
pub(crate) struct HostArgs {
    /// The control API of a host; several, with commas between them or by repeating this, are
    /// tried in turn until one answers
    #[arg(
        long = "url",
        env = "SOLOIST_URL",
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:4000",
        global = true
    )]
    urls: Vec<String>,
    /// The file with the token to show; SOLOIST_TOKEN may hold the token itself instead
    #[arg(
        long,
        env = "SOLOIST_TOKEN_FILE",
        value_name = "FILE",
        hide_env_values = true,
        global = true
    )]
    token_file: Option<PathBuf>,
    /// The CA certificates (PEM) that sign the host's certificate [default: Mozilla's root store]
    #[arg(long, env = "SOLOIST_CA", value_name = "FILE", hide_env_values = true, global = true)]
    ca: Option<PathBuf>,
    /// The client certificate (PEM) to show
    #[arg(long, env = "SOLOIST_CERT", value_name = "FILE", hide_env_values = true, global = true)]
    cert: Option<PathBuf>,
    /// The private key (PEM) of the client certificate
    // `key` is a key of the state, for the commands that take one.
    #[arg(
        id = "key_file",
        long = "key",
        env = "SOLOIST_KEY",
        value_name = "FILE",
        hide_env_values = true,
        global = true
    )]
    key: Option<PathBuf>,
}

impl HostArgs {
    /// The client for these hosts.
    pub(crate) fn client(&self) -> Result<ApiClient, ExitError> {
        let own = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                Some(Arc::new(TlsFiles { cert: cert.clone(), key: key.clone() }))
            }
            (None, None) => None,
            _ => {
                return Err(ExitError::usage("a certificate and its key go together")
                    .help("give both --cert FILE and --key FILE, or neither"));
            }
        };
        let passport =
            PeerCredentials { ca: self.ca.clone(), certificate: own, token: self.token()? };
        ApiClient::new(self.urls.iter().map(String::as_str), &passport)
    }

    fn token(&self) -> Result<Option<Secret>, ExitError> {
        let Some(file) = &self.token_file else {
            return match std::env::var(TOKEN) {
                Ok(token) => self::token(&token, TOKEN).map(Some),
                Err(VarError::NotPresent) => Ok(None),
                Err(VarError::NotUnicode(_)) => Err(invalid_token(TOKEN)),
            };
        };
        let text = small_file::read_named(file).map_err(|error| {
            ExitError::of_file(format!("cannot read the token in {}", file.display()), &error)
                .help("name a file that this user can read, with a token as `soloist token new` prints it")
        })?;
        token(&text, &file.display().to_string()).map(Some)
    }
}

/// Checks the token in `text`, which comes from `place`.
fn token(text: &str, place: &str) -> Result<Secret, ExitError> {
    let token = text.trim();
    let is_one = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_one { Ok(Secret::new(token)) } else { Err(invalid_token(place)) }
}

/// The content may still be a secret, so it is not repeated.
fn invalid_token(place: &str) -> ExitError {
    ExitError::usage(format!("there is no token in {place}"))
        .help("put one there as `soloist token new` prints it, and nothing else")
}
