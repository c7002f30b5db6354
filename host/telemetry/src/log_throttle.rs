//! Throttled logging of repeated problems: the first time at once, then with a count at growing
//! intervals, and once more when the problem is over. A problem with a different text is logged at
//! once as well.
//!
//! Everything that may fail in each iteration of a loop, or at each of many requests, is logged
//! this way, so that the log stays readable and finite while something is wrong.

use std::{fmt, mem, time::Duration};

use parking_lot::Mutex;

use soloist_heart::clock::BootTime;

/// The pause after the first line. It doubles after each further line, up to the maximum.
const PAUSE_MIN: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// How many different texts are distinguished. Further ones are counted together, since a text may
/// differ each time, such as one with a number in it.
const TEXTS_MAX: usize = 8;

/// One kind of problem at one place.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<ThrottledTexts>);

/// How often the problem occurred, and for how long. Displayed as a suffix of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatCount {
    times: u64,
    over: Duration,
}

impl LogThrottle {
    /// The problem has occurred. Calls `say`, which logs it, if a line is due.
    pub fn report(&self, say: impl FnOnce(RepeatCount)) {
        self.report_text("", say);
    }

    /// The problem has occurred with this text. Calls `say` if a line is due, or if this text was
    /// not logged lately.
    pub fn report_text(&self, text: &str, say: impl FnOnce(RepeatCount)) {
        let count = self.with_texts(|texts| texts.report(text, BootTime::now()));
        if let Some(count) = count {
            say(count);
        }
    }

    /// The problem is over. Calls `say` if the problem was logged before.
    pub fn recovered(&self, say: impl FnOnce(RepeatCount)) {
        let count = self.with_texts(|texts| texts.recovered(BootTime::now()));
        if let Some(count) = count {
            say(count);
        }
    }

    fn with_texts<T>(&self, look: impl FnOnce(&mut ThrottledTexts) -> T) -> T {
        look(&mut self.0.lock())
    }
}

/// Empty for a single occurrence, else such as ` (40 times in 12s)`.
impl fmt::Display for RepeatCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.times == 1 {
            return Ok(());
        }
        let over = Duration::from_secs(self.over.as_secs());
        write!(f, " ({} times in {})", self.times, humantime::format_duration(over))
    }
}

/// The history of each text. The time is an argument.
#[derive(Debug, Default)]
struct ThrottledTexts {
    known: Vec<(Box<str>, TextHistory)>,
    others: TextHistory,
}

impl ThrottledTexts {
    fn report(&mut self, text: &str, now: BootTime) -> Option<RepeatCount> {
        if let Some((_, memory)) = self.known.iter_mut().find(|(known, _)| **known == *text) {
            return memory.report(now);
        }
        // While there are too many texts, none of them replaces another.
        if self.known.len() == TEXTS_MAX && self.others.is_quiet(now) {
            self.known.retain(|(_, memory)| !memory.is_quiet(now));
        }
        if self.known.len() == TEXTS_MAX {
            return self.others.report(now);
        }
        self.known.push((text.into(), TextHistory::default()));
        self.known.last_mut().and_then(|(_, memory)| memory.report(now))
    }

    fn recovered(&mut self, now: BootTime) -> Option<RepeatCount> {
        let known = self.known.iter_mut().map(|(_, memory)| memory);
        let counts = known.chain([&mut self.others]).filter_map(|memory| memory.recovered(now));
        counts.reduce(|one, other| RepeatCount {
            times: one.times + other.times,
            over: one.over.max(other.over),
        })
    }
}

/// The history of one text.
#[derive(Debug, Default)]
struct TextHistory {
    /// The time of the first occurrence in a row.
    since: BootTime,
    times: u64,
    /// The time of the next line.
    due: BootTime,
    pause: Duration,
    /// Whether it was logged, and its end was not.
    logged: bool,
}

impl TextHistory {
    fn report(&mut self, now: BootTime) -> Option<RepeatCount> {
        if self.is_quiet(now) {
            *self = Self { logged: self.logged, ..Self::default() };
        }
        if self.times == 0 {
            self.since = now;
        }
        self.times += 1;
        if now < self.due {
            return None;
        }
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        self.due = now + self.pause;
        self.logged = true;
        Some(self.count(now))
    }

    /// Whether it has been quiet for so long that the next occurrence counts as a new problem.
    fn is_quiet(&self, now: BootTime) -> bool {
        now.since(self.due) >= self.pause
    }

    /// The end of a problem. If it occurs again before the next line is due, nothing is logged
    /// until then: a problem that comes and goes takes no more lines than one that stays.
    fn recovered(&mut self, now: BootTime) -> Option<RepeatCount> {
        mem::take(&mut self.logged).then(|| self.count(now))
    }

    fn count(&self, now: BootTime) -> RepeatCount {
        RepeatCount { times: self.times, over: now.since(self.since) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos((1000 + seconds) * SECOND)
    }

    #[test]
    fn it_is_told_at_once_then_with_a_count_at_growing_intervals_and_at_its_end() {
        let mut memory = TextHistory::default();
        // Forty times a second, for an hour.
        let mut lines = Vec::new();
        for moment in 0..40 * 3600 {
            let now = BootTime::from_nanos(1000 * SECOND + moment * SECOND / 40);
            if let Some(count) = memory.report(now) {
                lines.push((moment / 40, count.to_string()));
            }
        }
        let seconds: Vec<_> = lines.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds, [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]);
        assert_eq!((&*lines[0].1, &*lines[1].1), ("", " (401 times in 10s)"));
        let over = memory.recovered(at(3600)).unwrap().to_string();
        assert_eq!(over, " (144000 times in 1h)");
        assert_eq!(memory.recovered(at(3600)), None, "its end is told once");
    }

    #[test]
    fn what_comes_and_goes_is_no_more_than_what_stays() {
        let mut memory = TextHistory::default();
        let mut lines = 0;
        for second in 0..3600 {
            lines += usize::from(memory.report(at(second)).is_some());
            lines += usize::from(memory.recovered(at(second)).is_some());
        }
        assert_eq!(lines, 2 * 11, "for an hour, every second");
    }

    #[test]
    fn trouble_after_a_long_quiet_is_new() {
        let mut memory = TextHistory::default();
        assert!(memory.report(at(0)).is_some());
        assert!(memory.report(at(1)).is_none());
        assert_eq!(memory.report(at(100)).map(|count| count.times), Some(1));
        assert_eq!(memory.report(at(109)), None);
        assert_eq!(memory.report(at(110)).map(|count| count.times), Some(3));
    }

    #[test]
    fn what_says_something_else_is_told_at_once() {
        let mut texts = ThrottledTexts::default();
        let mut happened =
            |text, second| texts.report(text, at(second)).map(|count| count.to_string());
        assert_eq!(happened("refused", 0).as_deref(), Some(""));
        assert_eq!(happened("refused", 1), None);
        assert_eq!(happened("timed out", 2).as_deref(), Some(""));
        // A known text keeps its pause, even if another text came in between.
        assert_eq!(happened("refused", 3), None);
        assert_eq!(happened("refused", 10).as_deref(), Some(" (4 times in 10s)"));
        assert_eq!(happened("timed out", 11), None);
        let over = texts.recovered(at(20)).map(|count| count.to_string());
        assert_eq!(over.as_deref(), Some(" (6 times in 20s)"));
        assert_eq!(texts.recovered(at(20)), None, "its end is told once");
    }

    #[test]
    fn what_says_something_else_each_time_is_told_no_more_often_for_that() {
        let mut texts = ThrottledTexts::default();
        let mut lines = 0;
        for moment in 0..40 * 3600 {
            let now = BootTime::from_nanos(1000 * SECOND + moment * SECOND / 40);
            lines += usize::from(texts.report(&format!("try {moment}"), now).is_some());
        }
        assert_eq!(lines, TEXTS_MAX + 11, "for an hour, forty times a second");
        assert!(texts.known.len() <= TEXTS_MAX);
    }
}
