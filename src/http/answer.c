/* answer.c: headers, one-piece answers and streams. */
#include "http/internal.h"

#include "base/alloc.h"
#include "base/thread.h"

#include <assert.h>
#include <string.h>

void sl_http_add_header(sl_http_exchange *x, const char *name, const char *value) {
    size_t name_len = strlen(name) + 1, value_len = strlen(value) + 1;
    if (x->status != 0) return;
    sl__header *f = sl_malloc(sizeof *f + name_len + value_len);
    if (!f) return; /* an answer without it is better than none */
    memcpy(f->name, name, name_len);
    f->value = memcpy(f->name + name_len, value, value_len);
    f->next = x->headers;
    x->headers = f;
}

static void add_cors(const sl_http_exchange *x, struct MHD_Response *r) {
    const char *listed = x->h->config.cors_origin;
    bool any = listed && strcmp(listed, "*") == 0;
    if (listed && !any) MHD_add_response_header(r, "Vary", "Origin");
    if (!x->origin) return;
    MHD_add_response_header(r, "Access-Control-Allow-Origin", any ? "*" : x->origin);
    MHD_add_response_header(r, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After, X-Sluice-Ignored, X-Should-Retry");
}

/* The answer is known, the headers are added: it goes out when libmicrohttpd asks next. */
static void ready(sl_http_exchange *x, int status, const char *content_type, struct MHD_Response *r) {
    x->status = status;
    x->response = r;
    if (r) {
        if (content_type) MHD_add_response_header(r, "Content-Type", content_type);
        MHD_add_response_header(r, "X-Request-Id", x->id);
        for (const sl__header *f = x->headers; f; f = f->next) MHD_add_response_header(r, f->name, f->value);
        add_cors(x, r);
        if (x->h->draining || x->c->extra) MHD_add_response_header(r, "Connection", "close");
    }
    sl__turn_resume(x);
}

static bool answerable(const sl_http_exchange *x) {
    assert(x->status == 0);
    return x->status == 0 && x->mhd && !x->gone;
}

/* The one answer whose body was written at start. */
static struct MHD_Response *no_memory(sl_http_exchange *x) {
    const sl_buffer *b = &x->h->no_memory;
    x->length = b->len;
    return MHD_create_response_from_buffer(b->len, b->data, MHD_RESPMEM_PERSISTENT);
}

void sl_http_reply(sl_http_exchange *x, int status, const char *content_type, sl_buffer *body) {
    SL_ON_THREAD(LOOP);
    sl_buffer b = *body;
    *body = (sl_buffer){0};
    if (!answerable(x) || b.failed) {
        sl_buffer_done(&b);
        if (answerable(x)) ready(x, 503, "application/json", no_memory(x));
        return;
    }
    struct MHD_Response *r;
    x->length = b.len;
    if (b.len == 0) {
        sl_buffer_done(&b);
        r = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    } else {
        r = MHD_create_response_from_buffer_with_free_callback(b.len, b.data, sl_free);
        if (!r) sl_buffer_done(&b);
    }
    ready(x, status, content_type, r);
}

void sl_http_reply_error(sl_http_exchange *x, int status, const char *param, const char *code, const char *message) {
    sl_buffer b = {0};
    x->h->config.write_error(&b, status, param, code, message);
    sl_http_reply(x, status, "application/json", &b);
}

static ssize_t no_body(void *cls, uint64_t pos, char *out, size_t max) {
    (void)cls, (void)pos, (void)out, (void)max;
    return MHD_CONTENT_READER_END_OF_STREAM;
}

void sl_http_stream(sl_http_exchange *x, int status, const char *content_type) {
    SL_ON_THREAD(LOOP);
    assert(x->hooks && x->hooks->fill);
    if (!answerable(x)) return;
    sl_http_add_header(x, "Cache-Control", "no-cache");
    sl_http_add_header(x, "X-Accel-Buffering", "no");
    x->streaming = true;
    if (strcmp(x->method, "HEAD") != 0) {
        ready(x, status, content_type, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, sl__answer_read, x, NULL));
        return;
    }
    /* A GET has no Content-Length, so a HEAD has none. The library would end a chunked answer with a chunk even here, which
     * the client would take for the next answer: so the end of the connection is the end of this one. */
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, no_body, NULL, NULL);
    if (r) MHD_set_response_options(r, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    ready(x, status, content_type, r);
}

bool sl_http_streaming(const sl_http_exchange *x) { return x->streaming; }

void sl_http_resume(sl_http_exchange *x) {
    SL_ON_THREAD(LOOP);
    if (x->filling) x->again = true;
    else if (x->streaming) sl__turn_resume(x);
}

/* Without it a client that takes a byte now and then would hold its answer's memory for ever: each byte restarts the
 * library's own timeout. A stream must catch up with what there is within the time. */
void sl__answer_deadline(sl_http_exchange *x, size_t n) {
    size_t more = n / SL__HTTP_SLOWEST;
    sl__connection_deadline(x->c, x->h->config.idle_seconds + (more < 86400 ? (int)more : 86400));
}

/* Appends what there is to the empty pending buffer, but no more than SL__HTTP_PENDING in one turn of the loop (and what the
 * last call gave beyond it): a long page goes on in the next turn, so that it does not hold up everybody else. */
static void fill(sl_http_exchange *x) {
    sl_buffer_clear(&x->pending);
    x->sent = 0;
    x->again = false;
    if (x->turn != x->h->turn) x->filled = 0;
    x->turn = x->h->turn;
    x->filling = true;
    for (bool more = true; more && !x->ended && x->filled < SL__HTTP_PENDING;) {
        size_t before = x->pending.len;
        x->ended = !x->hooks->fill(x->ctx, &x->pending);
        more = x->pending.len > before;
        x->filled += x->pending.len - before;
    }
    x->filling = false;
    if (x->filled >= SL__HTTP_PENDING) x->again = true;
}

/* libmicrohttpd can send up to max bytes. When there are none the connection sleeps: returning 0 alone would spin. */
ssize_t sl__answer_read(void *cls, uint64_t pos, char *out, size_t max) {
    (void)pos;
    sl_http_exchange *x = cls;
    if (x->gone || x->h->closing) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (x->sent == x->pending.len && !x->ended) {
        fill(x);
        if (x->pending.failed) return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t n = x->pending.len - x->sent;
    if (n == 0) {
        if (x->ended) return MHD_CONTENT_READER_END_OF_STREAM;
        sl__connection_deadline(x->c, 0); /* the client has taken all there was */
        sl__turn_suspend(x);
        if (x->again) sl__turn_resume(x);
        return 0;
    }
    if (x->c->deadline == 0) sl__answer_deadline(x, x->pending.len);
    if (n > max) n = max;
    memcpy(out, x->pending.data + x->sent, n);
    x->sent += n;
    return (ssize_t)n;
}

void sl__answer_count(const sl_http_exchange *x, int status) {
    sl_metrics *m = x->h->metrics;
    if (!m) return;
    sl_metrics_add(m, SL_METRIC_REQUESTS,
                   sl_metrics_request_slot(m, x->endpoint ? x->endpoint->path : NULL, status), 1);
}
