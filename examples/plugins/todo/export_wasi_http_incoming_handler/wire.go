package export_wasi_http_incoming_handler

import (
	http "example.com/todo/gen/wasi_http_types"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// body reads at most limit bytes of a request's body.
func body(request *http.IncomingRequest, limit int) string {
	incoming := request.Consume()
	if incoming.IsErr() {
		return ""
	}
	body := incoming.Ok()
	stream := body.Stream().Ok()
	var read []byte
	for len(read) < limit {
		// The stream ends with an error that says so.
		piece := stream.BlockingRead(uint64(limit - len(read)))
		if piece.IsErr() {
			break
		}
		read = append(read, piece.Ok()...)
	}
	stream.Drop()
	body.Drop()
	return string(read)
}

// respond answers with JSON. A client that has gone needs no answer, so what
// fails here is let go.
func respond(out *http.ResponseOutparam, status uint16, value any) {
	headers := http.MakeFields()
	headers.Append("content-type", []byte("application/json"))
	response := http.MakeOutgoingResponse(headers)
	response.SetStatusCode(status)
	body := response.Body().Ok()
	http.ResponseOutparamSet(out, wit.Ok[*http.OutgoingResponse, http.ErrorCode](response))
	stream := body.Write().Ok()
	for text := encode(value); len(text) > 0; {
		// One write takes 4096 bytes.
		piece := text[:min(len(text), 4096)]
		stream.BlockingWriteAndFlush(piece)
		text = text[len(piece):]
	}
	stream.Drop()
	http.OutgoingBodyFinish(body, wit.None[*http.Fields]())
}
