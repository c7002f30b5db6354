// Package export_soloist_plugin_task answers a call with its text in capital
// letters.
package export_soloist_plugin_task

import (
	"bytes"
	"unicode/utf8"

	task "example.com/{{name}}/gen/soloist_plugin_task"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Handle does what one call asks for.
func Handle(call task.Call) wit.Result[task.Output, task.Error] {
	if !utf8.Valid(call.Payload) {
		invalid := task.MakeErrorInvalid("the payload is not UTF-8")
		return wit.Err[task.Output](invalid)
	}
	return wit.Ok[task.Output, task.Error](task.Output{
		Payload:     bytes.ToUpper(call.Payload),
		ContentType: wit.Some("text/plain; charset=utf-8"),
	})
}
