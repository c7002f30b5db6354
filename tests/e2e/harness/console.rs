//! Blocks of a page that show what is entered at a prompt, and what is printed.

/// The commands of a block of `console`, which begin with `$ `, each with the lines that follow it.
pub(crate) fn commands<'a>(
    block: impl IntoIterator<Item = &'a str>,
) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut commands = Vec::<(&str, Vec<&str>)>::new();
    for line in block {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, Vec::new())),
            (None, Some((_, output))) => output.push(line),
            (None, None) => panic!("{line:?} is printed by no command: a block begins with `$ `"),
        }
    }
    commands
}
