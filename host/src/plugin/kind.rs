//! Kinds, recognised from what a component exports.

use std::fmt;

/// What a plugin can be run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It answers HTTP requests.
    Http,
    /// It runs for as long as the term lives.
    Service,
}

/// The kinds by their export, the one that wins first: a component that answers
/// requests is asked to, even if it also has a `main`.
const EXPORTS: [(&str, Kind); 2] =
    [("wasi:http/incoming-handler@0.2.", Kind::Http), ("wasi:cli/run@0.2.", Kind::Service)];

impl Kind {
    /// What a user is told when a component exports none of what is expected.
    pub(super) const EXPECTED: &str = "`wasi:http/incoming-handler` (it answers requests) or `wasi:cli/run` (it runs), both of WASI 0.2";

    /// The kind of a component with these exports.
    pub(super) fn of(exports: &[String]) -> Option<Self> {
        let exported = |prefix| exports.iter().any(|name| name.starts_with(prefix));
        EXPORTS.into_iter().find(|(prefix, _)| exported(*prefix)).map(|(_, kind)| kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Service => "service",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_export_known_decides() {
        let kind = |names: &[&str]| {
            Kind::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(kind(&["wasi:http/incoming-handler@0.2.0"]), Some(Kind::Http));
        assert_eq!(kind(&["x", "wasi:cli/run@0.2.9"]), Some(Kind::Service));
        let both = ["wasi:cli/run@0.2.0", "wasi:http/incoming-handler@0.2.12"];
        assert_eq!(kind(&both), Some(Kind::Http));
        assert_eq!(kind(&["wasi:cli/run@0.3.0"]), None);
        assert_eq!(kind(&[]), None);
    }
}
