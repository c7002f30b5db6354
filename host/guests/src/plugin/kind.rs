//! The kinds of a plugin, recognised from its exports.

use super::wasi_engine::WasiVersion;
pub use soloist_config::{Kind, Kinds};

/// The export that makes each kind, and its version of WASI. If a component exports two for one
/// kind, the first in this list is used.
const EXPORTS: [(&str, Kind, WasiVersion); 6] = [
    ("wasi:http/handler@0.3.", Kind::Http, WasiVersion::V03),
    ("wasi:http/incoming-handler@0.2.", Kind::Http, WasiVersion::V02),
    ("wasi:cli/run@0.3.", Kind::Service, WasiVersion::V03),
    ("wasi:cli/run@0.2.", Kind::Service, WasiVersion::V02),
    ("soloist:plugin/hooks@0.1.", Kind::Hooks, WasiVersion::V02),
    ("soloist:plugin/task@0.1.", Kind::Task, WasiVersion::V02),
];

/// What an error names as the exports that it expected.
pub(super) const EXPECTED: &str = "`wasi:http/incoming-handler` (`wasi:http/handler` of WASI 0.3), \
                                   which answers requests, `wasi:cli/run`, which runs, \
                                   `soloist:plugin/task`, which is called, or \
                                   `soloist:plugin/hooks`, which is called when the leader changes";

/// The WASI version by which a component with these exports runs as a `kind`; `None` if it cannot.
pub(super) fn wasi_for(kind: Kind, exports: &[String]) -> Option<WasiVersion> {
    let exported = |prefix| exports.iter().any(|name| name.starts_with(prefix));
    let own = EXPORTS.into_iter().filter(|(_, of, _)| *of == kind);
    own.filter(|(prefix, ..)| exported(*prefix)).map(|(.., wasi)| wasi).next()
}

/// All kinds that a component with these exports could run as.
pub(super) fn kinds_of(exports: &[String]) -> Kinds {
    let kinds = [Kind::Http, Kind::Service, Kind::Hooks, Kind::Task].into_iter();
    kinds.filter(|kind| wasi_for(*kind, exports).is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_export_known_makes_a_kind() {
        let kinds = |names: &[&str]| {
            kinds_of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(kinds(&["wasi:http/incoming-handler@0.2.0"]).to_string(), "http");
        assert_eq!(kinds(&["x", "wasi:cli/run@0.2.9"]).to_string(), "service");
        let both = kinds(&["wasi:cli/run@0.2.0", "wasi:http/incoming-handler@0.2.12"]);
        assert_eq!(both.to_string(), "http+service");
        assert!(both.has(Kind::Http) && both.has(Kind::Service));
        let twice = ["wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0"].map(str::to_owned);
        assert_eq!(kinds_of(&twice).to_string(), "service");
        assert_eq!(wasi_for(Kind::Service, &twice), Some(WasiVersion::V03));
        assert_eq!(kinds(&["wasi:http/handler@0.3.0"]).to_string(), "http");
        let hooks = "soloist:plugin/hooks@0.1.0";
        assert_eq!(kinds(&[hooks, "wasi:http/handler@0.3.0"]).to_string(), "http+hooks");
        assert!(
            !kinds(&[hooks]).run_all_term() && kinds(&[hooks, "wasi:cli/run@0.2.0"]).run_all_term()
        );
        let task = "soloist:plugin/task@0.1.0";
        assert_eq!(kinds(&[task, "wasi:http/handler@0.3.0"]).to_string(), "http+task");
        assert!(!kinds(&[task]).run_all_term() && !kinds(&[task]).need_term());
        assert!(kinds(&[task, hooks]).need_term());
        assert!(kinds(&["soloist:plugin/hooks@0.2.0"]).is_empty());
        assert!(kinds(&["wasi:cli/run@1.0.0"]).is_empty());
        assert!(kinds(&[]).is_empty());
    }
}
