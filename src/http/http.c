/* http.c: the front end as a whole: start, the pump that runs the daemons, what is over, drain and close.
 *
 * The pump runs libmicrohttpd whenever its descriptors are ready, its timer is due, or something was resumed (in external
 * mode a resume wakes nothing by itself). It also runs every 250 ms: for the deadlines, and because a listening socket that
 * could not be accepted from, for want of a descriptor, is looked at again. */
#include "http/internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEARTBEAT_MS 250
#define RUN_NS (SL_SECOND / 5000) /* a daemon runs again only within this, so that a busy one does not hold the loop */
#define SCAN_NS (SL_SECOND / 2)
#define ADMIN_CONNECTIONS 64 /* of the admin listener at most */
#define API_KEYS "api-key-file"
#define ADMIN_KEYS "admin-key-file"

/* --- what is over --- */

/* What the library said before there was an exchange: to a target that is too long, to an unknown version. */
static void count_said(sl_http *h) {
    while (h->saids > 0) {
        int status = h->said[--h->saids];
        sl_metrics_add(h->metrics, SL_METRIC_REJECTED, SL_REJECT_BAD_REQUEST, 1);
        if (h->metrics) sl_metrics_add(h->metrics, SL_METRIC_REQUESTS, sl_metrics_request_slot(h->metrics, NULL, status), 1);
    }
}

static void tell_over(sl_http *h) {
    sl_http_exchange *x;
    count_said(h);
    while ((x = h->over)) {
        h->over = x->next_over;
        if (!h->over) h->over_tail = &h->over;
        if (x->hooks && x->gone && !x->told && x->hooks->gone) {
            x->told = true;
            x->hooks->gone(x->ctx);
        }
        int status = x->status != 0 && (x->phase == SL__QUEUED || !x->gone) ? x->status : x->expired ? 408 : 499;
        if (x->phase > SL__HEAD) {
            sl__answer_count(x, status);
            if (h->config.answered)
                h->config.answered(h->config.arg, x, status, (double)(sl_clock_ns() - x->arrived) / (double)SL_SECOND);
        }
        h->live -= x->counted;
        if (x->hooks) x->hooks->over(x->ctx);
        sl__exchange_free(x);
    }
}

/* --- the pump --- */

static void on_timer(uv_timer_t *t);

static void finish_closing(sl_http *h);

/* In the pump, not in the timer: on a busy server the timer is always put off. */
static void scan(sl_http *h) {
    uint64_t now = sl_clock_ns();
    if (now - h->scanned < SCAN_NS) return;
    h->scanned = now;
    sl__connections_scan(h);
}

static void pump(sl_http *h, bool heartbeat) {
    SL_ON_THREAD(LOOP);
    h->turn++;
    scan(h);
    sl__turn_resume_all(h);
    sl__door_look_all(h);
    uint64_t wait = HEARTBEAT_MS, until = sl_clock_ns() + RUN_NS;
    for (int i = 0; i < 2; i++) {
        struct MHD_Daemon *d = h->listeners[i].daemon;
        if (!d) continue;
        unsigned long long ms = 0;
        bool due;
        do {
            MHD_run(d);
            due = MHD_get_timeout(d, &ms) == MHD_YES;
        } while (due && ms == 0 && sl_clock_ns() < until);
        if (due && ms < wait) wait = ms;
    }
    tell_over(h);
    for (int i = 0; i < 2; i++) {
        sl__listener *l = &h->listeners[i];
        if (l->deaf && (l->freed || heartbeat)) sl__door_listen(l);
    }
    if (h->closing) {
        finish_closing(h);
        return;
    }
    if (wait == 0) sl__turn_kick(h); /* a timer that is due at once would come again before the loop looks at anything else */
    uv_timer_start(&h->timer, on_timer, wait ? wait : HEARTBEAT_MS, 0);
}

static void on_timer(uv_timer_t *t) { pump(t->data, true); }

static void on_poll(uv_poll_t *p, int status, int events) {
    (void)status, (void)events;
    pump(((sl__listener *)p->data)->h, false);
}

static void on_door(uv_poll_t *p, int status, int events) {
    (void)status, (void)events;
    pump(p->data, false);
}

static void on_kick(uv_idle_t *i) {
    sl_http *h = i->data;
    uv_idle_stop(i);
    if (h->quiesce) {
        h->quiesce = false;
        sl__listener_quiesce(&h->listeners[0]);
    }
    pump(h, false);
}

/* --- start --- */

/* Each connection is a descriptor; the model, logs, the loop and the other listener have some too. */
static void fit_descriptors(sl_http_config *c) {
    struct rlimit r;
    rlim_t others = 64 + SL__HTTP_EXTRA + (c->admin_host || c->admin_socket ? ADMIN_CONNECTIONS + SL__HTTP_EXTRA : 0);
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY && (rlim_t)c->connections + others > r.rlim_cur)
        c->connections = r.rlim_cur > others + 64 ? (int)(r.rlim_cur - others) : 64;
}

/* The guests of both listeners. */
static sl_status open_door(sl_http *h, sl_error *e) {
    h->peek = sl_malloc(SL__HTTP_HEAD + 1);
    h->door_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!h->peek) return sl_fail(e, SL_NOMEM, "out of memory for the heads of requests");
    if (h->door_fd < 0) return sl_fail(e, SL_IO, "no descriptor to watch newcomers with: %s (ulimit -n)", strerror(errno));
    if (uv_poll_init(h->loop, &h->door, h->door_fd) != 0) return sl_fail(e, SL_IO, "the event loop cannot watch newcomers (ulimit -n)");
    h->door.data = h;
    h->has_door = true;
    h->handles++;
    if (uv_poll_start(&h->door, UV_READABLE, on_door) != 0) return sl_fail(e, SL_IO, "the event loop cannot watch newcomers");
    return SL_OK;
}

static void close_door(sl_http *h, uv_close_cb closed) {
    if (h->has_door) uv_close((uv_handle_t *)&h->door, closed);
    h->has_door = false;
}

sl_status sl_http_new(uv_loop_t *loop, const sl_http_config *c, sl_http **ret, sl_error *e) {
    sl_http *h = sl_calloc(1, sizeof *h);
    if (!h) return sl_fail(e, SL_NOMEM, "no memory for the front end");
    sl_status status = SL_OK;
    h->config = *c;
    h->loop = loop;
    h->door_fd = -1;
    h->over_tail = &h->over;
    h->on_kick = on_kick;
    fit_descriptors(&h->config);
    for (int i = 0; i < 2; i++) h->listeners[i] = (sl__listener){.h = h, .admin = i == 1, .fd = -1};
    c->write_error(&h->no_memory, 503, NULL, NULL, "out of memory");
    if (h->no_memory.failed || h->no_memory.len == 0) status = sl_fail(e, SL_NOMEM, "no memory for the front end");
    if (status == SL_OK) status = sl__hosts_check(c->allowed_hosts, c->cors_origin, e);
    if (status == SL_OK && c->api_key_file) status = sl__keys_read(c->api_key_file, API_KEYS, &h->keys, e);
    if (status == SL_OK && c->admin_key_file) status = sl__keys_read(c->admin_key_file, ADMIN_KEYS, &h->admin_keys, e);
    int connections = h->config.connections;
    if (status == SL_OK) status = sl__listener_open(&h->listeners[0], c->socket, c->host, c->port, connections, e);
    if (status == SL_OK && (c->admin_host || c->admin_socket))
        status = sl__listener_open(&h->listeners[1], c->admin_socket, c->admin_host, c->admin_port, ADMIN_CONNECTIONS, e);
    if (status == SL_OK) status = open_door(h, e);
    for (int i = 0; i < 2 && status == SL_OK; i++) status = sl__listener_watch(&h->listeners[i], on_poll, e);
    if (status != SL_OK) goto fail;
    uv_idle_init(loop, &h->kick);
    uv_timer_init(loop, &h->timer);
    h->kick.data = h->timer.data = h;
    h->handles += 2;
    sl__turn_kick(h);
    *ret = h;
    return SL_OK;
fail:
    if (h->handles > 0) {
        for (int i = 0; i < 2; i++) sl__listener_unwatch(&h->listeners[i], NULL);
        close_door(h, NULL);
        uv_run(loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < 2; i++) sl__listener_stop(&h->listeners[i]);
    sl_http_free(h);
    return status;
}

void sl_http_serve(sl_http *h, sl_metrics *m) {
    h->metrics = m;
    h->serving = true;
    if (h->listeners[0].shared) sl__door_listen(&h->listeners[0]);
}

const char *sl_http_host(const sl_http *h) { return h->listeners[0].host; }
const char *sl_http_admin_host(const sl_http *h) { return h->listeners[1].port ? h->listeners[1].host : NULL; }
int sl_http_port(const sl_http *h) { return h->listeners[0].port; }
int sl_http_admin_port(const sl_http *h) { return h->listeners[1].port; }
int sl_http_connections(const sl_http *h) { return h->config.connections; }
int sl_http_live(const sl_http *h) { return h->live; }

int sl_http_newcomers(const sl_http *h) {
    int count = 0;
    for (const sl__connection *c = h->connections; c; c = c->next) count += c->guest && !c->l->admin;
    return count;
}

sl_status sl_http_reload(sl_http *h, sl_error *e) {
    const sl_http_config *c = &h->config;
    sl__keys *keys = NULL, *admin_keys = NULL;
    sl_status status = SL_OK;
    if (c->api_key_file) status = sl__keys_read(c->api_key_file, API_KEYS, &keys, e);
    if (status == SL_OK && c->admin_key_file) status = sl__keys_read(c->admin_key_file, ADMIN_KEYS, &admin_keys, e);
    if (status != SL_OK) {
        sl__keys_free(keys);
        return status;
    }
    sl__keys_free(h->keys);
    sl__keys_free(h->admin_keys);
    h->keys = keys;
    h->admin_keys = admin_keys;
    return SL_OK;
}

/* --- end --- */

void sl_http_drain(sl_http *h) { h->draining = true; }

void sl_http_quiesce(sl_http *h) {
    h->draining = h->quiesce = true;
    sl__turn_kick(h);
}

static void on_closed(uv_handle_t *handle) { sl__turn_handle_closed(handle->data); }

static void on_poll_closed(uv_handle_t *handle) { sl__turn_handle_closed(((sl__listener *)handle->data)->h); }

/* Once no connection is suspended (the library aborts otherwise): the daemons, then the handles. */
static void finish_closing(sl_http *h) {
    bool guests = false;
    for (const sl__connection *c = h->connections; c; c = c->next) guests = guests || c->guest;
    if (guests || h->suspended > 0 || h->stopped) {
        if (!h->stopped) sl__turn_kick(h);
        return;
    }
    h->stopped = true;
    for (int i = 0; i < 2; i++) {
        sl__listener *l = &h->listeners[i];
        sl__listener_unwatch(l, on_poll_closed);
        sl__listener_stop(l);
    }
    close_door(h, on_closed);
    tell_over(h);
    uv_close((uv_handle_t *)&h->timer, on_closed);
    uv_close((uv_handle_t *)&h->kick, on_closed);
}

void sl_http_close(sl_http *h, void (*closed)(void *), void *arg) {
    SL_ON_THREAD(LOOP);
    h->closing = h->draining = true;
    h->closed = closed;
    h->closed_arg = arg;
    for (sl__connection *c = h->connections; c; c = c->next) {
        if (c->x) sl__turn_gone(c->x);
        else if (c->guest) shutdown(c->fd, SHUT_RDWR);
    }
    sl__turn_kick(h);
}

void sl_http_free(sl_http *h) {
    if (!h) return;
    sl__keys_free(h->keys);
    sl__keys_free(h->admin_keys);
    sl_buffer_done(&h->no_memory);
    if (h->door_fd >= 0) close(h->door_fd);
    sl_free(h->peek);
    sl_free(h);
}
