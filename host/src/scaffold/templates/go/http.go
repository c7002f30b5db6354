// Package export_wasi_http_incoming_handler answers every request with the term
// that it runs under.
package export_wasi_http_incoming_handler

import (
	"fmt"

	term "example.com/{{name}}/gen/soloist_plugin_term"
	http "example.com/{{name}}/gen/wasi_http_types"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Handle answers one request.
func Handle(request *http.IncomingRequest, out *http.ResponseOutparam) {
	path := request.PathWithQuery().SomeOr("")
	now := term.Current()
	text := fmt.Sprintf("{{name}} at %s: host %s, token %d\n", path, now.Host, now.Token)
	respond(out, 200, []byte(text))
}

// respond answers with plain text. A client that has gone needs no answer, so
// what fails here is let go.
func respond(out *http.ResponseOutparam, status uint16, text []byte) {
	headers := http.MakeFields()
	headers.Append("content-type", []byte("text/plain; charset=utf-8"))
	response := http.MakeOutgoingResponse(headers)
	response.SetStatusCode(status)
	body := response.Body().Ok()
	http.ResponseOutparamSet(out, wit.Ok[*http.OutgoingResponse, http.ErrorCode](response))
	stream := body.Write().Ok()
	for len(text) > 0 {
		// One write takes 4096 bytes.
		piece := text[:min(len(text), 4096)]
		stream.BlockingWriteAndFlush(piece)
		text = text[len(piece):]
	}
	stream.Drop()
	http.OutgoingBodyFinish(body, wit.None[*http.Fields]())
}
