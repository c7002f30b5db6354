//! The results of the checks, and the totals for the programs.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

/// A version of `wasi:http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum World {
    ZeroTwo,
    ZeroThree,
}

impl World {
    fn prefix(self) -> &'static str {
        match self {
            Self::ZeroTwo => "p2",
            Self::ZeroThree => "p3",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::ZeroTwo => "0.2",
            Self::ZeroThree => "0.3",
        }
    }
}

/// A result that differs from wasmtime's on purpose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Otherwise {
    /// The text that the check reports.
    pub(super) told: &'static str,
    pub(super) because: &'static str,
}

/// wasmtime's tests forbid a header in addition to those that every host forbids. Here it is an
/// ordinary one; `told` is the text that the check reports then.
pub(super) const fn not_forbidden(told: &'static str) -> Otherwise {
    Otherwise { told, because: "only the host of wasmtime's tests forbids that header" }
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    Explained(&'static str),
    Fault(String),
}

#[derive(Debug)]
struct Row {
    world: World,
    /// The program's name without its world.
    program: &'static str,
    case: &'static str,
    verdict: Verdict,
}

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Row>);

impl Table {
    /// Records a check that must succeed.
    pub(super) fn note(
        &mut self,
        world: World,
        program: &'static str,
        case: &'static str,
        told: Result<(), String>,
    ) {
        let verdict = told.map_or_else(Verdict::Fault, |()| Verdict::Holds);
        self.0.push(Row { world, program, case, verdict });
    }

    /// Records a check that must end `otherwise`, and in no third way.
    pub(super) fn note_otherwise(
        &mut self,
        world: World,
        program: &'static str,
        case: &'static str,
        told: Result<(), String>,
        otherwise: Otherwise,
    ) {
        let verdict = match told {
            Err(told) if told.contains(otherwise.told) => Verdict::Explained(otherwise.because),
            Err(told) => Verdict::Fault(told),
            Ok(()) => Verdict::Fault("it holds by now, and the table says otherwise".to_owned()),
        };
        self.0.push(Row { world, program, case, verdict });
    }

    /// Fails if a check has an unexpected result.
    pub(super) fn holds(&self) {
        let faults = self.0.iter().filter(|row| matches!(row.verdict, Verdict::Fault(_)));
        let faults: Vec<_> = faults.map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), self.0.len(), faults.join("\n"));
    }

    /// How many programs there are, and how many pass all checks, in the words of the docs.
    pub(super) fn totals(&self) -> Vec<String> {
        let mut programs: BTreeMap<_, BTreeMap<_, bool>> = BTreeMap::new();
        for row in &self.0 {
            let programs = programs.entry(row.world).or_default();
            *programs.entry(row.program).or_insert(true) &= row.verdict == Verdict::Holds;
        }
        let total = |(world, programs): (World, BTreeMap<_, bool>)| {
            let hold = programs.values().filter(|holds| **holds).count();
            let (version, all) = (world.version(), programs.len());
            let checks = self.0.iter().filter(|row| row.world == world).count();
            format!("| {version} | {all} | {checks} | {hold} | {} |", all - hold)
        };
        programs.into_iter().map(total).collect()
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let program = format!("{}_{}", self.world.prefix(), self.program);
        write!(f, "| {program:47} | {:36} | ", self.case)?;
        match &self.verdict {
            Verdict::Holds => write!(f, "as in wasmtime |"),
            Verdict::Explained(because) => write!(f, "the sandbox: {because} |"),
            Verdict::Fault(told) => write!(f, "FAULT: {told} |"),
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| program | check | answer |\n|---|---|---|")?;
        self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
