//! Checks beyond single settings: what an action's plugin cannot be, which actions cannot answer
//! at the same place, and which settings have no effect.
//!
//! This crate does not know plugins, so the caller says how they are inspected.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::{
    ActionConfig, ActionSet, ActionSource, HostConfig, InstancePolicy, Kind, Kinds, clashes,
    plugin_check::{PluginCheck, PluginMismatch},
    problem::{Location, Problem},
    resolver::Resolver,
    settings_file::{LocatedText, SourceFile},
    spelling::did_you_mean,
};
use soloist_heart::Group;

/// Which keys apply to which kinds. A key that is not listed applies to all kinds, or is rejected
/// without looking at the plugin.
const MEANT_FOR: &[(&[Kind], &[&str])] = &[
    (
        &[Kind::Http],
        &[
            "listen",
            "path",
            "tls",
            "max_hold",
            "trusted_proxies",
            "access_log",
            "response_timeout",
            "request_timeout",
        ],
    ),
    (
        &[Kind::Http, Kind::Task],
        &[
            "instances",
            "max_reuse",
            "max_idle",
            "max_concurrent_requests",
            "max_queued_requests",
            "max_body_size",
        ],
    ),
    (&[Kind::Service], &["restart", "max_restarts"]),
    (&[Kind::Http, Kind::Service, Kind::Job], &["restart_window"]),
    (&[Kind::Hooks], &["hook_timeout"]),
    (&[Kind::Job], &["run_timeout"]),
    (&[Kind::Job, Kind::Task], &["max_attempts"]),
    (
        &[Kind::Task],
        &[
            "require_label",
            "idempotent",
            "call_timeout",
            "result_retention",
            "max_queued_calls",
            "max_payload_size",
        ],
    ),
];

/// Keys that have no effect without `instances = "reuse"`.
const OF_REUSE: [&str; 2] = ["max_reuse", "max_idle"];

/// Reports mismatches that `look` finds in `actions`, and actions that conflict over an address
/// or path.
pub(super) fn actions(
    resolver: &mut Resolver<'_>,
    source: &ActionSource,
    actions: &[ActionConfig],
    look: PluginCheck,
) {
    let settings = SettingsKeys::of(&source.settings);
    let mut http = Vec::new();
    for action in actions {
        let written = written(source, &settings, &action.name);
        match look(action) {
            Ok(kinds) => {
                warn_unused_keys(resolver, action, &kinds, &written);
                http.extend(kinds.has(Kind::Http).then_some(action));
            }
            Err(PluginMismatch { why, key }) => {
                resolver.report(Problem::from_text(why).at(written.place(&[key])));
            }
        }
    }
    for clash in clashes(http.iter().copied()) {
        let (_, second) = clash.actions();
        let written = written(source, &settings, second);
        let place = written.place(&["path", "listen"]);
        resolver.report(Problem::from_text(clash.to_string()).at(place));
    }
}

/// Warns of keys that do not apply to the kinds of the action.
fn warn_unused_keys(
    resolver: &mut Resolver<'_>,
    action: &ActionConfig,
    kinds: &Kinds,
    written: &TableKeys,
) {
    let name = &action.name;
    for (meant, keys) in MEANT_FOR {
        if meant.iter().any(|kind| kinds.has(*kind)) {
            continue;
        }
        let meant = Kinds::from_iter(meant.iter().copied()).to_string().replace('+', " or ");
        for (key, place) in written.among(keys) {
            let what = format!("`{key}` does nothing: it is for {meant}, and {name} is {kinds}");
            resolver.warn(Problem::new(what, format!("drop `{key}`")).at(Some(place.clone())));
        }
    }
    let answers = kinds.has(Kind::Http) || kinds.has(Kind::Task);
    if answers && action.instances == InstancePolicy::Fresh {
        for (key, place) in written.among(&OF_REUSE) {
            let what = format!("`{key}` does nothing: each request has an instance of its own");
            let help = format!("add `instances = \"reuse\"`, or drop `{key}`");
            resolver.warn(Problem::new(what, help).at(Some(place.clone())));
        }
    }
}

/// Warns of `[group.NAME]` tables that no action belongs to. Says nothing if the group of some
/// action is unknown.
pub(super) fn groups(
    resolver: &mut Resolver<'_>,
    source: &ActionSource,
    groups: &[LocatedText],
    reading: &ActionSet,
) {
    let by_hand = |name: &str| source.configured_group(name);
    if reading.refused.iter().any(|refused| by_hand(&refused.name).is_none()) {
        return;
    }
    let written = source.tables.iter().filter_map(|(name, _)| by_hand(name.get_ref()));
    let has_actions: BTreeSet<_> =
        reading.actions.iter().map(|action| action.group.clone()).chain(written).collect();
    for group in groups {
        let name = group.get_ref();
        // The default group is the one of plugins that are added later.
        if has_actions.contains(&Group::from(name.as_str())) || *name == *Group::main().as_str() {
            continue;
        }
        let near = did_you_mean(name, has_actions.iter().map(Group::as_str));
        let near = near.map_or_else(String::new, |question| question + " ");
        let what = format!("`[group.{name}]` does nothing: no action is of this group");
        let help = format!("{near}write `group = \"{name}\"` into the settings of one, or drop it");
        resolver.warn(Problem::new(what, help).at(Some(resolver.place(group))));
    }
}

/// Warns of a table of tokens that is empty, and so lets everyone in.
pub(super) fn tokens(
    resolver: &mut Resolver<'_>,
    settings: &SourceFile,
    host: Option<&HostConfig>,
) {
    let Some(place) = SettingsKeys::of(settings).below(&["api"]).place_of("tokens") else { return };
    if host.is_none_or(HostConfig::requires_credentials) {
        return;
    }
    let what = "`[api.tokens]` holds no token: nobody is asked who they are, and everybody who \
                reaches the control API may do everything";
    let help = "add what `soloist token new NAME --role operate` prints, or drop it";
    resolver.warn(Problem::new(what, help).at(Some(place)));
}

/// The keys that are written in the settings of the action `name`.
fn written(source: &ActionSource, settings: &SettingsKeys<'_>, name: &str) -> TableKeys {
    let by_hand = settings.below(&["action"]).place_of(name);
    if let Some(header) = by_hand {
        return TableKeys { header: Some(header), ..settings.below(&["action", name]) };
    }
    let sibling = source.plugin_settings(name);
    sibling.map(|source| SettingsKeys::of(&source).below(&[])).unwrap_or_default()
}

/// The keys of one table, each with the location of its value.
#[derive(Debug, Default)]
struct TableKeys {
    /// Where the table begins, if it has a heading.
    header: Option<Location>,
    keys: Vec<(String, Location)>,
}

impl TableKeys {
    fn place_of(&self, key: &str) -> Option<Location> {
        self.keys.iter().find(|(known, _)| known == key).map(|(_, place)| place.clone())
    }

    /// The location of the first of `keys` that is written, or else of the table.
    fn place(&self, keys: &[&str]) -> Option<Location> {
        let first = keys.iter().find_map(|key| self.place_of(key));
        first.or_else(|| self.header.clone())
    }

    /// Those of `keys` that are written.
    fn among(&self, keys: &[&str]) -> impl Iterator<Item = (&str, &Location)> {
        let written = self.keys.iter().filter(|(key, _)| keys.contains(&key.as_str()));
        written.map(|(key, place)| (key.as_str(), place))
    }
}

/// The keys of a whole file.
struct SettingsKeys<'a> {
    source: &'a SourceFile,
    root: DeTable<'a>,
}

impl<'a> SettingsKeys<'a> {
    /// A file that is not TOML has no keys.
    fn of(source: &'a SourceFile) -> Self {
        let root = DeTable::parse(source.text()).map(toml::Spanned::into_inner);
        Self { source, root: root.unwrap_or_default() }
    }

    /// The keys of the table at `path`.
    fn below(&self, path: &[&str]) -> TableKeys {
        let mut table = &self.root;
        for step in path {
            let next = table.iter().find(|(key, _)| key.get_ref() == step);
            let Some(DeValue::Table(inner)) = next.map(|(_, value)| value.get_ref()) else {
                return TableKeys::default();
            };
            table = inner;
        }
        let keys = table.iter().map(|(key, value)| {
            // A table with a heading is located by its name in that heading.
            let span = match value.get_ref() {
                DeValue::Table(_) => key.span(),
                _ => value.span(),
            };
            (key.get_ref().to_string(), Location::File(self.source.excerpt(span)))
        });
        TableKeys { header: None, keys: keys.collect() }
    }
}
