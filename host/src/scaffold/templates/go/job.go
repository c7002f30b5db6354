// Package export_wasi_cli_run does one piece of work and ends.
package export_wasi_cli_run

import (
	"fmt"

	term "example.com/{{name}}/gen/soloist_plugin_term"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Run is what a main would be.
func Run() wit.Result[wit.Unit, wit.Unit] {
	now := term.Current()
	fmt.Printf("{{name}}: begun (host %s, fencing token %d)\n", now.Host, now.FencingToken)
	total := 0
	for number := 1; number <= 1_000_000; number++ {
		total += number
	}
	fmt.Printf("{{name}}: done, the sum is %d\n", total)
	return wit.Ok[wit.Unit, wit.Unit](wit.Unit{})
}
