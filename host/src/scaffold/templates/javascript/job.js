// Does one piece of work and ends.

import { current } from 'soloist:plugin/term@0.1.0';

export const run = {
  run() {
    const { host, fencingToken } = current();
    console.log(`{{name}}: begun (host ${host}, fencing token ${fencingToken})`);
    let total = 0;
    for (let number = 1; number <= 1_000_000; number += 1) {
      total += number;
    }
    console.log(`{{name}}: done, the sum is ${total}`);
  },
};
