#include "cli/experts.h"

enum { HOTTEST = 6 };

static const sl_expert_totals *layer_of(const sl_experts_report *r, int layer) {
    return r->totals + (size_t)layer * (size_t)r->experts;
}

static uint64_t assignments(const sl_experts_report *r, int layer) {
    uint64_t sum = 0;
    for (int e = 0; e < r->experts; e++) sum += layer_of(r, layer)[e].tokens;
    return sum;
}

/* Numbers of the experts with the most rows, the lower number first of equal ones; those that ran only. */
static int hottest(const sl_experts_report *r, int layer, int ret[HOTTEST]) {
    const sl_expert_totals *t = layer_of(r, layer);
    int count = 0;
    for (int e = 0; e < r->experts; e++) {
        if (t[e].tokens == 0) continue;
        int at = count < HOTTEST ? count++ : HOTTEST;
        for (; at > 0 && t[ret[at - 1]].tokens < t[e].tokens; at--)
            if (at < HOTTEST) ret[at] = ret[at - 1];
        if (at < HOTTEST) ret[at] = e;
    }
    return count;
}

static void put_layer(const sl_experts_report *r, int layer, sl_buffer *out) {
    const sl_expert_totals *t = layer_of(r, layer);
    uint64_t all = assignments(r, layer);
    double seconds = 0, even = (double)all / r->experts;
    int ran = 0, hot[HOTTEST], count = hottest(r, layer, hot);
    for (int e = 0; e < r->experts; e++) {
        ran += t[e].tokens > 0;
        seconds += t[e].compute;
    }
    sl_buffer_printf(out, "%5d %8llu %5d of %-5d %9.1f ms ", layer, (unsigned long long)(all / (uint64_t)r->experts_per_token), ran,
                     r->experts, seconds * 1e3);
    for (int i = 0; i < count; i++) sl_buffer_printf(out, "%s%5d x%-4.1f", i ? " " : "", hot[i], (double)t[hot[i]].tokens / even);
    sl_buffer_puts(out, "\n");
}

void sl_experts_text(const sl_experts_report *r, sl_buffer *out) {
    if (!r->experts) return;
    sl_buffer_printf(out, "experts that ran: %d a token, of %d; the hottest ones as a multiple of an even share\n", r->experts_per_token,
                     r->experts);
    sl_buffer_puts(out, "layer     rows  experts ran     core time  hottest\n");
    for (int l = 0; l < r->layers; l++)
        if (r->routed[l]) put_layer(r, l, out);
}

void sl_experts_json(const sl_experts_report *r, sl_buffer *out) {
    sl_buffer_puts(out, "[");
    for (int l = 0, first = 1; l < r->layers && r->experts; l++) {
        if (!r->routed[l]) continue;
        const sl_expert_totals *t = layer_of(r, l);
        sl_buffer_printf(out, "%s{\"layer\":%d,\"rows\":%llu,\"tokens\":[", first ? "" : ",", l,
                         (unsigned long long)(assignments(r, l) / (uint64_t)r->experts_per_token));
        for (int e = 0; e < r->experts; e++) sl_buffer_printf(out, "%s%llu", e ? "," : "", (unsigned long long)t[e].tokens);
        sl_buffer_puts(out, "],\"compute_seconds\":[");
        for (int e = 0; e < r->experts; e++) sl_buffer_printf(out, "%s%.6f", e ? "," : "", t[e].compute);
        sl_buffer_puts(out, "]}");
        first = 0;
    }
    sl_buffer_puts(out, "]");
}
