//! What a host reports about itself: metrics, recent events, and repeated problems.

pub mod journal;
pub mod log_throttle;
pub mod measure;
