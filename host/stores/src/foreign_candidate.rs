//! Entries in an election's queue that no soloist host has written.
//!
//! The store orders the queue by nothing but the keys. So a candidate of `etcdctl elect`, or a key
//! written by hand, stands among the hosts. While such an entry heads the queue, no host leads.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use soloist_heart::{FencingToken, LeaseId};

/// A key in a group's queue that soloist did not write, or that has no lease. Its text for people
/// works for every store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignCandidate {
    /// The key's name in the store.
    pub key: Arc<str>,
    /// The key's create revision, which is its position in the queue.
    pub fencing_token: FencingToken,
    /// The lease that the key is attached to; `None` if it exists until somebody deletes it.
    pub lease: Option<LeaseId>,
    /// The command that deletes the key.
    pub remove: Arc<str>,
}

impl fmt::Display for ForeignCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = shell_quote(self.key.as_bytes());
        match self.lease {
            Some(lease) => {
                write!(f, "the entry {key} (session {lease}), which soloist did not write,")
            }
            None => write!(f, "the entry {key}, which belongs to no session,"),
        }
    }
}

/// Quotes a name as a single word for a shell (POSIX, 2.2; bash's `$'…'` for unprintable bytes).
pub(super) fn shell_quote(name: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_.:@%+=,-".contains(byte);
    let shown = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let text = || String::from_utf8_lossy(name);
    if !name.is_empty() && name.iter().all(plain) {
        text().into_owned()
    } else if name.iter().all(shown) {
        format!("'{}'", text().replace('\'', r"'\''"))
    } else {
        let mut word = String::from("$'");
        for byte in name {
            match byte {
                b'\'' | b'\\' => word.extend(['\\', char::from(*byte)]),
                byte if shown(byte) => word.push(char::from(*byte)),
                // Writing to a string cannot fail.
                byte => drop(write!(word, "\\x{byte:02x}")),
            }
        }
        word + "'"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_was_meant() {
        let names: [&[u8]; 6] =
            [b"/soloist/a/election/main/2a", b"", b"a b", b"it's", b"\xff'\n\\", "é".as_bytes()];
        for name in names {
            let script = format!("printf %s {}", shell_quote(name));
            let read = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(read.stdout, name, "{script}");
            assert!(script.chars().all(|it| it.is_ascii() && !it.is_control()), "{script}");
        }
    }
}
