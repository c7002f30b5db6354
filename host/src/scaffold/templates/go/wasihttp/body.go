package wasihttp

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	types "{{module}}/gen/wasi_http_types"
	streams "{{module}}/gen/wasi_io_streams"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

const (
	// The most that is read from a body at once.
	readMax = 16 << 10
	// What one write to a host takes.
	writeMax = 4096
)

// A body comes in from the other side as it is read.
type body struct {
	consume func() wit.Result[*types.IncomingBody, wit.Unit]
	whole   *types.IncomingBody
	stream  *streams.InputStream
	// Nothing comes any more, and why.
	err error
}

func (b *body) Read(into []byte) (int, error) {
	if b.err != nil || len(into) == 0 {
		return 0, b.err
	}
	if b.stream == nil {
		b.whole = b.consume().Ok()
		b.stream = b.whole.Stream().Ok()
	}
	for {
		piece := b.stream.BlockingRead(uint64(min(len(into), readMax)))
		if piece.IsErr() {
			if b.err = io.EOF; piece.Err().Tag() != streams.StreamErrorClosed {
				b.err = failed("the body broke off", piece.Err())
			}
			return 0, b.err
		}
		if read := piece.Ok(); len(read) > 0 {
			return copy(into, read), nil
		}
	}
}

// Close lets go of what nobody has read.
func (b *body) Close() error {
	if b.stream != nil {
		b.stream.Drop()
		b.whole.Drop()
		b.stream = nil
	}
	b.err = http.ErrBodyReadAfterClose
	return nil
}

// write sends all of data.
func write(stream *streams.OutputStream, data []byte) error {
	for len(data) > 0 {
		fits := min(len(data), writeMax)
		if sent := stream.BlockingWriteAndFlush(data[:fits]); sent.IsErr() {
			return failed("the other side takes no more", sent.Err())
		}
		data = data[fits:]
	}
	return nil
}

func failed(what string, err streams.StreamError) error {
	if err.Tag() == streams.StreamErrorClosed {
		return errors.New(what)
	}
	return fmt.Errorf("%s: %s", what, err.LastOperationFailed().ToDebugString())
}
