// Package export_wasi_http_incoming_handler is a list of things to do:
//
//	GET    /      the list, as JSON
//	POST   /      adds what the body says
//	PUT    /ID    ticks it off
//	DELETE /ID    removes it
//
// Each entry notes the token of the term that last wrote it.
package export_wasi_http_incoming_handler

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	term "example.com/todo/gen/soloist_plugin_term"
	http "example.com/todo/gen/wasi_http_types"
)

const textMax = 1000

var (
	errNone  = errors.New("there is no such entry")
	errPath  = errors.New("an entry is /ID, where ID is a number")
	errText  = errors.New("say in the body what to do, in 1 to 1000 bytes")
	errVerbs = errors.New("GET the list, POST to it, PUT or DELETE an entry")
)

// Handle answers one request.
func Handle(request *http.IncomingRequest, out *http.ResponseOutparam) {
	answer, err := route(request)
	if err != nil {
		respond(out, statusOf(err), map[string]string{"error": err.Error()})
		return
	}
	respond(out, 200, answer)
}

func route(request *http.IncomingRequest) (any, error) {
	path, _, _ := strings.Cut(request.PathWithQuery().SomeOr("/"), "?")
	method := request.Method()
	if path == "/" {
		switch method.Tag() {
		case http.MethodGet:
			return list()
		case http.MethodPost:
			text := strings.TrimSpace(body(request, textMax+1))
			if text == "" || len(text) > textMax {
				return nil, errText
			}
			return add(text)
		}
		return nil, errVerbs
	}
	id, err := strconv.ParseUint(strings.TrimPrefix(path, "/"), 10, 64)
	if err != nil {
		return nil, errPath
	}
	switch method.Tag() {
	case http.MethodPut:
		return tick(id)
	case http.MethodDelete:
		return remove(id)
	}
	return nil, errVerbs
}

// An Entry is one thing to do.
type Entry struct {
	ID    uint64 `json:"id"`
	Text  string `json:"text"`
	Done  bool   `json:"done"`
	Token uint64 `json:"token"`
}

func add(text string) (any, error) {
	shelf, err := openShelf()
	if err != nil {
		return nil, err
	}
	id, err := shelf.nextID()
	if err != nil {
		return nil, err
	}
	entry := Entry{ID: id, Text: text, Token: term.Current().Token}
	return entry, shelf.put(entry)
}

func tick(id uint64) (any, error) {
	shelf, err := openShelf()
	if err != nil {
		return nil, err
	}
	entry, err := shelf.get(id)
	if err != nil {
		return nil, err
	}
	entry.Done, entry.Token = true, term.Current().Token
	return entry, shelf.put(entry)
}

func remove(id uint64) (any, error) {
	shelf, err := openShelf()
	if err != nil {
		return nil, err
	}
	entry, err := shelf.get(id)
	if err != nil {
		return nil, err
	}
	return entry, shelf.delete(id)
}

func list() (any, error) {
	shelf, err := openShelf()
	if err != nil {
		return nil, err
	}
	return shelf.all()
}

func statusOf(err error) uint16 {
	switch err {
	case errNone:
		return 404
	case errPath, errText:
		return 400
	case errVerbs:
		return 405
	}
	// The store did not do it: it cannot be reached, this host leads no longer,
	// or the settings lack `state = true`.
	return 503
}

func encode(value any) []byte {
	// What is encoded here are plain structs, maps and lists.
	text, _ := json.Marshal(value)
	return append(text, '\n')
}
