//! The end of what an instance printed: stdout and stderr, in the order in which it was written.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;

/// How much is kept, in bytes.
const TAIL_MAX: usize = 4 << 10;

/// Keeps the latest bytes. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct OutputTail(Arc<Mutex<VecDeque<u8>>>);

impl OutputTail {
    /// Adds output.
    pub fn push(&self, bytes: &[u8]) {
        let latest = &bytes[bytes.len().saturating_sub(TAIL_MAX)..];
        let mut kept = self.0.lock();
        let over = (kept.len() + latest.len()).saturating_sub(TAIL_MAX);
        kept.drain(..over);
        kept.extend(latest);
    }

    /// Drops all output.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// The kept output, from the first whole character on. Invalid UTF-8 is replaced.
    pub fn text(&self) -> String {
        let kept = self.0.lock();
        let cut = if kept.len() < TAIL_MAX {
            0
        } else {
            kept.iter().take_while(|byte| is_inner(**byte)).count()
        };
        let bytes: Vec<u8> = kept.iter().skip(cut).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Whether this is a continuation byte of UTF-8.
const fn is_inner(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let tail = OutputTail::default();
        tail.push(b"one\n");
        tail.push(b"two\n");
        assert_eq!(tail.text(), "one\ntwo\n");
        tail.push(&[b'x'; TAIL_MAX - 4]);
        assert_eq!(tail.text(), format!("two\n{}", "x".repeat(TAIL_MAX - 4)));
        tail.push(&[b'y'; 3 * TAIL_MAX]);
        assert_eq!(tail.text(), "y".repeat(TAIL_MAX));
    }

    #[test]
    fn no_character_is_cut() {
        let tail = OutputTail::default();
        tail.push("é".repeat(TAIL_MAX).as_bytes());
        tail.push(b"!");
        assert_eq!(tail.text(), format!("{}!", "é".repeat(TAIL_MAX / 2 - 1)));
    }
}
