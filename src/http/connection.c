/* connection.c: what libmicrohttpd does not do for a connection: absolute deadlines (a byte now and then restarts the
 * library's own), limits on what the kernel buffers, and which ones are idle, by age. */
#include "http/internal.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static void set(int fd, int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof value); /* what the kernel refuses is done without */
}

void sl__connection_idle(sl__connection *c) {
    sl__listener *l = c->l;
    if (c->idle || c->leaving) return;
    c->idle = true;
    c->idle_next = NULL;
    c->idle_prev = l->idle_last;
    if (c->idle_prev) c->idle_prev->idle_next = c;
    else l->idle = c;
    l->idle_last = c;
}

void sl__connection_busy(sl__connection *c) {
    sl__listener *l = c->l;
    if (!c->idle) return;
    c->idle = false;
    if (c->idle_prev) c->idle_prev->idle_next = c->idle_next;
    else l->idle = c->idle_next;
    if (c->idle_next) c->idle_next->idle_prev = c->idle_prev;
    else l->idle_last = c->idle_prev;
}

sl__connection *sl__connection_new(sl__listener *l, int fd) {
    sl_http *h = l->h;
    sl__connection *c = sl_calloc(1, sizeof *c);
    if (!c) return NULL;
    c->l = l;
    c->fd = fd;
    c->guest = true;
    c->next = h->connections;
    if (c->next) c->next->prev = c;
    h->connections = c;
    set(c->fd, SOL_SOCKET, SO_SNDBUF, 64 * 1024); /* else 2 MB of tokens wait in the kernel for a slow reader */
    set(c->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(c->fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set(c->fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set(c->fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
    l->open++;
    sl__connection_idle(c);
    sl__connection_deadline(c, h->config.header_seconds);
    return c;
}

void sl__connection_leave(sl__connection *c) {
    sl__connection_busy(c);
    c->leaving = true;
    c->l->open--;
    shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees the hang-up and closes */
}

void sl__connection_closed(sl__connection *c) {
    sl_http *h = c->l->h;
    sl__connection_busy(c);
    if (!c->leaving) c->l->open--;
    c->l->freed = true;
    if (c->next) c->next->prev = c->prev;
    if (c->prev) c->prev->next = c->next;
    else h->connections = c->next;
    sl__watch_free(c);
}

/* STARTED comes while door.c hands a connection over. */
void sl__connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code) {
    (void)mhd;
    sl_http *h = ((sl__listener *)cls)->h;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = h->entering;
        h->entering = NULL;
    } else if (*socket_context) {
        sl__connection_closed(*socket_context);
    }
}

sl__connection *sl__connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void sl__connection_deadline(sl__connection *c, int seconds) {
    c->deadline = seconds > 0 ? sl_clock_ns() + (uint64_t)seconds * SL_SECOND : 0;
}

void sl__connections_scan(sl_http *h) {
    uint64_t now = sl_clock_ns();
    sl__watch_scan(h);
    for (sl__connection *c = h->connections; c; c = c->next) {
        if (c->deadline == 0 || now < c->deadline) continue;
        c->deadline = 0;
        c->expired = true;
        shutdown(c->fd, SHUT_RDWR); /* the library, or the door, sees the hang-up and closes */
    }
}
