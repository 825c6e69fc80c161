/* api.h: the OpenAI-shaped API over http's exchanges: JSON in and out, streamed events, health, metrics pages.
 * Loop thread, and one text thread of its own that parses large bodies and tokenises long prompts. sl_api_wake: any thread.
 *
 * A request's way: handlers.h (a row an endpoint) → completions.c (its shape: what is read, how it is told) → serving.c (its
 * life) → ask.c (fields, prompts, ids) → engine → answer.c (events to JSON). */
#ifndef SL_API_API_H
#define SL_API_API_H

#include "api/config.h"
#include "api/endpoints.h"
#include "api/errors.h"
#include "base/error.h"
#include "engine/engine.h"
#include "http/http.h"

#include <stdbool.h>
#include <uv.h>

typedef struct sl_api sl_api;

/* Without model, tokenizer and metrics: until sl_api_start only the public endpoints may be asked, and /readyz is 503. */
sl_status sl_api_new(uv_loop_t *loop, const sl_api_config *c, sl_api **ret, sl_error *e);
/* What /readyz and /health say that the server is doing before sl_api_start, "opening the model"; the text is constant. */
void sl_api_loading(sl_api *a, const char *doing);
/* The model is there: takes the whole configuration again and starts the text thread; from now on /readyz is 200. */
sl_status sl_api_start(sl_api *a, const sl_api_config *c, sl_engine *g, sl_error *e);

void sl_api_wake(void *api); /* any thread: the engine has news; the config of the engine takes it */

void sl_api_leave(sl_api *a);      /* /readyz turns 503, so that balancers send nothing more; what comes is still taken */
void sl_api_drain(sl_api *a);      /* and from now on new work is refused with 503; accepted work goes on */
int sl_api_live(const sl_api *a);  /* requests that are not over */
bool sl_api_stuck(const sl_api *a); /* the engine has work and has finished none of it for config.stuck_seconds: /livez is 503 */
void sl_api_cancel_all(sl_api *a); /* end of the drain: what is left is cancelled */

/* After http was closed: joins the text thread, waits for nothing, closes its handles; `closed` is called last. */
void sl_api_close(sl_api *a, void (*closed)(void *), void *arg);
void sl_api_free(sl_api *a);

/* The name under which the model is served; after sl_api_start. */
const char *sl_api_model_name(const sl_api *a);

/* http's `answered` hook: one log line for what the engine did not answer (what it did logs when it is over). */
void sl_api_answered(void *api, const sl_http_exchange *x, int status, double seconds);

#endif
