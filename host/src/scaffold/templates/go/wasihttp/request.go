// Package wasihttp lets a handler of net/http answer the requests that a host
// hands to a plugin. `soloist plugin bindings` writes it anew.
package wasihttp

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	types "{{module}}/gen/wasi_http_types"
)

var handler http.Handler

// Handle says what answers requests. Call it from an init: a host calls no main.
// Without it, http.DefaultServeMux answers.
func Handle(h http.Handler) {
	handler = h
}

// HandleFunc is Handle for a plain function.
func HandleFunc(f func(http.ResponseWriter, *http.Request)) {
	handler = http.HandlerFunc(f)
}

// Serve answers one request. A panic of the handler ends the instance: the host
// then answers for it, and its text stands in the host's log.
func Serve(incoming *types.IncomingRequest, out *types.ResponseOutparam) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request, err := requestOf(ctx, incoming)
	answer := newResponse(out, incoming.Method().Tag() == types.MethodHead)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
	} else {
		h := handler
		if h == nil {
			h = http.DefaultServeMux
		}
		h.ServeHTTP(answer, request)
		request.Body.Close()
	}
	answer.finish()
	incoming.Drop()
}

// requestOf is the request as net/http has it. RemoteAddr stays empty: where it
// came from is in the header X-Forwarded-For.
func requestOf(ctx context.Context, incoming *types.IncomingRequest) (*http.Request, error) {
	target := incoming.PathWithQuery().SomeOr("/")
	place, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, err
	}
	header := headerOf(incoming.Headers())
	host := incoming.Authority().SomeOr(header.Get("Host"))
	// As in net/http, it is in Host alone.
	header.Del("Host")
	request := &http.Request{
		Method:        methodOf(incoming.Method()),
		URL:           place,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          http.NoBody,
		ContentLength: lengthOf(header),
		Host:          host,
		RequestURI:    target,
	}
	if request.ContentLength != 0 {
		request.Body = &body{consume: incoming.Consume}
	}
	return request.WithContext(ctx), nil
}

func headerOf(fields *types.Fields) http.Header {
	defer fields.Drop()
	header := http.Header{}
	for _, entry := range fields.Entries() {
		header.Add(entry.F0, string(entry.F1))
	}
	return header
}

// lengthOf is how long a body will be, and -1 where nobody knows.
func lengthOf(header http.Header) int64 {
	if length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil {
		return length
	}
	return -1
}

var methods = map[uint8]string{
	types.MethodGet:     http.MethodGet,
	types.MethodHead:    http.MethodHead,
	types.MethodPost:    http.MethodPost,
	types.MethodPut:     http.MethodPut,
	types.MethodDelete:  http.MethodDelete,
	types.MethodConnect: http.MethodConnect,
	types.MethodOptions: http.MethodOptions,
	types.MethodTrace:   http.MethodTrace,
	types.MethodPatch:   http.MethodPatch,
}

func methodOf(method types.Method) string {
	if name, known := methods[method.Tag()]; known {
		return name
	}
	return method.Other()
}
