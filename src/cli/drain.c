/* drain.c: the way of the server from a signal, or POST /drain, to its end, across folders.
 *
 * Everything is done by the loop; `on_tick` looks every 20 ms whether the next state is reached:
 *
 *   LOADING ──on_news──► SERVING ──a signal, POST /drain──► RETIRING ──--drain-delay──► DRAINING
 *      │                                                       │ a second signal           │ nothing is live, and a signal came
 *      │                                                       ▼                           │
 *      │                                     ┌──────────── CANCELLING ◄── --drain-seconds, │
 *      │                                     │             or a second signal ─────────────┤
 *      │                                     │ nothing is live, or 1 s passed              ▼
 *      │                                     └───────────────────────────────────────►  LEAVING
 *      │                                                                                   │ no exchange is live and no
 *      │ a failed load, a signal                                                           │ newcomer, or 1 s passed
 *      └────────────────────────────────────────────────────────────────────────────►   CLOSING ──► exit
 *
 *   RETIRING    cli   sl_api_leave, sl_http_drain: /readyz is 503, every answer says Connection: close. Work is taken as ever, so
 *                     that nothing is lost while balancers find out; --drain-delay should be longer than they need for that.
 *   DRAINING    cli   sl_api_drain.
 *               api   new completions are refused (503, Retry-After); accepted ones go on. Those that the text
 *                     thread still has come to the engine like any other; only after the last of them the engine drains too.
 *               engine  works off its queue as ever; refuses new requests from then on.
 *               http  still takes connections, so that balancers can read the 503.
 *               A socket of the service manager's is let go instead (sl_http_quiesce): newcomers wait in its backlog for the next
 *               process, and whoever is connected already may ask once more. So a restart refuses nobody.
 *               After POST /drain alone the server stays in this state, and can be looked at, until a signal comes.
 *   A model file that cannot be read any more while in use is reached from any state by a signal of the kernel (base/map.h): the
 *   engine throws its step away and ends what it has with an error; the server goes on at CANCELLING, with status 1.
 *   CANCELLING  cli   sl_api_drain, sl_api_cancel_all.
 *               api   cancels each completion's request in the engine; whoever waits for the text thread gets the 503 at once,
 *                     its jobs are skipped, or stop at their next pause.
 *               engine  ends each cancelled request within a step (its pages are free then) and puts it on the ready list.
 *               api   takes it from there: a 503, or where the headers are sent an error event and [DONE]; the request is over.
 *               http  sends what is pending; then its exchange is over.
 *   LEAVING     http  sl_http_quiesce: takes whoever waits in the backlog (they are told that the server drains), then closes the
 *                     listening socket. The admin listener stays until the end, so that the drain can be scraped.
 *   CLOSING     http  sl_http_close: clients that still hold an exchange are gone; each exchange is told so and is over; then
 *                     the daemons stop and the handles close [on_http_closed].
 *               api   once no completion is live any more, nothing points into the engine [finish].
 *               cli   sl_engine_free joins the engine thread (nobody wakes the api from then on), sl_api_close joins the text
 *                     thread, the signals' and the timers' handles close, and the loop runs dry: uv_run returns.
 *   exit        cli   frees http, api, metrics, model; writes what is left of the log; status 0, or that of the failed load.
 *
 * A drain waits for a client at most two seconds beyond its time. A load that is interrupted cannot be stopped in the
 * middle of a step: after two seconds, or at a second signal, the process leaves without waiting for it.
 * SIGHUP reads the key files again. */
#include "cli/server.h"

#include "base/clock.h"
#include "base/log.h"

#include <signal.h>
#include <unistd.h>

#define TICK_MS 20
#define LAST_ANSWERS SL_SECOND          /* for what was cancelled to reach its clients, and newcomers to say what they want */
#define LOADER_PATIENCE (2 * SL_SECOND) /* for the step of an interrupted load */

void sl__drain_enter(sl__server *v, sl__state to) {
    v->state = to;
    v->since = sl_clock_ns();
}

static void on_http_closed(void *arg) { ((sl__server *)arg)->http_closed = true; }

static void close_http(sl__server *v) {
    sl__drain_enter(v, SL__CLOSING);
    sl_http_close(v->http, on_http_closed, v);
}

/* Closing gives the signal its default effect back: one more would end the process before it has ended in order. */
static void unwatch(uv_signal_t *h, int number) {
    uv_close((uv_handle_t *)h, NULL);
    signal(number, SIG_IGN);
}

/* Nothing is left: the engine first, which wakes the api, then every handle, and the loop runs dry. */
static void finish(sl__server *v) {
    uv_timer_stop(&v->tick);
    v->engine = sl_engine_free(v->engine);
    sl_api_close(v->api, NULL, NULL);
    unwatch(&v->term, SIGTERM);
    unwatch(&v->interrupt, SIGINT);
    unwatch(&v->hangup, SIGHUP);
    uv_close((uv_handle_t *)&v->tick, NULL);
    uv_close((uv_handle_t *)&v->watchdog, NULL);
    uv_close((uv_handle_t *)&v->news, NULL);
}

/* The loader is inside a step that may take minutes on a slow disk, and nothing that it does is of use any more. It is detached,
 * as nobody joins it: it may come to its end just now, and ThreadSanitizer would call it leaked. */
static void leave_the_loader(sl__server *v) {
    sl_log(SL_LOG_INFO, "stopped while loading");
    sl_log_stop();
    pthread_detach(v->loader);
    _exit(0);
}

/* --- from state to state --- */

static void stop_taking(sl__server *v) {
    if (v->sockets.main) sl_http_quiesce(v->http);
    else sl_api_drain(v->api);
    sl__drain_enter(v, SL__DRAINING);
}

static void cancel(sl__server *v, int requests) {
    if (requests) sl_log(SL_LOG_WARN, "drain: cancelling %d requests that have not ended", requests);
    sl_api_drain(v->api);
    sl_api_cancel_all(v->api);
    sl__drain_enter(v, SL__CANCELLING);
}

static void leave(sl__server *v) {
    sl_api_drain(v->api);
    sl_http_quiesce(v->http);
    sl__drain_enter(v, SL__LEAVING);
}

static void on_tick(uv_timer_t *h) {
    sl__server *v = h->data;
    uint64_t waited = sl_clock_ns() - v->since;
    int requests = sl_api_live(v->api), exchanges = sl_http_live(v->http), newcomers = sl_http_newcomers(v->http);
    bool quiet = requests == 0 && exchanges == 0;
    switch (v->state) {
    case SL__LOADING:
    case SL__SERVING: break;
    case SL__RETIRING:
        if (v->hurry) cancel(v, requests);
        else if (waited >= (uint64_t)v->s->drain_delay * SL_SECOND) stop_taking(v);
        break;
    case SL__DRAINING:
        if (!v->signalled) break;
        /* Who came by a shared socket may be about to ask, and was not told to go elsewhere. */
        if (quiet && (!v->sockets.main || newcomers == 0 || waited >= LAST_ANSWERS)) leave(v);
        else if (v->hurry || waited >= (uint64_t)v->s->drain_seconds * SL_SECOND) cancel(v, requests);
        break;
    case SL__CANCELLING:
        if (quiet || waited >= LAST_ANSWERS) leave(v);
        break;
    case SL__LEAVING:
        if ((exchanges == 0 && newcomers == 0) || waited >= LAST_ANSWERS) close_http(v);
        break;
    case SL__CLOSING:
        if (v->has_loader && (v->hurry || waited >= LOADER_PATIENCE)) leave_the_loader(v);
        if (!v->has_loader && v->http_closed && requests == 0) finish(v);
        break;
    }
}

void sl__drain_close(sl__server *v) {
    uv_timer_start(&v->tick, on_tick, 0, TICK_MS);
    close_http(v);
}

static void retire(sl__server *v) {
    sl_api_leave(v->api);
    sl_http_drain(v->http);
    sl__drain_enter(v, SL__RETIRING);
    uv_timer_start(&v->tick, on_tick, 0, TICK_MS);
}

bool sl__drain_on_request(void *server) {
    sl__server *v = server;
    if (v->state != SL__SERVING) return v->state < SL__DRAINING;
    sl_log(SL_LOG_INFO, "POST /drain: not ready any more; work is taken for %lld s (--drain-delay), then refused; SIGTERM ends the server",
           (long long)v->s->drain_delay);
    sl_notify_send(&v->notify, "STATUS=draining, as POST /drain asked for");
    retire(v);
    return true;
}

void sl__drain_broken(sl__server *v) {
    v->broken = v->signalled = true;
    v->status = 1;
    if (v->state > SL__DRAINING) return; /* it ends anyway */
    sl_api_leave(v->api);
    sl_http_drain(v->http);
    uv_timer_start(&v->tick, on_tick, 0, TICK_MS);
    cancel(v, sl_api_live(v->api));
}

/* --- signals --- */

static void tell_stopping(const sl__server *v) {
    long long seconds = (long long)(v->s->drain_delay + v->s->drain_seconds) + 10;
    sl_notify_send(&v->notify, "STOPPING=1\nSTATUS=draining: %d requests go on\nEXTEND_TIMEOUT_USEC=%lld000000", sl_api_live(v->api), seconds);
}

static void on_stop(uv_signal_t *h, int number) {
    sl__server *v = h->data;
    const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
    long long delay = (long long)v->s->drain_delay;
    if (v->signalled || v->state > SL__DRAINING) {
        v->hurry = true;
        return;
    }
    v->signalled = true;
    tell_stopping(v);
    if (v->state == SL__LOADING) {
        sl_log(SL_LOG_INFO, "%s while loading: stopping", name);
        sl_api_leave(v->api);
        atomic_store(&v->stop, true);
        sl__drain_close(v);
        return;
    }
    if (v->state == SL__SERVING && delay > 0)
        sl_log(SL_LOG_INFO, "%s: not ready any more; work is taken for another %lld s (--drain-delay)", name, delay);
    sl_log(SL_LOG_INFO, "%s: draining, %d requests go on for at most %lld s; a second signal cancels them", name,
           sl_api_live(v->api), (long long)v->s->drain_seconds);
    if (v->state == SL__SERVING) retire(v);
    else if (v->state == SL__DRAINING) sl__drain_enter(v, SL__DRAINING); /* their time begins now */
}

static void on_hangup(uv_signal_t *h, int number) {
    (void)number;
    sl__server *v = h->data;
    sl_error err;
    bool tells = v->state == SL__SERVING; /* otherwise the manager is told other things */
    if (tells) sl_notify_reloading(&v->notify);
    sl_status status = sl_http_reload(v->http, &err);
    if (status) sl_log(SL_LOG_ERROR, "SIGHUP: keys not read, the old ones stay: %s", err.message);
    else sl_log(SL_LOG_INFO, "SIGHUP: keys read again");
    if (tells && status) sl_notify_send(&v->notify, "READY=1\nSTATUS=serving; at the last reload keys were not read: %s", err.message);
    else if (tells) sl_notify_send(&v->notify, "READY=1\nSTATUS=serving");
}

static void watch(sl__server *v, uv_signal_t *h, uv_signal_cb cb, int number) {
    uv_signal_init(&v->loop, h);
    h->data = v;
    uv_signal_start(h, cb, number);
}

void sl__drain_watch(sl__server *v) {
    watch(v, &v->term, on_stop, SIGTERM);
    watch(v, &v->interrupt, on_stop, SIGINT);
    watch(v, &v->hangup, on_hangup, SIGHUP);
}
