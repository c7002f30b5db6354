//! The actions: those of the file, and those that the plugins folder makes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Grants, HostConfig,
    file::{ActionTable, Text, nearest},
    granted,
    problem::{Place, Problem},
    resolver::{Resolver, Setting},
    value,
};
use crate::election::Group;

/// How many requests an action answers at a time, by default and at most.
const REQUESTS: usize = 256;
const REQUESTS_MAX: usize = 1000;

const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3000);

/// A plugin configured to run under a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionConfig {
    /// Its name, unique on this host and the same on every host.
    pub name: Arc<str>,
    /// The component's file.
    pub plugin: PathBuf,
    /// The election that decides where it runs.
    pub group: Group,
    /// Where an `http` action answers while this host leads.
    pub listen: SocketAddr,
    /// How many requests an `http` action answers at a time.
    pub requests: usize,
    /// What it is granted.
    pub grants: Arc<Grants>,
}

impl ActionConfig {
    fn with_defaults(name: &str, plugin: PathBuf) -> Self {
        Self {
            name: name.into(),
            plugin,
            group: Group::main(),
            listen: DEFAULT_LISTEN,
            requests: REQUESTS,
            grants: Arc::default(),
        }
    }
}

/// The first two of `actions` that cannot both listen where they are told to.
///
/// Which actions listen at all is known once their kinds are; ask this about
/// the `http` ones. Those of different groups clash too: one host may lead both.
#[must_use]
pub fn clashing_listeners<'a>(
    actions: &[&'a ActionConfig],
) -> Option<(&'a ActionConfig, &'a ActionConfig)> {
    actions.iter().enumerate().find_map(|(i, one)| {
        let other = actions[i + 1..].iter().find(|other| clash(one.listen, other.listen))?;
        Some((*one, *other))
    })
}

/// Whether only one of two addresses can be listened on.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_ip
}

/// The names of the components in `folder`, sorted.
///
/// # Errors
/// What the system says where the folder cannot be read.
pub fn components(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "wasm") && path.is_file() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The actions by name: `tables` are those of the file, the others come from `folder`,
/// which was named at `place`.
pub(super) fn read_actions(
    resolver: &mut Resolver<'_>,
    tables: BTreeMap<Text, ActionTable>,
    folder: &Path,
    place: Option<Place>,
    host: Option<&HostConfig>,
) -> Vec<ActionConfig> {
    let present = match components(folder) {
        Ok(present) => present,
        // Each action of the file will say that its plugin is missing.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !tables.is_empty() => Vec::new(),
        Err(error) => {
            resolver.report(unreadable(folder, &error).at(place));
            return Vec::new();
        }
    };
    let mut reader = Reader { resolver, folder, present, taken: Vec::new() };
    if let Some(host) = host {
        reader.taken.push((host.listen, "the control API".to_owned()));
    }
    let mut actions: Vec<_> =
        tables.into_iter().filter_map(|(name, table)| reader.configured(name, table)).collect();
    let found = reader.found(&actions);
    actions.extend(found);
    actions.sort_by(|a, b| a.name.cmp(&b.name));
    actions
}

fn unreadable(folder: &Path, error: &io::Error) -> Problem {
    let shown = folder.display();
    if error.kind() == io::ErrorKind::NotFound {
        let mend = "create it and put components (*.wasm) there, or name another with --plugins";
        return Problem::new(format!("the plugins folder `{shown}` does not exist"), mend);
    }
    Problem::new(
        format!("cannot read the plugins folder `{shown}`: {error}"),
        "name a folder that this user can read with --plugins",
    )
}

struct Reader<'a, 'b> {
    resolver: &'a mut Resolver<'b>,
    folder: &'a Path,
    present: Vec<String>,
    /// The addresses that somebody asked for in so many words, and who.
    taken: Vec<(SocketAddr, String)>,
}

impl Reader<'_, '_> {
    /// The action of a `[action.NAME]`.
    fn configured(&mut self, name: Text, table: ActionTable) -> Option<ActionConfig> {
        let name = self.resolver.written(Some(name), "");
        let grants = granted::read(self.resolver, &table);
        let plugin = self.resolver.written(table.plugin, &format!("{}.wasm", name.text));
        let group = self.resolver.written(table.group, Group::main().as_str());
        let listen = self.resolver.written(table.listen, &DEFAULT_LISTEN.to_string());
        let file = self.plugin(&name, &plugin);
        let address = self.listen(&name.text, &listen);
        let requests = self.resolver.number(table.requests, REQUESTS, 1..=REQUESTS_MAX);
        let group = self.resolver.read(&group, value::name);
        let name = self.resolver.read(&name, value::name);
        Some(ActionConfig {
            name: name?.into(),
            plugin: file?,
            group: group?.as_str().into(),
            listen: address?,
            requests: requests?,
            grants: grants?.into(),
        })
    }

    fn plugin(&mut self, action: &Setting, plugin: &Setting) -> Option<PathBuf> {
        let file = self.folder.join(&plugin.text);
        if file.is_file() {
            return Some(file);
        }
        let place = plugin.place.as_ref().or(action.place.as_ref()).cloned();
        let mend = match nearest(&plugin.text, self.present.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`? "),
            None => String::new(),
        };
        let there = match &self.present[..] {
            [] => "there is no component (*.wasm) in it at all".to_owned(),
            present => format!("in it are: {}", present.join(", ")),
        };
        let problem = Problem::new(
            format!("`{}` is not in the plugins folder `{}`", plugin.text, self.folder.display()),
            format!("{mend}{there}"),
        );
        self.resolver.report(problem.at(place));
        None
    }

    fn listen(&mut self, action: &str, listen: &Setting) -> Option<SocketAddr> {
        let taken = &self.taken;
        let address = self.resolver.read(listen, |text| {
            let address = value::address(text)?;
            match taken.iter().find(|(other, _)| listen.place.is_some() && clash(*other, address)) {
                Some((_, who)) => Err(Problem::new(
                    format!("`{text}` is the address of {who} already"),
                    "give each an address of its own; port 0 lets the system choose one",
                )),
                None => Ok(address),
            }
        })?;
        if listen.place.is_some() {
            self.taken.push((address, format!("action `{action}`")));
        }
        Some(address)
    }

    /// The actions that components make which no action of the file names.
    fn found(&mut self, configured: &[ActionConfig]) -> Vec<ActionConfig> {
        let named: BTreeSet<_> = configured.iter().map(|action| &*action.plugin).collect();
        let mut found = Vec::new();
        for file in &self.present {
            let path = self.folder.join(file);
            if named.contains(&*path) {
                continue;
            }
            let stem = file.strip_suffix(".wasm").unwrap_or(file);
            let mend = format!("write `[action.NAME]` with `plugin = \"{file}\"`");
            if configured.iter().any(|action| &*action.name == stem) {
                let what = format!("`{file}` has the name of an action that runs another plugin");
                self.resolver.report(Problem::new(what, mend));
            } else if value::name(stem).is_err() {
                let what = format!("`{file}` cannot give its name to an action");
                self.resolver.report(Problem::new(what, format!("rename it, or {mend}")));
            } else {
                found.push(ActionConfig::with_defaults(stem, path));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(name: &str, listen: &str) -> ActionConfig {
        let listen = listen.parse().unwrap();
        ActionConfig { listen, ..ActionConfig::with_defaults(name, PathBuf::new()) }
    }

    #[test]
    fn listeners_clash_on_one_port_of_one_ip() {
        let [a, b, c, any, free] = [
            action("a", "127.0.0.1:1"),
            action("b", "127.0.0.1:2"),
            action("c", "127.0.0.2:1"),
            action("any", "0.0.0.0:2"),
            action("free", "127.0.0.1:0"),
        ];
        assert_eq!(clashing_listeners(&[&a, &b, &c, &free, &free]), None);
        assert_eq!(clashing_listeners(&[&a, &b, &c, &any]), Some((&b, &any)));
    }
}
