/* finish.h: why a choice, and so its request, ended: the one table of the reasons and their names.
 * Constant; any thread. The metrics' label `reason`, the log line and `run --json` use these names.
 *
 * The order matters: a request whose choices ended for several reasons ended for the last of them in this list; up to
 * SL_FINISH_LENGTH it ended well. */
#ifndef SL_ENGINE_FINISH_H
#define SL_ENGINE_FINISH_H

#include <stdbool.h>

#define SL_FINISH_LIST(X)                                                                                      \
    X(STOP, "stop")              /* the model's end of text, a stop string or a stop token */                  \
    X(LENGTH, "length")          /* max_tokens */                                                              \
    X(ERROR, "error")            /* sl_request_failure says which */                                           \
    X(SLOW_CLIENT, "slow_client")                                                                              \
    /* The client hung up: before the first step, before the first token, after it. */                         \
    X(CANCELLED_QUEUE, "cancelled_queue")                                                                      \
    X(CANCELLED_PREFILL, "cancelled_prefill")                                                                  \
    X(CANCELLED_DECODE, "cancelled_decode")                                                                    \
    /* The server's limit for a request passed: likewise. */                                                   \
    X(TIMEOUT_QUEUE, "timeout_queue")                                                                          \
    X(TIMEOUT_PREFILL, "timeout_prefill")                                                                      \
    X(TIMEOUT_DECODE, "timeout_decode")                                                                        \
    X(SHUTDOWN, "shutdown")      /* the drain's time was over, or the engine was freed */

enum {
#define X(symbol, name) SL_FINISH_##symbol,
    SL_FINISH_LIST(X)
#undef X
        SL_FINISH_COUNT
};

extern const char *const sl_finish_names[SL_FINISH_COUNT];

static inline bool sl_finish_good(int finish) { return finish == SL_FINISH_STOP || finish == SL_FINISH_LENGTH; }

#endif
