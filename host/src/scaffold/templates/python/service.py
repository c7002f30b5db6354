"""Works as long as its host leads: one turn a second, until the term is ending."""

from itertools import count

from wit_world import exports
from wit_world.imports import poll, term
from wit_world.imports.monotonic_clock import subscribe_duration

# The time between two turns, in nanoseconds.
PAUSE = 1_000_000_000


class Run(exports.Run):
    def run(self) -> None:
        now = term.current()
        # Who has asked for it is given time to finish.
        ending = term.subscribe_ending()
        for turn in count(1):
            print(f"{{name}}: turn {turn} (host {now.host}, fencing token {now.fencing_token})", flush=True)
            # Whichever comes first.
            with subscribe_duration(PAUSE) as pause:
                poll.poll([ending, pause])
            if ending.ready():
                print(f"{{name}}: the term is ending after turn {turn}", flush=True)
                return
