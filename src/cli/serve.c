#include "cli/cli.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/load.h"
#include "cli/plan.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The server: its parts in start-up order, and the drain.
 *
 *   model, tokenizer ─► plan ─► metrics ─► loop, api ─► engine ─► http ─► serving
 *   SIGTERM or SIGINT ─► draining: /readyz 503, accepted work goes on ─► nothing left, or --drain-seconds ─► what is left is
 *   cancelled ─► http closes ─► api closes ─► the loop runs dry ─► engine, metrics, model are freed. A second signal cuts the
 *   wait short. SIGHUP reads the key file again. */

typedef struct server {
    sl_settings *s;
    sl_loaded loaded;
    sl_plan plan;
    sl_metrics *metrics;
    uv_loop_t loop;
    sl_api *api;
    sl_engine *engine;
    sl_http *http;
    uv_signal_t term, interrupt, hangup;
    uv_timer_t drain;
    uint64_t started, drain_began;
    bool cancelled, closing, http_closed;
} server;

static void raise_descriptor_limit(void) {
    struct rlimit r;
    if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static void on_http_closed(void *arg) { ((server *)arg)->http_closed = true; }

/* Nothing is left: the engine first, which wakes the api, then every handle, and the loop runs dry. */
static void finish(server *v) {
    v->engine = sl_engine_free(v->engine);
    sl_api_close(v->api, NULL, NULL);
    uv_close((uv_handle_t *)&v->term, NULL);
    uv_close((uv_handle_t *)&v->interrupt, NULL);
    uv_close((uv_handle_t *)&v->hangup, NULL);
    uv_close((uv_handle_t *)&v->drain, NULL);
}

/* Every 20 ms of the drain. */
static void on_drain_tick(uv_timer_t *h) {
    server *v = h->data;
    uint64_t waited = sl_clock_ns() - v->drain_began, limit = (uint64_t)v->s->drain_seconds * SL_SECOND;
    if (v->closing) {
        if (v->http_closed && sl_api_live(v->api) == 0) {
            uv_timer_stop(h);
            finish(v);
        }
        return;
    }
    if (sl_api_live(v->api) == 0 && sl_http_live(v->http) == 0) waited = UINT64_MAX;
    if (waited < limit) return;
    if (!v->cancelled) {
        v->cancelled = true;
        if (sl_api_live(v->api)) sl_log(SL_LOG_WARN, "drain: cancelling %d requests that are not done", sl_api_live(v->api));
        sl_api_cancel_all(v->api);
        return;
    }
    if (waited == UINT64_MAX || waited > limit + SL_SECOND) { /* a second for the last answers to leave */
        v->closing = true;
        sl_http_close(v->http, on_http_closed, v);
    }
}

static void on_stop(uv_signal_t *h, int number) {
    server *v = h->data;
    if (v->drain_began) { /* a second signal: now */
        v->drain_began = 1;
        return;
    }
    v->drain_began = sl_clock_ns();
    sl_log(SL_LOG_INFO, "%s: draining, %d requests go on for at most %lld s", number == SIGTERM ? "SIGTERM" : "SIGINT",
           sl_api_live(v->api), (long long)v->s->drain_seconds);
    sl_api_drain(v->api);
    sl_http_drain(v->http);
    uv_timer_start(&v->drain, on_drain_tick, 0, 20);
}

static void on_hangup(uv_signal_t *h, int number) {
    (void)number;
    server *v = h->data;
    sl_error err;
    if (sl_http_reload(v->http, &err)) sl_log(SL_LOG_ERROR, "SIGHUP: keys not read: %s", err.message);
    else sl_log(SL_LOG_INFO, "SIGHUP: keys read again");
}

static sl_status open_metrics(server *v, sl_error *e) {
    const sl_model *m = v->loaded.model;
    const char *paths[64];
    int count;
    const sl_http_endpoint *endpoints = sl_api_endpoints(&count);
    for (int i = 0; i < count; i++) paths[i] = endpoints[i].path;
    bool few = m->hp.layers * m->hp.experts <= 256; /* what "auto" puts into everybody's scrape */
    sl_metrics_config c = {.layers = m->hp.layers,
                           .experts = m->hp.experts,
                           .routed = m->hp.sparse,
                           .endpoints = paths,
                           .endpoint_count = count,
                           .finish = sl_finish_names,
                           .finish_count = SL_FINISH_COUNT,
                           .experts_in_metrics = !strcmp(v->s->metrics_experts, "on") ||
                                                 (!strcmp(v->s->metrics_experts, "auto") && few),
                           .model = m->name,
                           .family = m->family->name,
                           .type = m->type,
                           .version = SL_VERSION,
                           .tier = sl_kernels()->tier,
                           .kv_type = v->s->kv_type,
                           .experts_per_token = m->hp.experts_used,
                           .kv_block_size = SL_PAGE,
                           .kv_blocks = v->s->engine.kv_pages};
    return sl_metrics_new(&c, &v->metrics, e);
}

/* "HOST:PORT", "[::1]:PORT" */
static sl_status split_admin(sl_settings *s, sl_error *e) {
    if (!s->admin[0]) return SL_OK;
    const char *colon = strrchr(s->admin, ':');
    int port = -1, end = 0;
    if (colon) sscanf(colon + 1, "%d%n", &port, &end);
    if (!colon || colon == s->admin || port < 0 || port > 65535 || colon[1 + end])
        return sl_fail_param(e, SL_MISUSE, "admin", "--admin: \"%s\" is not HOST:PORT", s->admin);
    size_t skip = s->admin[0] == '[', len = (size_t)(colon - s->admin) - 2 * skip;
    s->http.admin_host = sl_arena_copy(s->arena, SL_MEM_OTHER, s->admin + skip, len);
    s->http.admin_port = port;
    return s->http.admin_host ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory");
}

static sl_status open_http(server *v, sl_error *e) {
    sl_http_config *c = &v->s->http;
    sl_status st = split_admin(v->s, e);
    if (st) return st;
    if (c->api_key_file && !c->api_key_file[0]) c->api_key_file = NULL;
    if (c->cors_origin && !c->cors_origin[0]) c->cors_origin = NULL;
    c->header_limit = 32768;
    c->endpoints = sl_api_endpoints(&c->endpoint_count);
    c->arg = v->api;
    c->metrics = v->metrics;
    c->answered = sl_api_answered;
    return sl_http_new(&v->loop, c, &v->http, e);
}

static void warn(void *arg, const char *text) {
    (void)arg;
    sl_log(SL_LOG_WARN, "%s", text);
}

static sl_status start(server *v, sl_error *e) {
    sl_settings *s = v->s;
    sl_status st;
    if ((st = sl_load(s->model, &v->loaded, e))) return st;
    sl_loaded_notes(&v->loaded, warn, NULL);
    if ((st = sl_plan_make(s, v->loaded.model, &v->plan, e)) || (st = open_metrics(v, e))) return st;
    const sl_model *m = v->loaded.model;
    s->api.model = (sl_api_model){m->name,           m->family->name, m->type,       m->hp.layers,
                                  m->hp.experts,     m->hp.experts_used, m->hp.vocab, m->parameters,
                                  m->active_parameters};
    s->api.tokenizer = v->loaded.tokenizer;
    s->api.metrics = v->metrics;
    if ((st = sl_api_new(&v->loop, &s->api, &v->api, e))) return st;
    s->engine.tokenizer = v->loaded.tokenizer;
    s->engine.metrics = v->metrics;
    s->engine.wake = sl_api_wake;
    s->engine.wake_arg = v->api;
    if ((st = sl_engine_new(&s->engine, &v->engine, e))) return st;
    sl_api_start(v->api, v->engine);
    return open_http(v, e);
}

static void announce(const server *v) {
    const sl_settings *s = v->s;
    sl_buffer out = {0};
    sl_plan_print(s, v->loaded.model, &v->plan, &out);
    sl_buffer_printf(&out, "batch    %d sequences (--max-sequences), %d requests may wait (--queue), %d ms between tokens "
                           "(--token-gap-ms)\n",
                     s->engine.max_sequences, s->engine.queue, s->engine.token_gap_ms);
    sl_buffer_printf(&out, "auth     %s\n", s->http.api_key_file ? "keys from the file (--api-key-file)" :
                     s->http.no_auth ? "none (--no-auth)" : "none: loopback only (--host, --api-key-file)");
    const char *host = strchr(s->http.host, ':') ? "[" : "";
    sl_buffer_printf(&out, "ready    http://%s%s%s:%d after %.2f s: /v1/completions /v1/models /tokenize /livez /readyz",
                     host, s->http.host, host[0] ? "]" : "", sl_http_port(v->http),
                     (double)(sl_clock_ns() - v->started) / 1e9);
    if (s->http.admin_host) sl_buffer_printf(&out, "; admin port %d: /metrics /metrics/experts", sl_http_admin_port(v->http));
    else sl_buffer_puts(&out, " /metrics /metrics/experts");
    for (char *line = (char *)(uintptr_t)sl_buffer_text(&out), *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        sl_log(SL_LOG_INFO, "%s", line);
    }
    sl_buffer_done(&out);
}

static void watch(uv_signal_t *h, uv_loop_t *loop, uv_signal_cb cb, int number, void *data) {
    uv_signal_init(loop, h);
    h->data = data;
    uv_signal_start(h, cb, number);
}

static sl_log_level level_of(const char *word) {
    return !strcmp(word, "debug") ? SL_LOG_DEBUG : !strcmp(word, "info") ? SL_LOG_INFO : !strcmp(word, "warn") ? SL_LOG_WARN : SL_LOG_ERROR;
}

int sl_serve(sl_settings *s) {
    server v = {.s = s, .started = sl_clock_ns()};
    sl_error err;
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    json_object_seed(0);
    sl_log_format format = !strcmp(s->log_format, "text") ? SL_LOG_TEXT : !strcmp(s->log_format, "json") ? SL_LOG_JSON : SL_LOG_AUTO;
    if (sl_log_start(STDERR_FILENO, level_of(s->log_level), format, &err)) {
        fprintf(stderr, "sluice serve: %s\n", err.message);
        return 1;
    }
    uv_loop_init(&v.loop);
    int status = 0;
    if (start(&v, &err)) {
        sl_log(SL_LOG_ERROR, "%s", err.message);
        status = err.code == SL_MISUSE ? 2 : 1;
        v.engine = sl_engine_free(v.engine); /* before the handle that it wakes */
        if (v.api) sl_api_close(v.api, NULL, NULL);
    } else {
        watch(&v.term, &v.loop, on_stop, SIGTERM, &v);
        watch(&v.interrupt, &v.loop, on_stop, SIGINT, &v);
        watch(&v.hangup, &v.loop, on_hangup, SIGHUP, &v);
        uv_timer_init(&v.loop, &v.drain);
        v.drain.data = &v;
        announce(&v);
    }
    uv_run(&v.loop, UV_RUN_DEFAULT);
    uv_loop_close(&v.loop);
    if (v.http) sl_http_free(v.http);
    v.engine = sl_engine_free(v.engine);
    sl_api_free(v.api);
    v.metrics = sl_metrics_free(v.metrics);
    sl_unload(&v.loaded);
    uv_library_shutdown();
    if (!status) sl_log(SL_LOG_INFO, "stopped");
    sl_log_stop();
    return status;
}
