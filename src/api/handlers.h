/* handlers.h: every endpoint, one row each: method, path, http's flags, handler, and whether a request writes a line of its own to
 * the log when it is over (then http's line is left out where it went well).
 * Constant; handlers run on the loop thread. */
#ifndef SL_API_HANDLERS_H
#define SL_API_HANDLERS_H

#include "http/http.h"

#define SL__ENDPOINTS(X)                                                                          \
    X("POST", "/v1/completions", 0, sl__completions_post, true)                                   \
    X("POST", "/v1/chat/completions", 0, sl__chat_post, true)                                     \
    X("GET", "/v1/models", 0, sl__models_list, false)                                             \
    X("GET", "/v1/models/*", 0, sl__models_get, false)                                            \
    X("POST", "/tokenize", 0, sl__tokenize_post, false)                                           \
    X("POST", "/detokenize", 0, sl__detokenize_post, false)                                       \
    X("POST", "/apply-template", 0, sl__apply_template_post, false)                               \
    X("GET", "/tokenizer_info", 0, sl__tokenizer_info_get, false)                                 \
    X("GET", "/version", 0, sl__version_get, false)                                               \
    X("GET", "/livez", SL_HTTP_PUBLIC, sl__livez_get, false)                                      \
    X("GET", "/readyz", SL_HTTP_PUBLIC, sl__readyz_get, false)                                    \
    X("GET", "/health", SL_HTTP_PUBLIC, sl__health_get, false)                                    \
    X("GET", "/v1/health", SL_HTTP_PUBLIC, sl__health_get, false) /* base URLs that end in /v1 */ \
    X("GET", "/ping", SL_HTTP_PUBLIC, sl__health_get, false)      /* vLLM's other name for it */  \
    X("POST", "/drain", SL_HTTP_ADMIN | SL_HTTP_NOT_MAIN, sl__drain_post, false)                  \
    X("GET", "/metrics", SL_HTTP_ADMIN, sl__metrics_get, false)                                   \
    X("GET", "/metrics/experts", SL_HTTP_ADMIN, sl__metrics_experts_get, false)

#define X(method, path, flags, handler, logs) void handler(void *api, sl_http_exchange *x);
SL__ENDPOINTS(X)
#undef X

#endif
