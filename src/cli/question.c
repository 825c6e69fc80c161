#include "cli/question.h"

#include "base/buffer.h"
#include "base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

sl_status sl_question_fail(const sl_question *q, sl_error *e, const char *what) {
    return sl_fail(e, SL_IO, "%s port %d: %s", q->at.host, q->at.port, what);
}

/* Until the socket can do what `events` says. */
static sl_status await(const sl_question *q, int fd, short events, sl_error *e) {
    for (;;) {
        uint64_t now = sl_clock_ns();
        struct pollfd p = {.fd = fd, .events = events};
        int n = now < q->deadline ? poll(&p, 1, (int)((q->deadline - now + 999999) / 1000000)) : 0;
        if (n > 0) return SL_OK;
        if (n == 0) return sl_question_fail(q, e, "no answer in time (--timeout)");
        if (errno != EINTR) return sl_question_fail(q, e, strerror(errno));
    }
}

static sl_status connect_to(const sl_question *q, int *ret_fd, sl_error *e) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *a = NULL;
    char service[16];
    int reason = 0;
    socklen_t size = sizeof reason;
    sl_status st = SL_OK;
    snprintf(service, sizeof service, "%d", q->at.port);
    int rc = getaddrinfo(q->at.host, service, &hints, &a);
    if (rc) return sl_question_fail(q, e, gai_strerror(rc));
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        st = sl_question_fail(q, e, strerror(errno));
    } else if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        if (errno != EINPROGRESS) st = sl_question_fail(q, e, strerror(errno));
        else if (!(st = await(q, fd, POLLOUT, e)) && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0 || reason != 0))
            st = sl_question_fail(q, e, strerror(reason ? reason : errno));
    }
    freeaddrinfo(a);
    if (st && fd >= 0) close(fd);
    if (!st) *ret_fd = fd;
    return st;
}

static void put_request(const sl_question *q, sl_buffer *out) {
    sl_buffer_printf(out, "%s %s HTTP/1.1\r\nHost: ", q->method, q->path);
    sl_address_put(out, q->at.host, q->at.port);
    sl_buffer_puts(out, "\r\nUser-Agent: sluice\r\nConnection: close\r\n");
    if (q->key[0]) sl_buffer_printf(out, "X-Api-Key: %s\r\n", q->key);
    sl_buffer_puts(out, strcmp(q->method, "POST") ? "\r\n" : "Content-Length: 0\r\n\r\n");
}

/* The answer up to its end; NUL-terminated. */
static sl_status exchange(const sl_question *q, int fd, char answer[SL_REPLY_MOST + 1], sl_error *e) {
    sl_buffer request = {0};
    put_request(q, &request);
    sl_status st = request.failed ? sl_fail(e, SL_NOMEM, "out of memory") : await(q, fd, POLLOUT, e);
    /* A new socket's buffer takes these few bytes whole. */
    if (!st && send(fd, request.data, request.len, MSG_NOSIGNAL) != (ssize_t)request.len)
        st = sl_question_fail(q, e, "the request could not be sent");
    sl_buffer_done(&request);
    size_t have = 0;
    while (!st && have < SL_REPLY_MOST && !(st = await(q, fd, POLLIN, e))) {
        ssize_t n = recv(fd, answer + have, SL_REPLY_MOST - have, 0);
        if (n > 0) have += (size_t)n;
        else if (n == 0) break;
        else if (errno != EINTR && errno != EAGAIN) st = sl_question_fail(q, e, strerror(errno));
    }
    answer[have] = 0;
    return st;
}

sl_status sl_question_where(sl_settings *s, sl_address *ret, sl_error *e) {
    *ret = (sl_address){s->http.host, s->http.port};
    sl_status st = s->admin[0] ? sl_address_split(s->admin, "admin", s->arena, ret, e) : SL_OK;
    ret->host = sl_address_ask(ret->host);
    return st;
}

sl_status sl_question_ask(const sl_question *q, sl_reply *ret, sl_error *e) {
    int fd;
    sl_status st = connect_to(q, &fd, e);
    if (st) return st;
    st = exchange(q, fd, ret->text, e);
    close(fd);
    if (!st && sscanf(ret->text, "HTTP/1.%*1d %3d", &ret->status) != 1) return sl_question_fail(q, e, "what answers there does not speak HTTP");
    const char *body = strstr(ret->text, "\r\n\r\n");
    ret->body = body ? body + 4 : "";
    return st;
}
