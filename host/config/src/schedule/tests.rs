//! Patterns, zones, and the hours that are skipped or repeated when clocks change.

mod changes;

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn schedule(text: &str, name: &str) -> Schedule {
    Schedule::parse(text, zone(name).unwrap()).unwrap()
}

/// The next runs after `from`, in UTC.
fn runs(text: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let schedule = schedule(text, zone);
    let all = std::iter::successors(schedule.after(at(from)), |last| schedule.after(*last));
    all.take(count).map(moment).collect()
}

#[track_caller]
fn fires(text: &str, zone: &str, from: &str, expected: &[&str]) {
    assert_eq!(runs(text, zone, from, expected.len()), expected, "{text} in {zone}");
}

#[test]
fn patterns_with_and_without_seconds() {
    let from = "2026-11-22T01:30:00Z";
    fires("0 3 * * *", "UTC", from, &["2026-11-22T03:00:00Z", "2026-11-23T03:00:00Z"]);
    fires("*/10 * * * * *", "UTC", from, &["2026-11-22T01:30:10Z", "2026-11-22T01:30:20Z"]);
    fires("@daily", "UTC", from, &["2026-11-23T00:00:00Z"]);
    fires("@hourly", "UTC", from, &["2026-11-22T02:00:00Z"]);
    fires("0 9 * * MON-FRI", "UTC", from, &["2026-11-23T09:00:00Z", "2026-11-24T09:00:00Z"]);
    fires("0 0 29 2 *", "UTC", from, &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    fires("0 0 L * *", "UTC", from, &["2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z"]);
    fires("0 3 * * *", "Europe/Berlin", from, &["2026-11-22T02:00:00Z"]);
    // An offset from UTC that is not a whole hour.
    fires("0 3 * * *", "Asia/Kathmandu", from, &["2026-11-22T21:15:00Z"]);
}

#[test]
fn every_is_a_multiple_since_the_beginning_of_unix_time() {
    let from = "2026-11-22T01:30:07.5Z";
    fires("every 30s", "UTC", from, &["2026-11-22T01:30:30Z", "2026-11-22T01:31:00Z"]);
    fires("every 1s", "UTC", from, &["2026-11-22T01:30:08Z", "2026-11-22T01:30:09Z"]);
    fires("every 1h 30m", "UTC", "1970-01-01T00:00:00Z", &["1970-01-01T01:30:00Z"]);
    // At the moment of a run, the result is the next one.
    fires("every 10s", "UTC", "2026-11-22T01:30:10Z", &["2026-11-22T01:30:20Z"]);
    fires("every 10s", "UTC", "1969-12-31T23:59:55Z", &["1970-01-01T00:00:00Z"]);
}

/// In 2026 Berlin skips 2:00 to 3:00 on March 29, and repeats it on October 25.
#[test]
fn summer_time_in_berlin() {
    let spring = "2026-03-28T12:00:00Z";
    // A skipped time fires once, at the end of the gap.
    fires("30 2 * * *", "Europe/Berlin", spring, &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    // The hours around the gap are unaffected.
    fires("30 1 * * *", "Europe/Berlin", spring, &["2026-03-29T00:30:00Z", "2026-03-29T23:30:00Z"]);
    fires("0 3 * * *", "Europe/Berlin", spring, &["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]);
    fires("@daily", "Europe/Berlin", spring, &["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
    // Intervals continue evenly.
    let before = "2026-03-29T00:15:00Z";
    let half_hours = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
    fires("*/30 * * * *", "Europe/Berlin", before, &half_hours);

    let autumn = "2026-10-24T12:00:00Z";
    // Of two, the first fires.
    fires("30 2 * * *", "Europe/Berlin", autumn, &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    fires("0 3 * * *", "Europe/Berlin", autumn, &["2026-10-25T02:00:00Z"]);
    let before = "2026-10-25T00:15:00Z";
    let half_hours = [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:00:00Z",
    ];
    fires("*/30 * * * *", "Europe/Berlin", before, &half_hours);
}

/// Skipped times are made up for by one run, and repeated times fire once, however many hours
/// a pattern has. A pattern that matches every hour follows the clock.
#[test]
fn patterns_of_some_hours_in_berlin() {
    let (spring, zone) = ("2026-03-29T00:00:00Z", "Europe/Berlin");
    let end = "2026-03-29T01:00:00Z";
    fires("0 2,14 * * *", zone, spring, &[end, "2026-03-29T12:00:00Z"]);
    fires("0 */2 * * *", zone, spring, &[end, "2026-03-29T02:00:00Z"]);
    fires("30 1-3 * * *", zone, spring, &["2026-03-29T00:30:00Z", end, "2026-03-29T01:30:00Z"]);
    fires("*/20 2 * * *", zone, spring, &[end, "2026-03-30T00:00:00Z"]);
    // Another match falls on the same moment: still one run.
    fires("0 2,3 * * *", zone, spring, &[end, "2026-03-30T00:00:00Z"]);
    let autumn = "2026-10-25T00:00:00Z";
    fires("30 1-3 * * *", zone, autumn, &["2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"]);
    fires("*/30 2 * * *", zone, autumn, &["2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z"]);
    fires("0 2,14 * * *", zone, autumn, &["2026-10-25T13:00:00Z"]);
    let hourly = ["2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"];
    fires("0 * * * *", zone, autumn, &hourly);
}

/// Beirut skips midnight on March 29, 2026, and Apia skipped December 30 in 2011.
#[test]
fn gaps_that_begin_a_day_or_are_one() {
    let spring = "2026-03-28T12:00:00Z";
    fires("@daily", "Asia/Beirut", spring, &["2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"]);
    let before = "2011-12-30T00:00:00Z";
    let (noon, next) = ("2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z");
    fires("0 12 * * *", "Pacific/Apia", before, &[noon, next]);
    assert_eq!(schedule("0 12 * * *", "Pacific/Apia").before(at(next)), Some(at(noon)));
}

#[test]
fn what_there_is_to_say_of_a_night_of_change() {
    let remark = |text: &str, moment: &str| {
        let schedule = schedule(text, "Europe/Berlin");
        schedule.remark(at(moment), Tz::UTC).unwrap_or_default()
    };
    assert_eq!(
        remark("30 2 * * *", "2026-03-29T01:00:00Z"),
        "the clock is set from 02:00 forwards to 03:00, which leaves 02:30 out: fires at 03:00 instead"
    );
    let many = remark("*/10 2 * * *", "2026-03-29T01:00:00Z");
    assert!(many.contains("leaves 02:00, 02:10, 02:20 and more out"), "{many}");
    let forwards = "the clock is set from 02:00 forwards to 03:00";
    assert_eq!(remark("0 * * * *", "2026-03-29T01:00:00Z"), forwards);
    assert_eq!(remark("0 5 * * *", "2026-03-29T03:00:00Z"), forwards);
    let back = "the clock is set from 03:00 back to 02:00";
    let first = remark("30 2 * * *", "2026-10-25T00:30:00Z");
    assert_eq!(first, format!("{back}: the first 02:30 of two"));
    let second = remark("*/30 * * * *", "2026-10-25T01:30:00Z");
    assert_eq!(second, format!("{back}: the second 02:30 of two"));
    assert_eq!(remark("0 5 * * *", "2026-10-25T04:00:00Z"), back);
    assert_eq!(remark("0 5 * * *", "2026-10-26T04:00:00Z"), "");
    // If the schedule's own clock does not change, the viewer's is looked at.
    let every = schedule("every 1h", "UTC").remark(at("2026-03-29T12:00:00Z"), Tz::Europe__Berlin);
    assert_eq!(every.as_deref(), Some(forwards));
    let shown = ZonedMoment(at("2026-03-29T01:00:00Z"), Tz::Europe__Berlin).to_string();
    assert_eq!(shown, "Sun 2026-03-29 03:00:00 +02:00");
}

#[test]
fn runs_are_counted_however_many_there_are() {
    let (first, last) = (at("2006-11-22T03:00:00Z"), at("2026-11-22T03:00:00Z"));
    let seconds = (last - first).num_seconds() as u64 + 1;
    assert_eq!(schedule("every 1s", "UTC").count(first, last), seconds);
    assert_eq!(schedule("* * * * * *", "Europe/Berlin").count(first, last), seconds);
    assert_eq!(schedule("0 4 * * *", "Europe/Berlin").count(first, last), 20 * 365 + 5 + 1);
    assert_eq!(schedule("0 4 * * *", "UTC").count(last, first), 0);
    assert_eq!(schedule("none", "UTC").count(first, last), 0);
}

/// In 2026 New York skips 2:00 to 3:00 on March 8, and repeats 1:00 to 2:00 on November 1.
#[test]
fn summer_time_in_new_york() {
    let zone = "America/New_York";
    let spring = "2026-03-07T12:00:00Z";
    fires("30 2 * * *", zone, spring, &["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]);
    fires("0 3 * * *", zone, spring, &["2026-03-08T07:00:00Z", "2026-03-09T07:00:00Z"]);
    let autumn = "2026-10-31T12:00:00Z";
    fires("30 1 * * *", zone, autumn, &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
    fires("0 2 * * *", zone, autumn, &["2026-11-01T07:00:00Z", "2026-11-02T07:00:00Z"]);
    let before = "2026-11-01T04:45:00Z";
    let hours = ["2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"];
    fires("0 * * * *", zone, before, &hours);
}

/// Lord Howe moves its clocks by half an hour: in 2026 it skips 2:00 to 2:30 on October 4, and
/// repeats 1:30 to 2:00 on April 5.
#[test]
fn summer_time_of_half_an_hour() {
    let zone = "Australia/Lord_Howe";
    let spring = "2026-10-03T12:00:00Z";
    fires("15 2 * * *", zone, spring, &["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]);
    fires("45 2 * * *", zone, spring, &["2026-10-03T15:45:00Z", "2026-10-04T15:45:00Z"]);
    let autumn = "2026-04-04T12:00:00Z";
    fires("45 1 * * *", zone, autumn, &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]);
    let before = "2026-04-04T14:20:00Z";
    let quarters = [
        "2026-04-04T14:30:00Z",
        "2026-04-04T14:45:00Z",
        "2026-04-04T15:00:00Z",
        "2026-04-04T15:15:00Z",
        "2026-04-04T15:30:00Z",
    ];
    fires("*/15 * * * *", zone, before, &quarters);
}

#[test]
fn what_was_before() {
    for (text, from, expected) in [
        ("every 10s", "2026-11-22T01:30:10Z", "2026-11-22T01:30:00Z"),
        ("every 10s", "2026-11-22T01:30:10.001Z", "2026-11-22T01:30:10Z"),
        ("every 10s", "1969-12-31T23:59:59Z", "1969-12-31T23:59:50Z"),
        ("0 3 * * *", "2026-11-22T03:00:00Z", "2026-11-21T03:00:00Z"),
        ("0 3 * * *", "2026-11-22T03:00:00.5Z", "2026-11-22T03:00:00Z"),
    ] {
        assert_eq!(schedule(text, "UTC").before(at(from)), Some(at(expected)), "{text} {from}");
    }
}

#[test]
fn one_whose_year_has_passed_is_done() {
    let once = schedule("0 0 0 1 1 * 2020", "UTC");
    assert_eq!(once.after(at("2019-06-01T00:00:00Z")), Some(at("2020-01-01T00:00:00Z")));
    let now = at("2026-01-01T00:00:00Z");
    assert_eq!((once.after(now), once.is_over(now)), (None, true));
    assert_eq!(once.before(now), Some(at("2020-01-01T00:00:00Z")));
    assert!(!schedule("none", "UTC").is_over(now) && !schedule("@yearly", "UTC").is_over(now));
}

#[test]
fn it_is_shown_as_it_was_written() {
    for (text, zone, shown) in [
        ("0 3 * * *", "Europe/Berlin", "0 3 * * * Europe/Berlin"),
        ("*/10 * * * * *", "UTC", "*/10 * * * * *"),
        ("@daily", "UTC", "@daily"),
        ("0 9 * * mon-fri", "UTC", "0 9 * * mon-fri"),
        ("every  90s", "UTC", "every 1m 30s"),
        ("none", "UTC", "none"),
    ] {
        assert_eq!(schedule(text, zone).to_string(), shown);
    }
}

proptest! {
    /// For every pattern, zone and moment: the next run is later, and there is none in
    /// between.
    #[test]
    fn runs_go_forwards_and_leave_none_out(
        pattern in prop::sample::select(vec![
            "30 2 * * *", "*/7 * * * *", "0 */3 * * *", "15 1,2,3 * * *", "*/20 * * * * *",
            "@daily", "@hourly", "every 7s", "every 1h", "30 1 * * SUN",
        ]),
        zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
            "Africa/Casablanca", "America/St_Johns", "Pacific/Apia",
        ]),
        // Two years, with their four clock changes.
        second in 1_767_225_600_i64..1_830_297_600,
        share in 0.0_f64..1.0,
    ) {
        let schedule = schedule(pattern, zone);
        let from = DateTime::from_timestamp(second, 0).unwrap();
        let next = schedule.after(from).unwrap();
        prop_assert!(next > from);
        // And the same backwards.
        let last = schedule.before(next).unwrap();
        prop_assert!(last <= from, "{last} is between {from} and {next}");
        prop_assert_eq!(schedule.after(last), Some(next));
        let span = (next - from).num_seconds();
        let between = from + chrono::TimeDelta::seconds((span as f64 * share) as i64);
        if between < next {
            prop_assert_eq!(schedule.after(between), Some(next), "from {} and {}", from, between);
        }
    }
}
