/* exchange.c: the life of one exchange, as libmicrohttpd's callbacks drive it.
 *
 *   request line [sl__exchange_begin] ─► headers [access, first call: refused here or taken] ─► body [access, upload calls]
 *   ─► complete [access, last call: the endpoint's handle()] ─► answered: queued at once
 *                                                           └─► held: suspended ─► resumed with an answer: queued
 *   queued ─► sent, by sl__answer_read when streamed ─► [sl__exchange_completed] ─► over list ─► over() ─► freed
 *
 * Trap: an answer queued in the first call closes the connection, so one to a request without a body waits for the second call.
 * One to a request with a body waits until that has been read and dropped [swallows]: many clients send all of it before they
 * look, and closing on what they send makes a broken pipe of the answer. Told at once are those who asked (Expect) and those
 * whose body is too long even for that. */
#include "http/internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

#include <stdio.h>
#include <string.h>

/* Called with the request line's target; what it returns is the request's con_cls. */
void *sl__exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd) {
    sl__listener *l = cls;
    sl_http_exchange *x = sl_calloc(1, sizeof *x);
    if (!x) return NULL;
    x->h = l->h;
    x->mhd = mhd;
    x->c = sl__connection_of(mhd);
    x->target = sl_strdup(target);
    if (!x->c || !x->target) {
        sl_free(x->target);
        sl_free(x);
        return NULL;
    }
    x->target_len = strlen(target);
    sl__target_split(x->target, &x->authority, &x->path, &x->query);
    x->c->x = x;
    x->arrived = x->c->first_byte ? x->c->first_byte : sl_clock_ns();
    x->c->first_byte = 0;
    sl__connection_deadline(x->c, l->h->config.header_seconds);
    x->counted = !l->admin;
    l->h->live += x->counted;
    return x;
}

static enum MHD_Result queue(sl_http_exchange *x) {
    struct MHD_Response *r = x->response;
    x->response = NULL;
    if (!r) return MHD_NO;
    enum MHD_Result result = MHD_queue_response(x->mhd, (unsigned)x->status, r);
    MHD_destroy_response(r);
    if (result == MHD_YES) x->phase = SL__QUEUED;
    if (result == MHD_YES) sl__answer_deadline(x, x->length);
    return result;
}

static void refuse_large(sl_http_exchange *x) {
    char message[96];
    snprintf(message, sizeof message, "The body is larger than the %zu bytes that this server takes.", x->h->config.body_limit);
    sl_metrics_add(x->h->metrics, SL_METRIC_REJECTED, SL_REJECT_BAD_REQUEST, 1);
    sl_http_reply_error(x, 413, NULL, NULL, message);
}

static enum MHD_Result begin(sl_http_exchange *x, const char *method, const char *version) {
    x->phase = SL__BODY;
    sl__connection_busy(x->c);
    strncpy(x->method, method, sizeof x->method - 1);
    sl__connection_deadline(x->c, x->h->config.header_seconds);
    sl__request_check(x, version);
    if (x->status == 0 && x->too_large) {
        refuse_large(x);
        x->closes = !x->swallows;
    }
    return x->status != 0 && (x->closes || (x->has_body && !x->swallows)) ? queue(x) : MHD_YES;
}

sl_http_plan sl_http_plan_for(const sl_http_config *c) {
    uint64_t each = SL_HTTP_POOL + sizeof(sl__connection) + sizeof(sl_http_exchange) + 1024; /* its blocks' heads */
    return (sl_http_plan){.bodies = c->body_memory,
                          .connections = ((uint64_t)c->connections + 2 * SL__HTTP_EXTRA) * each};
}

static void upload(sl_http_exchange *x, const char *data, size_t n) {
    size_t limit = x->h->config.body_limit, most = x->h->config.body_memory;
    x->received += n;
    if (x->received > limit && x->received - limit > SL__HTTP_SWALLOWED) x->gone = true;
    if (x->status != 0 || x->too_large || x->crowded) return;
    x->too_large = x->received > limit;
    x->crowded = x->h->body_bytes + n > most;
    if (x->too_large || x->crowded) {
        x->h->body_bytes -= x->body.len;
        sl_buffer_done(&x->body);
        return;
    }
    sl_buffer_append(&x->body, data, n);
    if (x->body.failed) {
        x->h->body_bytes -= x->body.len;
        sl_buffer_done(&x->body);
        x->crowded = true;
    } else {
        x->h->body_bytes += n;
    }
}

static void complete(sl_http_exchange *x) {
    x->phase = SL__COMPLETE;
    sl__connection_deadline(x->c, 0);
    if (x->status != 0) return;
    if (x->too_large) {
        refuse_large(x);
    } else if (x->crowded) {
        sl_http_add_header(x, "Retry-After", "1");
        sl_http_reply_error(x, 503, NULL, NULL, "Too many large bodies are on their way.");
    } else {
        x->endpoint->handle(x->h->config.arg, x);
        if (x->status == 0 && !x->hooks) sl_http_reply_error(x, 500, NULL, NULL, "The request was not answered.");
    }
}

enum MHD_Result sl__exchange_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                    const char *version, const char *data, size_t *data_size, void **con_cls) {
    (void)cls, (void)mhd, (void)url;
    sl_http_exchange *x = *con_cls;
    if (!x || x->gone || x->h->closing) return MHD_NO;
    if (x->phase == SL__HEAD) return begin(x, method, version);
    if (*data_size > 0) {
        upload(x, data, *data_size);
        *data_size = 0;
        return x->gone ? MHD_NO : MHD_YES;
    }
    if (x->phase == SL__QUEUED) return MHD_YES;
    if (x->phase < SL__COMPLETE) {
        complete(x);
        if (x->hooks && !sl__watch_start(x->c)) x->gone = true; /* a hang-up would go unnoticed */
    }
    if (x->gone) return MHD_NO;
    if (x->status != 0) return queue(x);
    sl__turn_suspend(x);
    return MHD_YES;
}

void sl_http_hold(sl_http_exchange *x, const sl_http_hooks *hooks, void *ctx) {
    SL_ON_THREAD(LOOP);
    x->hooks = hooks;
    x->ctx = ctx;
}

/* The library answered by itself: the client saw that status. */
static void claim(sl_http_exchange *x, int status) {
    sl_http *h = x->h;
    for (int i = 0; i < h->saids; i++) {
        if (h->said[i] != status) continue;
        h->said[i] = h->said[--h->saids];
        break;
    }
    x->status = status;
    x->phase = SL__QUEUED;
    if (!x->method[0]) strcpy(x->method, "-");
    if (!x->id[0]) sl__request_id_make(x->id);
    sl_metrics_add(h->metrics, SL_METRIC_REJECTED, SL_REJECT_BAD_REQUEST, 1);
}

void sl__exchange_completed(void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode code) {
    (void)cls;
    sl_http_exchange *x = *con_cls;
    *con_cls = NULL;
    if (!x) return;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
    if (x->phase < SL__QUEUED && info && info->http_status > 0) claim(x, (int)info->http_status);
    x->expired = x->c->expired && x->phase < SL__COMPLETE;
    sl__watch_stop(x->c);
    sl__connection_deadline(x->c, x->h->config.idle_seconds);
    sl__connection_idle(x->c);
    x->c->x = NULL;
    x->c = NULL;
    x->mhd = NULL;
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK) x->gone = true;
    sl__turn_over(x);
}

void sl__exchange_free(sl_http_exchange *x) {
    for (sl__header *f = x->headers, *next; f; f = next) {
        next = f->next;
        sl_free(f);
    }
    if (x->response) MHD_destroy_response(x->response);
    x->h->body_bytes -= x->body.len;
    sl_buffer_done(&x->body);
    sl_buffer_done(&x->pending);
    sl_free(x->target);
    sl_free(x->rest);
    sl_free(x);
}
