//! The blocks of a tutorial that can be run.

use super::machines::NAMES;
use crate::harness::console::commands;

/// Where a block belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It runs on these machines, on one after the other.
    On(Vec<String>),
    /// It runs on these machines, and goes on.
    InTheBackground(Vec<String>),
    /// It is the content of a file on each machine.
    File(String),
    /// There is no block: this machine is switched off.
    SwitchOff(String),
}

/// A block, with what the comment before it says.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) place: Place,
    pub(super) text: String,
}

/// A command, after all commands on its machine that set variables, and what it prints.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) script: String,
    /// `…` stands for anything.
    pub(super) output: String,
}

/// The blocks of `text` that have a comment.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        let Some(place) = comment.map(place) else { continue };
        let mut text = String::new();
        if !matches!(place, Place::SwitchOff(_)) {
            let fence = lines.next();
            assert!(fence.is_some_and(|fence| fence.starts_with("```")), "no block after {line}");
            for line in lines.by_ref().take_while(|line| *line != "```") {
                text += line;
                text += "\n";
            }
        }
        blocks.push(Block { place, text });
    }
    blocks
}

/// The contents of all blocks of `text` in this language.
pub(super) fn fenced(text: &str, language: &str) -> Vec<String> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while lines.by_ref().any(|line| line.strip_prefix("```") == Some(language)) {
        let block = lines.by_ref().take_while(|line| *line != "```");
        found.push(block.map(|line| line.to_owned() + "\n").collect());
    }
    found
}

/// What the comment before a block says.
fn place(comment: &str) -> Place {
    if let Some(machines) = comment.strip_prefix("in the background on ") {
        return Place::InTheBackground(names(machines));
    }
    let file = comment.strip_prefix("the file ").and_then(|rest| rest.strip_suffix(" on each"));
    let off = comment.strip_prefix("switch ").and_then(|rest| rest.strip_suffix(" off"));
    match (comment.strip_prefix("on "), file, off) {
        (Some(machines), ..) => Place::On(names(machines)),
        (_, Some(file), _) => Place::File(file.to_owned()),
        (.., Some(name)) => Place::SwitchOff(name.to_owned()),
        _ => panic!("where is {comment:?}?"),
    }
}

/// The machines in `a and b`, or `each`.
fn names(machines: &str) -> Vec<String> {
    let names = if machines == "each" { NAMES.to_vec() } else { machines.split(" and ").collect() };
    names.into_iter().map(ToOwned::to_owned).collect()
}

impl Exchange {
    /// The commands of a block, which begin with `$ `, each with the lines that follow it. Those
    /// that set variables are added to the `variables` of the machine.
    pub(super) fn of(block: &str, variables: &mut String) -> Vec<Self> {
        let mut exchanges = Vec::new();
        for (command, lines) in commands(block.lines()) {
            if command.starts_with("export ") {
                assert!(lines.is_empty(), "{command} prints {lines:?}");
                *variables += command;
                *variables += "\n";
            } else {
                let output = lines.iter().flat_map(|line| [line, "\n"]).collect();
                exchanges.push(Self { script: format!("{variables}{command}"), output });
            }
        }
        exchanges
    }

    /// Whether a command that prints `output` keeps the promise. Columns may be wider or narrower.
    pub(super) fn is_met_by(&self, output: &str) -> bool {
        let narrow = |text: &str| {
            let lines =
                text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
            lines.collect::<Vec<_>>().join("\n")
        };
        let (promised, output) = (narrow(&self.output), narrow(output));
        let mut rest = output.as_str();
        let mut pieces = promised.split('…').map(str::trim);
        let begins = pieces.next().unwrap_or_default();
        let Some(after) = rest.strip_prefix(begins) else { return false };
        rest = after;
        for piece in pieces {
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        promised.ends_with('…') || rest.is_empty()
    }
}

#[test]
fn a_block_is_read_with_its_place() {
    let text = "<!-- on a -->\n```console\n$ export A=1\n$ x\none …\n$ y\n```\n\
                ```sh\nignored\n```\n<!-- switch a off -->\n<!-- the file f on each -->\n```\nb\n```\n";
    let all = blocks(text);
    let places: Vec<_> = all.iter().map(|block| &block.place).collect();
    let (on, off) = (Place::On(vec!["a".into()]), Place::SwitchOff("a".into()));
    assert_eq!(places, [&on, &off, &Place::File("f".into())]);
    let mut variables = "export B=2\n".to_owned();
    let exchanges = Exchange::of(&all[0].text, &mut variables);
    assert_eq!(exchanges[0].script, "export B=2\nexport A=1\nx");
    assert!(exchanges[0].is_met_by("one   two\n") && !exchanges[0].is_met_by("two one\n"));
    assert!(exchanges[1].is_met_by("") && !exchanges[1].is_met_by("more\n"));
}
