//! The reference of all commands, as Markdown: docs/reference/cli.md.

use clap::{Arg, Command};

use super::command_facts::{
    HOST_OPTIONS, SETTINGS_OPTIONS, arguments, children, examples, files, pages, path, variables,
};
use crate::cli::ExitKind;

const INTRODUCTION: &str = "\
# Commands

<!-- Made by `cargo xtask reference` of what `soloist --help` says. -->

Commands about a cluster are verbs. Those about jobs, tasks, state, plugins, tokens and settings \
begin with a noun; `soloist job` and `soloist task` alone list. Each command has `--help`, and \
`soloist --version` prints the versions of the program and of its interfaces.

";

/// The reference of the command line `line`.
pub(super) fn render(line: &Command) -> String {
    let mut text = INTRODUCTION.to_owned();
    text += &contents(line);
    text += "\n## Exit codes\n\nAll commands use these codes, those of `sysexits.h` where it has \
             one.\n\n| code | meaning |\n|---|---|\n";
    for (exit, meaning) in ExitKind::MEANINGS {
        text += &format!("| {} | {} |\n", exit as u8, cell(meaning));
    }
    text += "\n## Environment variables\n\nA flag beats its variable, and a variable beats the \
             settings file.\n\n";
    text += &all_variables(line);
    text += "\n## Files\n\n| file | meaning |\n|---|---|\n";
    for (file, meaning) in files(line) {
        text += &format!("| `{file}` | {} |\n", cell(meaning));
    }
    let (mut host, mut settings) = (None, None);
    for command in pages(line) {
        host = host.or_else(|| options_under(command, HOST_OPTIONS));
        settings = settings.or_else(|| options_under(command, SETTINGS_OPTIONS));
    }
    text += "\n## Options for the host to ask\n\nEvery command that asks a host has these.\n\n";
    text += &host.unwrap_or_default();
    text += "\n## Options for settings\n\nEach beats the same key of the settings file.\n\n";
    text += &settings.unwrap_or_default();
    for command in pages(line).into_iter().skip(1) {
        text += &section(command);
    }
    text
}

/// The list of commands, with what each does.
fn contents(line: &Command) -> String {
    let mut text = "| command | what it does |\n|---|---|\n".to_owned();
    for command in pages(line).into_iter().skip(1) {
        let path = path(command);
        let anchor = path.replace(' ', "-");
        text += &format!("| [`{path}`](#{anchor}) | {} |\n", cell(&about(command)));
    }
    text
}

fn all_variables(line: &Command) -> String {
    let mut all: Vec<(String, String)> = Vec::new();
    for variable in pages(line).into_iter().flat_map(variables) {
        if !all.iter().any(|(name, _)| *name == variable.name) {
            all.push((variable.name, variable.meaning));
        }
    }
    all.sort();
    let rows = all.iter().map(|(name, meaning)| format!("| `{name}` | {} |\n", cell(meaning)));
    format!("| variable | meaning |\n|---|---|\n{}", rows.collect::<String>())
}

fn section(command: &Command) -> String {
    let path = path(command);
    let mut text = format!("\n## `{path}`\n\n{}.\n", about(command));
    let usage = command.clone().render_usage().to_string();
    text += &format!("\n```text\n{}\n```\n", usage.trim_start_matches("Usage: "));
    let aliases: Vec<_> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        text += &format!("\nAliases: {}.\n", aliases.join(", "));
    }
    let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    if let Some((_, details)) = long.split_once("\n\n") {
        text += &format!("\n{details}\n");
    }
    if let Some(own) = options(arguments(command).filter(|it| !is_common(it))) {
        text += &format!("\n{own}");
    }
    let common = [
        (HOST_OPTIONS, "[the options for the host to ask](#options-for-the-host-to-ask)"),
        (SETTINGS_OPTIONS, "[the options for settings](#options-for-settings)"),
    ];
    for (heading, link) in common {
        if options_under(command, heading).is_some() {
            text += &format!("\nAnd {link}.\n");
        }
    }
    let below: Vec<_> = children(command).map(|child| format!("`{}`", child.get_name())).collect();
    if !below.is_empty() {
        text += &format!("\nCommands: {}.\n", below.join(", "));
    }
    let lines = examples(command).into_iter().map(|example| match &*example.remark {
        "" => format!("{}\n", example.command),
        remark => format!("{:<40}# {remark}\n", example.command),
    });
    text + &format!("\n```sh\n{}```\n", lines.collect::<String>())
}

fn is_common(argument: &Arg) -> bool {
    [Some(HOST_OPTIONS), Some(SETTINGS_OPTIONS)].contains(&argument.get_help_heading())
}

fn options_under(command: &Command, heading: &str) -> Option<String> {
    options(arguments(command).filter(|it| it.get_help_heading() == Some(heading)))
}

/// A table of arguments; none if there are none.
fn options<'a>(arguments: impl Iterator<Item = &'a Arg>) -> Option<String> {
    let rows: String = arguments.map(row).collect();
    (!rows.is_empty()).then(|| format!("| argument | meaning |\n|---|---|\n{rows}"))
}

fn row(argument: &Arg) -> String {
    let value = argument.get_value_names().unwrap_or_default().join(" ");
    let takes_value = argument.get_action().takes_values();
    let name = match (argument.get_short(), argument.get_long()) {
        (short, Some(long)) => {
            let short = short.map_or_else(String::new, |short| format!("-{short}, "));
            let value = if takes_value { format!(" <{value}>") } else { String::new() };
            format!("{short}--{long}{value}")
        }
        _ if argument.is_required_set() => format!("<{value}>"),
        _ => format!("[{value}]"),
    };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let mut meaning = cell(&help);
    let values: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| takes_value && !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        meaning += &format!("; one of {}", values.join(", "));
    }
    let defaults = argument.get_default_values();
    if takes_value && !argument.is_hide_default_value_set() && !defaults.is_empty() {
        let defaults: Vec<_> = defaults.iter().map(|it| it.to_string_lossy()).collect();
        meaning += &format!("; default `{}`", defaults.join(","));
    }
    if let Some(variable) = argument.get_env() {
        meaning += &format!("; variable `{}`", variable.to_string_lossy());
    }
    format!("| `{name}` | {meaning} |\n")
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}
