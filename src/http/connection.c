/* connection.c: what libmicrohttpd does not do for a connection: absolute deadlines (a byte now and then restarts the
 * library's own), limits on what the kernel buffers, and who must leave when the listener is full.
 *
 * A full listener. The library is allowed SL__HTTP_EXTRA connections more than the limit. Who comes when the limit is reached
 * takes the place of the connection that has been idle for longest: one that has sent no whole head since it came or since its
 * last answer. If all are busy the newcomer is an extra one: it may ask for the health of the server, anything else is a 503,
 * and both are told to close. So neither idle connections nor ones that drip their headers keep a probe from its answer. */
#include "http/internal.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define EXTRA_SECONDS 5  /* for an extra connection to send its request */
#define LEAVERS_TRIED 16 /* of the idle ones, oldest first */

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

/* Tells the oldest idle connection to leave; one from which bytes wait to be read is about to be busy. false: there is none. */
static bool make_room(sl__listener *l) {
    sl__connection *c = l->idle;
    for (int i = 0; c && i < LEAVERS_TRIED; i++, c = c->idle_next) {
        int unread = 0;
        if (ioctl(c->fd, FIONREAD, &unread) != 0 || unread > 0) continue;
        sl__connection_busy(c);
        c->leaving = true;
        l->open--;
        shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees the hang-up and closes */
        return true;
    }
    return false;
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
    c->extra = l->open >= l->limit && !make_room(l);
    l->open++;
    sl__connection_idle(c);
    int seconds = h->config.header_seconds;
    sl__connection_deadline(c, c->extra && seconds > EXTRA_SECONDS ? EXTRA_SECONDS : seconds);
}

static void closed(sl__connection *c) {
    sl_http *h = c->l->h;
    sl__connection_busy(c);
    if (!c->leaving) c->l->open--;
    if (c->next) c->next->prev = c->prev;
    if (c->prev) c->prev->next = c->next;
    else h->connections = c->next;
    sl__watch_free(c);
}

void sl__connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) started(cls, mhd, socket_context);
    else if (*socket_context) closed(*socket_context);
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
        shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees the hang-up and closes */
    }
}
