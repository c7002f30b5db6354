//! How far a host that starts has come with its plugins.

use std::{fmt, sync::Arc};

/// What a host is about before it has started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Preparing {
    /// It has only begun.
    #[default]
    Starting,
    /// It compiles the plugin of an action, and all that come after it.
    Compiling {
        /// The action.
        action: Arc<str>,
        /// Which of them it is, from 1 on.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// All of them are prepared.
    Compiled,
}

/// As it goes on after "this host starts: ".
impl fmt::Display for Preparing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("it compiles its plugins, or waits for the store"),
            Self::Compiling { action, number, of } => {
                write!(f, "it compiles its plugins, now that of {action} ({number} of {of})")
            }
            Self::Compiled => f.write_str("its plugins are compiled, and it waits for the store"),
        }
    }
}
