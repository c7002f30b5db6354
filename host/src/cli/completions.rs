//! `soloist completions` and `soloist man`: files that packages install next to the binary.

use std::{fs, path::PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use super::{ExitError, terminal::hand_out};

/// Print the completions of a shell
///
/// As in `soloist completions bash > /etc/bash_completion.d/soloist`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write those of all commands into a folder
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder, as in /usr/share/man/man1; it is made if it is not there
    folder: Option<PathBuf>,
}

/// Prints the shell completions of the command line `line`.
pub(super) fn completions(args: &CompletionsArgs, mut line: Command) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut line, "soloist", &mut script);
    hand_out(&script);
}

/// Prints the manual page of the command line `line`, or writes the pages of all commands.
pub(super) fn man(args: &ManArgs, line: Command) -> Result<(), ExitError> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(line).render(&mut page);
        rendered.map_err(|error| ExitError::internal("cannot make the manual page", &error))?;
        hand_out(&page);
        return Ok(());
    };
    fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(line, folder)).map_err(
        |error| {
            ExitError::unavailable(format!("cannot write to {}", folder.display()))
                .caused_by(&error)
                .help("name a folder that this user can write to")
        },
    )
}
