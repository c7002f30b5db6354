//! The runbook lists every event that the log of a host knows, at its level, and no other; and the
//! messages that it and `docs/operations.md` quote are those of the program.
//!
//! Events are found in the text of the sources, in the macros of `tracing`: as `event = "…"`, or as
//! `event = it.event()`, where a function `event` has the names.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use soloist_devtools::paths::repo;

const RUNBOOK: &str = "docs/runbook-symptoms.md";
const OPERATIONS: &str = "docs/operations.md";
/// The headings of table columns that quote messages.
const QUOTING: [&str; 2] = ["the body says", "it says"];
const INDEX: &str = "## Index of log events";
/// What comes before the name of an event in the sources.
const MARK: &str = "event = ";
/// The function that says the name of an event, and how it ends.
const FUNCTION: [&str; 2] = ["fn event(&self) -> &'static str {", "\n    }\n"];
/// The levels of the log, in the order in which the index names them.
const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];
/// In `GET /v1/events` alone; it is in no line of the log.
const TRANSITION_ONLY: (&str, &str) = ("ended", "of(\"ended\"");

/// All sources under `folder`.
fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, texts);
        } else if path.extension().is_some_and(|it| it == "rs") {
            texts.push(fs::read_to_string(&path).unwrap());
        }
    }
}

/// The levels at which each event is logged.
fn logged(texts: &[String]) -> BTreeMap<&str, BTreeSet<usize>> {
    let mut events = BTreeMap::<_, BTreeSet<_>>::new();
    for text in texts {
        for (at, _) in text.match_indices(MARK) {
            let value = text[at + MARK.len()..].split([',', ';', '\n']).next().unwrap();
            let names = match value.strip_prefix('"') {
                Some(name) => vec![name.split('"').next().unwrap()],
                None if value.ends_with(".event()") => named_by_functions(texts),
                // A variable of that name.
                None => continue,
            };
            let before = &text[..text[..at].rfind("!(").unwrap()];
            let level = LEVELS.iter().position(|level| before.ends_with(level));
            let level = level.unwrap_or_else(|| panic!("{value} is in no macro of a level"));
            for name in names {
                events.entry(name).or_default().insert(level);
            }
        }
    }
    events
}

/// The names in all functions that say the name of an event.
fn named_by_functions(texts: &[String]) -> Vec<&str> {
    let [begin, end] = FUNCTION;
    let bodies = texts.iter().flat_map(|text| text.split(begin).skip(1));
    let bodies = bodies.filter_map(|body| body.split(end).next());
    bodies.flat_map(|body| body.split('"').skip(1).step_by(2)).collect()
}

/// The event and the level of a row of the index.
fn row(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
    Some((name, rest.split([',', '|']).next()?.trim()))
}

/// The rows of the index: the event and its level.
fn listed(page: &str) -> BTreeMap<&str, &str> {
    let (_, index) = page.split_once(INDEX).unwrap();
    // A second row for one event would hide the first.
    let mut rows = BTreeMap::new();
    for (name, level) in index.lines().filter_map(row) {
        assert!(rows.insert(name, level).is_none(), "{RUNBOOK} lists `{name}` twice");
    }
    rows
}

#[test]
fn the_runbook_lists_every_event() {
    let mut texts = Vec::new();
    sources(&repo().join("host"), &mut texts);
    let events = logged(&texts);
    assert!(events.len() > 80, "only {} events were found", events.len());
    let page = fs::read_to_string(repo().join(RUNBOOK)).unwrap();
    let mut rows = listed(&page);
    let mut faults = String::new();
    for (event, levels) in &events {
        let levels: Vec<_> = levels.iter().map(|level| LEVELS[*level]).collect();
        let levels = levels.join(" or ");
        match rows.remove(event) {
            None => {
                let _ =
                    writeln!(faults, "`{event}` ({levels}) is missing: say what to do about it");
            }
            Some(level) if level != levels => {
                let _ = writeln!(faults, "`{event}` is of level {levels}, and not {level}");
            }
            Some(_) => {}
        }
    }
    let (transition, source) = TRANSITION_ONLY;
    assert!(texts.iter().any(|text| text.contains(source)), "`{transition}` is no transition");
    if rows.remove(transition).is_none() {
        let _ = writeln!(faults, "`{transition}` is missing");
    }
    for event in rows.keys() {
        let _ = writeln!(faults, "`{event}` is listed, and nothing logs it");
    }
    assert!(faults.is_empty(), "{RUNBOOK}, {INDEX}:\n{faults}");
}

/// The parts of the messages that the tables of `page` quote. `…` and words in capitals, such as
/// `NAME`, stand for what differs.
fn quoted(page: &str) -> Vec<&str> {
    let mut column = None;
    let mut messages = Vec::new();
    for line in page.lines() {
        let mut cells = line.split('|');
        if !line.starts_with('|') {
            column = None;
        } else if let Some(found) = cells.clone().position(|cell| QUOTING.contains(&cell.trim())) {
            column = Some(found);
        } else if let Some(cell) = column.and_then(|column| cells.nth(column)) {
            messages.extend(cell.split('`').skip(1).step_by(2));
        }
    }
    let is_variable = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    let parts = messages.into_iter().flat_map(|message| message.split('…'));
    let parts = parts.flat_map(move |part| {
        let variable = part.split(' ').find(|word| is_variable(word));
        variable.map_or_else(|| vec![part], |word| part.split(word).collect())
    });
    parts.map(|part| part.trim_matches([' ', ','])).filter(|part| part.len() > 5).collect()
}

/// The sources, with literals of several lines in one.
fn joined(texts: &[String]) -> String {
    let lines = texts.iter().flat_map(|text| text.lines());
    let mut joined = String::new();
    for line in lines {
        match joined.strip_suffix('\\') {
            Some(before) => {
                joined.truncate(before.len());
                joined += line.trim_start();
            }
            None => {
                joined.push('\n');
                joined += line;
            }
        }
    }
    joined
}

#[test]
fn the_pages_quote_messages_of_the_program() {
    let mut texts = Vec::new();
    sources(&repo().join("host"), &mut texts);
    let program = joined(&texts);
    for page in [RUNBOOK, OPERATIONS] {
        let text = fs::read_to_string(repo().join(page)).unwrap();
        let messages = quoted(&text);
        assert!(messages.len() > 5, "{page} quotes {messages:?}");
        let unknown = messages.iter().filter(|message| !program.contains(**message));
        let unknown: Vec<_> = unknown.collect();
        assert!(unknown.is_empty(), "{page} quotes what no host says: {unknown:?}");
    }
}

#[test]
fn messages_are_found_in_the_tables_that_quote_them() {
    let page = "| code | the body says |\n|---|---|\n| 1 | `a host called NAME as well`, `… is full, …` |\n\n| a | `no message` |\n";
    assert_eq!(quoted(page), ["a host called", "as well", "is full"]);
    let texts = ["x = \"one \\\n         two\";".to_owned()];
    assert!(joined(&texts).contains("one two"));
}

#[test]
fn events_are_found_however_they_are_written() {
    let texts = [
        "    tracing::warn!(\n        event = \"lost\", store,\n        \"{text}\");\n",
        "    info!(target: \"api\", event = \"back\", \"again\");\n    let event = step(1);\n",
        "    warn!(event = it.event(), \"{it}\");\n    debug!(event = \"back\", \"again\");\n",
        "    pub fn event(&self) -> &'static str {\n        \"one\" if \"two\"\n    }\n    \"no\"",
    ]
    .map(ToOwned::to_owned);
    let levels = |levels: &[usize]| levels.iter().copied().collect::<BTreeSet<_>>();
    let expected = [
        ("back", levels(&[1, 2])),
        ("lost", levels(&[3])),
        ("one", levels(&[3])),
        ("two", levels(&[3])),
    ];
    assert_eq!(logged(&texts), expected.into());
}
