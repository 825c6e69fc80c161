#include "api/api.h"
#include "api/handlers.h"
#include "api/internal.h"

#include <stdio.h>
#include <string.h>

/* livez: the loop turns (it answers) and the engine is not stuck. readyz: new work is welcome; a full queue stays ready, its answer
 * is 429. drain: the server is about to leave, and says so by readyz. */

static void plain(sl_http_exchange *x, int status, const char *word) {
    sl_buffer out = {0};
    sl_buffer_printf(&out, "%s\n", word);
    sl_http_add_header(x, "Cache-Control", "no-store");
    sl_http_reply(x, status, "text/plain; charset=utf-8", &out);
}

bool sl_api_stuck(const sl_api *a) {
    return a->engine && sl_engine_stuck_ns(a->engine) > (uint64_t)a->config.stuck_seconds * UINT64_C(1000000000);
}

bool sl__ready(const sl_api *a) { return a->engine && !a->leaving && !sl_api_stuck(a); }

static const char *state(const sl_api *a) {
    if (a->leaving) return "draining";
    if (!a->engine) return "loading";
    return sl_api_stuck(a) ? "stuck" : "ok";
}

void sl__livez_get(void *api, sl_http_exchange *x) {
    if (sl_api_stuck(api)) plain(x, 503, "stuck");
    else plain(x, 200, "ok");
}

void sl__readyz_get(void *api, sl_http_exchange *x) {
    const sl_api *a = api;
    const char *s = state(a);
    char loading[80];
    if (!a->engine && !a->leaving) snprintf(loading, sizeof loading, "loading: %s", a->doing);
    plain(x, sl__ready(a) ? 200 : 503, a->engine || a->leaving ? s : loading);
}

void sl__health_get(void *api, sl_http_exchange *x) {
    const sl_api *a = api;
    const char *s = state(a);
    sl_buffer out = {0};
    sl_buffer_printf(&out, "{\"status\":\"%s\",", s);
    if (!a->engine) sl_buffer_printf(&out, "\"doing\":\"%s\",", a->doing);
    sl_buffer_printf(&out, "\"running\":%d,\"waiting\":%d,\"model\":",
                     a->engine ? sl_engine_running(a->engine) : 0,
                     a->engine ? sl_engine_waiting(a->engine) : 0);
    if (a->engine) sl_buffer_json(&out, a->name[0], strlen(a->name[0]));
    else sl_buffer_puts(&out, "null");
    sl_buffer_puts(&out, "}");
    sl_http_add_header(x, "Cache-Control", "no-store");
    sl__reply_json(x, sl__ready(a) ? 200 : 503, &out);
}

/* Whatever is live goes on; a second request changes nothing. The process stays until a signal ends it, so that the drain can be
 * watched. */
void sl__drain_post(void *api, sl_http_exchange *x) {
    const sl_api *a = api;
    if (!a->config.drain) {
        sl__reply_error(a, x, 501, NULL, NULL, "This server does not drain on request.");
        return;
    }
    bool taking = a->config.drain(a->config.drain_arg);
    sl_buffer out = {0};
    sl_buffer_printf(&out, "{\"status\":\"%s\",\"taking\":%s,\"running\":%d,\"waiting\":%d}", state(a), taking ? "true" : "false",
                     a->engine ? sl_engine_running(a->engine) : 0, a->engine ? sl_engine_waiting(a->engine) : 0);
    sl__reply_json(x, 200, &out);
}

void sl__version_get(void *api, sl_http_exchange *x) {
    (void)api;
    sl_buffer out = {0};
    sl_buffer_puts(&out, "{\"version\":\"" SL_VERSION "\"}");
    sl__reply_json(x, 200, &out);
}
