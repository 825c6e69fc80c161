#include "api/api.h"

#include "api/serving.h"
#include "api/internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

static void on_news(uv_async_t *h) {
    sl_api *a = h->data;
    sl__text_collect(a);
    sl__servings_news(a);
}

static void on_tick(uv_timer_t *h) { sl__servings_tick(h->data); }

void sl_api_wake(void *api) { sl__wake(api); }

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
    *ret = a;
    return SL_OK;
fail:
    sl_free(a);
    return st;
}

void sl_api_loading(sl_api *a, const char *doing) { a->doing = doing; }

sl_status sl_api_start(sl_api *a, const sl_api_config *c, sl_engine *g, sl_error *e) {
    a->config = *c;
    sl_status st = sl__names_take(a, e);
    if (!st) st = sl__text_start(a, e);
    if (!st) st = sl_chat_open(&a->chat, c->chat_template, c->chat_why, c->chat_variables, c->tokenizer, e);
    if (st) return st;
    if (a->chat.warning[0]) sl_log(SL_LOG_WARN, "%s", a->chat.warning);
    a->ctx = sl_engine_config_of(g)->ctx;
    a->engine = g;
    return SL_OK;
}

void sl_api_leave(sl_api *a) { a->leaving = true; }

void sl_api_drain(sl_api *a) {
    a->leaving = a->draining = true;
    sl__servings_drain(a);
}

int sl_api_live(const sl_api *a) { return a->live; }

void sl_api_cancel_all(sl_api *a) {
    sl__servings_cancel(a);
    sl__text_give_up(a);
}

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

const char *sl_api_model_name(const sl_api *a) { return sl__model_name(a); }

void sl_api_free(sl_api *a) {
    if (!a) return;
    sl_chat_done(&a->chat);
    sl_free(a->names);
    sl_free(a);
}

void sl_api_answered(void *api, const sl_http_exchange *x, int status, double seconds) {
    (void)api;
    if (status < 400 && sl_api_generates(sl_http_path(x))) return;
    const sl_log_field fields[] = {
        {.key = "id", .kind = SL_LOG_STRING, .s = sl_http_request_id(x)},
        {.key = "method", .kind = SL_LOG_STRING, .s = sl_http_method(x)},
        {.key = "path", .kind = SL_LOG_STRING, .s = sl_http_path(x)},
        {.key = "status", .kind = SL_LOG_INT, .i = status},
        {.key = "seconds", .kind = SL_LOG_REAL, .r = seconds},
    };
    sl_log_event(status >= 500 ? SL_LOG_WARN : SL_LOG_DEBUG, "http", fields, (int)(sizeof fields / sizeof fields[0]));
}
