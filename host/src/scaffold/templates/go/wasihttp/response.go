package wasihttp

import (
	"fmt"
	"log"
	"net/http"
	"strconv"

	types "{{module}}/gen/wasi_http_types"
	streams "{{module}}/gen/wasi_io_streams"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// A response is the http.ResponseWriter of one request. It is an http.Flusher too.
type response struct {
	out    *types.ResponseOutparam
	isHead bool
	header http.Header
	// 0 until the handler has said it; and the headers as they were at that moment,
	// which the handler cannot change any more.
	status int
	said   http.Header
	// What was written and has not gone out. A body that fits goes out in one piece,
	// with its length.
	buffer []byte
	// The head has gone out.
	begun  bool
	body   *types.OutgoingBody
	stream *streams.OutputStream
	err    error
}

func newResponse(out *types.ResponseOutparam, isHead bool) *response {
	buffer := make([]byte, 0, writeMax)
	return &response{out: out, isHead: isHead, header: http.Header{}, buffer: buffer}
}

func (r *response) Header() http.Header {
	return r.header
}

func (r *response) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %d", status))
	case r.status != 0:
		log.Printf("the handler called WriteHeader(%d) after WriteHeader(%d)", status, r.status)
	case status >= 200:
		r.status, r.said = status, r.header.Clone()
	}
	// Those below 200 come before an answer, and a plugin has no way to send them.
}

func (r *response) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	if !hasBody(r.status) {
		return 0, http.ErrBodyNotAllowed
	}
	written := 0
	for len(data) > 0 && r.err == nil {
		if len(r.buffer) == writeMax {
			r.Flush()
		}
		fits := min(len(data), writeMax-len(r.buffer))
		r.buffer = append(r.buffer, data[:fits]...)
		data = data[fits:]
		written += fits
	}
	return written, r.err
}

// Flush sends what was written so far.
func (r *response) Flush() {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	r.begin()
	if r.err == nil && !r.isHead {
		r.err = write(r.stream, r.buffer)
	}
	r.buffer = r.buffer[:0]
}

// begin sends the head, once.
func (r *response) begin() {
	if r.begun {
		return
	}
	r.begun = true
	_, typed := r.said["Content-Type"]
	if len(r.buffer) > 0 && !typed && r.said.Get("Content-Encoding") == "" {
		r.said.Set("Content-Type", http.DetectContentType(r.buffer))
	}
	answer := types.MakeOutgoingResponse(fieldsOf(r.said))
	answer.SetStatusCode(uint16(r.status))
	r.body = answer.Body().Ok()
	r.stream = r.body.Write().Ok()
	types.ResponseOutparamSet(r.out, wit.Ok[*types.OutgoingResponse, types.ErrorCode](answer))
}

// finish sends what is left, and ends the answer.
func (r *response) finish() {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	// All of the body is here, so its length is known.
	known := !r.begun && hasBody(r.status) && (!r.isHead || len(r.buffer) > 0)
	if known && r.said.Get("Content-Length") == "" {
		r.said.Set("Content-Length", strconv.Itoa(len(r.buffer)))
	}
	r.Flush()
	r.stream.Drop()
	ended := types.OutgoingBodyFinish(r.body, wit.None[*types.Fields]())
	if ended.IsErr() && !r.isHead {
		log.Printf("the answer's body has not the length that Content-Length says")
	}
}

// hasBody says whether answers of a status may have a body.
func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// fieldsOf leaves out what is the host's to say, such as Connection.
func fieldsOf(header http.Header) *types.Fields {
	fields := types.MakeFields()
	for name, values := range header {
		for _, value := range values {
			fields.Append(name, []byte(value))
		}
	}
	return fields
}
