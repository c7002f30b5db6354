// Answers a call with its text in capital letters.

#include "gen/bindings.h"

#include <ctype.h>
#include <stdlib.h>

bool exports_soloist_plugin_task_handle(exports_soloist_plugin_task_call_t *call,
                                        exports_soloist_plugin_task_output_t *output,
                                        exports_soloist_plugin_task_error_t *error) {
  size_t length = call->payload.len;
  for (size_t i = 0; i < length; i += 1) {
    if (call->payload.ptr[i] > 127) {
      error->tag = EXPORTS_SOLOIST_PLUGIN_TASK_ERROR_INVALID;
      bindings_string_dup(&error->val.invalid, "the payload is not ASCII");
      exports_soloist_plugin_task_call_free(call);
      return false;
    }
  }
  // What is handed over here is freed for us, once it has been read.
  output->payload.ptr = malloc(length);
  output->payload.len = length;
  for (size_t i = 0; i < length; i += 1) {
    output->payload.ptr[i] = toupper(call->payload.ptr[i]);
  }
  output->content_type.is_some = true;
  bindings_string_dup(&output->content_type.val, "text/plain; charset=us-ascii");
  exports_soloist_plugin_task_call_free(call);
  return true;
}
