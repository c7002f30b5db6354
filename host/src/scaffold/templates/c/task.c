// Answers a call with its text in capital letters.

#include "gen/bindings.h"

#include <ctype.h>
#include <stdlib.h>

bool exports_soloist_plugin_task_handle(exports_soloist_plugin_task_call_t *call,
                                        exports_soloist_plugin_task_answer_t *answer,
                                        exports_soloist_plugin_task_failure_t *failure) {
  size_t length = call->payload.len;
  for (size_t i = 0; i < length; i += 1) {
    if (call->payload.ptr[i] > 127) {
      failure->tag = EXPORTS_SOLOIST_PLUGIN_TASK_FAILURE_REFUSED;
      bindings_string_dup(&failure->val.refused, "the payload is not ASCII");
      exports_soloist_plugin_task_call_free(call);
      return false;
    }
  }
  // What is handed over here is freed for us, once it has been read.
  answer->payload.ptr = malloc(length);
  answer->payload.len = length;
  for (size_t i = 0; i < length; i += 1) {
    answer->payload.ptr[i] = toupper(call->payload.ptr[i]);
  }
  answer->content_type.is_some = true;
  bindings_string_dup(&answer->content_type.val, "text/plain; charset=us-ascii");
  exports_soloist_plugin_task_call_free(call);
  return true;
}
