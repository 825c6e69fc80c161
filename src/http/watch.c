/* watch.c: hang-ups that libmicrohttpd does not see: of a suspended connection, and one that came with the last bytes. */
#include "http/internal.h"

#include "base/alloc.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define POLLED 64 /* descriptors looked at in one call */

/* An error on the socket comes as a status, without an event. The event stays as long as the cause, so the watch stops. */
static void on_watch(uv_poll_t *watch, int status, int events) {
    sl__connection *c = watch->data;
    if (status == 0 && !(events & UV_DISCONNECT)) return;
    sl__watch_stop(c);
    if (c->x) sl__turn_gone(c->x);
}

bool sl__watch_start(sl__connection *c) {
    if (!c->has_watch) {
        if (uv_poll_init(c->l->h->loop, &c->watch, c->fd) != 0) return false;
        c->watch.data = c;
        c->has_watch = true;
        c->l->h->handles++;
    }
    return uv_poll_start(&c->watch, UV_DISCONNECT, on_watch) == 0;
}

void sl__watch_stop(sl__connection *c) {
    if (c->has_watch) uv_poll_stop(&c->watch);
}

static void on_closed(uv_handle_t *handle) {
    sl__connection *c = handle->data;
    sl_http *h = c->l->h;
    sl_free(c);
    sl__turn_handle_closed(h);
}

void sl__watch_free(sl__connection *c) {
    if (c->has_watch) uv_close((uv_handle_t *)&c->watch, on_closed);
    else sl_free(c);
}

/* Looks at POLLED connections from c on; returns the next one. A hang-up counts once everything was read that came before. */
static sl__connection *look(sl__connection *c) {
    struct pollfd polls[POLLED];
    nfds_t count = 0;
    for (; c && count < POLLED; c = c->next) {
        if (!c->guest && (!c->x || c->x->phase < SL__COMPLETE)) polls[count++] = (struct pollfd){.fd = c->fd, .events = POLLRDHUP};
    }
    if (poll(polls, count, 0) <= 0) return c;
    for (nfds_t i = 0; i < count; i++) {
        int unread = 0;
        if (polls[i].revents && ioctl(polls[i].fd, FIONREAD, &unread) == 0 && unread == 0) shutdown(polls[i].fd, SHUT_RDWR);
    }
    return c;
}

void sl__watch_scan(sl_http *h) {
    for (sl__connection *c = h->connections; c;) c = look(c);
}
