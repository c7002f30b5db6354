//! What the logs of the hosts say: which fencing tokens they led under, why terms ended, and
//! panics.

use std::collections::BTreeMap;

use serde_json::Value;

/// The event that the bench adds to the logs of all hosts when another epoch begins.
pub(crate) const EPOCH: &str = "bench-epoch";

/// The number of an epoch, and a fencing token in it.
type EpochToken = (usize, u64);

/// The relevant content of one host's log.
#[derive(Debug, Default)]
pub(crate) struct HostLog {
    pub(crate) host: String,
    /// The terms that it led.
    pub(crate) led: Vec<EpochToken>,
    /// Why its terms ended.
    pub(crate) causes: BTreeMap<EpochToken, String>,
    /// The lines that report a panic.
    pub(crate) panics: Vec<String>,
}

impl HostLog {
    /// Reads a log of JSON lines. Panics are in plain text.
    pub(crate) fn read(host: &str, log: &str) -> Self {
        let mut read = Self { host: host.to_owned(), ..Self::default() };
        let mut epoch = 0;
        for line in log.lines() {
            let Ok(entry) = serde_json::from_str::<Value>(line) else {
                if line.contains("panicked at") {
                    read.panics.push(line.to_owned());
                }
                continue;
            };
            match entry["event"].as_str() {
                Some(EPOCH) => epoch += 1,
                Some("leading") => {
                    read.led.extend(
                        entry["fencing_token"].as_u64().map(|fencing_token| (epoch, fencing_token)),
                    );
                }
                Some("draining" | "stopping") => read.note_cause(epoch, &entry),
                _ => {}
            }
        }
        read
    }

    /// A drained term is also stopped later; the first cause counts.
    fn note_cause(&mut self, epoch: usize, entry: &Value) {
        if let (Some(fencing_token), Some(cause)) =
            (entry["fencing_token"].as_u64(), entry["cause"].as_str())
        {
            self.causes.entry((epoch, fencing_token)).or_insert_with(|| cause.to_owned());
        }
    }
}

/// Every panic, as a sentence.
pub(crate) fn panics(logs: &[HostLog]) -> Vec<String> {
    let of_host = |log: &HostLog| {
        let text = |panic: &String| format!("a panic of host {}: {panic}", log.host);
        log.panics.iter().map(text).collect::<Vec<_>>()
    };
    logs.iter().flat_map(of_host).collect()
}

/// Every fencing token under which two terms began, as a sentence.
pub(crate) fn shared_fencing_tokens(logs: &[HostLog]) -> Vec<String> {
    let mut found = Vec::new();
    let mut leaders = BTreeMap::new();
    for log in logs {
        for term in &log.led {
            if let Some(other) = leaders.insert(*term, &log.host) {
                found.push(format!(
                    "fencing token {} was led under twice: {other}, {}",
                    term.1, log.host
                ));
            }
        }
    }
    found
}

/// How many terms each cause has ended. The details of a single case are cut off.
pub(crate) fn causes(logs: &[HostLog]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for cause in logs.iter().flat_map(|log| log.causes.values()) {
        let is_of_the_case = |c: char| matches!(c, ',' | ':') || c.is_ascii_digit();
        let kind = cause.split(is_of_the_case).next().unwrap_or_default().trim_end();
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read() {
        let log = HostLog::read(
            "a",
            r#"{"event":"leading","fencing_token":17}
{"event":"draining","fencing_token":17,"cause":"the session was lost"}
{"event":"stopping","fencing_token":17,"cause":"the session was lost"}
thread 'x' panicked at src/lib.rs:1:1:
{"event":"bench-epoch"}
{"event":"leading","fencing_token":17}
{"event":"stopping","fencing_token":17,"cause":"the store went back from 9 to 7: restart"}
{"event":"stopping","fencing_token":19,"cause":"the store went back from 8 to 2: restart"}
not json"#,
        );
        assert_eq!(log.led, [(0, 17), (1, 17)]);
        assert_eq!(log.panics.len(), 1);
        let (lost, back) = ("the session was lost", "the store went back from");
        assert_eq!(causes(&[log]), BTreeMap::from([(lost.into(), 1), (back.into(), 2)]));
    }

    #[test]
    fn a_token_has_one_leader() {
        let log = |host: &str, led: &[u64]| HostLog {
            host: host.into(),
            led: led.iter().map(|fencing_token| (0, *fencing_token)).collect(),
            ..HostLog::default()
        };
        assert!(shared_fencing_tokens(&[log("a", &[1, 3]), log("b", &[2])]).is_empty());
        assert_eq!(shared_fencing_tokens(&[log("a", &[1, 3]), log("b", &[3])]).len(), 1);
        assert_eq!(shared_fencing_tokens(&[log("a", &[3, 3])]).len(), 1);
        let mut restored = log("b", &[3]);
        restored.led = vec![(1, 3)];
        assert!(shared_fencing_tokens(&[log("a", &[3]), restored]).is_empty());
    }
}
