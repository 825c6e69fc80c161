/* api.h: the OpenAI-shaped API over http's exchanges: JSON in and out, streamed events, health, metrics pages.
 * Loop thread, and one text thread of its own that parses large bodies and tokenises long prompts. sl_api_wake: any thread.
 *
 * A request's way: endpoints.c (table) → completions.c (fields, prompts) → engine → answer.c (events to JSON). */
#ifndef SL_API_API_H
#define SL_API_API_H

#include "base/error.h"
#include "engine/engine.h"
#include "http/http.h"
#include "metrics/metrics.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <uv.h>

typedef struct sl_api sl_api;

/* What the API says of the model that is served. */
typedef struct sl_api_model {
    const char *name, *family, *type;
    int layers, experts, experts_per_token;
    int vocab; /* token ids are below it */
    uint64_t parameters, active_parameters;
} sl_api_model;

typedef struct sl_api_config {
    const char *model_names; /* NAME[,ALIAS…]; "": the model's own name */
    bool strict;             /* unknown request fields are a 400 */
    int request_timeout;     /* seconds; 0: none */
    int stuck_seconds;       /* /livez fails after so long without progress while there is work */
    uint64_t memory;         /* bytes that texts, documents and answers may take together; 0: 224 MiB */
    int ping_seconds;        /* silence before a stream gets a comment; 0: never */
    sl_api_model model;
    const sl_tokenizer *tokenizer;
    sl_metrics *metrics;
} sl_api_config;

/* The most that the API takes beside http's bodies, in bytes, as parts of config.memory: for the plan. Kept by refusing. */
typedef struct sl_api_plan {
    uint64_t texts;     /* bodies and prompts that the text thread has; 429 beyond, but one alone may be larger */
    uint64_t document;  /* one body as JSON, while it is read; 413 beyond */
    uint64_t answers;   /* that are put together, with the prompts that they show; 429 beyond */
    uint64_t total;     /* with two documents: the text thread's, and one that interrupts it */
} sl_api_plan;
sl_api_plan sl_api_plan_for(uint64_t memory);

/* The endpoints, for http's and the metrics' configuration; handlers take the sl_api as their argument. */
const sl_http_endpoint *sl_api_endpoints(int *ret_count);

/* Without model, tokenizer and metrics: until sl_api_start only the public endpoints may be asked, and /readyz is 503. */
sl_status sl_api_new(uv_loop_t *loop, const sl_api_config *c, sl_api **ret, sl_error *e);
/* What /readyz and /health say that the server is doing before sl_api_start, "opening the model"; the text is constant. */
void sl_api_loading(sl_api *a, const char *doing);
/* The model is there: takes the whole configuration again; from now on /readyz is 200. */
sl_status sl_api_start(sl_api *a, const sl_api_config *c, sl_engine *g, sl_error *e);

void sl_api_wake(void *api); /* any thread: the engine has news; the config of the engine takes it */

void sl_api_drain(sl_api *a);      /* /readyz turns 503, new work is refused with 503, accepted work goes on */
int sl_api_live(const sl_api *a);  /* requests that are not over */
void sl_api_cancel_all(sl_api *a); /* end of the drain: what is left is cancelled */

/* After http was closed: joins the text thread, waits for nothing, closes its handles; `closed` is called last. */
void sl_api_close(sl_api *a, void (*closed)(void *), void *arg);
void sl_api_free(sl_api *a);

/* The name under which the model is served; after sl_api_start. */
const char *sl_api_model_name(const sl_api *a);

/* http's `write_error`: {"error":{"message","type","param","code"}} with the type that goes with the status; param and code
 * may be NULL. */
void sl_api_error_json(sl_buffer *out, int status, const char *param, const char *code, const char *message);

/* http's `answered` hook: one log line for what is no completion (those log when they end). */
void sl_api_answered(void *api, const sl_http_exchange *x, int status, double seconds);

#endif
