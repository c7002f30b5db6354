//! What each check came to, and what it means for the programs.

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

/// Another answer than wasmtime's, given on purpose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Otherwise {
    /// What the check tells of it.
    pub(super) told: &'static str,
    pub(super) because: &'static str,
}

/// The header that the host of wasmtime's tests forbids, beside those that every host does, is
/// one as any other here; `told` is what the check tells of that.
pub(super) const fn not_forbidden(told: &'static str) -> Otherwise {
    Otherwise { told, because: "only the host of wasmtime's tests forbids that header" }
}

/// How a check ended.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    Explained(&'static str),
    Fault(String),
}

#[derive(Debug)]
struct Row {
    world: World,
    /// The name of the program, without its world.
    program: &'static str,
    case: &'static str,
    verdict: Verdict,
}

/// All checks so far.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Row>);

impl Table {
    /// Notes a check that must hold.
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

    /// Notes a check that must come out `otherwise`, and in no third way.
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

    /// Fails if a check came out in a way that nothing explains.
    pub(super) fn holds(&self) {
        let faults = self.0.iter().filter(|row| matches!(row.verdict, Verdict::Fault(_)));
        let faults: Vec<_> = faults.map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), self.0.len(), faults.join("\n"));
    }

    /// How many programs there are and hold in all that they check, as the docs say it.
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
