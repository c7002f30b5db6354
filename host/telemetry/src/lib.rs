//! What a host tells of itself: every measurement, what has happened lately, and trouble that
//! repeats itself.

pub mod journal;
pub mod log_throttle;
pub mod measure;
