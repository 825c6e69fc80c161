/* door.c: a connection's way in. It is accepted here and stays a guest, whose bytes are looked at where they lie in the kernel,
 * until the whole head of its first request is there; then the library gets it and reads that head again.
 *
 *   backlog ─accept─► guest ─head is there─► handed over [sl__connection_notify], the library's from then on
 *                       ├─ no head that we take ─► answered here, and closed when the client has read that or a second passed
 *                       └─ hung up, deadline, room for a newcomer ─► closed
 *
 * So a head that the library would answer by itself (in HTML, without a request's id, uncounted, a bad Content-Length even
 * twice) or would misread without a word (a NUL, a folded line, a bare LF) is answered in JSON instead. This holds for the
 * first request of a connection; what follows on it goes to the library directly, as it cannot give a connection back.
 *
 * A full listener. Who comes when the limit is reached takes the place of the connection that has been idle for longest: one
 * that has sent no whole head since it came or since its last answer. If all are busy the newcomer is an extra one, of
 * SL__HTTP_EXTRA: it may ask for the health of the server, anything else is a 503, and both are told to close. So neither
 * idle connections nor ones that drip their headers keep a probe from its answer. */
#include "http/internal.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ACCEPTED_AT_ONCE 64 /* in a turn of the loop */
#define EVENTS_AT_ONCE 64
#define EXTRA_SECONDS 5  /* for an extra connection to send its request */
#define LEAVERS_TRIED 16 /* of the idle ones, oldest first */
#define LINGER_SECONDS 1 /* for a client to read why it was refused */

static void drop(sl__connection *c) {
    close(c->fd); /* the epoll set forgets it by that */
    sl__connection_closed(c);
}

/* --- what a head says --- */

/* The length of a line of CR LF from `at` on, or -1: there is no LF yet. *bad: it ends in a bare LF, or has a control
 * character: then no two servers need agree on what it says. */
static ssize_t line_of(const char *at, size_t n, bool *bad) {
    const char *end = memchr(at, '\n', n);
    size_t len = end ? (size_t)(end - at) : n;
    if (end && (len == 0 || end[-1] != '\r')) *bad = true;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)at[i];
        if ((c < ' ' && c != '\t' && !(c == '\r' && i + 1 >= len)) || c == 0x7f) *bad = true;
    }
    return end ? (ssize_t)len - 1 : -1;
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

static void wrong(sl__door_head *ret, int status, const char *why) {
    if (ret->status) return; /* the first one is told; the lines behind it are read for the request's id */
    ret->status = status;
    ret->wrong = why;
}

static void take_request_line(const char *line, size_t len, sl__door_head *ret) {
    const char *first = memchr(line, ' ', len), *last = memrchr(line, ' ', len);
    size_t version = last ? len - (size_t)(last + 1 - line) : 0;
    if (!first || first == last || first == line || first + 1 == last || version != 8 || strncmp(last + 1, "HTTP/", 5) != 0 ||
        !digit(last[6]) || last[7] != '.' || !digit(last[8])) {
        wrong(ret, 400, "The request line is not METHOD TARGET HTTP/1.1.");
        return;
    }
    snprintf(ret->method, sizeof ret->method, "%.*s", (int)(first - line), line);
    if (last[6] != '1') {
        wrong(ret, 505, "The HTTP version is not 1.0 or 1.1.");
    } else if ((size_t)(last - first - 1) > SL__HTTP_TARGET) {
        wrong(ret, 414, "The request's target is too long.");
    }
    ret->old = last[8] == '0';
}

static void take_field(const char *line, size_t len, sl__head *fields, sl__door_head *ret) {
    const char *colon = memchr(line, ':', len);
    if (line[0] == ' ' || line[0] == '\t') {
        wrong(ret, 400, "A header is folded into a second line.");
    } else if (!colon) {
        wrong(ret, 400, "A header has no colon.");
    } else {
        const char *value = colon + 1, *end = line + len;
        while (value < end && (*value == ' ' || *value == '\t')) value++;
        while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
        if ((size_t)(colon - line) == 12 && strncasecmp(line, "X-Request-Id", 12) == 0 && (size_t)(end - value) <= SL__HTTP_ID_MAX)
            snprintf(ret->id, sizeof ret->id, "%.*s", (int)(end - value), value);
        sl__head_add(fields, line, (size_t)(colon - line), value, (size_t)(end - value));
    }
}

sl__door_verdict sl__door_read(const char *bytes, size_t n, sl__door_head *ret) {
    sl__head fields = {0};
    *ret = (sl__door_head){0};
    size_t at = 0;
    while (at + 1 < n && bytes[at] == '\r' && bytes[at + 1] == '\n') at += 2; /* empty lines before it are passed over */
    for (bool first = true;; first = false) {
        bool bad = false;
        ssize_t len = line_of(bytes + at, n - at, &bad);
        if (bad) {
            wrong(ret, 400, "The request's head has a control character, or a line that does not end in CR LF.");
            break;
        }
        if (len < 0) {
            if (ret->status == 0 && n <= SL__HTTP_HEAD) return SL__DOOR_MORE;
            wrong(ret, first ? 414 : 431, first ? "The request's target is too long." : "The request's headers are too large.");
            break;
        }
        if (first) {
            take_request_line(bytes + at, (size_t)len, ret);
        } else if (len > 0) {
            take_field(bytes + at, (size_t)len, &fields, ret);
        } else {
            const char *why = sl__head_check(&fields, ret->old ? "HTTP/1.0" : "HTTP/1.1", "/");
            if (why) wrong(ret, 400, why);
            break;
        }
        at += (size_t)len + 2;
    }
    return ret->status ? SL__DOOR_BAD : SL__DOOR_GOOD;
}

/* --- guests --- */

/* An exchange that was never the library's: counted and logged with the others. */
static void report(sl__connection *c, const sl__door_head *head, bool sent) {
    sl_http *h = c->l->h;
    sl_http_exchange *x = sl_calloc(1, sizeof *x);
    sl_metrics_add(h->metrics, SL_METRIC_REJECTED, SL_REJECT_BAD_REQUEST, 1);
    if (!x) return;
    x->h = h;
    x->path = "-"; /* its target is not to be trusted */
    x->query = "";
    x->status = head->status;
    x->phase = sent ? SL__QUEUED : SL__BODY;
    x->gone = !sent;
    x->arrived = c->first_byte;
    strcpy(x->method, head->method[0] ? head->method : "-");
    strcpy(x->id, head->id);
    sl__turn_over(x);
}

static void refuse(sl__connection *c, sl__door_head *head) {
    sl_http *h = c->l->h;
    sl_buffer body = {0}, out = {0};
    char date[64];
    time_t now = (time_t)sl_clock_unix();
    struct tm t;
    if (!sl__request_id_good(head->id)) sl__request_id_make(head->id);
    h->config.write_error(&body, head->status, NULL, NULL, head->wrong);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &t));
    sl_buffer_printf(&out, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\nContent-Type: application/json\r\nX-Request-Id: %s\r\n"
                           "Content-Length: %zu\r\n\r\n",
                     head->status, MHD_get_reason_phrase_for((unsigned)head->status), date, head->id, body.len);
    if (strcmp(head->method, "HEAD") != 0) sl_buffer_append(&out, body.data, body.len);
    bool sent = !body.failed && !out.failed && send(c->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)out.len;
    shutdown(c->fd, SHUT_WR);
    report(c, head, sent);
    sl_buffer_done(&body);
    sl_buffer_done(&out);
    c->refused = true; /* closing now would reset what the client has not read yet */
    sl__connection_deadline(c, LINGER_SECONDS);
}

static void hand_over(sl__connection *c) {
    sl_http *h = c->l->h;
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof from;
    getpeername(c->fd, (struct sockaddr *)&from, &len);
    epoll_ctl(h->door_fd, EPOLL_CTL_DEL, c->fd, NULL);
    h->entering = c;
    c->guest = false;
    MHD_add_connection(c->l->daemon, c->fd, (struct sockaddr *)&from, len); /* closes the socket if it fails */
    if (!h->entering) return;
    h->entering = NULL;
    sl__connection_closed(c);
}

/* Reads what comes after a refusal, so that closing does not reset it; false: the client has closed. */
static bool swallow(sl__connection *c) {
    char scratch[4096];
    ssize_t n;
    while ((n = recv(c->fd, scratch, sizeof scratch, MSG_DONTWAIT)) > 0) {}
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* What a guest has sent, or that it hung up; false: it is no guest any more, and may be freed. */
static bool look(sl__connection *c) {
    sl_http *h = c->l->h;
    sl__door_head head;
    if (c->refused) {
        if (swallow(c)) return true;
        drop(c);
        return false;
    }
    ssize_t n = recv(c->fd, h->peek, SL__HTTP_HEAD + 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) {
        drop(c);
        return false;
    }
    if (c->first_byte == 0) c->first_byte = sl_clock_ns();
    c->seen = (int)n;
    switch (sl__door_read(h->peek, (size_t)n, &head)) {
    case SL__DOOR_GOOD: hand_over(c); return false;
    case SL__DOOR_BAD: refuse(c, &head); return look(c);
    case SL__DOOR_MORE: break;
    }
    return true;
}

void sl__door_look_all(sl_http *h) {
    struct epoll_event events[EVENTS_AT_ONCE];
    int n;
    do {
        n = epoll_wait(h->door_fd, events, EVENTS_AT_ONCE, 0);
        for (int i = 0; i < n; i++) {
            sl__connection *c = events[i].data.ptr;
            int unread = 0;
            if (!look(c) || c->refused || !(events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) continue;
            ioctl(c->fd, FIONREAD, &unread);
            if (unread <= c->seen) drop(c); /* it hung up before its head was whole */
        }
    } while (n == EVENTS_AT_ONCE);
}

/* --- the listening socket --- */

/* The oldest idle connection leaves; one from which the library has bytes to read is about to be busy. false: there is none. */
static bool make_room(sl__listener *l) {
    sl__connection *c = l->idle, *next;
    for (int i = 0; c && i < LEAVERS_TRIED; i++, c = next) {
        int unread = 0, open = l->open;
        next = c->idle_next;
        if (c->guest) {
            if (look(c)) drop(c); /* otherwise it is the library's now, or freed: it had hung up */
        } else if (ioctl(c->fd, FIONREAD, &unread) == 0 && unread == 0) {
            sl__connection_leave(c);
        }
        if (l->open < open) return true;
    }
    return false;
}

static void welcome(sl__listener *l, int fd) {
    bool extra = l->open >= l->limit && !make_room(l);
    sl__connection *c = sl__connection_new(l, fd);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (!c) {
        close(fd);
        return;
    }
    c->extra = extra;
    if (extra && l->h->config.header_seconds > EXTRA_SECONDS) sl__connection_deadline(c, EXTRA_SECONDS);
    if (epoll_ctl(l->h->door_fd, EPOLL_CTL_ADD, fd, &event) != 0) drop(c);
}

/* true: there may be more. */
static bool accept_one(sl__listener *l) {
    if (l->open >= l->limit + SL__HTTP_EXTRA && !make_room(l)) return false;
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int why = errno;
    if (fd >= 0) welcome(l, fd);
    else if (why == EMFILE || why == ENFILE) make_room(l); /* and again when its descriptor is free */
    return fd >= 0 || why == EINTR || why == ECONNABORTED;
}

bool sl__door_accept(sl__listener *l, int most) {
    int i = 0;
    while (i < most && l->fd >= 0 && accept_one(l)) i++;
    return i > 0;
}

/* Where nothing can be accepted (no descriptor, all places taken) the socket stays readable: it is looked at again when the
 * next connection is closed, and by the pump's heartbeat. */
static void on_listen(uv_poll_t *p, int status, int events) {
    (void)status, (void)events;
    sl__listener *l = p->data;
    if (sl__door_accept(l, ACCEPTED_AT_ONCE)) {
        sl__turn_kick(l->h);
        return;
    }
    uv_poll_stop(p);
    l->deaf = true;
}

bool sl__door_listen(sl__listener *l) {
    l->deaf = l->freed = false;
    return uv_poll_start(&l->door, UV_READABLE, on_listen) == 0;
}
