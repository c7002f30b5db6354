//! Kinds, recognised from what a component exports.

use std::fmt;

use super::machine::Wasi;

/// What a plugin can be run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It answers HTTP requests.
    Http,
    /// It runs for as long as the term lives.
    Service,
    /// It runs when its schedule says so, or when it is asked to.
    Job,
    /// It is told when its host comes to lead, and when to stand by.
    Hooks,
    /// It does what any host may be called for.
    Task,
}

/// The export that makes each kind, and the WASI that it is entered by. Of two for
/// one kind, the first is taken.
const EXPORTS: [(&str, Kind, Wasi); 6] = [
    ("wasi:http/handler@0.3.", Kind::Http, Wasi::V03),
    ("wasi:http/incoming-handler@0.2.", Kind::Http, Wasi::V02),
    ("wasi:cli/run@0.3.", Kind::Service, Wasi::V03),
    ("wasi:cli/run@0.2.", Kind::Service, Wasi::V02),
    ("soloist:plugin/hooks@0.1.", Kind::Hooks, Wasi::V02),
    ("soloist:plugin/task@0.1.", Kind::Task, Wasi::V02),
];

impl Kind {
    /// What a user is told when a component exports none of what is expected.
    pub(super) const EXPECTED: &str = "`wasi:http/incoming-handler` (`wasi:http/handler` of WASI 0.3), which answers requests, `wasi:cli/run`, which runs, `soloist:plugin/task`, which is called, or `soloist:plugin/hooks`, which is told who leads";

    /// Whether it runs for as long as a term lasts. Hooks are called and return, and tasks
    /// are any host's.
    pub(crate) fn stays(self) -> bool {
        matches!(self, Self::Http | Self::Service | Self::Job)
    }

    /// The WASI by which a component with these exports is entered as this kind.
    pub(super) fn wasi(self, exports: &[String]) -> Option<Wasi> {
        let exported = |prefix| exports.iter().any(|name| name.starts_with(prefix));
        let own = EXPORTS.into_iter().filter(|(_, kind, _)| *kind == self);
        own.filter(|(prefix, ..)| exported(*prefix)).map(|(.., wasi)| wasi).next()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Service => "service",
            Self::Job => "job",
            Self::Hooks => "hooks",
            Self::Task => "task",
        })
    }
}

/// The kinds of one plugin, of which there may be several: it is run as each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(Vec<Kind>);

impl Kinds {
    /// The kinds of a component with these exports.
    pub(super) fn of(exports: &[String]) -> Self {
        let kinds = [Kind::Http, Kind::Service, Kind::Hooks, Kind::Task].into_iter();
        Self(kinds.filter(|kind| kind.wasi(exports).is_some()).collect())
    }

    /// Whether `kind` is among them.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }

    /// Whether something of it runs for as long as a term lasts.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.0.iter().any(|kind| kind.stays())
    }

    /// Whether some of it belongs to a term, and so to the leader. Tasks are any host's.
    #[must_use]
    pub fn perform(&self) -> bool {
        self.0.iter().any(|kind| *kind != Kind::Task)
    }

    /// The same, with its program run by a schedule instead of for as long as a term
    /// lasts; nothing, if it has no program.
    pub(crate) fn scheduled(&self) -> Option<Self> {
        let job = |kind: &Kind| if *kind == Kind::Service { Kind::Job } else { *kind };
        self.has(Kind::Service).then(|| Self(self.0.iter().map(job).collect()))
    }

    /// The kinds, one by one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Kind> {
        self.0.iter().copied()
    }

    /// Whether there are none: such a plugin cannot be run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As in `http+service`.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(Kind::to_string).collect();
        f.write_str(&names.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_export_known_makes_a_kind() {
        let kinds = |names: &[&str]| {
            Kinds::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(kinds(&["wasi:http/incoming-handler@0.2.0"]).to_string(), "http");
        assert_eq!(kinds(&["x", "wasi:cli/run@0.2.9"]).to_string(), "service");
        let both = kinds(&["wasi:cli/run@0.2.0", "wasi:http/incoming-handler@0.2.12"]);
        assert_eq!(both.to_string(), "http+service");
        assert!(both.has(Kind::Http) && both.has(Kind::Service));
        let twice = ["wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0"].map(str::to_owned);
        assert_eq!(Kinds::of(&twice).to_string(), "service");
        assert_eq!(Kind::Service.wasi(&twice), Some(Wasi::V03));
        assert_eq!(kinds(&["wasi:http/handler@0.3.0"]).to_string(), "http");
        let hooks = "soloist:plugin/hooks@0.1.0";
        assert_eq!(kinds(&[hooks, "wasi:http/handler@0.3.0"]).to_string(), "http+hooks");
        assert!(!kinds(&[hooks]).stays() && kinds(&[hooks, "wasi:cli/run@0.2.0"]).stays());
        let task = "soloist:plugin/task@0.1.0";
        assert_eq!(kinds(&[task, "wasi:http/handler@0.3.0"]).to_string(), "http+task");
        assert!(!kinds(&[task]).stays() && !kinds(&[task]).perform());
        assert!(kinds(&[task, hooks]).perform());
        assert_eq!(both.scheduled().unwrap().to_string(), "http+job");
        assert!(both.scheduled().unwrap().stays() && kinds(&[hooks]).scheduled().is_none());
        assert!(kinds(&["soloist:plugin/hooks@0.2.0"]).is_empty());
        assert!(kinds(&["wasi:cli/run@1.0.0"]).is_empty());
        assert!(kinds(&[]).is_empty());
    }
}
