/* errors.h: error bodies as OpenAI's clients expect them.
 * Any thread; pure. */
#ifndef SL_API_ERRORS_H
#define SL_API_ERRORS_H

#include "base/buffer.h"

/* http's `write_error`: {"error":{"message","type","param","code"}} with the type that goes with the status; param and code
 * may be NULL. */
void sl_api_error_json(sl_buffer *out, int status, const char *param, const char *code, const char *message);

#endif
