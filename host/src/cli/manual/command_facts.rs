//! What the manual says of a command, in any format.

use clap::{Arg, Command};

/// The heading of the options that all commands about a cluster have.
pub(super) const HOST_OPTIONS: &str = "The host to ask";
/// The heading of the options that all commands that read settings have.
pub(super) const SETTINGS_OPTIONS: &str = "Settings";

/// An example of a command, with a remark that may be empty.
pub(super) struct Example {
    pub(super) command: String,
    pub(super) remark: String,
}

/// An environment variable, and what it is for.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) meaning: String,
}

/// The commands that have a page: all that are not hidden, each followed by its own.
pub(super) fn pages(command: &Command) -> Vec<&Command> {
    let mut all = vec![command];
    for child in children(command) {
        all.extend(pages(child));
    }
    all
}

/// The subcommands that are not hidden.
pub(super) fn children(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help")
}

/// The whole name, as in `soloist job run`.
pub(super) fn path(command: &Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// The arguments that are shown, except those that every command has.
pub(super) fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let of_all = ["help", "version"];
    command.get_arguments().filter(move |argument| {
        !argument.is_hide_set() && !of_all.contains(&argument.get_id().as_str())
    })
}

/// The examples, which are at the end of a command's help.
pub(super) fn examples(command: &Command) -> Vec<Example> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    let example = |line: &str| {
        // A remark is set off by several spaces.
        let (command, remark) = line.split_once("   ").unwrap_or((line, ""));
        Example { command: command.trim().to_owned(), remark: remark.trim().to_owned() }
    };
    lines.map(example).collect()
}

/// The environment variables that a command reads.
pub(super) fn variables(command: &Command) -> Vec<Variable> {
    let mut all = Vec::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let (Some(name), Some(flag)) = (argument.get_env(), argument.get_long()) else { continue };
        let name = name.to_string_lossy().into_owned();
        if name == "SOLOIST_TOKEN_FILE" {
            let meaning = "The token to show to the host, unless --token-file is given.".to_owned();
            all.push(Variable { name: "SOLOIST_TOKEN".into(), meaning });
        }
        let meaning = if argument.get_action().takes_values() {
            format!("The default of --{flag}.")
        } else {
            format!("Stands for --{flag}, unless it is empty, 0 or false.")
        };
        all.push(Variable { name, meaning });
    }
    let colours = "If it is set and not empty, output has no colours.".to_owned();
    all.push(Variable { name: "NO_COLOR".into(), meaning: colours });
    if compiles(command) {
        let meaning = "Compiled plugins are kept in its folder `soloist` [default: ~/.cache].";
        all.push(Variable { name: "XDG_CACHE_HOME".into(), meaning: meaning.into() });
    }
    all
}

/// The files that a command reads or writes by itself, without being given their names.
pub(super) fn files(command: &Command) -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    let path = path(command);
    if ["soloist", "soloist run", "soloist config", "soloist config check"].contains(&&*path) {
        all.extend([
            ("soloist.toml", "The settings of a host, in the working folder or named by --config."),
            ("plugins/NAME.wasm", "The plugins; each is an action called NAME."),
            ("plugins/NAME.toml", "The settings of that action."),
        ]);
    }
    if ["soloist", "soloist run"].contains(&&*path) {
        all.push(("soloist.db", "The store, if no other one is named."));
    }
    if ["soloist plugin inspect", "soloist plugin run"].contains(&&*path) {
        all.push(("NAME.toml", "The settings of the plugin NAME.wasm, next to it."));
    }
    if ["soloist dev", "soloist plugin new", "soloist plugin bindings"].contains(&&*path) {
        all.push(("dev.toml", "How a project is built, in the project's folder."));
    }
    if compiles(command) {
        all.push(("~/.cache/soloist", "Compiled plugins; see XDG_CACHE_HOME."));
    }
    all
}

/// Whether a command compiles plugins.
fn compiles(command: &Command) -> bool {
    let those = ["run", "demo", "dev", "plugin run", "plugin inspect"];
    path(command).strip_prefix("soloist ").is_none_or(|path| those.contains(&path))
}
