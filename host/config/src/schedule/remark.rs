//! What people see of a run: its local time, and a remark if the clock changes on that day.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Timelike, Utc};
use chrono_tz::Tz;

use super::{
    Schedule,
    zone_clock::{ClockChange, ZoneClock},
    zoned,
};

/// How many skipped times a remark lists.
const TOLD_MAX: usize = 3;

/// A moment as local time of a zone, as in `Sun 2026-03-29 03:00:00 +02:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZonedMoment(pub DateTime<Utc>, pub Tz);

impl fmt::Display for ZonedMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.with_timezone(&self.1).format("%a %Y-%m-%d %H:%M:%S %:z").fmt(f)
    }
}

impl Schedule {
    /// Explains how a clock change on that day affects the run at `at`. It looks at the clock
    /// of the schedule first, and else at the one of `zone`. `None` if no clock changes.
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

/// Formats as in `02:30`, with seconds if there are any.
fn time(time: &NaiveDateTime) -> String {
    let format = if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    time.format(format).to_string()
}
