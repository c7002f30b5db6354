//! `soloist token`: makes tokens for the control API.
//!
//! Invariant: a token is shown once, to the person who makes it; hosts only keep its hash.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use rustls::crypto::ring;
use sha2::{Digest, Sha256};

use super::{
    ExitError,
    terminal::{remark, say},
};
use soloist_config::{ApiRole, TOKEN_PREFIX, check_name};
use soloist_text::hex;

/// The number of random bytes; this many cannot be guessed.
const BYTES: usize = 32;

/// Make tokens for the control API
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist token new ada --role operate")]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    New(TokenNewArgs),
}

/// Make a token, and print it together with its line for the settings
///
/// On a terminal the token is shown, this once, and the line for the settings. With --file the
/// token is written there, and the line goes to stdout. Hosts keep only the hash of a token.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist token new ada --role operate
  soloist token new grafana --role read --file grafana.token")]
struct TokenNewArgs {
    /// The name of the person or program that gets it
    name: String,
    /// What it permits: `read` to look at everything, `operate` to change everything as well
    #[arg(long, value_name = "ROLE")]
    role: ApiRole,
    /// Write the token into a new file that only this user can read, and only the line to stdout;
    /// required where stdout is no terminal
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn main(args: TokenArgs) -> Result<std::process::ExitCode, ExitError> {
    let TokenCommand::New(TokenNewArgs { name, role, file }) = args.command;
    check_name(&name).map_err(ExitError::usage)?;
    if file.is_none() && !io::stdout().is_terminal() {
        return Err(ExitError::usage("stdout is no terminal, so the token itself would end there")
            .help("add `--file FILE`: it keeps the token, and the line for the settings goes to stdout"));
    }
    let token = random()?;
    let line = line(&name, role, &token);
    let place = "under [api.tokens] of the settings of every host, or in its `tokens_file`:";
    match &file {
        // The token is in the file, so only the line for the settings is left to print.
        Some(file) => {
            keep(file, &token)?;
            remark(place);
            say(&format!("{line}\n"));
        }
        None => {
            say(&format!("{token}\n"));
            remark(place);
            remark(&line);
        }
    }
    Ok(super::ExitKind::Ok.into())
}

/// A new token, of characters that are safe in headers, URLs and shells.
fn random() -> Result<String, ExitError> {
    let mut bytes = [0; BYTES];
    ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| ExitError::broken("the system has no random numbers").help("try again"))?;
    Ok(format!("{TOKEN_PREFIX}{}", hex(&bytes)))
}

/// The line for the settings.
fn line(name: &str, role: ApiRole, token: &str) -> String {
    let hash = hex(Sha256::digest(token).as_slice());
    // An unquoted dot would create a nested table.
    let key = if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() };
    format!("{key} = {{ role = \"{role}\", sha256 = \"{hash}\" }}")
}

fn keep(file: &Path, token: &str) -> Result<(), ExitError> {
    let mut new = OpenOptions::new();
    let opened = new.write(true).create_new(true).mode(0o600).open(file);
    opened.and_then(|mut opened| writeln!(opened, "{token}")).map_err(|error| {
        ExitError::usage(format!("cannot write {}", file.display()))
            .caused_by(&error)
            .help("name a file that is not there yet, in a folder that this user can write to")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_config::read_tokens;

    #[test]
    fn a_line_is_what_the_settings_take() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.toml");
        let lines = ["ops", "ci.main"].map(|name| line(name, ApiRole::Operate, "t0"));
        std::fs::write(&file, lines.join("\n")).unwrap();
        let tokens = read_tokens(&file).unwrap();
        let names: Vec<_> = tokens.iter().map(|token| &*token.name).collect();
        assert_eq!(names, ["ci.main", "ops"]);
        for token in &tokens {
            assert_eq!((token.role, token.sha256), (ApiRole::Operate, Sha256::digest("t0").into()));
        }
    }

    #[test]
    fn no_two_are_the_same_and_none_can_be_guessed() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.strip_prefix(TOKEN_PREFIX).unwrap().len(), 2 * BYTES);
    }
}
