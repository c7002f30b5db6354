//! `soloist completions`: scripts by which shells complete commands.

use clap::{Args, Command};
use clap_complete::Shell;

use super::terminal::hand_out;

/// Print the completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist completions bash > /etc/bash_completion.d/soloist
  soloist completions zsh > /usr/share/zsh/site-functions/_soloist")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the shell completions of the command line `line`.
pub(super) fn completions(args: &CompletionsArgs, mut line: Command) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut line, "soloist", &mut script);
    hand_out(&script);
}
