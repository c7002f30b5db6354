//! The settings of a group: who should lead it.

use std::{collections::BTreeMap, time::Duration};

use super::{
    plugin_listing::PluginListing,
    problem::Problem,
    resolver::{Resolver, Setting},
    settings_file::{GroupTable, LocatedText},
    value,
};
use soloist_heart::{AvoidRule, Group, HostLabel, Strategy};

/// How long a host must have been the preferred one before leadership is moved to it. Each
/// hand-over costs a short pause.
const PREEMPT_DELAY: Duration = Duration::from_secs(10);

/// Who should lead a group. The store alone decides who does lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// How hosts are compared.
    pub strategy: Strategy,
    /// Whether a leader hands over when another host is preferred.
    pub preempt: bool,
    /// How long the other host must have been preferred before that.
    pub preempt_delay: Duration,
    /// Whether the groups with this flag should be led by as many different hosts as possible,
    /// among hosts that are equally preferred.
    pub spread: bool,
}

impl GroupConfig {
    /// The settings of a group that has no `[group.NAME]`.
    pub const DEFAULT: Self = Self {
        strategy: Strategy::LongestRunning,
        preempt: false,
        preempt_delay: PREEMPT_DELAY,
        spread: false,
    };
}

/// The groups of `[group.NAME]`; `None` after reporting what is wrong.
pub(super) fn read(
    resolver: &mut Resolver<'_>,
    tables: BTreeMap<LocatedText, GroupTable>,
    folder: &std::path::Path,
) -> Option<BTreeMap<Group, GroupConfig>> {
    let read = |(name, table): (LocatedText, GroupTable)| {
        let name = resolver.written(Some(name), "");
        let group = group(resolver, table, folder);
        let name = resolver.read(&name, value::name);
        Some((Group::from(name?.as_str()), group?))
    };
    // Read all of them, so that every mistake is reported.
    let groups: Vec<_> = tables.into_iter().map(read).collect();
    groups.into_iter().collect()
}

fn group(
    resolver: &mut Resolver<'_>,
    table: GroupTable,
    folder: &std::path::Path,
) -> Option<GroupConfig> {
    let preempt_delay = resolver.bounded(table.preempt_delay.as_ref(), PREEMPT_DELAY);
    let mut setting = resolver.written(table.strategy, "longest-running");
    if setting.place.is_none() {
        let first = table.prefer.iter().chain(&table.avoid).next().cloned();
        setting.place = resolver.written(first, "").place;
    }
    let prefer = list(resolver, table.prefer, label);
    let avoid = list(resolver, table.avoid, avoid);
    let (prefer, avoid) = (prefer?, avoid?);
    let strategy = resolver.read(&setting, |text| strategy(text, prefer, avoid, folder));
    if let Some(Strategy::Plugin(_)) = strategy {
        resolver.check_external(&setting, |text| {
            let listing =
                PluginListing::of(folder).unwrap_or_else(|_| PluginListing::empty(folder));
            listing.component(text).map(drop)
        });
    }
    let GroupTable { preempt, spread, .. } = table;
    Some(GroupConfig { strategy: strategy?, preempt, preempt_delay: preempt_delay?, spread })
}

fn strategy(
    text: &str,
    prefer: Vec<HostLabel>,
    avoid: Vec<AvoidRule>,
    folder: &std::path::Path,
) -> Result<Strategy, Problem> {
    if !prefer.is_empty() && text != "priority" {
        return Err(of_another("prefer", "priority", text));
    }
    if !avoid.is_empty() && text != "avoid" {
        return Err(of_another("avoid", "avoid", text));
    }
    match text {
        "longest-running" => Ok(Strategy::LongestRunning),
        "priority" if prefer.is_empty() => Ok(Strategy::Priority),
        "priority" => Ok(Strategy::Labels(prefer)),
        "avoid" if avoid.is_empty() => Err(Problem::new(
            "the strategy `avoid` needs the setting `avoid`",
            "add `avoid = [\"group:NAME\"]` or `avoid = [\"label:NAME=VALUE\"]`",
        )),
        "avoid" => Ok(Strategy::Avoid(avoid)),
        file if file.ends_with(".wasm") => {
            // Whether the file exists is found out when it is loaded.
            Ok(Strategy::Plugin(folder.join(file)))
        }
        _ => Err(Problem::new(
            format!("`{text}` is not a strategy"),
            "write `longest-running`, `priority`, `avoid`, or the file of a plugin (*.wasm)",
        )),
    }
}

pub(super) fn label(text: &str) -> Result<HostLabel, Problem> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(HostLabel { name: name.to_owned(), value: value.to_owned() })
        }
        _ => Err(Problem::new(
            format!("`{text}` is not a label of the form LABEL=VALUE"),
            "write `LABEL=VALUE`, as in `size=big`; hosts get labels under `[host]`",
        )),
    }
}

fn avoid(text: &str) -> Result<AvoidRule, Problem> {
    match text.split_once(':') {
        Some(("group", group)) => Ok(AvoidRule::Leader(value::name(group)?.as_str().into())),
        Some(("label", text)) => label(text).map(AvoidRule::Label),
        _ => Err(Problem::new(
            format!(
                "`{text}` is not a valid entry of `avoid`: it lacks the prefix `group:` or `label:`"
            ),
            "write `group:NAME` for the host that leads it, or `label:NAME=VALUE`",
        )),
    }
}

fn of_another(key: &str, strategy: &str, text: &str) -> Problem {
    Problem::new(
        format!("`{key}` has no meaning for the strategy `{text}`"),
        format!("write `strategy = \"{strategy}\"`, or remove `{key}`"),
    )
}

fn list<T>(
    resolver: &mut Resolver<'_>,
    texts: Vec<LocatedText>,
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Option<Vec<T>> {
    let mut item = |text: LocatedText| {
        let setting: Setting = resolver.written(Some(text), "");
        resolver.read(&setting, &parse)
    };
    let items: Vec<_> = texts.into_iter().map(&mut item).collect();
    items.into_iter().collect()
}
