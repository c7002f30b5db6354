//! Settings that had another name before.
//!
//! Nothing reads an old name: a file with one is refused, with the new name as the remedy
//! (`source_file.rs`), and `soloist config migrate` rewrites the file (`migrate.rs`). Both go by
//! this one table.

use super::problem::Problem;

/// The table that a setting is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// `[lease]`
    Lease,
    /// `[group.NAME]`
    Group,
    /// `[action.NAME]`, or the whole of `NAME.toml`
    Action,
    /// An entry of `mounts`
    Mount,
}

impl Section {
    /// A key that no other table has. It identifies the table by its known keys.
    fn own_key(self) -> &'static str {
        match self {
            Self::Lease => "ttl",
            Self::Group => "preempt",
            Self::Action => "plugin",
            Self::Mount => "target",
        }
    }
}

/// What else differs between the old setting and the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The value stays the same.
    Name,
    /// A count of further attempts becomes a count of all attempts.
    AllAttempts,
    /// The word `once` becomes `latest`.
    Latest,
    /// A size becomes a size per second.
    PerSecond,
    /// `true` becomes `false`, and the other way round.
    Inverted,
    /// The entries of a list have other keys.
    Mounts,
    /// The new name is that of a job; a task has this one.
    OfTask(&'static str),
    /// The setting has moved to `[host]`.
    ToHost,
}

/// A setting with an old and a new name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rename {
    pub(super) section: Section,
    pub(super) old: &'static str,
    pub(super) new: &'static str,
    pub(super) change: Change,
}

const fn rename(section: Section, old: &'static str, new: &'static str, change: Change) -> Rename {
    Rename { section, old, new, change }
}

/// The old word for [`Change::Latest`].
pub(super) const ONCE: &str = "once";

/// All settings that were renamed.
pub(super) const RENAMES: &[Rename] = &[
    rename(Section::Lease, "stop", "stop_timeout", Change::Name),
    rename(Section::Lease, "drain", "drain_timeout", Change::Name),
    rename(Section::Lease, "cool_down", "cooldown", Change::ToHost),
    rename(Section::Group, "settle", "preempt_delay", Change::Name),
    rename(Section::Action, "hold", "max_hold", Change::Name),
    rename(Section::Action, "first_byte", "response_timeout", Change::Name),
    rename(Section::Action, "requests", "max_concurrent_requests", Change::Name),
    rename(Section::Action, "queue", "max_queued_requests", Change::Name),
    rename(Section::Action, "body", "max_body_size", Change::Name),
    rename(Section::Action, "memory", "max_memory", Change::Name),
    rename(Section::Action, "cpu", "max_busy_instances", Change::Name),
    rename(Section::Action, "log", "max_log_rate", Change::PerSecond),
    rename(Section::Action, "window", "restart_window", Change::Name),
    rename(Section::Action, "zone", "time_zone", Change::Name),
    rename(Section::Action, "missed", "catch_up", Change::Latest),
    rename(Section::Action, "concurrency", "overlap", Change::Name),
    rename(Section::Action, "retries", "max_attempts", Change::AllAttempts),
    rename(Section::Action, "timeout", "run_timeout", Change::OfTask("call_timeout")),
    rename(Section::Action, "on", "require_label", Change::Name),
    rename(Section::Action, "keep", "result_retention", Change::Name),
    rename(Section::Action, "payload", "max_payload_size", Change::Name),
    rename(Section::Action, "max_queued", "max_queued_calls", Change::Name),
    rename(Section::Action, "folders", "mounts", Change::Mounts),
    rename(Section::Action, "outbound_token", "outbound_fencing_token", Change::Name),
    rename(Section::Mount, "from", "source", Change::Name),
    rename(Section::Mount, "at", "target", Change::Name),
    rename(Section::Mount, "write", "read_only", Change::Inverted),
];

/// The rename of `key`, which stands in a table that knows the keys `known`.
pub(super) fn find(key: &str, known: &[&str]) -> Option<&'static Rename> {
    RENAMES.iter().find(|rename| rename.old == key && known.contains(&rename.section.own_key()))
}

/// The renames of one table.
pub(super) fn of(section: Section) -> impl Iterator<Item = &'static Rename> {
    RENAMES.iter().filter(move |rename| rename.section == section)
}

impl Rename {
    /// What is wrong with the old name.
    pub(super) fn problem(&self) -> Problem {
        let Self { old, new, .. } = self;
        let what = match self.change {
            Change::ToHost => format!("`{old}` is called `{new}` now, and belongs to [host]"),
            Change::OfTask(of_task) => {
                format!("`{old}` is called `{new}` now for a job, and `{of_task}` for a task")
            }
            _ => format!("`{old}` is called `{new}` now"),
        };
        let help = format!("{}; `soloist config migrate FILE` rewrites a file", self.remedy());
        Problem::new(what, help)
    }

    /// What to write instead of the old setting.
    fn remedy(&self) -> String {
        let Self { old, new, .. } = self;
        match self.change {
            Change::Name => format!("write `{new}`"),
            Change::AllAttempts => {
                format!("write `{new} = 4` for `{old} = 3`: the first attempt counts as well")
            }
            Change::Latest => format!("write `{new}`, with \"latest\" instead of \"once\""),
            Change::PerSecond => format!("write `{new} = \"64KiB/s\"` for `{old} = \"64KiB\"`"),
            Change::Inverted => format!("write `{new} = false` for `{old} = true`"),
            Change::Mounts => {
                format!("write `{new} = [{{ source = \"FOLDER\", target = \"/PLACE\" }}]`")
            }
            Change::OfTask(of_task) => format!("write `{new}` or `{of_task}`"),
            Change::ToHost => format!("write `{new}` below the heading [host]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        lenient,
        settings_file::{ActionTable, SettingsFile},
        source_file::SourceFile,
    };

    /// The problems of `text`, as the settings of a host or of one action.
    fn problems<T: serde::de::DeserializeOwned>(text: &str) -> Vec<String> {
        let source = SourceFile::new(Path::new("s.toml").to_owned(), text.to_owned());
        lenient::read::<T>(&source).1.iter().map(ToString::to_string).collect()
    }

    /// Every old name is refused where it stands, with the new name, also next to the new one.
    #[test]
    fn every_old_name_is_refused_with_the_new_one() {
        for rename in RENAMES {
            let Rename { section, old, new, .. } = *rename;
            let head = match section {
                Section::Lease => "[lease]\n",
                Section::Group => "[group.main]\n",
                Section::Action => "[action.web]\n",
                Section::Mount => "[[action.web.mounts]]\n",
            };
            // A wrong value of an entry would hide the other key of it.
            let value = if new == "read_only" { "true" } else { "\"x\"" };
            let (was, is) = (format!("{old} = {value}\n"), format!("{new} = {value}\n"));
            let alone = format!("{head}{was}");
            let told = problems::<SettingsFile>(&alone);
            let text = told.first().unwrap_or_else(|| panic!("nothing is said of:\n{alone}"));
            assert!(text.starts_with(&format!("error: `{old}` is called `{new}` now")), "{text}");
            assert!(text.contains("s.toml:2:1\n"), "{text}");
            assert!(text.contains(&format!("| {}\n", "^".repeat(old.len()))), "{text}");
            assert!(text.contains(&format!("`{new}")) && text.contains("config migrate"), "{text}");
            // Next to the new name it is refused as well, whichever comes first.
            for both in [format!("{was}{is}"), format!("{is}{was}")] {
                let told = problems::<SettingsFile>(&format!("{head}{both}")).concat();
                assert!(told.contains(&format!("error: `{old}` is called `{new}` now")), "{told}");
            }
            if section == Section::Action {
                let told = problems::<ActionTable>(&format!("{old} = 1\n")).concat();
                assert!(told.contains("s.toml:1:1\n") && told.contains(new), "{told}");
            }
        }
    }

    /// An old name of one table is an ordinary unknown key in another.
    #[test]
    fn a_name_is_known_in_its_own_table_only() {
        let told = problems::<SettingsFile>("[host]\nhold = \"1s\"\n").concat();
        assert!(told.contains("unknown key `hold`"), "{told}");
    }

    #[test]
    fn new_names_are_known_and_old_ones_are_not() {
        let schema = crate::settings_schema();
        let known =
            |table: &str, key: &str| schema["definitions"][table]["properties"].get(key).is_some();
        for rename in RENAMES {
            let table = match rename.section {
                Section::Lease => "LeaseTable",
                Section::Group => "GroupTable",
                Section::Action => "ActionTable",
                Section::Mount => "MountTable",
            };
            let home = if rename.change == Change::ToHost { "HostTable" } else { table };
            assert!(known(home, rename.new) && !known(table, rename.old), "{rename:?}");
            if let Change::OfTask(new) = rename.change {
                assert!(known(table, new), "{rename:?}");
            }
        }
    }
}
