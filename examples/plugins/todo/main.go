// Todo is a list of things to do:
//
//	GET    /      the list, as JSON
//	POST   /      adds what the body says
//	PUT    /ID    ticks it off
//	DELETE /ID    removes it
//
// Each entry notes the fencing token of the term that last wrote it.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	term "example.com/todo/gen/soloist_plugin_term"
	"example.com/todo/gen/wasihttp"
	_ "example.com/todo/gen/wit_exports"
)

const textMax = 1000

var (
	errNone = errors.New("there is no such entry")
	errPath = errors.New("an entry is /ID, where ID is a number")
	errText = errors.New("say in the body what to do, in 1 to 1000 bytes")
)

// A host calls no main, so what answers is named here.
func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", answer(list))
	mux.HandleFunc("POST /{$}", answer(add))
	mux.HandleFunc("PUT /{id}", answer(tick))
	mux.HandleFunc("DELETE /{id}", answer(remove))
	wasihttp.Handle(mux)
}

// Never called, but Go wants one.
func main() {}

// An Entry is one thing to do.
type Entry struct {
	ID    uint64 `json:"id"`
	Text  string `json:"text"`
	Done  bool   `json:"done"`
	FencingToken uint64 `json:"fencing_token"`
}

func list(shelf shelf, _ *http.Request) (any, error) {
	return shelf.all()
}

func add(shelf shelf, r *http.Request) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, textMax+1))
	text := strings.TrimSpace(string(body))
	if err != nil || text == "" || len(text) > textMax {
		return nil, errText
	}
	id, err := shelf.nextID()
	if err != nil {
		return nil, err
	}
	entry := Entry{ID: id, Text: text, FencingToken: term.Current().FencingToken}
	return entry, shelf.put(entry)
}

func tick(shelf shelf, r *http.Request) (any, error) {
	entry, err := named(shelf, r)
	if err != nil {
		return nil, err
	}
	entry.Done, entry.FencingToken = true, term.Current().FencingToken
	return entry, shelf.put(entry)
}

func remove(shelf shelf, r *http.Request) (any, error) {
	entry, err := named(shelf, r)
	if err != nil {
		return nil, err
	}
	return entry, shelf.delete(entry.ID)
}

// named is the entry that a path names.
func named(shelf shelf, r *http.Request) (Entry, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return Entry{}, errPath
	}
	return shelf.get(id)
}

// answer makes a handler of what says what to send, as JSON.
func answer(of func(shelf, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var value any
		shelf, err := openShelf()
		if err == nil {
			value, err = of(shelf, r)
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(statusOf(err))
			value = map[string]string{"error": err.Error()}
		}
		// A client that has gone needs no answer.
		_ = json.NewEncoder(w).Encode(value)
	}
}

func statusOf(err error) int {
	switch err {
	case errNone:
		return http.StatusNotFound
	case errPath, errText:
		return http.StatusBadRequest
	}
	// The store did not do it: it cannot be reached, this host leads no longer,
	// or the settings lack `state = true`.
	return http.StatusServiceUnavailable
}
