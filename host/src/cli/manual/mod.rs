//! `soloist man`: the manual of the command line, made of what clap knows of it.

mod command_facts;
mod man_page;
mod reference;

use std::{fs, io, path::Path, path::PathBuf};

use clap::{Args, Command, ValueEnum};

use self::command_facts::pages;
use super::{ExitError, terminal::hand_out};

/// Print the manual page, or write the pages of all commands into a folder
///
/// Without DIR it prints one document: the page soloist(1), or with `--format markdown` the
/// reference of all commands.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist man | man -l -
  soloist man /usr/local/share/man/man1
  soloist man --format markdown > cli.md")]
pub(super) struct ManArgs {
    /// The folder for the pages, as in /usr/share/man/man1; it is made if it is not there
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The format of the document that is printed
    #[arg(long, value_enum, default_value_t, conflicts_with = "folder")]
    format: ManFormat,
}

/// The format of a manual.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ManFormat {
    /// A manual page, for man(1)
    #[default]
    Man,
    /// The reference of all commands, as Markdown
    Markdown,
}

/// Prints a manual of the command line `line`, or writes the pages of all commands.
pub(super) fn main(args: &ManArgs, line: Command) -> Result<(), ExitError> {
    let mut line = line.disable_help_subcommand(true);
    line.build();
    let failed = |error| ExitError::internal("cannot make the manual page", &error);
    match (&args.folder, args.format) {
        (Some(folder), _) => write_pages(folder, &line).map_err(|error| {
            ExitError::unavailable(format!("cannot write to {}", folder.display()))
                .caused_by(&error)
                .help("name a folder that this user can write to")
        }),
        (None, ManFormat::Man) => {
            hand_out(&man_page::render(&line, &line).map_err(failed)?);
            Ok(())
        }
        (None, ManFormat::Markdown) => {
            hand_out(reference::render(&line).as_bytes());
            Ok(())
        }
    }
}

fn write_pages(folder: &Path, line: &Command) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for command in pages(line) {
        let name = format!("{}.{}", man_page::name(command), man_page::SECTION);
        fs::write(folder.join(name), man_page::render(command, line)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;
    use command_facts::{examples, path, variables};

    fn line() -> Command {
        let mut line = Cli::command().disable_help_subcommand(true);
        line.build();
        line
    }

    /// The words of an example up to a pipe or a redirection, as a shell splits them.
    fn words(example: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for c in example.chars() {
            match c {
                '\'' => quoted = !quoted,
                '|' | '>' if !quoted => break,
                ' ' if !quoted => words.push(std::mem::take(&mut word)),
                c => word.push(c),
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_command_has_a_description_and_examples_that_can_be_run() {
        let line = line();
        for command in pages(&line) {
            let name = path(command);
            assert!(command.get_about().is_some(), "{name} says nothing");
            let examples = examples(command);
            assert!(!examples.is_empty(), "{name} has no example");
            for example in examples {
                // What comes before a pipe belongs to other programs.
                let from = example.command.find("soloist ").expect(&example.command);
                let words = words(&example.command[from..]);
                assert!(Cli::try_parse_from(&words).is_ok(), "{name}: {words:?}");
                let of = words.join(" ");
                assert!(name == "soloist" || of.starts_with(&name), "{name}: {of}");
            }
        }
    }

    #[test]
    fn every_argument_is_described_and_its_value_is_named() {
        let line = line();
        for command in pages(&line) {
            for argument in command.get_arguments().filter(|it| !it.is_hide_set()) {
                let name = format!("{} {}", path(command), argument.get_id());
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{name} says nothing");
                assert!(!help.ends_with('.') && !help.starts_with("Its "), "{name}: {help}");
            }
        }
    }

    /// A heading that leaked to the options after it would list them as common to all commands.
    #[test]
    fn the_common_options_are_the_same_for_all_commands() {
        let line = line();
        let under = |command: &Command, heading| {
            let of = command.get_arguments().filter(|it| it.get_help_heading() == Some(heading));
            of.filter_map(|it| it.get_long().map(ToOwned::to_owned)).collect::<Vec<_>>()
        };
        for command in pages(&line) {
            let host = under(command, command_facts::HOST_OPTIONS);
            let all = ["url", "token-file", "ca", "cert", "key"];
            assert!(host.is_empty() || host == all, "{}: {host:?}", path(command));
            let settings = under(command, command_facts::SETTINGS_OPTIONS);
            assert!([0, 10].contains(&settings.len()), "{}: {settings:?}", path(command));
        }
    }

    #[test]
    fn every_page_has_its_sections_in_their_order() {
        let line = line();
        for command in pages(&line) {
            let page = String::from_utf8(man_page::render(command, &line).unwrap()).unwrap();
            let name = path(command);
            let title = format!(".TH {} 1 \"\" \"soloist ", name.replace(' ', "-").to_uppercase());
            assert!(page.contains(&title), "{name}: no {title} in\n{page}");
            let found: Vec<_> = page.lines().filter_map(|it| it.strip_prefix(".SH ")).collect();
            let all = [
                "NAME",
                "SYNOPSIS",
                "DESCRIPTION",
                "OPTIONS",
                "COMMANDS",
                "\"EXIT STATUS\"",
                "ENVIRONMENT",
                "FILES",
                "EXAMPLES",
                "\"SEE ALSO\"",
            ];
            let expected: Vec<_> = all.into_iter().filter(|it| found.contains(it)).collect();
            assert_eq!(found, expected, "{name}");
            for section in all.iter().filter(|it| !["COMMANDS", "FILES"].contains(it)) {
                assert!(found.contains(section), "{name} has no {section}");
            }
        }
    }

    #[test]
    fn the_reference_has_every_command_code_and_variable() {
        let line = line();
        let text = reference::render(&line);
        for command in pages(&line).into_iter().skip(1) {
            assert!(text.contains(&format!("`{}`\n", path(command))), "no {}", path(command));
            for variable in variables(command) {
                assert!(text.contains(&format!("`{}`", variable.name)), "no {}", variable.name);
            }
        }
        for (code, _) in crate::cli::ExitKind::MEANINGS {
            assert!(text.contains(&format!("| {} |", code as u8)), "no {code:?}");
        }
    }
}
