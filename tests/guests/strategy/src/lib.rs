//! A strategy that prefers candidates with the label `wanted`, ordered by its value.
//!
//! A candidate with the label `trap` makes it trap, one with `spin` makes it compute for ever, and
//! one with `ask` makes it ask for the time.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "strategy-plugin",
    });
}

use bindings::exports::soloist::plugin::strategy::{Candidate, Guest};

struct Strategy;

impl Guest for Strategy {
    fn rank(_group: String, candidates: Vec<Candidate>) -> Vec<String> {
        let has = |name: &str| candidates.iter().any(|it| label(it, name).is_some());
        assert!(!has("trap"), "told to trap");
        if has("ask") {
            std::hint::black_box(std::time::SystemTime::now());
        }
        while has("spin") {
            std::hint::black_box(());
        }
        let mut wanted: Vec<_> =
            candidates.iter().filter_map(|it| Some((label(it, "wanted")?, &it.host))).collect();
        wanted.sort();
        wanted.into_iter().map(|(_, host)| host.clone()).collect()
    }
}

fn label<'a>(candidate: &'a Candidate, name: &str) -> Option<&'a str> {
    candidate.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
}

bindings::export!(Strategy with_types_in bindings);
