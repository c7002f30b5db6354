//! `instances`: whether each request gets a fresh instance, or instances are reused.

use std::time::Duration;

use super::{
    choice::{Choice, choice},
    resolver::Resolver,
    settings_file::ActionTable,
};

/// The default number of requests before a reused instance is replaced.
const MAX_REUSE: usize = 1000;
const MAX_IDLE: Duration = Duration::from_secs(10);

/// Which instances answer the requests of an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InstancePolicy {
    /// A new instance for each request: nothing carries over.
    #[default]
    Fresh,
    /// Instances that answered before, with whatever is in their memory.
    Reuse(ReuseLimits),
}

/// When a reused instance is replaced after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReuseLimits {
    /// After this many requests.
    pub max: usize,
    /// After this long without a request.
    pub idle: Duration,
}

/// The word in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceMode {
    Fresh,
    Reuse,
}

choice! {
    InstanceMode { Fresh = "fresh", Reuse = "reuse" },
    "instances",
    "write \"fresh\" (a new instance for each request) or \"reuse\""
}

/// The policy of `table`; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<InstancePolicy> {
    let mode = resolver.written(table.instances.clone(), "fresh");
    let max = resolver.bounded(table.max_reuse.as_ref(), MAX_REUSE);
    let idle = resolver.bounded(table.max_idle.as_ref(), MAX_IDLE);
    let mode = resolver.read(&mode, InstanceMode::parse)?;
    let (max, idle) = (max?, idle?);
    Some(match mode {
        InstanceMode::Fresh => InstancePolicy::Fresh,
        InstanceMode::Reuse => InstancePolicy::Reuse(ReuseLimits { max, idle }),
    })
}
