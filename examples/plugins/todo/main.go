// The plugin is in the folder beside this file: what a host calls is exported
// from there.
package main

import _ "example.com/todo/gen/wit_exports"

// Never called, but Go wants one.
func main() {}
