/* connection.c: what libmicrohttpd does not do for a connection: absolute deadlines (a byte now and then restarts the
 * library's own), limits on what the kernel buffers, and the watch that sees a hang-up while the connection is suspended. */
#include "http/internal.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define POLLED 64 /* descriptors looked at in one call */

static void set(int fd, int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof value); /* what the kernel refuses is done without */
}

static void started(sl__listener *l, struct MHD_Connection *mhd, void **socket_context) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    sl__connection *c = info ? sl_calloc(1, sizeof *c) : NULL;
    if (!c) return; /* its requests are refused */
    sl_http *h = l->h;
    c->l = l;
    c->fd = info->connect_fd;
    c->next = h->connections;
    if (c->next) c->next->prev = c;
    h->connections = c;
    *socket_context = c;
    set(c->fd, SOL_SOCKET, SO_SNDBUF, 64 * 1024); /* else 2 MB of tokens wait in the kernel for a slow reader */
    set(c->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(c->fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set(c->fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set(c->fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
    sl__connection_deadline(c, h->config.header_seconds);
}

static void on_watch_closed(uv_handle_t *handle) {
    sl__connection *c = handle->data;
    sl_http *h = c->l->h;
    sl_free(c);
    sl__http_handle_closed(h);
}

static void ended(sl__connection *c) {
    sl_http *h = c->l->h;
    if (c->next) c->next->prev = c->prev;
    if (c->prev) c->prev->next = c->next;
    else h->connections = c->next;
    if (c->has_watch) uv_close((uv_handle_t *)&c->watch, on_watch_closed);
    else sl_free(c);
}

void sl__connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) started(cls, mhd, socket_context);
    else if (*socket_context) ended(*socket_context);
}

sl__connection *sl__connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void sl__connection_deadline(sl__connection *c, int seconds) {
    c->deadline = seconds > 0 ? sl_clock_ns() + (uint64_t)seconds * SL_SECOND : 0;
}

/* An error on the socket comes as a status, without an event. The event stays as long as the cause, so the watch stops. */
static void on_watch(uv_poll_t *watch, int status, int events) {
    sl__connection *c = watch->data;
    if (status == 0 && !(events & UV_DISCONNECT)) return;
    sl__connection_unwatch(c);
    if (c->x) sl__exchange_cut(c->x);
}

bool sl__connection_watch(sl__connection *c) {
    if (!c->has_watch) {
        if (uv_poll_init(c->l->h->loop, &c->watch, c->fd) != 0) return false;
        c->watch.data = c;
        c->has_watch = true;
        c->l->h->handles++;
    }
    return uv_poll_start(&c->watch, UV_DISCONNECT, on_watch) == 0;
}

void sl__connection_unwatch(sl__connection *c) {
    if (c->has_watch) uv_poll_stop(&c->watch);
}

/* Of the connections from *at on that wait for their client: has it hung up, and is everything read that it sent?
 * libmicrohttpd takes no notice of a hang-up that came together with the last bytes. */
static void look_for_hang_ups(sl__connection **at) {
    struct pollfd polls[POLLED];
    nfds_t count = 0;
    for (; *at && count < POLLED; *at = (*at)->next) {
        const sl_http_exchange *x = (*at)->x;
        if (!x || (!x->complete && !x->queued)) polls[count++] = (struct pollfd){.fd = (*at)->fd, .events = POLLRDHUP};
    }
    if (poll(polls, count, 0) <= 0) return;
    for (nfds_t i = 0; i < count; i++) {
        int unread = 0;
        if (polls[i].revents && ioctl(polls[i].fd, FIONREAD, &unread) == 0 && unread == 0) shutdown(polls[i].fd, SHUT_RDWR);
    }
}

void sl__connections_scan(sl_http *h) {
    uint64_t now = sl_clock_ns();
    for (sl__connection *c = h->connections; c;) look_for_hang_ups(&c);
    for (sl__connection *c = h->connections; c; c = c->next) {
        if (c->deadline == 0 || now < c->deadline) continue;
        c->deadline = 0;
        c->expired = true;
        shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees the hang-up and closes */
    }
}
