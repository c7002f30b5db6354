//! The addresses and paths of `http` actions. Several actions may share an address, each under
//! its own path.
//!
//! Invariant: the result depends on names and settings alone. It does not change when an action
//! runs, fails or is parked; and hosts with the same plugins folder and settings agree on it.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use super::{ActionConfig, ReservedMount, action::overlap, own_path::own_path};

/// The path that covers a whole address.
const ROOT: &str = "/";

/// Where one action answers: an address and its paths there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The address.
    pub listen: SocketAddr,
    /// The path prefixes of its requests, the shortest first; at least one.
    pub paths: Vec<Arc<str>>,
}

impl Mount {
    /// The shortest of its paths.
    #[must_use]
    pub fn path(&self) -> &str {
        self.paths.first().map_or(ROOT, |path| path)
    }

    /// Its paths, each with the address.
    fn points(&self) -> impl Iterator<Item = MountPoint> {
        self.paths.iter().map(|path| MountPoint { listen: self.listen, path: Arc::clone(path) })
    }
}

/// As in `127.0.0.1:3000 and 127.0.0.1:3000/web`.
impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<_> = self.points().map(|place| place.to_string()).collect();
        f.write_str(&places.join(" and "))
    }
}

/// A path at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// The address.
    pub listen: SocketAddr,
    /// The path: `/`, or one without a trailing slash.
    pub path: Arc<str>,
}

/// As in `127.0.0.1:3000/web`.
impl fmt::Display for MountPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.listen, self.path.trim_end_matches('/'))
    }
}

impl ActionConfig {
    /// The path at which it always answers, whatever other actions share its address.
    #[must_use]
    pub fn own_path(&self) -> Arc<str> {
        self.path.clone().unwrap_or_else(|| own_path(&self.name))
    }
}

/// Computes where each of `actions` answers, by name: at the path of its settings, else at
/// `/NAME`. It also answers at `/` if it is the only action at its address without a configured
/// path, and no other claims `/`. Actions that are unavailable (`absent`) count as if they were
/// there.
///
/// Pass only actions of the kind `http`; the kinds are known once plugins have been inspected.
pub fn mounts<'a>(
    actions: impl IntoIterator<Item = &'a ActionConfig> + Clone,
    absent: impl IntoIterator<Item = &'a ReservedMount>,
) -> BTreeMap<Arc<str>, Mount> {
    // How many actions claim the root path of each address.
    let mut claims: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    let here = actions.clone().into_iter().map(|action| (action.listen, action.path.as_deref()));
    let absent = absent.into_iter().filter(|reserved| reserved.answers);
    let absent = absent.map(|reserved| (reserved.listen, reserved.path.as_deref()));
    for (listen, _) in here.chain(absent).filter(|(_, path)| path.is_none_or(|it| it == ROOT)) {
        *claims.entry(listen).or_default() += 1;
    }
    let mount = |action: &ActionConfig| {
        let listen = action.listen;
        // With port 0 every action gets a port of its own.
        let alone = listen.port() == 0 || claims.get(&listen) == Some(&1);
        let sure = action.own_path();
        let paths = match &action.path {
            None if alone => vec![ROOT.into(), sure],
            _ => vec![sure],
        };
        (Arc::clone(&action.name), Mount { listen, paths })
    };
    actions.into_iter().map(mount).collect()
}

/// Why two `http` actions cannot both answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// Both want the same path at the same address.
    #[error(
        "the actions {first} and {second} would both answer at {mount}: give one of them another `path` or `listen`"
    )]
    SamePlace {
        /// The first of the two.
        first: Arc<str>,
        /// The second.
        second: Arc<str>,
        /// The address and path that both want.
        mount: MountPoint,
    },
    /// Two addresses of which only one can be bound; or one address with and without TLS, with
    /// two kinds of `standby`, or in two groups, which may have different leaders.
    #[error(
        "the actions {first} and {second} cannot both listen, on {one} and {other}: only actions of one group with the same `tls` and `standby` share an address, and only one that is written alike; give one of them another `listen`"
    )]
    Clash {
        /// The first of the two.
        first: Arc<str>,
        /// The second.
        second: Arc<str>,
        /// The address of the first.
        one: SocketAddr,
        /// The address of the second.
        other: SocketAddr,
    },
}

impl MountError {
    /// The names of both actions.
    #[must_use]
    pub fn actions(&self) -> (&Arc<str>, &Arc<str>) {
        let (Self::SamePlace { first, second, .. } | Self::Clash { first, second, .. }) = self;
        (first, second)
    }
}

/// Finds the first two `http` actions that cannot both answer. Actions of different groups are
/// compared too, since one host may lead both.
///
/// # Errors
/// Names the two actions.
pub fn check_mounts<'a>(
    actions: impl IntoIterator<Item = &'a ActionConfig> + Clone,
) -> Result<(), MountError> {
    clashes(actions).into_iter().next().map_or(Ok(()), Err)
}

/// All conflicts that [`check_mounts`] would find: one for each action that conflicts with an
/// earlier one.
pub fn clashes<'a>(actions: impl IntoIterator<Item = &'a ActionConfig> + Clone) -> Vec<MountError> {
    // Unavailable actions neither take nor give up a path here.
    let mounts = mounts(actions.clone(), []);
    let actions: Vec<_> = actions.into_iter().collect();
    let mut found = Vec::new();
    for (i, second) in actions.iter().enumerate() {
        found.extend(actions[..i].iter().find_map(|first| {
            let clashes = overlap(first.listen, second.listen)
                && (first.listen != second.listen
                    || first.group != second.group
                    || first.tls != second.tls
                    || first.relay.standby != second.relay.standby);
            let names = || (Arc::clone(&first.name), Arc::clone(&second.name));
            if clashes {
                let (one, other, (first, second)) = (first.listen, second.listen, names());
                return Some(MountError::Clash { first, second, one, other });
            }
            let mount = shared(mounts.get(&first.name)?, mounts.get(&second.name)?)?;
            let (first, second) = names();
            Some(MountError::SamePlace { first, second, mount })
        }));
    }
    found
}

/// A path at an address that both have.
fn shared(one: &Mount, other: &Mount) -> Option<MountPoint> {
    let there: Vec<_> = other.points().collect();
    one.points().find(|place| place.listen.port() != 0 && there.contains(place))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{RelayConfig, StandbyMode};

    fn action(name: &str, listen: &str, path: Option<&str>) -> ActionConfig {
        let (listen, path) = (listen.parse().unwrap(), path.map(Arc::from));
        ActionConfig { listen, path, ..ActionConfig::with_defaults(name, PathBuf::new()) }
    }

    fn shown(actions: &[ActionConfig], absent: &[ReservedMount]) -> Vec<String> {
        mounts(actions, absent).values().map(Mount::to_string).collect()
    }

    #[test]
    fn each_is_under_its_name_and_who_is_alone_is_at_the_root_too() {
        let alone = action("a", "127.0.0.1:1", None);
        assert_eq!(shown(std::slice::from_ref(&alone), &[]), ["127.0.0.1:1 and 127.0.0.1:1/a"]);
        let b = action("b", "127.0.0.1:1", None);
        assert_eq!(shown(&[alone.clone(), b.clone()], &[]), ["127.0.0.1:1/a", "127.0.0.1:1/b"]);
        let root = action("root", "127.0.0.1:1", Some("/"));
        assert_eq!(shown(&[b.clone(), root], &[]), ["127.0.0.1:1/b", "127.0.0.1:1"]);
        // An action with another configured path does not claim the root.
        let shop = action("shop", "127.0.0.1:1", Some("/shop"));
        let both = ["127.0.0.1:1 and 127.0.0.1:1/b", "127.0.0.1:1/shop"];
        assert_eq!(shown(&[b, shop], &[]), both);
        let [x, y] = [action("x", "127.0.0.1:0", None), action("y", "127.0.0.1:0", None)];
        let own = ["127.0.0.1:0 and 127.0.0.1:0/x", "127.0.0.1:0 and 127.0.0.1:0/y"];
        assert_eq!(shown(&[x, y], &[]), own);
    }

    #[test]
    fn who_cannot_be_had_gives_no_place_away() {
        let alone = action("a", "127.0.0.1:1", None);
        let of = |path: Option<&str>, answers| {
            let (name, path) = ("b".into(), path.map(Arc::from));
            let absent =
                ReservedMount { name, listen: alone.listen, any_address: false, path, answers };
            shown(std::slice::from_ref(&alone), &[absent])
        };
        assert_eq!(of(None, true), ["127.0.0.1:1/a"]);
        assert_eq!(of(Some("/"), true), ["127.0.0.1:1/a"]);
        let both = ["127.0.0.1:1 and 127.0.0.1:1/a"];
        assert_eq!(of(Some("/b"), true), both);
        // It may be no HTTP server at all.
        assert_eq!(of(None, false), both);
    }

    #[test]
    fn what_cannot_be_together_is_named() {
        let check = |actions: &[ActionConfig]| {
            check_mounts(actions).map_err(|error| match error {
                MountError::SamePlace { first, second, .. } => {
                    format!("{first} and {second} are one")
                }
                MountError::Clash { first, second, .. } => format!("{first} and {second} clash"),
            })
        };
        let a = action("a", "127.0.0.1:2", None);
        let near = action("near", "127.0.0.1:2", None);
        let ports = ["127.0.0.1:1", "127.0.0.2:2", "127.0.0.1:0", "127.0.0.1:0"];
        let others: Vec<_> = ports.iter().map(|listen| action(listen, listen, None)).collect();
        let all: Vec<_> = [a.clone(), near].into_iter().chain(others).collect();
        assert_eq!(check(&all), Ok(()));
        let any = action("any", "0.0.0.0:2", None);
        assert_eq!(check(&[a.clone(), any]), Err("a and any clash".into()));
        let posing = action("posing", "127.0.0.1:2", Some("/a"));
        assert_eq!(check(&[a.clone(), posing]), Err("a and posing are one".into()));
        let foreign =
            ActionConfig { group: "other".into(), ..action("foreign", "127.0.0.1:2", None) };
        assert_eq!(check(&[a.clone(), foreign]), Err("a and foreign clash".into()));
        let relayed = RelayConfig { standby: StandbyMode::Forward, ..RelayConfig::default() };
        let open = ActionConfig { relay: relayed, ..action("open", "127.0.0.1:2", None) };
        assert_eq!(check(&[a, open]), Err("a and open clash".into()));
    }
}
