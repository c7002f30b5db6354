// Package export_wasi_http_incoming_handler is what a host calls: it hands each
// request to the handler that main.go names.
package export_wasi_http_incoming_handler

import "example.com/{{name}}/gen/wasihttp"

// Handle answers one request.
var Handle = wasihttp.Serve
