//! From the parsed settings file and the overrides to a [`Config`].

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use soloist_heart::{Strategy, Timings};

use super::{
    ActionSet, Config, ConfigError, GroupConfig, Overrides, RefusedAction, StoreUrl,
    action_source::ActionSource,
    group, host, lease, lenient,
    problem::{Location, Problem},
    resolver::Resolver,
    review,
    settings_cache::SettingsCache,
    settings_file::{ActionTable, LeaseTable, LocatedText, SettingsFile, SourceFile},
    store, traces, value,
};

const DEFAULT_FILE: &str = "soloist.toml";
const DEFAULT_CLUSTER: &str = "soloist";
const DEFAULT_STORE: &str = "sqlite:soloist.db";
const DEFAULT_PLUGINS: &str = "plugins";
const DEFAULT_TTL: Duration = Duration::from_secs(5);
const DEFAULT_STOP: Duration = Duration::from_millis(500);
const DEFAULT_DRAIN: Duration = Duration::from_secs(10);
const DEFAULT_COOLDOWN: Duration = Duration::from_secs(30);

impl Config {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// Reports everything that is wrong with them.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        load(std::path::Path::new(""), overrides)
    }
}

/// Reads the settings; the default settings file is looked for in `folder`.
pub(super) fn load(folder: &Path, overrides: &Overrides) -> Result<Config, ConfigError> {
    let source = open(folder, overrides.config.as_deref())?.shown_as(overrides.file_alias);
    let (file, mistakes) = lenient::read::<SettingsFile>(&source);
    if !mistakes.is_empty() && source.parse::<ActionTable>().is_ok() {
        return Err(action_settings_problem(&source).into());
    }
    let Some(file) = file else { return Err(ConfigError::new(mistakes)) };
    let mut resolver = Resolver::new(&source).without_secrets(overrides.without_secrets);
    resolver.report_all(mistakes);
    let config = config(&mut resolver, file, overrides, source.clone());
    resolver.finish(config)
}

fn open(folder: &Path, named: Option<&Path>) -> Result<SourceFile, Problem> {
    let path = named.map_or_else(|| folder.join(DEFAULT_FILE), Path::to_owned);
    SourceFile::open_named(path.clone()).or_else(|error| {
        if named.is_none() && error.kind() == io::ErrorKind::NotFound {
            return Ok(SourceFile::empty(folder));
        }
        let problem = Problem::new(
            format!("cannot read `{}`: {error}", path.display()),
            "name a settings file that can be read, or none: every setting has a default",
        );
        Err(problem.at(named.map(|_| Location::Flag("config"))))
    })
}

/// The problem of a file that holds one action's settings, where a host's were expected.
fn action_settings_problem(source: &SourceFile) -> Problem {
    let file = source.path().display();
    Problem::new(
        format!("`{file}` holds the settings of an action instead of those of a host"),
        "keep it as NAME.toml next to NAME.wasm in the plugins folder, where it is checked \
         together with the host's settings; or write it under [action.NAME] in soloist.toml",
    )
}

/// `None` only if problems were reported. There is no `?` before all parts have been checked.
fn config(
    resolver: &mut Resolver<'_>,
    file: SettingsFile,
    overrides: &Overrides,
    settings: SourceFile,
) -> Option<Config> {
    let cluster = resolver.written(file.cluster, DEFAULT_CLUSTER);
    let cluster = resolver.read(&cluster, value::cluster);
    let store = store(resolver, file.store, &overrides.store);
    let store = store.and_then(|url| store::read(resolver, file.store_tls, overrides, url));
    let plugins =
        resolver.flag_or_written("plugins", &overrides.plugins, file.plugins, DEFAULT_PLUGINS);
    let folder = resolver.path(&plugins, Path::new(&plugins.text));
    let cooldown = resolver.bounded(file.host.cooldown.as_ref(), DEFAULT_COOLDOWN);
    let host = host::read(resolver, file.host, file.api, overrides);
    let traces = traces::read(resolver, file.traces);
    let timings = timings(resolver, file.lease, cooldown, store.as_ref());
    let named: Vec<_> = file.group.keys().cloned().collect();
    let groups = group::read(resolver, file.group, &folder);
    let source = ActionSource {
        settings,
        tables: file.action.into_iter().collect(),
        folder,
        place: plugins.place,
        strategies: strategies(groups.iter().flat_map(BTreeMap::values)),
        control: host.as_ref().map(|host| host.listen),
        without_secrets: overrides.without_secrets,
        settings_cache: SettingsCache::default(),
    };
    let reading = actions(resolver, &source, overrides.all_or_none)?;
    if let Some(look) = overrides.plugin_check {
        review::actions(resolver, &source, &reading.actions, look);
        review::groups(resolver, &source, groups.as_ref().map_or(&[], |_| &named), &reading);
        review::tokens(resolver, &source.settings, host.as_ref());
    }
    let ActionSet { actions, refused } = reading;
    let remarks = resolver.warnings().iter().map(ToString::to_string).collect();
    Some(Config {
        cluster: cluster?,
        store: store?,
        host: host?,
        traces: traces?,
        timings: timings?,
        groups: groups?,
        actions,
        refused,
        warnings: remarks,
        all_or_none: overrides.all_or_none,
        functions: None,
        source: Arc::new(source),
    })
}

/// A mistake in the settings file itself keeps the host from starting. With `all_or_none`,
/// problems outside of it do as well.
fn actions(
    resolver: &mut Resolver<'_>,
    source: &ActionSource,
    all_or_none: bool,
) -> Option<ActionSet> {
    let reading = source.read().map_err(|error| resolver.report_all(error.into_problems()));
    let mut reading = reading.ok()?;
    resolver.report_all(reading.take_mistakes(|name| source.configured_group(name).is_some()));
    if all_or_none {
        resolver.report_external();
        resolver.report_all(reading.refused.iter().flat_map(RefusedAction::problems).cloned());
    }
    Some(reading)
}

/// The components that are used as strategies.
fn strategies<'a>(groups: impl Iterator<Item = &'a GroupConfig>) -> BTreeSet<PathBuf> {
    let plugin = |group: &GroupConfig| match &group.strategy {
        Strategy::Plugin(path) => Some(path.clone()),
        _ => None,
    };
    groups.filter_map(plugin).collect()
}

fn store(
    resolver: &mut Resolver<'_>,
    text: Option<LocatedText>,
    given: &Option<String>,
) -> Option<StoreUrl> {
    let setting = resolver.flag_or_written("store", given, text, DEFAULT_STORE);
    Some(match resolver.read(&setting, StoreUrl::parse)? {
        StoreUrl::Sqlite(path) => StoreUrl::Sqlite(resolver.path(&setting, &path)),
        StoreUrl::Postgres(url) => {
            StoreUrl::Postgres(url.with_files(|file| resolver.path(&setting, file)).into())
        }
        etcd @ StoreUrl::Etcd { .. } => etcd,
    })
}

fn timings(
    resolver: &mut Resolver<'_>,
    table: LeaseTable,
    cooldown: Option<Duration>,
    store: Option<&StoreUrl>,
) -> Option<Timings> {
    let ttl = resolver.bounded(table.ttl.as_ref(), DEFAULT_TTL);
    let drain = resolver.bounded(table.drain_timeout.as_ref(), DEFAULT_DRAIN);
    let stop = resolver.bounded(table.stop_timeout.as_ref(), DEFAULT_STOP);
    let (store, ttl) = (store?, ttl?);
    let ttl_place = resolver.place_of(table.ttl.as_ref());
    resolver.check(ttl_place.clone(), lease::check_ttl(ttl, store))?;
    let timings = Timings::derive(ttl, stop?, drain?).with_cooldown(cooldown?);
    let blamed = ttl_place.or_else(|| resolver.place_of(table.stop_timeout.as_ref()));
    resolver.check(blamed, lease::check_timings(&timings, store))?;
    Some(timings)
}
