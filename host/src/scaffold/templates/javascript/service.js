// Works as long as its host leads: one turn a second, until the term is ending.

import { current, subscribeEnding } from 'soloist:plugin/term@0.1.0';
import { subscribeDuration } from 'wasi:clocks/monotonic-clock@0.2.12';
import { poll } from 'wasi:io/poll@0.2.12';

// The time between two turns, in nanoseconds.
const PAUSE = 1_000_000_000n;

export const run = {
  run() {
    const { host, fencingToken } = current();
    // Who has asked for it is given time to finish.
    const ending = subscribeEnding();
    for (let turn = 1; ; turn += 1) {
      console.log(`{{name}}: turn ${turn} (host ${host}, fencing token ${fencingToken})`);
      // Whichever comes first.
      poll([ending, subscribeDuration(PAUSE)]);
      if (ending.ready()) {
        console.log(`{{name}}: the term is ending after turn ${turn}`);
        return;
      }
    }
  },
};
