"""Does one piece of work and ends."""

from wit_world import exports
from wit_world.imports import term


class Run(exports.Run):
    def run(self) -> None:
        now = term.current()
        print(f"{{name}}: begun (host {now.host}, fencing token {now.fencing_token})", flush=True)
        total = sum(range(1, 1_000_001))
        print(f"{{name}}: done, the sum is {total}", flush=True)
