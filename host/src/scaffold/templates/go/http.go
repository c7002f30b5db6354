// Answers every request with the term that it runs under, by net/http.
package main

import (
	"fmt"
	"net/http"

	term "example.com/{{name}}/gen/soloist_plugin_term"
	"example.com/{{name}}/gen/wasihttp"
	_ "example.com/{{name}}/gen/wit_exports"
)

// A host calls no main, so what answers is named here.
func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", answer)
	wasihttp.Handle(mux)
}

func answer(w http.ResponseWriter, r *http.Request) {
	now := term.Current()
	fmt.Fprintf(w, "{{name}} at %s: host %s, fencing token %d\n", r.URL.Path, now.Host, now.FencingToken)
}

// Never called, but Go wants one.
func main() {}
