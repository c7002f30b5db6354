// Does one piece of work and ends.

#include "gen/bindings.h"

#include <stdio.h>

int main(void) {
  // Each line is to be seen at once.
  setvbuf(stdout, NULL, _IOLBF, 0);
  soloist_plugin_term_term_info_t term;
  soloist_plugin_term_current(&term);
  printf("{{name}}: begun (host %.*s, fencing token %llu)\n", (int)term.host.len, (char *)term.host.ptr,
         (unsigned long long)term.fencing_token);
  unsigned long long total = 0;
  for (unsigned number = 1; number <= 1000000; number += 1) total += number;
  printf("{{name}}: done, the sum is %llu\n", total);
  return 0;
}
