//! The exit codes of commands, as docs/reference/cli.md lists them.

/// The answer is no, or the work ran and failed.
pub(crate) const FAILED: i32 = 1;
/// The command line is wrong.
pub(crate) const USAGE: i32 = 64;
/// Data cannot be used.
pub(crate) const DATA: i32 = 65;
/// What was asked for does not exist.
pub(crate) const MISSING: i32 = 66;
/// Something that is needed does not answer.
pub(crate) const UNAVAILABLE: i32 = 69;
/// A failure of soloist itself.
pub(crate) const INTERNAL: i32 = 70;
/// It is not possible in the present situation; nothing has changed.
pub(crate) const REFUSED: i32 = 75;
/// Access is denied.
pub(crate) const DENIED: i32 = 77;
/// The settings are wrong.
pub(crate) const CONFIG: i32 = 78;
/// A second signal came first.
pub(crate) const INTERRUPTED: i32 = 130;
