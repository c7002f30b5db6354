//! A settings file as a document that keeps its comments: its tables, and the old names in them.

use toml_edit::{Document, InlineTable, Item, Key, Table, TableLike, Value};

use super::value_change;
use crate::{
    problem::{Location, Problem},
    renames::{self, Change, Rename, Section},
    settings_schema,
    source_file::SourceFile,
};

/// A step from a table to one within it.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    /// A list of tables, and the place of one in it.
    Entry(String, usize),
}

/// The way from the root of the file to a table.
type TablePath = Vec<Step>;

/// A setting that is written under its old name.
#[derive(Clone, Debug)]
pub(super) struct OldSetting {
    table: TablePath,
    rename: &'static Rename,
    /// What it is called now.
    new: &'static str,
}

/// A settings file that was read as TOML.
pub(super) struct SettingsDocument<'a> {
    source: &'a SourceFile,
    document: Document<&'a str>,
}

impl<'a> SettingsDocument<'a> {
    /// Reads the file.
    pub(super) fn parse(source: &'a SourceFile) -> Result<Self, Problem> {
        // The host's own parser first, so that a mistake is shown as the host shows it.
        source.parse::<toml::Table>()?;
        let document = Document::parse(source.text()).map_err(|error| {
            let place = error.span().map(|span| Location::File(source.excerpt(span)));
            Problem::new(error.message(), "correct the TOML here, then run this again").at(place)
        })?;
        Ok(Self { source, document })
    }

    /// All settings with old names, those of inner tables first.
    pub(super) fn old_settings(&self) -> Vec<OldSetting> {
        let tables = tables(self.document.as_table());
        tables.into_iter().flat_map(|(section, path)| self.old_in(section, &path)).collect()
    }

    fn old_in(&self, section: Section, path: &TablePath) -> Vec<OldSetting> {
        let Some(table) = self.table(path) else { return Vec::new() };
        let written = renames::of(section).filter(|rename| table.contains_key(rename.old));
        let old = |rename: &'static Rename| {
            let new = match rename.change {
                Change::OfTask(new) if !table.contains_key("schedule") => new,
                _ => rename.new,
            };
            OldSetting { table: path.clone(), rename, new }
        };
        written.map(old).collect()
    }

    fn table(&self, path: &[Step]) -> Option<&dyn TableLike> {
        let root: &dyn TableLike = self.document.as_table();
        path.iter().try_fold(root, inner)
    }

    /// The problem of a setting that is written under its old and its new name.
    pub(super) fn conflict(&self, old: &OldSetting) -> Option<Problem> {
        let moved = [Step::Key("host".to_owned())];
        let home = if old.rename.change == Change::ToHost { &moved[..] } else { &old.table };
        if !self.table(home).is_some_and(|table| table.contains_key(old.new)) {
            return None;
        }
        let what =
            format!("`{}` is called `{}` now, and both are written", old.rename.old, old.new);
        let help = format!("leave one of them, as `{}`, then run this again", old.new);
        Some(Problem::new(what, help).at(Some(Location::File(self.excerpt(old)))))
    }

    fn excerpt(&self, old: &OldSetting) -> crate::problem::Excerpt {
        let key = self.table(&old.table).and_then(|table| table.key(old.rename.old));
        self.source.excerpt(key.and_then(Key::span).unwrap_or_default())
    }

    /// Where the setting is in the text, and a line for people about it.
    pub(super) fn describe(&self, old: &OldSetting) -> (usize, String) {
        let OldSetting { rename, new, .. } = old;
        let table = self.table(&old.table);
        let at = table.and_then(|table| table.key(rename.old)?.span()).unwrap_or_default().start;
        let value = table.and_then(|table| table.get(rename.old)?.as_value());
        let place = self.excerpt(old).position();
        let new_value = value.and_then(|value| value_change::new_value(rename.change, value));
        let was = value.map(|value| value.clone().decorated("", "")).unwrap_or(false.into());
        let line = match (rename.change, new_value) {
            (Change::ToHost, _) => format!("`{}` of [lease] is `{new}` of [host] now", rename.old),
            (_, Some(is)) => format!("`{} = {was}` is `{new} = {is}` now", rename.old),
            (_, None) => format!("`{}` is `{new}` now", rename.old),
        };
        (at, format!("{place}: {line}"))
    }

    /// The text with new names for the settings `found`.
    pub(super) fn renamed(self, found: &[OldSetting]) -> String {
        let mut document = self.document.into_mut();
        for old in found {
            let root: &mut dyn TableLike = document.as_table_mut();
            let Some(table) = old.table.iter().try_fold(root, inner_mut) else { continue };
            if old.rename.change != Change::ToHost {
                rename_key(table, old);
                continue;
            }
            let key = table.key(old.rename.old).cloned();
            if let (Some(key), Some(item)) = (key, table.remove(old.rename.old)) {
                add_to_host(document.as_table_mut(), &renamed_key(&key, old.new), item);
            }
        }
        document.to_string()
    }
}

/// The tables of a file that can have renamed settings; entries of lists come before the table
/// that holds the list.
fn tables(root: &Table) -> Vec<(Section, TablePath)> {
    if !is_of_a_host(root) {
        return action_tables(root, &[]);
    }
    let mut tables = Vec::new();
    let key = |key: &str| Step::Key(key.to_owned());
    if root.get("lease").is_some_and(Item::is_table_like) {
        tables.push((Section::Lease, vec![key("lease")]));
    }
    let named = |section: &'static str| {
        let table = root.get(section).and_then(Item::as_table_like);
        table.into_iter().flat_map(TableLike::iter)
    };
    for (name, _) in named("group") {
        tables.push((Section::Group, vec![key("group"), key(name)]));
    }
    for (name, action) in named("action") {
        let Some(action) = action.as_table_like() else { continue };
        tables.extend(action_tables(action, &[key("action"), key(name)]));
    }
    tables
}

/// The table of an action at `path`, and the entries of its list of folders.
fn action_tables(action: &dyn TableLike, path: &[Step]) -> Vec<(Section, TablePath)> {
    let mut tables = Vec::new();
    for list in ["folders", "mounts"] {
        let length = match action.get(list) {
            Some(Item::ArrayOfTables(entries)) => entries.len(),
            Some(Item::Value(Value::Array(entries))) => entries.len(),
            _ => 0,
        };
        let steps = |at| [path, &[Step::Entry(list.to_owned(), at)]].concat();
        tables.extend((0..length).map(|at| (Section::Mount, steps(at))));
    }
    tables.push((Section::Action, path.to_vec()));
    tables
}

/// Whether a file holds the settings of a host, and not those of one action.
fn is_of_a_host(root: &Table) -> bool {
    let schema = settings_schema();
    let known = |key: &str| schema["properties"].get(key).is_some();
    // An action has a key `group` as well, which is a text.
    root.iter().any(|(key, item)| known(key) && (key != "group" || item.is_table_like()))
}

fn inner<'a>(table: &'a dyn TableLike, step: &Step) -> Option<&'a dyn TableLike> {
    match step {
        Step::Key(key) => table.get(key)?.as_table_like(),
        Step::Entry(list, at) => match table.get(list)? {
            Item::ArrayOfTables(entries) => Some(entries.get(*at)?),
            Item::Value(Value::Array(entries)) => Some(entries.get(*at)?.as_inline_table()?),
            _ => None,
        },
    }
}

fn inner_mut<'a>(table: &'a mut dyn TableLike, step: &Step) -> Option<&'a mut dyn TableLike> {
    match step {
        Step::Key(key) => table.get_mut(key)?.as_table_like_mut(),
        Step::Entry(list, at) => match table.get_mut(list)? {
            Item::ArrayOfTables(entries) => Some(entries.get_mut(*at)?),
            Item::Value(Value::Array(entries)) => {
                Some(entries.get_mut(*at)?.as_inline_table_mut()?)
            }
            _ => None,
        },
    }
}

/// Moves a setting of `[lease]` into `[host]`, which is added behind `[lease]` if it is missing.
fn add_to_host(root: &mut Table, key: &Key, item: Item) {
    if !root.contains_key("host") {
        let lease = root.get("lease");
        let host = match lease {
            Some(Item::Table(lease)) => {
                let mut host = Table::new();
                host.set_dotted(lease.is_dotted());
                // Of two tables at one place, the one that was added first comes first.
                if let Some(place) = lease.position() {
                    host.set_position(place);
                }
                host.decor_mut().set_prefix("\n");
                Item::Table(host)
            }
            _ => Item::Value(InlineTable::new().into()),
        };
        root.insert("host", host);
    }
    let Some(host) = root.get_mut("host") else { return };
    if let Some(host) = host.as_inline_table_mut() {
        // There is no place for comments between braces.
        if let Ok(value) = item.into_value() {
            host.insert(key.get(), value.decorated(" ", ""));
            host.fmt();
        }
    } else if let Some(host) = host.as_table_like_mut() {
        host.entry_format(key).or_insert(item);
    }
}

/// Gives a key its new name and its value the new meaning, at its place in the table.
fn rename_key(table: &mut dyn TableLike, old: &OldSetting) {
    let keys: Vec<Key> = table.iter().filter_map(|(key, _)| table.key(key).cloned()).collect();
    for key in keys {
        let Some(mut item) = table.remove(key.get()) else { continue };
        if key.get() == old.rename.old {
            value_change::apply(old.rename.change, &mut item);
            table.entry_format(&renamed_key(&key, old.new)).or_insert(item);
        } else {
            table.entry_format(&key).or_insert(item);
        }
    }
}

/// `key` with another name. Spaces that align the `=` give way to a longer name.
fn renamed_key(key: &Key, name: &str) -> Key {
    let mut decor = key.leaf_decor().clone();
    let spaces = decor.suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default();
    if spaces.len() > 1 && spaces.chars().all(|c| c == ' ') {
        let end = key.get().len() + spaces.len();
        let spaces = " ".repeat(end.saturating_sub(name.len()).max(1));
        decor.set_suffix(spaces);
    }
    Key::new(name).with_leaf_decor(decor).with_dotted_decor(key.dotted_decor().clone())
}
