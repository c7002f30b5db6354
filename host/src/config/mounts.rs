//! Where `http` actions answer: several share an address, each under a path.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use super::{ActionConfig, action::overlap};

/// Where one action answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// The address.
    pub listen: SocketAddr,
    /// The path that its requests begin with: `/`, or one without a slash at its end.
    pub path: Arc<str>,
}

/// As in `127.0.0.1:3000/web`.
impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.listen, self.path.trim_end_matches('/'))
    }
}

/// Where each of `actions` answers, by name. An action whose settings do not say under
/// which path is at `/` if it is the only one at its address, else at `/NAME`.
///
/// Which actions answer at all is known once their kinds are; ask this about the `http` ones.
pub fn mounts<'a>(
    actions: impl IntoIterator<Item = &'a ActionConfig> + Clone,
) -> BTreeMap<Arc<str>, Mount> {
    let mut neighbours: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for action in actions.clone() {
        *neighbours.entry(action.listen).or_default() += 1;
    }
    let mount = |action: &ActionConfig| {
        // Port 0 is a port of its own for each that asks for it.
        let alone = action.listen.port() == 0 || neighbours.get(&action.listen) == Some(&1);
        let path = match &action.path {
            Some(path) => Arc::clone(path),
            None if alone => "/".into(),
            None => format!("/{}", action.name).into(),
        };
        (Arc::clone(&action.name), Mount { listen: action.listen, path })
    };
    actions.into_iter().map(mount).collect()
}

/// Why two `http` actions cannot both answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// The same place.
    #[error(
        "the actions {first} and {second} would both answer at {mount}: give one of them another `path` or `listen`"
    )]
    SamePlace {
        /// The first of the two.
        first: Arc<str>,
        /// The second.
        second: Arc<str>,
        /// The place.
        mount: Mount,
    },
    /// Two addresses of which only one can be listened on, or one address with and without
    /// TLS, or with two kinds of `standby`, or for two groups, which may be led by two hosts.
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
    /// The two.
    #[must_use]
    pub fn actions(&self) -> (&Arc<str>, &Arc<str>) {
        let (Self::SamePlace { first, second, .. } | Self::Clash { first, second, .. }) = self;
        (first, second)
    }
}

/// Finds the first two of the `http` actions that cannot both answer. Those of different
/// groups clash too: one host may lead both.
///
/// # Errors
/// Names the two.
pub fn check_mounts<'a>(
    actions: impl IntoIterator<Item = &'a ActionConfig> + Clone,
) -> Result<(), MountError> {
    let mounts = mounts(actions.clone());
    let actions: Vec<_> = actions.into_iter().collect();
    for (i, second) in actions.iter().enumerate() {
        for first in &actions[..i] {
            let clashes = overlap(first.listen, second.listen)
                && (first.listen != second.listen
                    || first.group != second.group
                    || first.tls != second.tls
                    || first.relayed.standby != second.relayed.standby);
            let names = || (Arc::clone(&first.name), Arc::clone(&second.name));
            if clashes {
                let (one, other, (first, second)) = (first.listen, second.listen, names());
                return Err(MountError::Clash { first, second, one, other });
            }
            let (one, other) = (mounts.get(&first.name), mounts.get(&second.name));
            if let Some(mount) = one.filter(|one| Some(*one) == other && one.listen.port() != 0) {
                let (mount, (first, second)) = (mount.clone(), names());
                return Err(MountError::SamePlace { first, second, mount });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Relayed, Standby};

    fn action(name: &str, listen: &str, path: Option<&str>) -> ActionConfig {
        let (listen, path) = (listen.parse().unwrap(), path.map(Arc::from));
        ActionConfig { listen, path, ..ActionConfig::with_defaults(name, PathBuf::new()) }
    }

    fn shown(actions: &[ActionConfig]) -> Vec<String> {
        mounts(actions).values().map(Mount::to_string).collect()
    }

    #[test]
    fn the_only_one_is_at_the_root_and_several_are_under_their_names() {
        let alone = action("a", "127.0.0.1:1", None);
        assert_eq!(shown(std::slice::from_ref(&alone)), ["127.0.0.1:1"]);
        let b = action("b", "127.0.0.1:1", None);
        assert_eq!(shown(&[alone.clone(), b.clone()]), ["127.0.0.1:1/a", "127.0.0.1:1/b"]);
        let root = action("root", "127.0.0.1:1", Some("/"));
        assert_eq!(shown(&[b, root]), ["127.0.0.1:1/b", "127.0.0.1:1"]);
        let [x, y] = [action("x", "127.0.0.1:0", None), action("y", "127.0.0.1:0", None)];
        assert_eq!(shown(&[x, y]), ["127.0.0.1:0", "127.0.0.1:0"]);
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
        let relayed = Relayed { standby: Standby::Forward, ..Relayed::default() };
        let open = ActionConfig { relayed, ..action("open", "127.0.0.1:2", None) };
        assert_eq!(check(&[a, open]), Err("a and open clash".into()));
    }
}
