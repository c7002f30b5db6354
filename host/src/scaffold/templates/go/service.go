// Package export_wasi_cli_run works as long as its host leads: one turn a second,
// until the term is ending.
package export_wasi_cli_run

import (
	"fmt"

	term "example.com/{{name}}/gen/soloist_plugin_term"
	clock "example.com/{{name}}/gen/wasi_clocks_monotonic_clock"
	"example.com/{{name}}/gen/wasi_io_poll"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// The time between two turns, in nanoseconds.
const pause = 1_000_000_000

// Run is what a main would be.
func Run() wit.Result[wit.Unit, wit.Unit] {
	now := term.Current()
	// Who has asked for it is given time to finish.
	ending := term.SubscribeEnding()
	for turn := 1; ; turn++ {
		fmt.Printf("{{name}}: turn %d (host %s, fencing token %d)\n", turn, now.Host, now.FencingToken)
		// Whichever comes first.
		timer := clock.SubscribeDuration(pause)
		wasi_io_poll.Poll([]*wasi_io_poll.Pollable{ending, timer})
		timer.Drop()
		if ending.Ready() {
			fmt.Printf("{{name}}: the term is ending after turn %d\n", turn)
			return wit.Ok[wit.Unit, wit.Unit](wit.Unit{})
		}
	}
}
