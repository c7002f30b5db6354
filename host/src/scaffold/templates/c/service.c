// Works as long as its host leads: one turn a second, until the term is ending.

#include "gen/bindings.h"

#include <stdio.h>

// The time between two turns, in nanoseconds.
static const uint64_t PAUSE = 1000000000;

// Waits for the end of the term or for the pause, whichever comes first.
static bool ends_within_the_pause(wasi_io_poll_borrow_pollable_t ending) {
  wasi_io_poll_own_pollable_t pause = wasi_clocks_monotonic_clock_subscribe_duration(PAUSE);
  wasi_io_poll_borrow_pollable_t both[] = {ending, wasi_io_poll_borrow_pollable(pause)};
  wasi_io_poll_list_borrow_pollable_t list = {both, 2};
  bindings_list_u32_t ready;
  wasi_io_poll_poll(&list, &ready);
  bindings_list_u32_free(&ready);
  wasi_io_poll_pollable_drop_own(pause);
  return wasi_io_poll_method_pollable_ready(ending);
}

int main(void) {
  // Each line is to be seen at once.
  setvbuf(stdout, NULL, _IOLBF, 0);
  soloist_plugin_term_term_info_t term;
  soloist_plugin_term_current(&term);
  // Who has asked for it is given time to finish.
  wasi_io_poll_own_pollable_t ending = soloist_plugin_term_subscribe_ending();
  unsigned turn = 0;
  do {
    turn += 1;
    printf("{{name}}: turn %u (host %.*s, fencing token %llu)\n", turn, (int)term.host.len,
           (char *)term.host.ptr, (unsigned long long)term.fencing_token);
  } while (!ends_within_the_pause(wasi_io_poll_borrow_pollable(ending)));
  printf("{{name}}: the term is ending after turn %u\n", turn);
  return 0;
}
