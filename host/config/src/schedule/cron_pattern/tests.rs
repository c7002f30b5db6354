//! Cron patterns as people write them, and the messages for mistakes in them.

use super::*;

fn pattern(text: &str) -> CronPattern {
    text.parse().unwrap()
}

fn problem(text: &str) -> String {
    CronPattern::parse(text).unwrap_err().one_line()
}

/// The days of November 2026 that match; the 1st is a Sunday.
fn days(text: &str) -> Vec<u32> {
    let pattern = pattern(text);
    let all = (1..=30).filter_map(|day| NaiveDate::from_ymd_opt(2026, 11, day));
    all.filter(|date| pattern.fits(*date)).map(|date| date.day()).collect()
}

/// crontab(5) of Vixie cron: "If both fields are restricted (i.e., aren't *), the command will be
/// run when either field matches". In its code a field counts as `*` if it begins with one.
#[test]
fn days_and_weekdays_as_in_vixie_cron() {
    assert_eq!(days("0 0 13 * *"), [13]);
    assert_eq!(days("0 0 * * FRI"), [6, 13, 20, 27]);
    assert_eq!(days("0 0 13,24 * FRI"), [6, 13, 20, 24, 27]);
    assert_eq!(days("0 0 */2 * FRI"), [13, 27]);
    assert_eq!(days("0 0 1-7 * */3"), [1, 4, 7], "Sunday, Wednesday and Saturday");
    assert_eq!(days("0 0 ? * FRI"), [6, 13, 20, 27]);
    // Vixie cron cannot express this.
    assert_eq!(days("0 0 13 * +FRI"), [13]);
    assert_eq!(days("0 0 14 * +FRI"), [0; 0]);
}

#[test]
fn names_and_days_that_depend_on_the_month() {
    assert_eq!(days("0 0 * nov fri-sun"), days("0 0 * 11 5-7"));
    assert_eq!(days("0 0 * * SUN-TUE"), days("0 0 * * 0,1,2"));
    assert_eq!(days("0 0 * * 7"), days("0 0 * * SUN"));
    assert_eq!(days("0 0 L * *"), [30]);
    assert_eq!(days("0 0 LW * *"), [30]);
    assert_eq!(days("0 0 15W * *"), [16], "the 15th is a Sunday");
    assert_eq!(days("0 0 * * FRI#2"), [13]);
    assert_eq!(days("0 0 * * FRIL,MON#1"), [2, 27]);
    assert_eq!(days("0 0 * * 5#L"), [27]);
}

#[test]
fn short_names() {
    for (name, long) in NICKNAMES {
        let (name, long) = (pattern(name), pattern(long));
        assert_eq!(name.cron, long.cron, "{name}");
    }
    assert_eq!(pattern("@Midnight").cron, pattern("0 0 * * *").cron);
    assert_eq!(pattern("  0   0 * * MON ").to_string(), "0 0 * * MON");
    for (text, told) in [
        ("@reboot", "a hook, `on-leader`"),
        ("@every 90s", "as in `every 90s`"),
        ("@dialy", "@midnight, @weekly"),
    ] {
        assert!(problem(text).contains(told), "{}", problem(text));
    }
}

/// Each message names the field, and says what to write.
#[test]
fn slips() {
    for (text, why, help) in [
        ("60 * * * *", "minute `60` is out of range", "it is 0 to 59"),
        ("0 24 * * *", "hour `24` is out of range", "it is 0 to 23"),
        ("0 0 0 * *", "day of month `0` is out of range", "it is 1 to 31"),
        ("0 0 * 13 *", "month `13` is out of range", "it is 1 to 12"),
        ("0 0 * * 8", "weekday `8` is out of range", "it is 0 to 7"),
        ("61 0 0 * * *", "second `61` is out of range", "it is 0 to 59"),
        ("0 0 0 1 1 * 1969", "year `1969` is out of range", "it is 1970 to 2099"),
        ("0 0 * * JAN", "weekday `JAN` cannot be read", "or SUN to SAT"),
        ("0 0 * MON *", "month `MON` cannot be read", "or JAN to DEC"),
        ("0 0 * * MONDAY", "weekday `MONDAY` cannot be read", "or SUN to SAT"),
        ("0 0 * * L", "weekday `L` cannot be read", "or SUN to SAT"),
        ("L 0 * * *", "minute `L` cannot be read", "0 to 59"),
        ("+5 0 * * *", "minute `+5` cannot be read", "0 to 59"),
        ("0 -1 * * *", "hour `-1` cannot be read", "0 to 23"),
        ("*/90 * * * *", "minute `*/90` has no step from 1 to 59", "`every 90m`"),
        ("0 */24 * * *", "hour `*/24` has no step from 1 to 23", "`every 90m`"),
        ("*/0 * * * *", "minute `*/0` has no step", "`every 90m`"),
        ("*/ * * * *", "minute `*/` has no step", "`every 90m`"),
        ("0 0 */32 * *", "day of month `*/32` has no step from 1 to 31", "lesser step"),
        ("5/15 * * * *", "minute `5/15` has a step, and no range", "`5-59/STEP`"),
        ("0 22-2 * * *", "the range `22-2` of hour ends before it begins", "`22-23,0-2`"),
        ("0 0 * * SAT-MON", "the range `SAT-MON` of weekday ends", "`6-7,0-1`"),
        ("0,,5 * * * *", "minute has a comma without a value", "drop it"),
        ("0 0 * * MON#6", "weekday `MON#6` is none of the five", "`#1` to `#5`"),
        ("0 3 * *", "it has 4 fields, and not 5, 6 or 7", "[SECOND] MINUTE HOUR"),
        ("", "it has 1 fields", "[SECOND] MINUTE HOUR"),
        ("CRON_TZ=Europe/Berlin 0 3 * * *", "`CRON_TZ` is no field", "time_zone = "),
        ("0 0 30 2 *", "never fires: there is no such day", "day of month"),
        ("0 0 31 4,6,9,11 *", "never fires", "day of month"),
        ("0 0 0 29 2 * 2027", "never fires", "its year"),
    ] {
        let told = problem(text);
        assert!(told.contains(why) && told.contains(help), "{text}: {told}");
    }
}

#[test]
fn times_are_counted_as_they_come() {
    let time = |text: &str| text.parse::<NaiveDateTime>().unwrap();
    for (text, from, to) in [
        ("*/7 * * * * *", "2026-11-22T00:00:00", "2026-11-22T01:10:13"),
        ("5 */20 1-3 * * *", "2026-11-22T01:20:05", "2026-11-25T02:40:05"),
        ("0 3 * * MON", "2026-01-01T00:00:00", "2028-03-01T00:00:00"),
        ("30 2 29 2 *", "2026-01-01T00:00:00", "2033-03-01T00:00:00"),
        ("* * * * *", "2026-11-22T23:59:59", "2026-11-22T23:59:59"),
        ("* * * * *", "2026-11-22T23:59:59", "2026-11-22T12:00:00"),
    ] {
        let (pattern, from, to) = (pattern(text), time(from), time(to));
        let before = from - TimeDelta::seconds(1);
        let all = std::iter::successors(pattern.next(before), |time| pattern.next(*time));
        let counted = all.take_while(|time| *time < to).count() as u64;
        assert_eq!(pattern.count(from, to), counted, "{text} from {from} to {to}");
    }
}
