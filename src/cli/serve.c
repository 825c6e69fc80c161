/* serve.c: the server: its parts in start-up order. How it ends is in drain.c, what it says at its start in announce.c.
 *
 * The sockets come first, so that a balancer can ask /readyz and read what is being done; what may take long is done
 * by a thread of its own, the loader:
 *
 *   main thread (the loop)                                    loader
 *   api, http: sockets are open; public endpoints answer,
 *   everything else is a 503 "loading"                        model ─► tokenizer ─► plan ─► metrics ─► engine
 *   on_news: /readyz tells the step  ◄── uv_async ──────────  before each step
 *   on_news: joins it; sl_api_start, sl_http_serve  ◄───────  at the end, with everything or an error
 *
 * In between, and for each thread, what the process may do is taken away: confine.c.
 *
 * (On a main socket of the service manager's nobody is accepted before on_news: newcomers wait in its backlog, as a restart
 * must not be seen. The admin listener tells what is being done.)
 * Until it is joined the loader owns v->loaded, plan, metrics, engine and the settings of engine and api.
 *
 * The service manager, if there is one, is told each step, READY=1 once requests are served, and WATCHDOG=1 from a timer of the
 * loop while the engine is not stuck: the same that /livez says. */
#include "cli/cli.h"
#include "cli/server.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"
#include "cli/address.h"
#include "cli/default.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LEAST_FILES 16 /* open at once, with one connection; with fewer libuv aborts before a line is written */

static sl_status raise_descriptor_limit(sl_error *e) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) return SL_OK;
    if (r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
    if (r.rlim_cur >= LEAST_FILES) return SL_OK;
    return sl_fail(e, SL_IO, "at most %llu open files are allowed (ulimit -n), and %d are needed for one connection", (unsigned long long)r.rlim_cur,
                   LEAST_FILES);
}

static sl_status open_metrics(sl__server *v, sl_error *e) {
    const sl_model *m = v->loaded.model;
    const char *paths[64];
    bool watched[64];
    int count;
    const sl_http_endpoint *endpoints = sl_api_endpoints(&count);
    for (int i = 0; i < count; i++) {
        paths[i] = endpoints[i].path;
        watched[i] = sl_api_generates(paths[i]);
    }
    bool few = m->hp.layers * m->hp.experts <= 256; /* what "auto" puts into everybody's scrape */
    sl_metrics_config c = {.layers = m->hp.layers,
                           .experts = m->hp.experts,
                           .routed = m->hp.sparse,
                           .endpoints = paths,
                           .watched = watched,
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

static sl_status open_http(sl__server *v, sl_error *e) {
    sl_http_config *c = &v->s->http;
    sl_address admin = {0};
    sl_status st = v->s->admin[0] ? sl_address_split(v->s->admin, "admin", v->s->arena, &admin, e) : SL_OK;
    if (!st) st = sl_sockets_take(&v->sockets, e);
    if (st) return st;
    c->admin_host = admin.host;
    c->admin_port = admin.port;
    c->socket = v->sockets.main;
    c->admin_socket = v->sockets.admin;
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
    sl__server *v = arg;
    atomic_store(&v->doing, doing);
    uv_async_send(&v->news);
}

static void warn(void *arg, const char *text) {
    (void)arg;
    sl_log(SL_LOG_WARN, "%s", text);
}

/* The steps of the loader, in their order. */
static sl_status load(sl__server *v, sl_error *e) {
    sl_settings *s = v->s;
    if (atomic_load(&v->stop)) return SL_OK;
    sl_status st = sl_load_told(s->model, tell, v, &v->loaded, e);
    if (st || atomic_load(&v->stop)) return st;
    sl_loaded_notes(&v->loaded, warn, NULL);
    if ((st = sl_chat_source_open(&v->loaded, s->chat_template, &v->chat, e))) return st;
    sl_notes_show(&v->chat.notes, warn, NULL);
    sl__confine_loaded(v);
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
    sl__server *v = arg;
    sl_error err;
    while (sem_wait(&v->go) != 0) continue;
    sl__confine_loader(v);
    if (load(v, &err)) v->error = err;
    tell(v, NULL);
    return NULL;
}

/* --- start --- */

/* A page of the model's file could not be read; in the handler of that signal, on any thread. */
static void on_damage(void *server) { uv_async_send(&((sl__server *)server)->news); }

static sl_status damage(sl_error *e) {
    const char *path = sl_map_damaged();
    return path ? sl_fail(e, SL_IO, "%s: the file was cut short or cannot be read any more while in use", path) : SL_OK;
}

/* The loader has begun a step, or has ended; or the model's file is damaged. */
static void on_news(uv_async_t *h) {
    sl__server *v = h->data;
    const char *doing = atomic_load(&v->doing);
    sl_error damaged;
    if (!v->has_loader && !v->broken && damage(&damaged)) {
        sl_log(SL_LOG_ERROR, "%s", damaged.message);
        sl_notify_send(&v->notify, "STATUS=%s", damaged.message);
        sl__drain_broken(v);
    }
    if (doing) {
        sl_api_loading(v->api, doing);
        sl_notify_send(&v->notify, "STATUS=loading: %s", doing);
        return;
    }
    if (!v->has_loader) return;
    pthread_join(v->loader, NULL);
    v->has_loader = false;
    if (v->state == SL__CLOSING) return;
    if (!v->error.code) damage(&v->error);
    if (!v->error.code) sl_api_start(v->api, &v->s->api, v->engine, &v->error);
    if (v->error.code) {
        sl_log(SL_LOG_ERROR, "%s", v->error.message);
        v->status = v->error.code == SL_MISUSE ? 2 : 1;
        sl_notify_send(&v->notify, "STATUS=%s", v->error.message);
        sl__drain_close(v);
        return;
    }
    sl__confine_serving(v);
    sl_http_serve(v->http, v->metrics);
    sl__drain_enter(v, SL__SERVING);
    sl__announce_ready(v);
    sl_notify_send(&v->notify, "READY=1\nSTATUS=serving");
}

static void on_watchdog(uv_timer_t *h) {
    const sl__server *v = h->data;
    if (!sl_api_stuck(v->api)) sl_notify_send(&v->notify, "WATCHDOG=1");
}

static void start_watchdog(sl__server *v) {
    uint64_t ms = v->notify.watchdog_ns / 2000000;
    uv_timer_init(&v->loop, &v->watchdog);
    v->watchdog.data = v;
    if (v->notify.watchdog_ns) uv_timer_start(&v->watchdog, on_watchdog, 0, ms ? ms : 1);
}

static sl_log_level level_of(const char *word) {
    return !strcmp(word, "debug") ? SL_LOG_DEBUG : !strcmp(word, "info") ? SL_LOG_INFO : !strcmp(word, "warn") ? SL_LOG_WARN : SL_LOG_ERROR;
}

static sl_log_format format_of(const char *word) {
    return !strcmp(word, "text") ? SL_LOG_TEXT : !strcmp(word, "json") ? SL_LOG_JSON : SL_LOG_AUTO;
}

static sl_status start(sl__server *v, sl_error *e) {
    v->s->api.drain = sl__drain_on_request;
    v->s->api.drain_arg = v;
    sl_status st = sl_api_new(&v->loop, &v->s->api, &v->api, e);
    if (!st) st = open_http(v, e);
    if (st) return st;
    uv_async_init(&v->loop, &v->news, on_news);
    uv_timer_init(&v->loop, &v->tick);
    v->news.data = v->tick.data = v;
    sl_map_mend(on_damage, v);
    start_watchdog(v);
    sl__drain_watch(v);
    atomic_store(&v->doing, "starting");
    v->has_loader = sl_thread_start(&v->loader, loader_main, v);
    if (!v->has_loader) {
        sl__drain_close(v);
        return sl_fail(e, SL_NOMEM, "the system gives no thread to load the model");
    }
    sl__confine_loop(v);
    st = sl_log_start(STDERR_FILENO, level_of(v->s->log_level), format_of(v->s->log_format), e);
    if (st) {
        atomic_store(&v->stop, true);
        sl__drain_close(v);
    } else {
        sl__announce_listening(v);
        sl_notify_send(&v->notify, "STATUS=loading: %s", atomic_load(&v->doing));
    }
    sem_post(&v->go);
    return st;
}

/* From the start to the last handle's close. */
static void run(sl__server *v) {
    sl_error err;
    sl_status st = raise_descriptor_limit(&err);
    int reason = st ? 0 : uv_loop_init(&v->loop);
    if (reason) st = sl_fail(&err, SL_IO, "there is no event loop: %s", uv_strerror(reason));
    if (st) {
        sl_log(SL_LOG_ERROR, "%s", err.message);
        v->status = 1;
        return;
    }
    sl_thread_is(SL_THREAD_LOOP);
    if (start(v, &err)) {
        sl_log(SL_LOG_ERROR, "%s", err.message);
        v->status = err.code == SL_MISUSE ? 2 : 1;
        if (!v->http && v->api) sl_api_close(v->api, NULL, NULL);
    }
    uv_run(&v->loop, UV_RUN_DEFAULT);
    uv_loop_close(&v->loop);
}

int sl_serve(sl_settings *s) {
    if (s->default_model && !s->api.model_names[0]) s->api.model_names = SL_DEFAULT_MODEL_NAME;
    sl__server v = {.s = s, .state = SL__LOADING, .started = sl_clock_ns()};
    sl_error err;
    signal(SIGPIPE, SIG_IGN);
    sl_alloc_steady();
    signal(SIGXFSZ, SIG_IGN); /* a log over the limit of a file's size is like one on a full disk */
    json_object_seed(0);
    sl_log_set(STDERR_FILENO, level_of(s->log_level), format_of(s->log_format));
    if (sl_notify_open(&v.notify, &err)) sl_log(SL_LOG_WARN, "%s", err.message);
    sem_init(&v.go, 0, 0);
    run(&v);
    if (v.http) sl_http_free(v.http);
    sl_api_free(v.api);
    v.metrics = sl_metrics_free(v.metrics);
    sl_chat_source_done(&v.chat);
    sl_unload(&v.loaded);
    uv_library_shutdown();
    sl_notify_close(&v.notify);
    sem_destroy(&v.go);
    if (!v.status) sl_log(SL_LOG_INFO, "stopped");
    sl_log_stop();
    return v.status;
}
