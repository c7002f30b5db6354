//! Kinds: what a plugin can run as, and which of these the settings ask for.

use std::{collections::BTreeSet, fmt};

use super::{
    choice::{Choice, choice},
    grant_settings,
    problem::Problem,
    resolver::Resolver,
    settings_file::ActionTable,
};

/// What a plugin can run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It answers HTTP requests.
    Http,
    /// It runs for as long as the term lasts.
    Service,
    /// It runs when its schedule says so, or on request.
    Job,
    /// It is called when its host becomes leader, and when it goes to standby.
    Hooks,
    /// Any host can run it when it is called.
    Task,
}

impl Kind {
    /// Whether it runs for as long as a term lasts. Hooks are called and return; tasks belong to
    /// no term.
    pub fn runs_all_term(self) -> bool {
        matches!(self, Self::Http | Self::Service | Self::Job)
    }
}

choice! {
    Kind { Http = "http", Service = "service", Job = "job", Hooks = "hooks", Task = "task" },
    "kinds",
    "write `http`, `service`, `job`, `hooks` or `task`"
}

/// The kinds of one plugin. It may have several, and runs as each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(BTreeSet<Kind>);

impl Kinds {
    /// Whether `kind` is among them.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }

    /// Whether any of them runs for as long as a term lasts.
    #[must_use]
    pub fn run_all_term(&self) -> bool {
        self.iter().any(Kind::runs_all_term)
    }

    /// Whether any of them belongs to a term, and so to the leader. Tasks do not.
    #[must_use]
    pub fn need_term(&self) -> bool {
        self.iter().any(|kind| kind != Kind::Task)
    }

    /// The same kinds with the service turned into a scheduled job; `None` if there is no
    /// service.
    pub fn as_scheduled(&self) -> Option<Self> {
        let job = |kind| if kind == Kind::Service { Kind::Job } else { kind };
        self.has(Kind::Service).then(|| self.iter().map(job).collect())
    }

    /// The kinds that apply where the settings name none. Compilers give every program a `main`,
    /// even an HTTP handler; that `main` may be a stub that does nothing or traps. So next to an
    /// HTTP handler, a program runs only if the settings ask for it.
    pub fn by_default(&self) -> Self {
        let stub = |kind: &Kind| *kind == Kind::Service && self.has(Kind::Http);
        self.iter().filter(|kind| !stub(kind)).collect()
    }

    /// The kinds, one by one.
    pub fn iter(&self) -> impl Iterator<Item = Kind> {
        self.0.iter().copied()
    }

    /// Whether there are none: such a plugin cannot be run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        Self(kinds.into_iter().collect())
    }
}

/// Formats as in `http+service`.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Kind::word).collect();
        f.write_str(&names.join("+"))
    }
}

/// The kinds that `table` asks for, if any; the outer `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<Option<Kinds>> {
    let Some(texts) = &table.kinds else { return Some(None) };
    let place = Some(resolver.place(texts));
    let kinds: Kinds =
        grant_settings::each(resolver, texts.get_ref(), Kind::parse)?.into_iter().collect();
    resolver.check(place, check(&kinds, table.schedule.is_some()))?;
    Some(Some(kinds))
}

/// Checks that a program is either scheduled or runs for the whole term, and not both.
fn check(kinds: &Kinds, scheduled: bool) -> Result<(), Problem> {
    let refused = |what: &str, help: &str| Err(Problem::new(what, help));
    match (kinds.has(Kind::Service), kinds.has(Kind::Job), scheduled) {
        _ if kinds.is_empty() => {
            refused("`kinds` is empty: the action would do nothing", "name one, or drop `kinds`")
        }
        (_, true, false) => refused(
            "`kinds` contains `job`, but there is no `schedule`",
            "add `schedule = \"0 3 * * *\"`, or `schedule = \"none\"` for a job that runs on \
             request only",
        ),
        (true, _, true) => refused(
            "it has a `schedule`, so its program is a job and not a service",
            "write `job` instead of `service`, or drop `schedule`",
        ),
        (_, false, true) => refused(
            "it has a `schedule`, but `kinds` does not contain `job`",
            "add `job` to `kinds`, or drop `schedule`",
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(names: &[&str]) -> Kinds {
        names.iter().map(|name| Kind::parse(name).unwrap()).collect()
    }

    #[test]
    fn beside_a_handler_a_program_is_left_out_unless_it_is_wanted() {
        assert_eq!(kinds(&["service", "http"]).to_string(), "http+service");
        assert_eq!(kinds(&["service", "http", "hooks"]).by_default().to_string(), "http+hooks");
        assert_eq!(kinds(&["service", "hooks"]).by_default().to_string(), "service+hooks");
        // A schedule counts as asking for the program.
        let scheduled = kinds(&["service", "http"]).as_scheduled().unwrap();
        assert_eq!(scheduled.by_default().to_string(), "http+job");
        assert!(scheduled.run_all_term() && kinds(&["hooks"]).as_scheduled().is_none());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (names, scheduled, good) in [
            (&["http"][..], false, true),
            (&["http", "service"], false, true),
            (&["http", "job"], true, true),
            (&["job"], false, false),
            (&["service"], true, false),
            (&["service", "job"], true, false),
            (&["http"], true, false),
            (&[], false, false),
        ] {
            assert_eq!(check(&kinds(names), scheduled).is_ok(), good, "{names:?} {scheduled}");
        }
        assert!(Kind::parse("htpp").unwrap_err().to_string().contains("did you mean `http`?"));
    }
}
