#include "api/internal.h"

/* What the API may take of memory before it refuses. */

#define DEFAULT_MEMORY (UINT64_C(320) << 20)

sl_api_plan sl_api_plan_for(uint64_t memory) {
    uint64_t part = (memory ? memory : DEFAULT_MEMORY) / 20;
    return (sl_api_plan){.texts = 2 * part, .document = 3 * part, .rendering = 3 * part, .answers = 6 * part, .total = 20 * part};
}

sl_api_plan sl__api_bounds(const sl_api *a) { return sl_api_plan_for(a->config.memory); }

sl_status sl__answer_crowded(const sl_api *a, size_t bytes, sl_error *e) {
    size_t most = sl__api_bounds(a).answers;
    if (bytes > most) return sl_fail(e, SL_TOO_MUCH, "the answer takes more than %zu MiB; ask for less, or stream", most >> 20);
    sl_metrics_add(a->config.metrics, SL_METRIC_REJECTED, SL_REJECT_QUEUE_FULL, 1);
    return sl_fail(e, SL_FULL, "the answers that are being put together take all memory that there is for them; stream, or try again");
}

sl_status sl__body_parse(const sl_api *a, const char *body, size_t len, sl_json *ret, sl_error *e) {
    sl_status st = sl_json_parse_within(body, len, "", sl__api_bounds(a).document, ret, e);
    return st == SL_TOO_LONG ? (e->code = SL_TOO_LARGE) : st; /* too many values for so few bytes: no matter of the context */
}
