//! What people are told of a firing: the time that a clock of their zone shows, and what is
//! odd about a day on which that clock is set.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Timelike, Utc};
use chrono_tz::Tz;

use super::{
    Schedule,
    zone_clock::{ClockChange, ZoneClock},
    zoned,
};

/// So many times that a clock leaves out are told one by one.
const TOLD_MAX: usize = 3;

/// A moment as the clock of a zone shows it, as in `Sun 2026-03-29 03:00:00 +02:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZonedMoment(pub DateTime<Utc>, pub Tz);

impl fmt::Display for ZonedMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.with_timezone(&self.1).format("%a %Y-%m-%d %H:%M:%S %:z").fmt(f)
    }
}

impl Schedule {
    /// What is to be known of the firing at `at`: that the clock by which it goes is set on
    /// that day, or else the one of `zone`, and what the firing has to do with that.
    #[must_use]
    pub fn remark(&self, at: DateTime<Utc>, zone: Tz) -> Option<String> {
        if let Self::Cron(pattern, own) = self {
            let wall = ZoneClock(*own);
            if let Some(jump) = wall.jump_on(wall.shows(at).date()) {
                let made_up_for = zoned(pattern, *own).made_up_for(at);
                return Some(explanation(wall, jump, at, &made_up_for));
            }
        }
        let wall = ZoneClock(zone);
        let jump = wall.jump_on(wall.shows(at).date())?;
        Some(explanation(wall, jump, at, &[]))
    }
}

fn explanation(
    wall: ZoneClock,
    jump: ClockChange,
    at: DateTime<Utc>,
    made_up_for: &[NaiveDateTime],
) -> String {
    let (from, to) = (time(&jump.from), time(&jump.to));
    if jump.to > jump.from {
        let set = format!("the clock is set from {from} forwards to {to}");
        return match made_up_for {
            [] => set,
            left_out => {
                format!("{set}, which leaves {} out: fires at {to} instead", list(left_out))
            }
        };
    }
    let set = format!("the clock is set from {from} back to {to}");
    match wall.set_back(at) {
        Some(set_back) if at < set_back => {
            format!("{set}: the first {} of two", time(&wall.shows(at)))
        }
        Some(_) => format!("{set}: the second {} of two", time(&wall.shows(at))),
        None => set,
    }
}

fn list(times: &[NaiveDateTime]) -> String {
    let told: Vec<_> = times.iter().take(TOLD_MAX).map(time).collect();
    let more = if times.len() > TOLD_MAX { " and more" } else { "" };
    format!("{}{more}", told.join(", "))
}

/// As in `02:30`, with seconds where there are some.
fn time(time: &NaiveDateTime) -> String {
    let format = if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    time.format(format).to_string()
}
