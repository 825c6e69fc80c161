/* serve.c: the server: its parts in start-up order, and the way from a signal to the exit.
 *
 * Start. The sockets come first, so that a balancer can ask /readyz and read what is being done; what may take long is done
 * by a thread of its own, the loader:
 *
 *   main thread (the loop)                                    loader
 *   api, http: sockets are open; public endpoints answer,
 *   everything else is a 503 "loading"                        model ─► tokenizer ─► plan ─► metrics ─► engine
 *   on_news: /readyz tells the step  ◄── uv_async ──────────  before each step
 *   on_news: joins it; sl_api_start, sl_http_serve  ◄───────  at the end, with everything or an error
 *
 * Until it is joined the loader owns v->loaded, plan, metrics, engine and the settings of engine and api.
 *
 * The drain, across folders. Everything is done by the loop; `on_tick` looks every 20 ms whether the next state is reached:
 *
 *   LOADING ──on_news──► SERVING ──SIGTERM, SIGINT──► DRAINING ──nothing is live──────────────────────┐
 *      │                                                 │ --drain-seconds, or a second signal          │
 *      │                                                 ▼                                              ▼
 *      │                                             CANCELLING ──nothing is live, or 1 s passed──►  LEAVING
 *      │                                                                                                │ no exchange is live,
 *      │ a failed load, SIGTERM                                                                         │ or 1 s passed
 *      └──────────────────────────────────────────────────────────────────────────────────────►     CLOSING ──► exit
 *
 *   DRAINING    cli   sl_api_drain, sl_http_drain.
 *               api   /readyz is 503, new completions are refused (503, Retry-After); accepted ones go on. Those that the text
 *                     thread still has come to the engine like any other; only after the last of them the engine drains too.
 *               engine  works off its queue as ever; refuses new requests from then on.
 *               http  still takes connections, so that balancers can read the 503; every answer says Connection: close.
 *   CANCELLING  cli   sl_api_cancel_all.
 *               api   cancels each completion's request in the engine; whoever waits for the text thread gets the 503 at once,
 *                     its jobs are skipped, or stop at their next pause.
 *               engine  ends each cancelled request within a step (its pages are free then) and puts it on the ready list.
 *               api   takes it from there: a 503, or where the headers are sent an error event and [DONE]; the request is over.
 *               http  sends what is pending; then its exchange is over.
 *   LEAVING     http  sl_http_quiesce: takes whoever waits in the backlog, then closes the listening socket. The admin
 *                     listener stays until the end, so that the drain can be scraped.
 *   CLOSING     http  sl_http_close: clients that still hold an exchange are gone; each exchange is told so and is over; then
 *                     the daemons stop and the handles close [on_http_closed].
 *               api   once no completion is live any more, nothing points into the engine [finish].
 *               cli   sl_engine_free joins the engine thread (nobody wakes the api from then on), sl_api_close joins the text
 *                     thread, the signals' and the timer's handles close, and the loop runs dry: uv_run returns.
 *   exit        cli   frees http, api, metrics, model; writes what is left of the log; status 0, or that of the failed load.
 *
 * A drain waits for a client at most two seconds beyond its time. A load that is interrupted cannot be stopped in the
 * middle of a step: after two seconds, or at a second signal, the process leaves without waiting for it.
 * SIGHUP reads the key files again. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "cli/address.h"
#include "cli/default.h"
#include "cli/load.h"
#include "cli/chat_template.h"
#include "cli/plan.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TICK_MS 20
#define LAST_ANSWERS SL_SECOND    /* for what was cancelled to reach its clients */
#define LOADER_PATIENCE (2 * SL_SECOND) /* for the step of an interrupted load */

typedef enum state { LOADING, SERVING, DRAINING, CANCELLING, LEAVING, CLOSING } state;

typedef struct server {
    sl_settings *s;
    state state;
    uint64_t started; /* ns, as `since` */
    uint64_t since;   /* when the state began */
    int status;       /* of the process */
    bool hurry;       /* a second signal came */
    /* The loader's until it is joined. */
    sl_loaded loaded;
    sl_chat_source chat;
    sl_plan plan;
    sl_metrics *metrics;
    sl_engine *engine;
    sl_error error; /* of the load; code SL_OK: none */
    /* Between the two. */
    pthread_t loader;
    uv_async_t news;
    _Atomic(const char *) doing; /* the loader's step; NULL: it has ended */
    atomic_bool stop;            /* the loader shall not begin another step */
    /* The loop's. */
    uv_loop_t loop;
    sl_api *api;
    sl_http *http;
    bool has_loader, http_closed;
    uv_signal_t term, interrupt, hangup;
    uv_timer_t tick;
} server;

static void raise_descriptor_limit(void) {
    struct rlimit r;
    if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static void enter(server *v, state to) {
    v->state = to;
    v->since = sl_clock_ns();
}

static void on_http_closed(void *arg) { ((server *)arg)->http_closed = true; }

static void close_http(server *v) {
    enter(v, CLOSING);
    sl_http_close(v->http, on_http_closed, v);
}

/* Closing gives the signal its default effect back: one more would end the process before it has ended in order. */
static void unwatch(uv_signal_t *h, int number) {
    uv_close((uv_handle_t *)h, NULL);
    signal(number, SIG_IGN);
}

/* Nothing is left: the engine first, which wakes the api, then every handle, and the loop runs dry. */
static void finish(server *v) {
    uv_timer_stop(&v->tick);
    v->engine = sl_engine_free(v->engine);
    sl_api_close(v->api, NULL, NULL);
    unwatch(&v->term, SIGTERM);
    unwatch(&v->interrupt, SIGINT);
    unwatch(&v->hangup, SIGHUP);
    uv_close((uv_handle_t *)&v->tick, NULL);
    uv_close((uv_handle_t *)&v->news, NULL);
}

/* The loader is inside a step that may take minutes on a slow disk, and nothing that it does is of use any more. */
static void leave_the_loader(void) {
    sl_log(SL_LOG_INFO, "stopped while loading");
    sl_log_stop();
    _exit(0);
}

static void on_tick(uv_timer_t *h) {
    server *v = h->data;
    uint64_t waited = sl_clock_ns() - v->since;
    int requests = sl_api_live(v->api), exchanges = sl_http_live(v->http);
    switch (v->state) {
    case LOADING:
    case SERVING: break;
    case DRAINING:
        if (requests == 0 && exchanges == 0) {
            enter(v, LEAVING);
            sl_http_quiesce(v->http);
        } else if (v->hurry || waited >= (uint64_t)v->s->drain_seconds * SL_SECOND) {
            if (requests) sl_log(SL_LOG_WARN, "drain: cancelling %d requests that have not ended", requests);
            enter(v, CANCELLING);
            sl_api_cancel_all(v->api);
        }
        break;
    case CANCELLING:
        if ((requests == 0 && exchanges == 0) || waited >= LAST_ANSWERS) {
            enter(v, LEAVING);
            sl_http_quiesce(v->http);
        }
        break;
    case LEAVING:
        if (exchanges == 0 || waited >= LAST_ANSWERS) close_http(v);
        break;
    case CLOSING:
        if (v->has_loader && (v->hurry || waited >= LOADER_PATIENCE)) leave_the_loader();
        if (!v->has_loader && v->http_closed && requests == 0) finish(v);
        break;
    }
}

static void on_stop(uv_signal_t *h, int number) {
    server *v = h->data;
    const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
    if (v->state > SERVING) {
        v->hurry = true;
        return;
    }
    sl_api_drain(v->api);
    sl_http_drain(v->http);
    uv_timer_start(&v->tick, on_tick, 0, TICK_MS);
    if (v->state == LOADING) {
        sl_log(SL_LOG_INFO, "%s while loading: stopping", name);
        atomic_store(&v->stop, true);
        close_http(v);
        return;
    }
    sl_log(SL_LOG_INFO, "%s: draining, %d requests go on for at most %lld s; a second signal cancels them", name,
           sl_api_live(v->api), (long long)v->s->drain_seconds);
    enter(v, DRAINING);
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
                           .kv_type = sl_kv_type_text(v->s->engine.kv_type),
                           .experts_per_token = m->hp.experts_used,
                           .kv_block_size = SL_PAGE,
                           .kv_blocks = v->s->engine.kv_pages};
    return sl_metrics_new(&c, &v->metrics, e);
}

static sl_status open_http(server *v, sl_error *e) {
    sl_http_config *c = &v->s->http;
    sl_address admin = {0};
    sl_status st = v->s->admin[0] ? sl_address_split(v->s->admin, "admin", v->s->arena, &admin, e) : SL_OK;
    if (st) return st;
    c->admin_host = admin.host;
    c->admin_port = admin.port;
    const char **texts[] = {&c->api_key_file, &c->admin_key_file, &c->allowed_hosts, &c->cors_origin};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (*texts[i] && !*texts[i][0]) *texts[i] = NULL;
    sl_machine machine;
    sl_machine_read(&machine);
    sl_plan_http(v->s, machine.memory_limit);
    c->endpoints = sl_api_endpoints(&c->endpoint_count);
    c->arg = v->api;
    c->write_error = sl_api_error_json;
    c->answered = sl_api_answered;
    return sl_http_new(&v->loop, c, &v->http, e);
}

/* --- the loader --- */

static void tell(void *arg, const char *doing) {
    server *v = arg;
    atomic_store(&v->doing, doing);
    uv_async_send(&v->news);
}

static void warn(void *arg, const char *text) {
    (void)arg;
    sl_log(SL_LOG_WARN, "%s", text);
}

/* The steps of the loader, in their order. */
static sl_status load(server *v, sl_error *e) {
    sl_settings *s = v->s;
    sl_status st = sl_load_told(s->model, tell, v, &v->loaded, e);
    if (st || atomic_load(&v->stop)) return st;
    sl_loaded_notes(&v->loaded, warn, NULL);
    if ((st = sl_chat_source_open(&v->loaded, s->chat_template, &v->chat, e))) return st;
    sl_notes_show(&v->chat.notes, warn, NULL);
    tell(v, "planning memory");
    s->engine.tokenizer = v->loaded.tokenizer;
    if ((st = sl_plan_make(s, v->loaded.model, &v->plan, e)) || (st = open_metrics(v, e))) return st;
    const sl_model *m = v->loaded.model;
    s->api.model = (sl_api_model){m->name,           m->family->name, m->type,       m->hp.layers,
                                  m->hp.experts,     m->hp.experts_used, m->hp.vocab, m->parameters,
                                  m->active_parameters};
    s->api.tokenizer = v->loaded.tokenizer;
    s->api.chat_template = v->chat.template;
    s->api.chat_variables = v->chat.variables;
    s->api.chat_why = v->chat.why;
    s->api.metrics = v->metrics;
    s->engine.metrics = v->metrics;
    s->engine.wake = sl_api_wake;
    s->engine.wake_arg = v->api;
    if (atomic_load(&v->stop)) return SL_OK;
    tell(v, "starting the engine");
    return sl_engine_new(&s->engine, &v->engine, e);
}

static void *loader_main(void *arg) {
    server *v = arg;
    sl_error err;
    if (load(v, &err)) v->error = err;
    tell(v, NULL);
    return NULL;
}

/* --- start --- */

static void log_lines(sl_buffer *out) {
    for (char *line = (char *)(uintptr_t)sl_buffer_text(out), *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        sl_log(SL_LOG_INFO, "%s", line);
    }
    sl_buffer_done(out);
}

/* "http://[::1]:8080" */
static void put_address(const server *v, sl_buffer *out) {
    const char *host = v->s->http.host;
    bool six = strchr(host, ':') != NULL;
    sl_buffer_printf(out, "http://%s%s%s:%d", six ? "[" : "", host, six ? "]" : "", sl_http_port(v->http));
}

/* The sockets are open, the model is not. */
static void announce_listening(const server *v) {
    sl_buffer out = {0};
    sl_buffer_puts(&out, "listen   ");
    put_address(v, &out);
    if (v->s->http.admin_host) sl_buffer_printf(&out, " admin port %d", sl_http_admin_port(v->http));
    sl_buffer_printf(&out, " loading %s%s\n", v->s->default_model ? "the default model, " : "", v->s->model);
    log_lines(&out);
}

static void announce_ready(const server *v) {
    const sl_settings *s = v->s;
    sl_buffer out = {0};
    sl_plan_print(s, v->loaded.model, &v->plan, &out);
    sl_buffer_printf(&out, "batch    %d sequences (--max-sequences), %d requests may wait (--queue), %d ms between tokens "
                           "(--token-gap-ms)\n",
                     s->engine.max_sequences, s->engine.queue, s->engine.token_gap_ms);
    int connections = sl_http_connections(v->http);
    sl_buffer_printf(&out, "clients  %d connections (--connections%s)\n", connections,
                     connections < s->http.connections ? " asked for more than the limit of open files leaves: ulimit -n" : "");
    sl_buffer_printf(&out, "auth     %s\n", s->http.api_key_file ? "keys from the file (--api-key-file)" :
                     s->http.no_auth ? "none (--no-auth)" : "none: loopback only (--host, --api-key-file)");
    if (s->http.admin_host)
        sl_buffer_printf(&out, "admin    %s:%d, %s\n", s->http.admin_host, sl_http_admin_port(v->http),
                         s->http.admin_key_file ? "keys from the file (--admin-key-file)"
                                                : "whoever reaches it may read metrics and routing (--admin-key-file)");
    sl_buffer_puts(&out, "ready    ");
    put_address(v, &out);
    sl_buffer_printf(&out, " after %.2f s: %s/v1/completions /v1/models /tokenize /livez /readyz",
                     (double)(sl_clock_ns() - v->started) / 1e9, v->chat.template ? "/v1/chat/completions " : "");
    if (s->http.admin_host) sl_buffer_printf(&out, "; admin port %d: /metrics /metrics/experts", sl_http_admin_port(v->http));
    else sl_buffer_puts(&out, " /metrics /metrics/experts");
    log_lines(&out);
}

/* The loader has begun a step, or has ended. */
static void on_news(uv_async_t *h) {
    server *v = h->data;
    const char *doing = atomic_load(&v->doing);
    if (doing) {
        sl_api_loading(v->api, doing);
        return;
    }
    if (!v->has_loader) return;
    pthread_join(v->loader, NULL);
    v->has_loader = false;
    if (v->state == CLOSING) return;
    if (!v->error.code) sl_api_start(v->api, &v->s->api, v->engine, &v->error);
    if (v->error.code) {
        sl_log(SL_LOG_ERROR, "%s", v->error.message);
        v->status = v->error.code == SL_MISUSE ? 2 : 1;
        uv_timer_start(&v->tick, on_tick, 0, TICK_MS);
        close_http(v);
        return;
    }
    sl_http_serve(v->http, v->metrics);
    enter(v, SERVING);
    announce_ready(v);
}

static void watch(uv_signal_t *h, uv_loop_t *loop, uv_signal_cb cb, int number, void *data) {
    uv_signal_init(loop, h);
    h->data = data;
    uv_signal_start(h, cb, number);
}

static sl_status start(server *v, sl_error *e) {
    sl_status st = sl_api_new(&v->loop, &v->s->api, &v->api, e);
    if (!st) st = open_http(v, e);
    if (st) return st;
    uv_async_init(&v->loop, &v->news, on_news);
    uv_timer_init(&v->loop, &v->tick);
    v->news.data = v->tick.data = v;
    watch(&v->term, &v->loop, on_stop, SIGTERM, v);
    watch(&v->interrupt, &v->loop, on_stop, SIGINT, v);
    watch(&v->hangup, &v->loop, on_hangup, SIGHUP, v);
    atomic_store(&v->doing, "starting");
    v->has_loader = sl_thread_start(&v->loader, loader_main, v);
    if (v->has_loader) {
        announce_listening(v);
        return SL_OK;
    }
    st = sl_fail(e, SL_NOMEM, "the system gives no thread to load the model");
    close_http(v);
    uv_timer_start(&v->tick, on_tick, 0, TICK_MS);
    return st;
}

static sl_log_level level_of(const char *word) {
    return !strcmp(word, "debug") ? SL_LOG_DEBUG : !strcmp(word, "info") ? SL_LOG_INFO : !strcmp(word, "warn") ? SL_LOG_WARN : SL_LOG_ERROR;
}

int sl_serve(sl_settings *s) {
    if (s->default_model && !s->api.model_names[0]) s->api.model_names = SL_DEFAULT_MODEL_NAME;
    server v = {.s = s, .state = LOADING, .started = sl_clock_ns()};
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
    sl_thread_is(SL_THREAD_LOOP);
    if (start(&v, &err)) {
        sl_log(SL_LOG_ERROR, "%s", err.message);
        v.status = err.code == SL_MISUSE ? 2 : 1;
        if (!v.http && v.api) sl_api_close(v.api, NULL, NULL);
    }
    uv_run(&v.loop, UV_RUN_DEFAULT);
    uv_loop_close(&v.loop);
    if (v.http) sl_http_free(v.http);
    sl_api_free(v.api);
    v.metrics = sl_metrics_free(v.metrics);
    sl_chat_source_done(&v.chat);
    sl_unload(&v.loaded);
    uv_library_shutdown();
    if (!v.status) sl_log(SL_LOG_INFO, "stopped");
    sl_log_stop();
    return v.status;
}
