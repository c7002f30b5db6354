#!/usr/bin/env python3
"""Figures for the test of schedules around changes of clocks, made without soloist.

    python3 changes.py > changes.txt

For each change of clocks from 2026 to 2035, in every zone of the machine's time zone
database (its version must be the one that chrono-tz has), it prints when patterns fire within four
hours of it. It knows nothing of how soloist finds them: it looks at one minute after the
other, and at what zoneinfo says that a clock shows then.

- A pattern of every hour fires whenever the clock shows a time of it.
- Any other fires for each of its times when a clock first shows that time or a later one.
"""

import zoneinfo
from datetime import datetime, timedelta, timezone
from pathlib import Path

HOURS = range(24)
# As it is written, its hours, its minutes.
PATTERNS = [
    ("30 2 * * *", {2}, {30}),
    ("0 2,14 * * *", {2, 14}, {0}),
    ("0 */2 * * *", set(range(0, 24, 2)), {0}),
    ("30 1-3 * * *", {1, 2, 3}, {30}),
    ("*/20 2 * * *", {2}, {0, 20, 40}),
    ("*/20 0-1,23 * * *", {0, 1, 23}, {0, 20, 40}),
    ("0 0 * * *", {0}, {0}),
    ("0 * * * *", set(HOURS), {0}),
    ("*/30 * * * *", set(HOURS), {0, 30}),
]
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
END = datetime(2036, 1, 1, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
AROUND = timedelta(hours=4)
# So early that the clock has not been set back since.
EARLIER = timedelta(hours=30)


def offset(zone, at):
    return at.astimezone(zone).utcoffset()


def changes(zone):
    """When the offset of a zone changes, and from what to what."""
    found = []
    step = timedelta(hours=12)
    at = BEGIN
    while at < END:
        before, after = offset(zone, at), offset(zone, at + step)
        if before != after:
            low, high = at, at + step
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
            found.append((high, before, after))
        at += step
    return found


def runs(zone, change, hours, minutes):
    """Minutes from the change at which a pattern fires."""
    fits = lambda shown: shown.hour in hours and shown.minute in minutes
    found = []
    at = change - EARLIER
    highest = at.astimezone(zone).replace(tzinfo=None)
    while at < change + AROUND:
        at += MINUTE
        shows = at.astimezone(zone).replace(tzinfo=None)
        fires = hours == set(HOURS) and fits(shows)
        while highest < shows:
            highest += MINUTE
            fires |= hours != set(HOURS) and fits(highest)
        if fires and at >= change - AROUND:
            found.append(str((at - change) // MINUTE))
    return " ".join(found)


def version():
    """The version of the database, as its own file says it: `# version 2025b`."""
    files = [Path(folder, "tzdata.zi") for folder in zoneinfo.TZPATH]
    file = next(file for file in files if file.exists())
    return file.open().readline().split()[-1]


def main():
    print("tzdata", version())
    alike = {}
    for name in sorted(zoneinfo.available_timezones() - {"Factory", "localtime"}):
        found = changes(zoneinfo.ZoneInfo(name))
        if found:
            alike.setdefault(tuple(found), []).append(name)
    for pattern, _, _ in PATTERNS:
        print("pattern", pattern)
    for found, names in sorted(alike.items(), key=lambda item: item[1]):
        print("zones", *names)
        zone = zoneinfo.ZoneInfo(names[0])
        for at, before, after in found:
            shown = [runs(zone, at, hours, minutes) for _, hours, minutes in PATTERNS]
            moved = int((after - before).total_seconds())
            print(f"{at:%Y-%m-%dT%H:%M:%SZ} {moved:+}:", ", ".join(shown))


main()
