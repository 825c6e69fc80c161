/* turn.c: what callbacks set off and the next turn of the loop does: connections to resume, exchanges that are over. */
#include "http/internal.h"

#include <sys/socket.h>

void sl__turn_kick(sl_http *h) {
    if (!h->stopped) uv_idle_start(&h->kick, h->on_kick);
}

void sl__turn_suspend(sl_http_exchange *x) {
    x->suspended = true;
    x->h->suspended++;
    MHD_suspend_connection(x->mhd);
}

void sl__turn_resume(sl_http_exchange *x) {
    if (!x->suspended || x->resuming) return;
    x->resuming = true;
    x->next_resume = x->h->resume;
    x->h->resume = x;
    sl__turn_kick(x->h);
}

void sl__turn_resume_all(sl_http *h) {
    while (h->resume) {
        sl_http_exchange *x = h->resume;
        h->resume = x->next_resume;
        x->resuming = x->suspended = false;
        h->suspended--;
        MHD_resume_connection(x->mhd);
    }
}

void sl__turn_gone(sl_http_exchange *x) {
    if (x->gone) return;
    x->gone = true;
    if (x->hooks && !x->told) {
        x->told = true;
        if (x->hooks->gone) x->hooks->gone(x->ctx);
    }
    if (x->suspended) sl__turn_resume(x);
    else if (x->c) shutdown(x->c->fd, SHUT_RDWR); /* blocked in a write: libmicrohttpd sees the hang-up */
}

void sl__turn_over(sl_http_exchange *x) {
    x->next_over = NULL;
    *x->h->over_tail = x;
    x->h->over_tail = &x->next_over;
}

void sl__turn_handle_closed(sl_http *h) {
    if (--h->handles > 0 || !h->closing) return;
    void (*closed)(void *) = h->closed;
    h->closed = NULL;
    if (closed) closed(h->closed_arg);
}
