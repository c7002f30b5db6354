//! What to write instead of commands that people know from other programs.

use std::path::Path;

use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::ExitError;

/// Commands of other programs, and how it is done here.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["start", "up", "serve"], "`soloist run` starts a host"),
    (
        &["stop", "kill", "down", "restart"],
        "`soloist run` starts a host; Ctrl-C or SIGTERM ends it, and hands over first",
    ),
    (
        &["ps", "list", "ls", "top"],
        "`soloist status` shows the cluster, its hosts and their actions",
    ),
    (&["new", "init", "create"], "`soloist plugin new NAME` starts a plugin"),
];

/// The error to show instead of clap's, if what was probably meant is known.
pub(super) fn tip(error: &Error) -> Option<ExitError> {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand)?;
            let (_, help) = ELSEWHERE.iter().find(|(words, _)| words.contains(&word))?;
            // `soloist plugin list` is another matter.
            let command = usage(error).split(' ').nth(1).map(ToOwned::to_owned)?;
            let unknown = || ExitError::usage(format!("there is no command `{word}`")).help(help);
            command.starts_with(['[', '<']).then(unknown)
        }
        ErrorKind::UnknownArgument => {
            let word = text(error, ContextKind::InvalidArg)?;
            let is_plugin = Path::new(word).extension().is_some_and(|end| end == "wasm");
            let runs_host = usage(error).starts_with("soloist run");
            let help = format!("to run one plugin: `soloist plugin run {word}`");
            (is_plugin && runs_host).then(|| {
                ExitError::usage("`soloist run` runs a host, with the plugins of a folder")
                    .help(help)
            })
        }
        _ => None,
    }
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// The usage of the command that the error is about, without its heading.
fn usage(error: &Error) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    usage.trim_start_matches("Usage:").trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn told(line: &[&str]) -> Option<String> {
        let error = Cli::try_parse_from(line).err()?;
        tip(&error).map(|tip| tip.to_string())
    }

    #[test]
    fn what_other_programs_call_otherwise_is_named() {
        for (line, part) in [
            (&["soloist", "stop"][..], "Ctrl-C or SIGTERM"),
            (&["soloist", "start"], "`soloist run` starts a host"),
            (&["soloist", "ps"], "soloist status"),
            (&["soloist", "list"], "soloist status"),
            (&["soloist", "run", "hello.wasm"], "`soloist plugin run hello.wasm`"),
        ] {
            let told = told(line).unwrap_or_default();
            assert!(told.contains(part), "{line:?}: {told}");
        }
        for line in [&["soloist", "frobnicate"][..], &["soloist", "plugin", "stop"]] {
            assert_eq!(told(line), None, "{line:?}");
        }
    }
}
