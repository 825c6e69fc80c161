/* attention.c: attention over the sequences' pages.
 *
 * The result of one (row, head) is the same whatever shares the step. A row at position p sees positions 0 … p, or, in a layer
 * with a window of w, the last w of these; or, if windows are chunks, those from w * floor(p / w) on. The sequence's positions are cut into spans of SL_SPAN_PAGES pages, counted from its
 * first position whatever the window. Each span has an online softmax of its own, which begins from nothing and is updated
 * once a page: its maximum m, its sum s of weights 2^(score - m), its vector a of weighted values. The spans are merged in
 * ascending order:
 *
 *     (M, S, A) = the first span that the row sees;   then for each further span (m, s, a):
 *     T = max(M, m);  S = fma(s, exp2(m - T), S * exp2(M - T));  A = fma(exp2(m - T), a, A * exp2(M - T));  M = T
 *     result = A * (1 / S)
 *
 * A head with a sink, a score z (to the base 2) that has no value, takes it in at the end: T = max(M, z); result = A * (exp2(M - T)
 * / fma(S, exp2(M - T), exp2(z - T))).
 *
 * Rows of a sequence that stand next to each other are cut into chunks, so that a page is read once for all their queries.
 * An item is a chunk, a KV head, and all spans or a part of them. An item that has all spans merges as it goes. When a chunk
 * is a large share of the step (a long context, few rows), its spans are cut into parts, an item each. These leave each
 * span's (m, s, a) in the partial results, and whoever ends the last part merges them: in the same order, so the bits are
 * the same. */
#include "base/fmath.h"
#include "forward/internal.h"

#include <math.h>
#include <string.h>

enum { QUERIES = 64, MOST_PARTIAL_BYTES = 64 << 20 };

static const float LOG2_E = 0x1.715476p+0f; /* softmax is computed to the base 2 */

/* Most chunks of a step that are cut into parts. sl__attend_plan cuts a chunk when each KV head of it is more than a
 * quarter of a thread's even share of the step: the chunk takes more than kv_heads quarters, and the step has four for each
 * thread. Example: 8 threads, 4 KV heads: fewer than 32 / 4 chunks. */
static int most_cut(const sl_forward *f, int kv_heads) { return 4 * f->c.threads / kv_heads + 1; }

/* The first position that a row of the layer sees. */
static int first_seen(const sl_forward *f, int layer, int row) {
    return sl_kv_first_seen(&f->m->hp, layer, f->step->row[row].position);
}

static int first_span(const sl_forward *f, int layer, int row) { return first_seen(f, layer, row) / (SL_PAGE * SL_SPAN_PAGES); }

static int end_span(const sl__chunk *c) { return c->first_span + c->spans; }

/* Rows of a chunk at most: their query heads for one KV head are QUERIES, or one row's if it has more. */
static int chunk_rows(int group) { return group >= QUERIES ? 1 : QUERIES / group; }

/* Spans that the rows of a chunk see at most: those of the longest context, or of a window, which may begin at the last position
 * of a span. Example: a window of 256 positions and one row, 2 spans. */
static int most_spans(const sl_forward *f, int layer, int rows) {
    int64_t span = SL_PAGE * SL_SPAN_PAGES, all = f->c.ctx / span + 1, window = f->m->hp.window[layer];
    int64_t seen = (window + rows - 1 + span - 2) / span + 1;
    return (int)(window && seen < all ? seen : all);
}

/* A chunk that is cut usually has one row (a decoding sequence with a long context); its partial results are one for each
 * span that it sees. So much is asked for, but not more than MOST_PARTIAL_BYTES unless one row's need it. What finds no place
 * is not cut. */
sl__attention_plan sl__attention_sizes(const sl_forward *f, int layer) {
    const sl_hparams *hp = &f->m->hp;
    sl__attention_plan p = {.heads = hp->heads[layer], .kv_heads = hp->kv_heads[layer], .head_dim = hp->head_dim[layer]};
    p.group = p.heads / p.kv_heads;
    int spans = most_spans(f, layer, chunk_rows(p.group));
    size_t one = (size_t)p.heads * ((size_t)p.head_dim * sizeof(float) + sizeof(sl_attend));
    size_t most = (size_t)MOST_PARTIAL_BYTES / one, wanted = (size_t)spans * (size_t)most_cut(f, p.kv_heads);
    if (most < (size_t)spans) most = (size_t)spans;
    p.queries = chunk_rows(p.group) * p.group;
    p.max_partials = (int)(wanted < most ? wanted : most);
    p.max_counters = most_cut(f, p.kv_heads) * p.kv_heads;
    return p;
}

/* Makes chunks of the step's rows, for layers such as this one. */
static void make_chunks(const sl_forward *f, int layer, sl__attention_plan *p) {
    const sl_step *s = f->step;
    int most = chunk_rows(p->group);
    p->chunks = 0;
    for (int r = 0; r < s->rows;) {
        int n = 1;
        while (n < most && r + n < s->rows && s->row[r + n].sequence == s->row[r].sequence) n++;
        sl__chunk c = {.row = r, .rows = n, .pages = s->row[r + n - 1].position / SL_PAGE + 1, .parts = 1};
        c.first_page = first_seen(f, layer, r) / SL_PAGE; /* no later row of the chunk sees an earlier page */
        c.first_span = c.first_page / SL_SPAN_PAGES;
        c.spans = (c.pages + SL_SPAN_PAGES - 1) / SL_SPAN_PAGES - c.first_span;
        p->chunk[p->chunks++] = c;
        r += n;
    }
}

/* What one KV head of a chunk is, in (row, page) pairs. */
static int64_t work_of(const sl__chunk *c) { return (int64_t)c->rows * (c->pages - c->first_page); }

static void plan_one(const sl_forward *f, int layer, sl__attention_plan *p) {
    int kv_heads = p->kv_heads, partials = 0, counters = 0;
    make_chunks(f, layer, p);
    int64_t work = 0; /* of all chunks' KV heads */
    for (int i = 0; i < p->chunks; i++) work += work_of(&p->chunk[i]) * kv_heads;
    p->items = 0;
    for (int i = 0; i < p->chunks; i++) {
        sl__chunk *c = &p->chunk[i];
        int64_t item = work_of(c);
        int spans = c->spans;
        if (item * 4 * f->c.threads > work && spans > 1 && c->rows * spans <= p->max_partials - partials &&
            kv_heads <= p->max_counters - counters) {
            int64_t parts = item * 8 * f->c.threads / work; /* each about an eighth of a thread's share */
            c->parts = parts < spans ? (int)parts : spans;
            c->partial = partials;
            c->counter = counters;
            partials += c->rows * spans;
            counters += kv_heads;
        }
        c->first_item = p->items;
        p->items += kv_heads * c->parts;
    }
}

void sl__attend_plan(sl_forward *f) {
    for (int i = 0; i < f->m->hp.layers; i++)
        if (f->attention.same[i] == i) plan_one(f, i, &f->attention.plan[i]);
}

/* One span of a chunk for one KV head, into the worker's state and the rows of acc. */
static void attend_span(const sl_forward *f, const sl__chunk *c, int layer, int kv_head, int span, sl__worker *w,
                        sl_attend *state, float **acc) {
    const sl_step *s = f->step;
    const int32_t *page = sl__pages_of(f, layer, s->row[c->row].sequence);
    int group = sl__plan_of(f, layer)->group, d = f->m->hp.head_dim[layer], n = c->rows * group;
    for (int i = 0; i < n; i++) {
        state[i] = (sl_attend){-INFINITY, 0};
        memset(acc[i], 0, (size_t)d * sizeof(float));
    }
    int first = span * SL_SPAN_PAGES, last = sl__least(first + SL_SPAN_PAGES, c->pages);
    for (int p = c->first_page > first ? c->first_page : first; p < last; p++) {
        for (int r = 0; r < c->rows; r++) {
            int seen = s->row[c->row + r].position + 1 - p * SL_PAGE, hidden = first_seen(f, layer, c->row + r) - p * SL_PAGE;
            int count = seen < 0 || hidden >= SL_PAGE ? 0 : sl__least(seen, SL_PAGE);
            for (int h = 0; h < group; h++) {
                w->first[r * group + h] = count && hidden > 0 ? hidden : 0;
                w->count[r * group + h] = count;
            }
        }
        const uint8_t *ahead = p + 1 < c->pages ? sl_kv_head(&f->kv, page[p + 1], layer, kv_head) : NULL;
        f->k->attend[f->kv.type](w->query, w->first, w->count, n, d, sl_kv_head(&f->kv, page[p], layer, kv_head), state, acc, ahead);
    }
}

/* Adds a span's result to the spans before it. sum, acc [d] */
static void merge(const sl_forward *f, int d, sl_attend *total, float *sum, const sl_attend *span, const float *acc) {
    float top = span->max > total->max ? span->max : total->max;
    float keep = sl_exp2f(total->max - top), add = sl_exp2f(span->max - top);
    total->max = top;
    total->sum = fmaf(span->sum, add, total->sum * keep);
    f->k->axpby(sum, keep, acc, add, d);
}

/* The end of query i of a KV head: the sum of its values by that of their weights, the layer's sink among these. */
static void divide(const sl_forward *f, int layer, int kv_head, int i, const sl_attend *total, float *sum) {
    const sl__attention_plan *p = sl__plan_of(f, layer);
    const float *sinks = f->m->layer[layer].sinks;
    float inverse = 1 / total->sum;
    if (sinks) {
        float sink = sinks[kv_head * p->group + i % p->group] * LOG2_E, top = sink > total->max ? sink : total->max;
        float keep = sl_exp2f(total->max - top);
        inverse = keep / fmaf(total->sum, keep, sl_exp2f(sink - top));
    }
    for (int j = 0; j < p->head_dim; j++) sum[j] *= inverse;
}

static bool sees(const sl_forward *f, int row, int span) {
    return f->step->row[row].position >= span * SL_SPAN_PAGES * SL_PAGE;
}

/* Where the result of query i of a chunk goes. */
static float *result(const sl__attention_plan *p, const sl__chunk *c, int kv_head, int i) {
    size_t head = (size_t)(kv_head * p->group + i % p->group);
    return sl_planes_row(&p->result, c->row + i / p->group) + head * (size_t)p->head_dim;
}

static void attend_whole(sl_forward *f, const sl__chunk *c, int layer, int kv_head, sl__worker *w) {
    const sl__attention_plan *p = sl__plan_of(f, layer);
    int d = p->head_dim, n = c->rows * p->group;
    for (int i = 0; i < n; i++) w->acc_row[i] = result(p, c, kv_head, i);
    int span = c->first_span;
    attend_span(f, c, layer, kv_head, span, w, w->total, w->acc_row);
    for (int i = 0; i < n; i++) w->acc_row[i] = w->acc + (size_t)i * (size_t)d;
    for (span++; span < end_span(c); span++) {
        attend_span(f, c, layer, kv_head, span, w, w->state, w->acc_row);
        for (int i = 0; i < n; i++) {
            int row = c->row + i / p->group, begin = first_span(f, layer, row);
            if (span < begin || !sees(f, row, span)) continue;
            if (span > begin) {
                merge(f, d, &w->total[i], result(p, c, kv_head, i), &w->state[i], w->acc_row[i]);
                continue;
            }
            w->total[i] = w->state[i];
            memcpy(result(p, c, kv_head, i), w->acc_row[i], (size_t)d * sizeof(float));
        }
    }
    for (int i = 0; i < n; i++) divide(f, layer, kv_head, i, &w->total[i], result(p, c, kv_head, i));
}

/* Place of (span, row of the chunk, first head of the KV head) in the partial results, in heads. */
static size_t partial_at(const sl__attention_plan *p, const sl__chunk *c, int kv_head, int span, int row) {
    return (size_t)(c->partial + (span - c->first_span) * c->rows + row) * (size_t)p->heads + (size_t)(kv_head * p->group);
}

static void merge_parts(sl_forward *f, const sl__chunk *c, int layer, int kv_head) {
    const sl__attention *a = &f->attention;
    const sl__attention_plan *p = sl__plan_of(f, layer);
    size_t d = (size_t)p->head_dim;
    for (int i = 0; i < c->rows * p->group; i++) {
        int row = i / p->group, span = first_span(f, layer, c->row + row);
        size_t head = (size_t)(i % p->group), at = partial_at(p, c, kv_head, span, row) + head;
        float *sum = result(p, c, kv_head, i);
        sl_attend total = a->partial_state[at];
        memcpy(sum, a->partial_acc + at * d, d * sizeof(float));
        for (span++; span < end_span(c) && sees(f, c->row + row, span); span++) {
            at = partial_at(p, c, kv_head, span, row) + head;
            merge(f, (int)d, &total, sum, &a->partial_state[at], a->partial_acc + at * d);
        }
        divide(f, layer, kv_head, i, &total, sum);
    }
}

static void attend_part(sl_forward *f, const sl__chunk *c, int layer, int kv_head, int part, sl__worker *w) {
    sl__attention *a = &f->attention;
    const sl__attention_plan *p = sl__plan_of(f, layer);
    int n = c->rows * p->group, first = c->first_span;
    size_t d = (size_t)p->head_dim;
    for (int span = first + part * c->spans / c->parts; span < first + (part + 1) * c->spans / c->parts; span++) {
        for (int i = 0; i < n; i++) {
            size_t at = partial_at(p, c, kv_head, span, i / p->group) + (size_t)(i % p->group);
            w->acc_row[i] = a->partial_acc + at * d;
        }
        attend_span(f, c, layer, kv_head, span, w, w->state, w->acc_row);
        for (int i = 0; i < n; i++) {
            a->partial_state[partial_at(p, c, kv_head, span, i / p->group) + (size_t)(i % p->group)] = w->state[i];
        }
    }
    atomic_int *counter = &a->counter[c->counter + kv_head];
    if (atomic_fetch_add_explicit(counter, 1, memory_order_acq_rel) == c->parts - 1) {
        atomic_store_explicit(counter, 0, memory_order_relaxed);
        merge_parts(f, c, layer, kv_head);
    }
}

void sl__attend_item(sl_forward *f, int layer, int self, int item) {
    const sl__attention_plan *p = sl__plan_of(f, layer);
    int lo = 0, hi = p->chunks - 1;
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (p->chunk[mid].first_item <= item) lo = mid;
        else hi = mid - 1;
    }
    const sl__chunk *c = &p->chunk[lo];
    int kv_head = (item - c->first_item) / c->parts, part = (item - c->first_item) % c->parts;
    sl__worker *w = &f->worker[self];
    int d = p->head_dim;
    float given = f->m->hp.attention_scale, scale = (given != 0 ? given : 1 / sl_sqrtf((float)d)) * LOG2_E;
    for (int i = 0; i < c->rows * p->group; i++) {
        size_t row = (size_t)(c->row + i / p->group), head = (size_t)(kv_head * p->group + i % p->group);
        void *ready = w->ready + (size_t)i * sl_query_bytes(d);
        float by = f->k->query[f->kv.type](f->q + (row * (size_t)p->heads + head) * (size_t)d, d, scale, ready);
        w->query[i] = (sl_query){ready, by};
    }
    if (c->parts == 1) attend_whole(f, c, layer, kv_head, w);
    else attend_part(f, c, layer, kv_head, part, w);
}
