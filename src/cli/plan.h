/* plan.h: what serving will cost, before it is paid: threads, context, KV pages, memory against the cgroup's limit.
 * The main thread; pure but for reading /proc and /sys. */
#ifndef SL_CLI_PLAN_H
#define SL_CLI_PLAN_H

#include "base/buffer.h"
#include "base/machine.h"
#include "cli/options.h"
#include "model/model.h"

/* Private memory, line by line. Each line is what is taken at start, or a bound that the server keeps. */
#define SL_PLAN_LIST(X)                                                                                        \
    X(KV, "keys and values", "--kv-memory")                                                                    \
    X(STATE, "states", "--state-memory")               /* of layers that keep one in place of keys */           \
    X(WORKSPACE, "workspace", "--ctx, --max-sequences")                                                        \
    X(SEQUENCES, "sequences", "--max-sequences")       /* tables of the engine, experts' statistics */         \
    X(TOKENIZER, "tokenizer", NULL)                                                                            \
    X(METRICS, "metrics", NULL)                                                                                \
    X(REQUESTS, "requests", NULL)       /* prompts, rings, penalty counts, scores: 429 beyond */               \
    X(ANSWERS, "answers", NULL)         /* put together, echoed prompts: 429 beyond */                         \
    X(TEXTS, "texts", NULL)             /* jobs of the text thread: 429 beyond */                              \
    X(DOCUMENTS, "JSON", NULL)          /* 413 beyond */                                                       \
    X(RENDERINGS, "templates", NULL)    /* conversations becoming prompts: 400 beyond */                       \
    X(BODIES, "bodies", "--body-limit") /* being received: 503 beyond */                                       \
    X(CONNECTIONS, "connections", "--connections")                                                             \
    X(PROGRAM, "program", NULL)         /* code, threads' stacks, log, what streams have to send, the allocator */

enum {
#define X(symbol, name, option) SL_PLAN_##symbol,
    SL_PLAN_LIST(X)
#undef X
        SL_PLAN_LINES
};

typedef struct sl_plan {
    sl_machine machine;
    uint64_t weights;               /* mapped, shared with the page cache */
    uint64_t bytes[SL_PLAN_LINES];  /* private */
    uint64_t total_private;         /* their sum */
    uint64_t page_bytes;            /* of one KV page: in all layers but those with a window below ctx, if there are any */
    uint64_t window_page_bytes;     /* of one window page (forward/kv.h): in these; 0: there are none */
    bool weights_fit;               /* weights and private memory together are below the limit */
} sl_plan;

extern const char *const sl_plan_names[SL_PLAN_LINES];

/* s->engine.tokenizer: NULL where there is none. Completes s->engine (model, threads, ctx, kv_type, kv_pages, kv_window_pages)
 * from the settings and the machine. SL_TOO_LONG when private memory cannot fit the limit, with the arithmetic and the options
 * that change it; SL_MISUSE for a --ctx that the model cannot have. *ret is filled in any case, as `inspect` shows the plan that
 * it refuses. */
sl_status sl_plan_make(sl_settings *s, const sl_model *m, sl_plan *ret, sl_error *e);

/* The part of the settings that is needed before a model is there, for a limit of memory in bytes: how many connections, and
 * how many bytes of bodies on their way. What the options say stays. */
void sl_plan_http(sl_settings *s, uint64_t limit);

/* The most positions that a sequence of this model can have: its context length, or those that its rope has one
 * set of frequencies for. */
int sl_plan_positions(const sl_model *m);

/* Bytes of the pages that a sequence of so many positions holds, at most --ctx: while it decodes. */
uint64_t sl_plan_sequence_bytes(const sl_settings *s, const sl_model *m, const sl_plan *p, int positions);

/* The start-up lines: what was found, what was chosen, what it will cost, and the option that overrides each. */
void sl_plan_print(const sl_settings *s, const sl_model *m, const sl_plan *p, sl_buffer *out);

/* What the values of --kv-type are: "f16" has the size and about the precision of half floats, but is none. */
const char *sl_kv_type_text(sl_kv_type t);

/* "1.5 GiB" */
const char *sl_bytes_text(uint64_t bytes, char text[24]);

#endif
