//! A manual page of a command, with the sections of man-pages(7).

use std::io;

use clap::Command;
use clap_mangen::Man;

use super::command_facts::{children, examples, files, pages, path, variables};
use crate::cli::ExitKind;

/// The section of commands for all users.
pub(super) const SECTION: &str = "1";

/// The name of the page, as in `soloist-job-run`.
pub(super) fn name(command: &Command) -> String {
    path(command).replace(' ', "-")
}

/// The page of `command`, which belongs to the command line `line`, as roff.
pub(super) fn render(command: &Command, line: &Command) -> io::Result<Vec<u8>> {
    // Options have no headings of their own here: those would become sections.
    let plain = command.clone().display_name(name(command)).mut_args(|it| it.help_heading(None));
    let version = line.get_version().unwrap_or_default();
    let man = Man::new(plain);
    // Without a date, so that a page depends on nothing but the program.
    let title = name(command).to_uppercase();
    let mut page =
        format!(".TH {title} {SECTION} \"\" \"soloist {version}\" \"soloist\"\n").into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend(rest(command, line).into_bytes());
    Ok(page)
}

/// The sections that clap knows nothing of.
fn rest(command: &Command, line: &Command) -> String {
    let mut text = String::new();
    let commands = children(command).map(|child| {
        let about = child.get_about().map(ToString::to_string).unwrap_or_default();
        (format!("{}({SECTION})", name(child)), about)
    });
    section(&mut text, "COMMANDS", commands);
    let code = |(exit, meaning): (ExitKind, &str)| ((exit as u8).to_string(), meaning.to_owned());
    section(&mut text, "\"EXIT STATUS\"", ExitKind::MEANINGS.into_iter().map(code));
    section(
        &mut text,
        "ENVIRONMENT",
        variables(command).into_iter().map(|it| (it.name, it.meaning)),
    );
    let file = |(name, meaning): (&str, &str)| (name.to_owned(), meaning.to_owned());
    section(&mut text, "FILES", files(command).into_iter().map(file));
    text += ".SH EXAMPLES\n";
    for example in examples(command) {
        let remark =
            if example.remark.is_empty() { String::new() } else { format!(": {}", example.remark) };
        text += &format!(".PP\n\\fB{}\\fR{}\n", escape(&example.command), escape(&remark));
    }
    text += &format!(".SH \"SEE ALSO\"\n{}\n", see_also(command, line).join(",\n"));
    text
}

/// Adds a section with a list, unless that is empty.
fn section(text: &mut String, title: &str, items: impl Iterator<Item = (String, String)>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    *text += &format!(".SH {title}\n");
    for (term, meaning) in items {
        *text += &format!(".TP\n\\fB{}\\fR\n{}\n", escape(&term), escape(&meaning));
    }
}

/// The pages next to this one: its parent, its siblings and its children.
fn see_also(command: &Command, line: &Command) -> Vec<String> {
    let own = path(command);
    let parent = own.rsplit_once(' ').map_or("", |(parent, _)| parent);
    let near = |other: &&Command| {
        let other = path(other);
        let above = other.rsplit_once(' ').map_or("", |(above, _)| above);
        other != own && (above == parent || above == own || other == parent)
    };
    let mut names: Vec<_> = pages(line).into_iter().filter(near).map(name).collect();
    names.sort();
    names.iter().map(|name| format!("\\fB{}\\fR({SECTION})", escape(name))).collect()
}

/// Escapes what roff would interpret: backslashes, hyphens, and control characters of a line.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
