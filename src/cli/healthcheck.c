/* healthcheck.c: asks a running server whether it is well, for containers that have neither a shell nor curl.
 *
 * The server is found as it was configured: same file, same environment. Where it has an admin address that one is asked, since
 * clients cannot fill it; otherwise the main one. One GET, one connection, one deadline for all of it. */
#include "cli/cli.h"

#include "base/clock.h"
#include "cli/address.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MOST 4096 /* bytes: the whole answer has about 300 */

typedef struct question {
    sl_address at;
    const char *path;
    uint64_t deadline; /* ns, as sl_clock_ns */
} question;

static sl_status fail(const question *q, sl_error *e, const char *what) {
    return sl_fail(e, SL_IO, "%s port %d: %s", q->at.host, q->at.port, what);
}

/* Until the socket can do what `events` says. */
static sl_status await(const question *q, int fd, short events, sl_error *e) {
    for (;;) {
        uint64_t now = sl_clock_ns();
        struct pollfd p = {.fd = fd, .events = events};
        int n = now < q->deadline ? poll(&p, 1, (int)((q->deadline - now + 999999) / 1000000)) : 0;
        if (n > 0) return SL_OK;
        if (n == 0) return fail(q, e, "no answer in time (--timeout)");
        if (errno != EINTR) return fail(q, e, strerror(errno));
    }
}

static sl_status connect_to(const question *q, int *ret_fd, sl_error *e) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *a = NULL;
    char service[16];
    int reason = 0;
    socklen_t size = sizeof reason;
    sl_status st = SL_OK;
    snprintf(service, sizeof service, "%d", q->at.port);
    int rc = getaddrinfo(q->at.host, service, &hints, &a);
    if (rc) return fail(q, e, gai_strerror(rc));
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        st = fail(q, e, strerror(errno));
    } else if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        if (errno != EINPROGRESS) st = fail(q, e, strerror(errno));
        else if (!(st = await(q, fd, POLLOUT, e)) && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0 || reason != 0))
            st = fail(q, e, strerror(reason ? reason : errno));
    }
    freeaddrinfo(a);
    if (st && fd >= 0) close(fd);
    if (!st) *ret_fd = fd;
    return st;
}

/* The answer up to its end, without what is beyond its size; NUL-terminated. */
static sl_status exchange(const question *q, int fd, char answer[ANSWER_MOST + 1], sl_error *e) {
    sl_buffer request = {0};
    sl_buffer_printf(&request, "GET %s HTTP/1.1\r\nHost: ", q->path);
    sl_address_put(&request, q->at.host, q->at.port);
    sl_buffer_puts(&request, "\r\nUser-Agent: sluice-healthcheck\r\nConnection: close\r\n\r\n");
    sl_status st = request.failed ? sl_fail(e, SL_NOMEM, "out of memory") : await(q, fd, POLLOUT, e);
    /* A new socket's buffer takes these few bytes whole. */
    if (!st && send(fd, request.data, request.len, MSG_NOSIGNAL) != (ssize_t)request.len) st = fail(q, e, "the request could not be sent");
    sl_buffer_done(&request);
    size_t have = 0;
    while (!st && have < ANSWER_MOST && !(st = await(q, fd, POLLIN, e))) {
        ssize_t n = recv(fd, answer + have, ANSWER_MOST - have, 0);
        if (n > 0) have += (size_t)n;
        else if (n == 0) break;
        else if (errno != EINTR && errno != EAGAIN) st = fail(q, e, strerror(errno));
    }
    answer[have] = 0;
    return st;
}

/* SL_OK: the answer was a 200; its body, one line, is printed. */
static sl_status judge(const question *q, const char *answer, sl_error *e) {
    int status = 0;
    if (sscanf(answer, "HTTP/1.%*1d %3d", &status) != 1) return fail(q, e, "what answers there does not speak HTTP");
    const char *body = strstr(answer, "\r\n\r\n");
    body = body ? body + 4 : "";
    int len = (int)strcspn(body, "\r\n");
    if (status != 200) return sl_fail(e, SL_IO, "%s port %d: %s is %d: %.*s", q->at.host, q->at.port, q->path, status, len, body);
    printf("%.*s\n", len, body);
    return SL_OK;
}

static sl_status ask(const question *q, sl_error *e) {
    char answer[ANSWER_MOST + 1];
    int fd;
    sl_status st = connect_to(q, &fd, e);
    if (st) return st;
    st = exchange(q, fd, answer, e);
    close(fd);
    return st ? st : judge(q, answer, e);
}

int sl_healthcheck(sl_settings *s) {
    question q = {.at = {s->http.host, s->http.port},
                  .path = s->live ? "/livez" : "/readyz",
                  .deadline = sl_clock_ns() + (uint64_t)s->timeout * SL_SECOND};
    sl_error err;
    sl_status st = s->admin[0] ? sl_address_split(s->admin, "admin", s->arena, &q.at, &err) : SL_OK;
    q.at.host = sl_address_ask(q.at.host);
    if (!st) st = ask(&q, &err);
    if (st) fprintf(stderr, "sluice healthcheck: %s\n", err.message);
    return st == SL_MISUSE ? 2 : st ? 1 : 0;
}
