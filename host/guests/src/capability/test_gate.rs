//! A gate for tests.

use std::sync::Arc;

use soloist_heart::{FencingToken, Group, Term, clock::BootTime};
use soloist_leadership::{Deadline, Gate};

/// An open gate for the term of group `main`, host `a` and fencing token 7.
pub(crate) fn test_gate(deadline: BootTime) -> Arc<Gate> {
    let term = Term { group: Group::main(), host: "a".into(), fencing_token: FencingToken(7) };
    Arc::new(Gate::new(term, Arc::new(Deadline::new(deadline))))
}
