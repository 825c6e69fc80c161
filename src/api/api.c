#include "api/internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

static void on_news(uv_async_t *h) {
    sl_api *a = h->data;
    sl__text_collect(a);
    sl__completions_news(a);
}

static void on_tick(uv_timer_t *h) { sl__completions_tick(h->data); }

void sl_api_wake(void *api) { uv_async_send(&((sl_api *)api)->news); }

/* "name,alias,alias" into a->name. */
static sl_status take_names(sl_api *a, sl_error *e) {
    const char *names = a->config.model_names[0] ? a->config.model_names : a->config.model.name;
    a->names = sl_strdup(names);
    if (!a->names) return sl_fail(e, SL_NOMEM, "out of memory");
    for (char *p = a->names; p;) {
        char *end = strchr(p, ',');
        if (end && a->config.model_names[0]) *end++ = 0;
        else end = NULL;
        if (*p) {
            if (a->name_count == SL_MAX_NAMES)
                return sl_fail_param(e, SL_MISUSE, "model-name", "--model-name: more than %d names", SL_MAX_NAMES);
            a->name[a->name_count++] = p;
        }
        p = end;
    }
    if (!a->name_count) a->name[a->name_count++] = "model";
    return SL_OK;
}

sl_status sl_api_new(uv_loop_t *loop, const sl_api_config *c, sl_api **ret, sl_error *e) {
    sl_api *a = sl_calloc(1, sizeof *a);
    if (!a) return sl_fail(e, SL_NOMEM, "out of memory");
    a->config = *c;
    a->loop = loop;
    a->created = sl_clock_unix();
    a->doing = "starting";
    sl_status st = SL_OK;
    if (uv_async_init(loop, &a->news, on_news)) {
        st = sl_fail(e, SL_IO, "the event loop takes no more handles");
        goto fail;
    }
    a->news.data = a;
    uv_timer_init(loop, &a->tick);
    a->tick.data = a;
    uv_timer_start(&a->tick, on_tick, 1000, 1000);
    a->handles = 2;
    st = sl__text_start(a, e);
    if (st) { /* the loop owns the handles now: the caller closes the loop with sl_api_close */
        sl__text_stop(a);
        goto fail_open;
    }
    *ret = a;
    return SL_OK;
fail_open:
    uv_close((uv_handle_t *)&a->news, NULL);
    uv_close((uv_handle_t *)&a->tick, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
fail:
    sl_free(a);
    return st;
}

void sl_api_loading(sl_api *a, const char *doing) { a->doing = doing; }

sl_status sl_api_start(sl_api *a, const sl_api_config *c, sl_engine *g, sl_error *e) {
    a->config = *c;
    sl_status st = take_names(a, e);
    if (st) return st;
    a->ctx = sl_engine_config_of(g)->ctx;
    a->engine = g;
    return SL_OK;
}

void sl_api_drain(sl_api *a) {
    a->draining = true;
    if (a->engine) sl_engine_drain(a->engine);
}

int sl_api_live(const sl_api *a) { return a->live; }

void sl_api_cancel_all(sl_api *a) { sl__completions_cancel(a); }

static void on_closed(uv_handle_t *h) {
    sl_api *a = h->data;
    if (--a->handles == 0 && a->closed) a->closed(a->closed_arg);
}

void sl_api_close(sl_api *a, void (*closed)(void *), void *arg) {
    sl__text_stop(a);
    a->closed = closed;
    a->closed_arg = arg;
    uv_close((uv_handle_t *)&a->news, on_closed);
    uv_close((uv_handle_t *)&a->tick, on_closed);
}

void sl_api_free(sl_api *a) {
    if (!a) return;
    sl_free(a->names);
    sl_free(a);
}

sl_api_plan sl_api_plan_for(void) { return (sl_api_plan){SL_TEXT_BYTES, 2 * SL_DOCUMENT_BYTES, SL_ANSWER_BYTES}; }

const char *sl_api_model_name(const sl_api *a) { return a->name[0]; }

bool sl__model_known(const sl_api *a, const char *name) {
    if (!name || !*name) return true;
    for (int i = 0; i < a->name_count; i++)
        if (!strcmp(a->name[i], name)) return true;
    return false;
}

void sl__reply_json(sl_http_exchange *x, int status, sl_buffer *body) {
    if (body->failed) {
        sl_http_add_header(x, "Retry-After", "1");
        sl_http_reply(x, 503, "application/json", body); /* http says that memory is out */
        return;
    }
    sl_http_reply(x, status, "application/json", body);
}

void sl__reply_error(const sl_api *a, sl_http_exchange *x, int status, const char *param, const char *code, const char *message) {
    char after[16];
    if (status == 429 || status == 503) {
        snprintf(after, sizeof after, "%d", a->engine ? sl_engine_retry_after(a->engine) : 1);
        sl_http_add_header(x, "Retry-After", after);
    } else if (status >= 500) {
        sl_http_add_header(x, "x-should-retry", "false");
    }
    sl_http_reply_error(x, status, param, code, message);
}

int sl__refuse(sl_api *a, sl_http_exchange *x, const sl_error *err) {
    int status = 500, reject = -1;
    const char *code = NULL;
    switch (err->code) {
    case SL_INVALID:
    case SL_FORMAT:
    case SL_UNSUPPORTED:
    case SL_MISUSE: status = 400, reject = SL_REJECT_BAD_REQUEST; break;
    case SL_TOO_LONG: status = 400, reject = SL_REJECT_TOO_LONG, code = "context_length_exceeded"; break;
    case SL_TOO_MUCH: status = 400, reject = SL_REJECT_BAD_REQUEST, code = "output_too_large"; break;
    case SL_TOO_LARGE: status = 413, reject = SL_REJECT_BAD_REQUEST, code = "request_too_large"; break;
    case SL_NOT_FOUND: status = 404, reject = SL_REJECT_BAD_REQUEST, code = "model_not_found"; break;
    case SL_FULL: status = 429, code = "queue_full"; break;
    case SL_CANCELLED: status = 503, code = "draining"; break;
    case SL_NOMEM: status = 503; break;
    default: break;
    }
    if (reject >= 0) sl_metrics_add(a->config.metrics, SL_METRIC_REJECTED, reject, 1);
    sl__reply_error(a, x, status, err->param, code, err->message);
    return status;
}

void sl_api_answered(void *api, const sl_http_exchange *x, int status, double seconds) {
    (void)api;
    if (!strcmp(sl_http_path(x), "/v1/completions") && status < 400) return; /* logs when it ends */
    const sl_log_field fields[] = {
        {.key = "id", .kind = SL_LOG_STRING, .s = sl_http_request_id(x)},
        {.key = "method", .kind = SL_LOG_STRING, .s = sl_http_method(x)},
        {.key = "path", .kind = SL_LOG_STRING, .s = sl_http_path(x)},
        {.key = "status", .kind = SL_LOG_INT, .i = status},
        {.key = "seconds", .kind = SL_LOG_REAL, .r = seconds},
    };
    sl_log_event(status >= 500 ? SL_LOG_WARN : SL_LOG_DEBUG, "http", fields, (int)(sizeof fields / sizeof fields[0]));
}
