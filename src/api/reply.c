#include "api/internal.h"

#include <stdio.h>

/* Answers in one piece. */

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
