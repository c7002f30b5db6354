// Answers every request with the term that it runs under.

#include "gen/bindings.h"

#include <stdio.h>
#include <string.h>

typedef exports_wasi_http_incoming_handler_own_incoming_request_t request_t;
typedef exports_wasi_http_incoming_handler_own_response_outparam_t outparam_t;

static void respond(outparam_t out, uint16_t status, const char *text, size_t length);

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out) {
  bindings_string_t path = {0};
  wasi_http_types_method_incoming_request_path_with_query(
      wasi_http_types_borrow_incoming_request(request), &path);
  soloist_plugin_term_term_info_t term;
  soloist_plugin_term_current(&term);

  char text[512];
  int length = snprintf(text, sizeof text, "{{name}} at %.*s: host %.*s, fencing token %llu\n",
                        (int)path.len, (char *)path.ptr, (int)term.host.len,
                        (char *)term.host.ptr, (unsigned long long)term.fencing_token);
  // What does not fit is cut off.
  if (length >= (int)sizeof text) length = sizeof text - 1;
  respond(out, 200, text, length);

  soloist_plugin_term_term_info_free(&term);
  bindings_string_free(&path);
  wasi_http_types_incoming_request_drop_own(request);
}

// Answers with plain text of at most 4096 bytes. A client that has gone needs no
// answer, so what fails here is let go.
static void respond(outparam_t out, uint16_t status, const char *text, size_t length) {
  static const char type[] = "text/plain; charset=utf-8";
  wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
  wasi_http_types_field_name_t name;
  bindings_string_set(&name, "content-type");
  wasi_http_types_field_value_t value = {(uint8_t *)type, strlen(type)};
  wasi_http_types_header_error_t header_error;
  wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value,
                                       &header_error);

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
    bindings_list_u8_t bytes = {(uint8_t *)text, length};
    wasi_io_streams_stream_error_t stream_error;
    wasi_io_streams_method_output_stream_blocking_write_and_flush(
        wasi_io_streams_borrow_output_stream(stream), &bytes, &stream_error);
    wasi_io_streams_output_stream_drop_own(stream);
  }
  wasi_http_types_error_code_t error;
  wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}
