//! What stands in a queue though no host of soloist has put it there.
//!
//! The store goes by the order of the keys and by nothing else, so `etcdctl elect`, or a key put
//! by hand, stands among the hosts. One at the head is nobody's leader, and nobody leads as long
//! as it is there.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use soloist_heart::{LeaseId, Token};

/// A key in a group's queue that soloist did not write, or that hangs on no lease. People are told
/// of it by the words of any store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignCandidate {
    /// Its name in the store.
    pub key: Arc<str>,
    /// Its create revision: its place in the queue.
    pub token: Token,
    /// The lease that it goes with; nothing where it stands until somebody removes it.
    pub lease: Option<LeaseId>,
    /// The command that removes it.
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

/// A name as a word for a shell (POSIX, 2.2; bash's `$'…'` for what cannot be seen).
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
                // It cannot fail: it is a string that grows.
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
