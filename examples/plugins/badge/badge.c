// # badge
//
// A counter to embed in a page: `GET /NAME.svg` counts one more view of NAME and
// answers with a badge that shows how many there were.
//
// The store itself increments the counter, so that no view is lost, however
// many come at once and whichever host leads.

#include "gen/bindings.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// In characters, bytes and pixels.
enum { NAME_LENGTH = 40, SVG_LENGTH = 1024, CHARACTER = 7, PADDING = 12 };

typedef exports_wasi_http_incoming_handler_own_incoming_request_t request_t;
typedef exports_wasi_http_incoming_handler_own_response_outparam_t outparam_t;

static bool is_get(request_t request);
static bool name_of(request_t request, char name[NAME_LENGTH + 1]);
static bool count(const char *name, uint64_t *views);
static void draw(const char *name, uint64_t views, char svg[SVG_LENGTH]);
static void respond(outparam_t out, uint16_t status, const char *type, const char *text);

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out) {
  char name[NAME_LENGTH + 1];
  uint64_t views;
  if (!is_get(request)) {
    respond(out, 405, "text/plain", "GET a badge\n");
  } else if (!name_of(request, name)) {
    respond(out, 404, "text/plain",
            "ask for /NAME.svg, of at most 40 letters, digits and dashes\n");
  } else if (!count(name, &views)) {
    // It cannot be reached, this host leads no longer, or the settings lack
    // `state = true`.
    respond(out, 503, "text/plain", "the store did not count\n");
  } else {
    char svg[SVG_LENGTH];
    draw(name, views, svg);
    respond(out, 200, "image/svg+xml", svg);
  }
  wasi_http_types_incoming_request_drop_own(request);
}

static bool is_get(request_t request) {
  wasi_http_types_method_t method;
  wasi_http_types_method_incoming_request_method(
      wasi_http_types_borrow_incoming_request(request), &method);
  bool get = method.tag == WASI_HTTP_TYPES_METHOD_GET;
  wasi_http_types_method_free(&method);
  return get;
}

// The NAME of the path `/NAME.svg`. It has no character that means anything in
// SVG.
static bool name_of(request_t request, char name[NAME_LENGTH + 1]) {
  bindings_string_t path;
  if (!wasi_http_types_method_incoming_request_path_with_query(
          wasi_http_types_borrow_incoming_request(request), &path)) {
    return false;
  }
  size_t length = 0;
  while (length < NAME_LENGTH && length + 1 < path.len &&
         (isalnum(path.ptr[length + 1]) || path.ptr[length + 1] == '-')) {
    name[length] = path.ptr[length + 1];
    length += 1;
  }
  name[length] = 0;
  static const char suffix[] = ".svg";
  size_t end = 1 + length + strlen(suffix);
  bool whole = length > 0 && end <= path.len &&
               memcmp(path.ptr + 1 + length, suffix, strlen(suffix)) == 0 &&
               (end == path.len || path.ptr[end] == '?');
  bindings_string_free(&path);
  return whole;
}

// Counts one more view, and says how many there were.
static bool count(const char *name, uint64_t *views) {
  bindings_string_t identifier, key;
  bindings_string_set(&identifier, "default");
  bindings_string_set(&key, name);
  wasi_keyvalue_store_own_bucket_t bucket;
  wasi_keyvalue_store_error_t error;
  if (!wasi_keyvalue_store_open(&identifier, &bucket, &error)) {
    wasi_keyvalue_store_error_free(&error);
    return false;
  }
  bool counted = wasi_keyvalue_atomics_increment(wasi_keyvalue_store_borrow_bucket(bucket), &key,
                                                 1, views, &error);
  if (!counted) wasi_keyvalue_store_error_free(&error);
  wasi_keyvalue_store_bucket_drop_own(bucket);
  return counted;
}

static void draw(const char *name, uint64_t views, char svg[SVG_LENGTH]) {
  char number[24];
  int left = PADDING + CHARACTER * (int)strlen(name);
  int right = PADDING + CHARACTER * snprintf(number, sizeof number, "%llu",
                                             (unsigned long long)views);
  snprintf(svg, SVG_LENGTH,
           "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='20' role='img'>"
           "<title>%s: %s</title>"
           "<rect width='%d' height='20' fill='#555'/>"
           "<rect x='%d' width='%d' height='20' fill='#07c'/>"
           "<g fill='#fff' text-anchor='middle' font-family='monospace' font-size='11'>"
           "<text x='%d' y='14'>%s</text><text x='%d' y='14'>%s</text></g></svg>\n",
           left + right, name, number, left, left, right, left / 2, name, left + right / 2,
           number);
}

static void append(wasi_http_types_own_fields_t headers, const char *field, const char *text) {
  wasi_http_types_field_name_t name;
  bindings_string_set(&name, field);
  wasi_http_types_field_value_t value = {(uint8_t *)text, strlen(text)};
  wasi_http_types_header_error_t error;
  wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value,
                                       &error);
}

// Answers with a text of at most 4096 bytes. A client that has gone needs no
// answer, so what fails here is let go.
static void respond(outparam_t out, uint16_t status, const char *type, const char *text) {
  wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
  append(headers, "content-type", type);
  append(headers, "cache-control", "no-store");
  wasi_http_types_own_outgoing_response_t response =
      wasi_http_types_constructor_outgoing_response(headers);
  wasi_http_types_borrow_outgoing_response_t borrowed =
      wasi_http_types_borrow_outgoing_response(response);
  wasi_http_types_method_outgoing_response_set_status_code(borrowed, status);
  wasi_http_types_own_outgoing_body_t body;
  if (!wasi_http_types_method_outgoing_response_body(borrowed, &body)) return;
  wasi_http_types_result_own_outgoing_response_error_code_t answer = {.is_err = false};
  answer.val.ok = response;
  wasi_http_types_static_response_outparam_set(out, &answer);

  wasi_http_types_own_output_stream_t stream;
  if (wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body),
                                                 &stream)) {
    bindings_list_u8_t bytes = {(uint8_t *)text, strlen(text)};
    wasi_io_streams_stream_error_t error;
    wasi_io_streams_method_output_stream_blocking_write_and_flush(
        wasi_io_streams_borrow_output_stream(stream), &bytes, &error);
    wasi_io_streams_output_stream_drop_own(stream);
  }
  wasi_http_types_error_code_t error;
  wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}
