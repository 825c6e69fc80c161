#include "experts/ffn.h"

#include "base/clock.h"
#include "base/fmath.h"

#include <string.h>

/* Rows that a block of `range` columns may have so that it fits half of the scratch. */
static int rows_at_once(int range) {
    int n = (int)(SL_FFN_SCRATCH / 2) / range;
    return n < 1 ? 1 : n;
}

static int least(int a, int b) { return a < b ? a : b; }

bool sl_ffn_quantised(const sl_ffn_weights *w) {
    return sl_matrix_quantised(&w->gate) || sl_matrix_quantised(&w->up);
}

/* The length of ranges of `total` output rows in all, when the largest group has `most` rows: as long as can be, since
 * weights stream best in long runs, but so short that the results of as many rows as use a panel of weights together fit
 * half of the scratch. */
static int range_length(size_t total, int threads, int most) {
    int fits = (int)(SL_FFN_SCRATCH / 2) / least(most, SL_FFN_ROWS) / SL_PANEL * SL_PANEL;
    return least(sl_range_length(total, threads), fits);
}

void sl_ffn_plan(sl_ffn *f) {
    const sl_groups *groups = f->groups;
    size_t total = 0;
    int most = 1;
    for (int i = 0; i < groups->count; i++) {
        total += (size_t)groups->group[i].h.cols;
        if (groups->group[i].n > most) most = groups->group[i].n;
    }
    f->up_range = range_length(total, f->threads, most);
    /* An item of down goes through all groups: with many rows it is long enough for half as many, and an expert's weights
     * are read in longer runs. */
    f->down_range = range_length((size_t)f->width * (most > SL_PANEL ? 2 : 1), f->threads, most);
    int items = 0;
    for (int i = 0; i < groups->count; i++) {
        const sl_group *g = &groups->group[i];
        f->first_item[i] = items;
        items += sl_range_count(g->h.cols, f->up_range);
        if (g->expert >= 0) sl_expert_stats_group(f->stats, f->layer, g->expert, g->n);
    }
    f->first_item[groups->count] = items;
}

/* The number of the group that has the item of the gate and up phase: the last one whose first item is not beyond it. */
static int group_of(const sl_ffn *f, int item) {
    int lo = 0, hi = f->groups->count - 1;
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (f->first_item[mid] <= item) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}

/* The range of group i's ff that the item has. */
static sl_range up_range_of(const sl_ffn *f, int i, int item) {
    return sl_range_at(f->groups->group[i].h.cols, f->up_range, item - f->first_item[i]);
}

static const uint8_t *row_of(const sl_matrix *w, int row) { return w->data + (size_t)row * w->stride; }

/* Where the item's gate rows begin; NULL: there is no such item. */
static const uint8_t *gate_of(const sl_ffn *f, int item) {
    if (item >= sl_ffn_up_items(f)) return NULL;
    int i = group_of(f, item);
    return row_of(&f->groups->group[i].w->gate, up_range_of(f, i, item).first);
}

/* Longest range of output rows (sl_range_length). */
enum { MOST_RANGE = 16 * SL_PANEL };

/* Numbers [first, first + n) of a bias: where they are, or widened into `room`; NULL: there is none. */
static const float *bias_of(const sl_vector *v, int first, int n, float room[MOST_RANGE]) {
    if (!v->data) return NULL;
    const uint8_t *from = v->data + (size_t)first * v->step;
    if (v->type == SL_TYPE_F32 && v->step == sizeof(float) && (uintptr_t)from % _Alignof(float) == 0)
        return (const float *)(const void *)from;
    bool together = v->step == (size_t)sl_types[v->type].block_bytes;
    for (int i = 0; i < n; i += together ? n : 1) sl_kernels()->widen[v->type](from + (size_t)i * v->step, together ? n : 1, room + i);
    return room;
}

static void activate(const sl_ffn *f, const float *gate, const float *up, int n, float *out) {
    const sl_kernel_table *k = sl_kernels();
    switch (f->activation) {
    case SL_ACTIVATION_SILU: k->swiglu(gate, up, n, out); break;
    case SL_ACTIVATION_GELU: k->geglu(gate, up, n, out); break;
    case SL_ACTIVATION_CLAMPED: k->clamped(gate, up, n, f->alpha, f->limit, out); break;
    }
}

void sl_ffn_up(const sl_ffn *f, int self, int item, float *scratch, void *gemm_scratch) {
    const sl_kernel_table *k = sl_kernels();
    int number = group_of(f, item);
    const sl_group *g = &f->groups->group[number];
    const sl_ffn_weights *w = g->w;
    uint64_t began = f->stats ? sl_clock_ns() : 0;
    sl_range of_ff = up_range_of(f, number, item);
    int first = of_ff.first, last = of_ff.last, range = last - first, block = rows_at_once(range);
    bool quantised = sl_matrix_quantised(&w->down);
    sl_acts x = sl_planes_acts(f->x, 0);
    float *gate = scratch, *up = scratch + SL_FFN_SCRATCH / 2; /* [block][range] */
    float room[2][MOST_RANGE];
    const float *weight = sl_ffn_input_weights(f, g);
    const float *gate_bias = bias_of(&w->gate_bias, first, range, room[0]), *up_bias = bias_of(&w->up_bias, first, range, room[1]);
    const uint8_t *likely = gate_of(f, item + f->threads); /* where this thread probably goes on */
    for (int r = 0; r < g->n; r += block) {
        int n = least(block, g->n - r);
        k->gemm[w->gate.type](&w->gate, first, last, &x, g->row + r, n, gate, (size_t)range, gemm_scratch,
                              row_of(&w->up, first));
        k->gemm[w->up.type](&w->up, first, last, &x, g->row + r, n, up, (size_t)range, gemm_scratch,
                            r + n < g->n ? row_of(&w->gate, first) : likely);
        for (int i = 0; i < n; i++) {
            size_t at = (size_t)i * (size_t)range;
            if (weight) {
                sl_scale(gate + at, weight[r + i], range);
                sl_scale(up + at, weight[r + i], range);
            }
            if (gate_bias) k->add(gate + at, gate_bias, range);
            if (up_bias) k->add(up + at, up_bias, range);
            activate(f, gate + at, up + at, range, sl_planes_row(&g->h, r + i) + first);
            if (quantised) sl_planes_quantize(&g->h, r + i, first, range);
        }
    }
    if (f->stats && g->expert >= 0) sl_expert_stats_up(f->stats, self, f->layer, g->expert, began, sl_clock_ns());
}

/* y[row][first … last) = fma(weight, down h, y) for the rows of one group; next: the weights of the one after it. */
static void add_group(const sl_ffn *f, const sl_group *g, int first, int last, float *scratch, void *gemm_scratch,
                      const uint8_t *next) {
    const sl_kernel_table *k = sl_kernels();
    const sl_matrix *down = &g->w->down;
    int range = last - first, block = rows_at_once(range);
    float room[MOST_RANGE];
    const float *weight = sl_ffn_input_weights(f, g) ? NULL : g->weight; /* spent already, or of the output */
    const float *bias = bias_of(&g->w->down_bias, first, range, room);
    for (int r = 0; r < g->n; r += block) {
        int n = least(block, g->n - r);
        sl_acts h = sl_planes_acts(&g->h, r);
        k->gemm[down->type](down, first, last, &h, NULL, n, scratch, (size_t)range, gemm_scratch,
                             r + n < g->n ? row_of(down, first) : next);
        for (int i = 0; i < n; i++) {
            float *y = f->y + (size_t)g->row[r + i] * (size_t)f->width + first;
            if (bias) k->add(scratch + (size_t)i * (size_t)range, bias, range);
            k->axpy(y, weight ? weight[r + i] : 1, scratch + (size_t)i * (size_t)range, range);
        }
    }
}

void sl_ffn_down(const sl_ffn *f, int self, int item, float *scratch, void *gemm_scratch) {
    sl_range of_width = sl_range_at(f->width, f->down_range, item);
    int first = of_width.first, last = of_width.last;
    for (int r = 0; r < f->rows; r++) {
        memset(f->y + (size_t)r * (size_t)f->width + first, 0, (size_t)(last - first) * sizeof *f->y);
    }
    uint64_t began = f->stats ? sl_clock_ns() : 0;
    for (int i = 0; i < f->groups->count; i++) {
        const sl_group *g = &f->groups->group[i];
        bool more = i + 1 < f->groups->count;
        add_group(f, g, first, last, scratch, gemm_scratch, more ? row_of(&g[1].w->down, first) : NULL);
        if (!f->stats || g->expert < 0) continue;
        uint64_t now = sl_clock_ns();
        sl_expert_stats_down(f->stats, self, f->layer, g->expert, now - began);
        began = now;
    }
}
