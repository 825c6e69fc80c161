/* fixture.h: a front end on a free port of 127.0.0.1, its loop in a thread of its own, and a client of raw sockets.
 * The test's thread is the client; what must happen on the loop goes through on_loop(). Deadlines are long and reached by
 * pass(), so that no test depends on the machine's speed. */
#ifndef SL_TESTS_HTTP_FIXTURE_H
#define SL_TESTS_HTTP_FIXTURE_H

#include "http/internal.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../run.h"

#define HELD_MAX 512

/* --- the server --- */

typedef struct held {
    sl_http_exchange *x;
    bool gone, over;
    size_t left;   /* bytes that the stream may still give */
    bool last;     /* and then it ends */
    size_t filled; /* bytes that fill() gave */
    uint64_t turn; /* of the loop, what it gave in it, and the most it gave in one */
    size_t in_turn, most_in_turn;
} held;

typedef struct server {
    uv_loop_t loop;
    uv_async_t call;
    pthread_t thread;
    sem_t up, called;
    void (*function)(struct server *s, void *arg);
    void *arg;
    sl_http_config config;
    sl_metrics *metrics; /* may be NULL */
    bool loading;        /* sl_http_serve is not called at the start */
    bool strict;         /* only names of this machine as Host */
    sl_http *h;
    sl_error error;
    sl_status status; /* of sl_http_new */
    int port, admin_port;
    held held[HELD_MAX];
    atomic_int handled, holds, gones, overs, answers;
    atomic_int answered[600]; /* by status */
    char last_id[SL__HTTP_ID_MAX + 1];
    uint64_t arrived; /* of the last echo */
    bool closed;
} server;

/* For the server's thread: check's own assertions may only be made by the thread that runs the test. */
#define must(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                              \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static void hook_gone(void *ctx) {
    held *d = ctx;
    must(!d->gone && !d->over);
    d->gone = true;
    server *s = d->x->h->config.arg;
    atomic_fetch_add(&s->gones, 1);
}

static bool hook_fill(void *ctx, sl_buffer *out) {
    held *d = ctx;
    must(!d->over);
    char text[1024];
    memset(text, 'x', sizeof text);
    size_t n = d->left < sizeof text ? d->left : sizeof text;
    sl_buffer_append(out, text, n);
    d->left -= n;
    d->filled += n;
    d->in_turn = d->turn == d->x->h->turn ? d->in_turn + n : n;
    d->turn = d->x->h->turn;
    if (d->in_turn > d->most_in_turn) d->most_in_turn = d->in_turn;
    return d->left > 0 || !d->last;
}

static void hook_over(void *ctx) {
    held *d = ctx;
    must(!d->over);
    server *s = d->x->h->config.arg;
    d->over = true;
    d->x = NULL;
    atomic_fetch_add(&s->overs, 1);
}

static const sl_http_hooks fixture_hooks = {hook_gone, hook_fill, hook_over};

static void reply(sl_http_exchange *x, int status, const char *data, size_t len) {
    sl_buffer b = {0};
    sl_buffer_append(&b, data, len);
    sl_http_reply(x, status, "text/plain", &b);
}

static held *hold(server *s, sl_http_exchange *x) {
    int i = atomic_load(&s->holds);
    must(i < HELD_MAX);
    held *d = &s->held[i];
    *d = (held){.x = x};
    sl_http_hold(x, &fixture_hooks, d);
    atomic_store(&s->holds, i + 1);
    return d;
}

static void do_hello(void *arg, sl_http_exchange *x) {
    atomic_fetch_add(&((server *)arg)->handled, 1);
    reply(x, 200, "hello", 5);
}

static void do_echo(void *arg, sl_http_exchange *x) {
    size_t len;
    ((server *)arg)->arrived = sl_http_arrived(x);
    atomic_fetch_add(&((server *)arg)->handled, 1);
    const char *body = sl_http_body(x, &len);
    reply(x, 200, body, len);
}

static void do_take(void *arg, sl_http_exchange *x) {
    size_t len;
    atomic_fetch_add(&((server *)arg)->handled, 1);
    char *body = sl_http_take_body(x, &len);
    reply(x, 200, body, len);
    sl_free(body);
}

static void do_hold(void *arg, sl_http_exchange *x) { hold(arg, x); }

static void do_stream(void *arg, sl_http_exchange *x) {
    hold(arg, x);
    sl_http_stream(x, 200, "text/event-stream");
}

/* Held, and answered while still inside the handler. */
static void do_both(void *arg, sl_http_exchange *x) {
    hold(arg, x);
    reply(x, 200, "both", 4);
}

static void do_flood(void *arg, sl_http_exchange *x) {
    held *d = hold(arg, x);
    d->left = SIZE_MAX;
    sl_http_stream(x, 200, "text/plain");
}

static void do_large(void *arg, sl_http_exchange *x) {
    (void)arg;
    sl_buffer b = {0};
    for (int i = 0; i < 8192; i++) sl_buffer_printf(&b, "%01023d\n", i);
    sl_http_reply(x, 200, "text/plain", &b);
}

static void do_rest(void *arg, sl_http_exchange *x) {
    (void)arg;
    sl_buffer b = {0};
    char *q = sl_http_query(x, "q");
    sl_buffer_printf(&b, "%s|%s|%s", sl_http_path_rest(x), q ? q : "-", sl_http_method(x));
    sl_free(q);
    sl_http_reply(x, 200, "text/plain", &b);
}

static void do_nothing(void *arg, sl_http_exchange *x) { (void)arg, (void)x; }

static const sl_http_endpoint fixture_endpoints[] = {
    {"GET", "/hello", SL_HTTP_PUBLIC, do_hello}, {"POST", "/echo", 0, do_echo},     {"POST", "/take", 0, do_take},
    {"POST", "/hold", 0, do_hold},               {"POST", "/stream", 0, do_stream}, {"GET", "/stream", 0, do_stream},
    {"POST", "/both", 0, do_both},               {"GET", "/flood", 0, do_flood},    {"GET", "/large", 0, do_large},
    {"GET", "/rest/*", 0, do_rest},              {"GET", "/nothing", 0, do_nothing}, {"GET", "/secret", 0, do_hello},
    {"GET", "/admin", SL_HTTP_ADMIN, do_hello},      {"POST", "/change", SL_HTTP_ADMIN | SL_HTTP_NOT_MAIN, do_hello},
};

static void on_answered(void *arg, const sl_http_exchange *x, int status, double seconds) {
    server *s = arg;
    must(seconds >= 0 && sl_http_path(x)[0] && sl_http_request_id(x)[0]);
    snprintf(s->last_id, sizeof s->last_id, "%s", sl_http_request_id(x));
    atomic_fetch_add(&s->answered[status], 1);
    atomic_fetch_add(&s->answers, 1);
}

static void write_error(sl_buffer *out, int status, const char *param, const char *code, const char *message) {
    (void)param;
    sl_buffer_printf(out, "{\"error\":\"%d %s ", status, code ? code : "-");
    for (const char *p = message; *p; p++) sl_buffer_append(out, *p == '"' ? "'" : p, 1);
    sl_buffer_puts(out, "\"}");
}

static void on_call(uv_async_t *a) {
    server *s = a->data;
    s->function(s, s->arg);
    sem_post(&s->called);
}

static void *server_main(void *arg) {
    server *s = arg;
    uv_loop_init(&s->loop);
    s->call.data = s;
    uv_async_init(&s->loop, &s->call, on_call);
    s->config.endpoints = fixture_endpoints;
    s->config.endpoint_count = sizeof fixture_endpoints / sizeof *fixture_endpoints;
    s->config.arg = s;
    s->config.answered = on_answered;
    s->config.write_error = write_error;
    s->status = sl_http_new(&s->loop, &s->config, &s->h, &s->error);
    if (s->status == SL_OK) {
        if (!s->loading) sl_http_serve(s->h, s->metrics);
        s->port = sl_http_port(s->h);
        s->admin_port = sl_http_admin_port(s->h);
    } else {
        uv_close((uv_handle_t *)&s->call, NULL);
    }
    sem_post(&s->up);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    must(uv_loop_close(&s->loop) == 0);
    return NULL;
}

/* Fill in s->config first; what an earlier test of the same process left in s is cleared. */
static inline sl_status start(server *s) {
    server given = {.config = s->config, .metrics = s->metrics, .loading = s->loading, .strict = s->strict};
    *s = given;
    sl_http_config *c = &s->config;
    if (!c->host) c->host = "127.0.0.1";
    if (!c->allowed_hosts && !s->strict) c->allowed_hosts = "*";
    if (!c->body_limit) c->body_limit = 4 << 20;
    if (!c->body_memory) c->body_memory = 64 << 20;
    if (!c->connections) c->connections = 4096;
    if (!c->header_seconds) c->header_seconds = 30;
    if (!c->idle_seconds) c->idle_seconds = 120;
    sem_init(&s->up, 0, 0);
    sem_init(&s->called, 0, 0);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, server_main, s), 0);
    sem_wait(&s->up);
    if (s->status == SL_OK) return SL_OK;
    pthread_join(s->thread, NULL);
    s->config = (sl_http_config){0};
    s->metrics = NULL;
    s->loading = s->strict = false;
    return s->status;
}

static inline void on_loop(server *s, void (*function)(server *s, void *arg), void *arg) {
    s->function = function;
    s->arg = arg;
    uv_async_send(&s->call);
    sem_wait(&s->called);
}

static void http_closed(void *arg) {
    server *s = arg;
    s->closed = true;
    sl_http_free(s->h);
    uv_close((uv_handle_t *)&s->call, NULL);
}

static void do_close(server *s, void *arg) {
    (void)arg;
    sl_http_close(s->h, http_closed, s);
}

/* Closes with whatever is open; every held exchange must have been told. */
static inline void stop(server *s) {
    on_loop(s, do_close, NULL);
    pthread_join(s->thread, NULL);
    ck_assert(s->closed);
    ck_assert_int_eq(atomic_load(&s->holds), atomic_load(&s->overs));
    sem_destroy(&s->up);
    sem_destroy(&s->called);
    s->config = (sl_http_config){0};
    s->metrics = NULL;
    s->loading = s->strict = false;
}

/* Waits until *counter is at least n; false after half a minute. */
static inline bool reaches(atomic_int *counter, int n) {
    for (int i = 0; i < 30000 && atomic_load(counter) < n; i++) usleep(1000);
    return atomic_load(counter) >= n;
}

/* --- the client --- */

typedef struct client {
    int fd;
    char buffer[65536];
    size_t at, have;
} client;

typedef struct answer {
    int status; /* 0: the connection ended before an answer */
    char head[8192];
    sl_buffer body;
    bool whole; /* the body came to its end */
} answer;

static void dial(client *c, int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval patience = {40, 0};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    c->at = c->have = 0;
    ck_assert_int_ge(c->fd, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ck_assert_msg(connect(c->fd, (struct sockaddr *)&a, sizeof a) == 0, "%s", strerror(errno));
}

static void hang_up(client *c) { close(c->fd); }

static inline void reset(client *c) {
    struct linger now = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(c->fd);
}

static bool say_bytes(client *c, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool say(client *c, const char *text) { return say_bytes(c, text, strlen(text)); }

static int next_byte(client *c) {
    if (c->at == c->have) {
        ssize_t n = recv(c->fd, c->buffer, sizeof c->buffer, 0);
        if (n <= 0) return -1;
        c->at = 0;
        c->have = (size_t)n;
    }
    return (unsigned char)c->buffer[c->at++];
}

static bool take(client *c, size_t n, sl_buffer *out) {
    for (; n > 0; n--) {
        int b = next_byte(c);
        if (b < 0) return false;
        char byte = (char)b;
        sl_buffer_append(out, &byte, 1);
    }
    return true;
}

static bool take_line(client *c, char *out, size_t size) {
    size_t n = 0;
    for (int b; (b = next_byte(c)) >= 0;) {
        if (n + 1 < size) out[n++] = (char)b;
        if (b == '\n') {
            out[n] = '\0';
            return true;
        }
    }
    return false;
}

static const char *header(const answer *a, const char *name) {
    static char value[512];
    size_t len = strlen(name);
    for (const char *p = a->head; (p = strchr(p, '\n'));) {
        p++;
        if (strncasecmp(p, name, len) != 0 || p[len] != ':') continue;
        p += len + 1 + strspn(p + len + 1, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(p, "\r\n"), p);
        return value;
    }
    return NULL;
}

static inline int headers(const answer *a, const char *name) {
    int count = 0;
    size_t len = strlen(name);
    for (const char *p = a->head; (p = strchr(p, '\n')); p++) count += strncasecmp(p + 1, name, len) == 0 && p[1 + len] == ':';
    return count;
}

static void forget(answer *a) { sl_buffer_done(&a->body); }

/* head_only: the answer to a HEAD. */
static void listen_for(client *c, answer *a, bool head_only) {
    char line[4096];
    *a = (answer){0};
    while (take_line(c, line, sizeof line)) {
        if (strlen(a->head) + strlen(line) < sizeof a->head) strcat(a->head, line);
        if (strcmp(line, "\r\n") == 0) break;
    }
    if (sscanf(a->head, "HTTP/1.1 %d", &a->status) != 1) return;
    const char *length = header(a, "Content-Length");
    if (a->status == 100) {
        listen_for(c, a, head_only);
    } else if (head_only || a->status == 204) {
        a->whole = true;
    } else if (length) {
        a->whole = take(c, (size_t)atol(length), &a->body);
    } else if (header(a, "Transfer-Encoding")) {
        for (size_t n = 1; n > 0;) {
            if (!take_line(c, line, sizeof line)) return;
            n = strtoul(line, NULL, 16);
            if (!take(c, n, &a->body) || !take_line(c, line, sizeof line)) return;
        }
        a->whole = true;
    } else {
        while (take(c, 1, &a->body)) {}
        a->whole = true;
    }
}

/* One request on a connection of its own. The request needs no Connection: close. */
static inline int ask(int port, const char *request, answer *a) {
    client c;
    answer scratch;
    dial(&c, port);
    say(&c, request);
    listen_for(&c, a ? a : &scratch, strncmp(request, "HEAD", 4) == 0);
    hang_up(&c);
    int status = (a ? a : &scratch)->status;
    if (!a) forget(&scratch);
    return status;
}

static inline bool hung_up(client *c) { return next_byte(c) < 0; }

static inline void post(client *c, const char *path, const char *body) {
    char head[256];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", path, strlen(body));
    say(c, head);
    say(c, body);
}

/* What the tests do on the loop. */
static inline void do_reply(server *s, void *arg) {
    held *d = arg;
    (void)s;
    if (d->x) reply(d->x, 200, "late", 4);
}

static inline void do_begin_stream(server *s, void *arg) {
    held *d = arg;
    (void)s;
    if (d->x) sl_http_stream(d->x, 200, "text/event-stream");
}

static inline void do_give(server *s, void *arg) { /* 100 bytes */
    held *d = arg;
    (void)s;
    d->left += 100;
    if (d->x) sl_http_resume(d->x);
}

static inline void do_end(server *s, void *arg) {
    held *d = arg;
    (void)s;
    d->last = true;
    if (d->x) sl_http_resume(d->x);
}

static inline void do_look(server *s, void *arg) { *(sl_http *)arg = *s->h; }

/* A copy of the front end's numbers. What was kicked before has run. */
static inline sl_http look(server *s) {
    sl_http h;
    on_loop(s, do_look, &h);
    return h;
}

static inline void do_pass(server *s, void *arg) {
    uint64_t past = (uint64_t)*(int *)arg * SL_SECOND;
    for (sl__connection *c = s->h->connections; c; c = c->next)
        if (c->deadline > 0) c->deadline = c->deadline > past ? c->deadline - past : 1;
    s->h->scanned = 0;
    sl__turn_kick(s->h);
}

/* So many seconds pass for the deadlines of all connections, and those that are over have been cut. */
static inline void pass(server *s, int seconds) {
    on_loop(s, do_pass, &seconds);
    look(s);
}

typedef struct unread {
    in_port_t port; /* of the client */
    int left;       /* not zero: it is not accepted yet, or said something that was not looked at */
} unread;

static inline void do_count_unread(server *s, void *arg) {
    unread *u = arg;
    u->left = 1;
    for (sl__connection *c = s->h->connections; c; c = c->next) {
        struct sockaddr_in from = {0};
        socklen_t len = sizeof from;
        int n = 0;
        if (getpeername(c->fd, (struct sockaddr *)&from, &len) != 0 || from.sin_port != u->port) continue;
        if (ioctl(c->fd, FIONREAD, &n) == 0) u->left = n > (c->guest ? c->seen : 0);
    }
}

/* Waits until the front end has seen all that the client said. */
static inline void heard(server *s, client *c) {
    struct sockaddr_in own = {0};
    socklen_t len = sizeof own;
    ck_assert_int_eq(getsockname(c->fd, (struct sockaddr *)&own, &len), 0);
    unread u = {.port = own.sin_port, .left = 1};
    for (int unsent = 1, i = 0; unsent + u.left > 0; i++) {
        ck_assert_int_lt(i, 30000);
        if (i > 0) usleep(1000);
        ck_assert_int_eq(ioctl(c->fd, TIOCOUTQ, &unsent), 0);
        on_loop(s, do_count_unread, &u);
    }
}

static inline bool still_open(client *c) {
    struct pollfd f = {.fd = c->fd, .events = POLLIN | POLLRDHUP};
    return poll(&f, 1, 0) == 0;
}

#endif
