//! Digests of file contents.

use sha2::{Digest, Sha256};

use soloist_text::hex;

/// The SHA-256 of `bytes`, as hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}
