/* mixer_delta.c: the gated delta net as a layer's mixer. Three of the phases of internal.h: in, convolve, recur.
 *
 * Of a row come a query and a key for each key head, a value and a gate for each value head, and for each value head a decay
 * a = e^(rate * softplus(decay + bias)) and a strength b = sigmoid(strength). Queries, keys and values pass a causal convolution
 * over the newest positions and a silu; queries and keys are then divided by their length, queries by the root of their size too.
 * Every value head has a matrix S [key_dim][value_dim], by which it remembers: it forgets a part, and learns the difference
 * between the value and what it recalls for the key (sl_delta_fn in kernels.h). What it recalls for the query is normed, and
 * multiplied by the gate's silu.
 *
 * A sequence's rows are computed in their order, from the state that the slot has; so is its state at every save. Columns of S know
 * nothing of each other: an item has some of them, which stay in the first-level cache over all rows. A prompt that is cut
 * anywhere takes the same steps in the same order, whatever lies between two of them, and so gives the same bits. */
#include "base/fmath.h"
#include "forward/internal.h"

#include <string.h>

enum { IN = 4, ITEMS_A_THREAD = 4, MOST_TAPS = 16 };
static const float LEAST_SQUARE = 1e-6f; /* added to a length's square */

static bool quantised(const sl_matrix *w) { return w->data && sl_matrix_quantised(w); }

static void input(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    const sl_delta_weights *w = &l->delta;
    sl__stream_norm(f, row, l->attn_norm, l->attn_norm_bias, row,
                    quantised(&w->in) || quantised(&w->gate) || quantised(&w->strength) || quantised(&w->decay));
}

void sl__delta_plan(sl_forward *f) {
    const sl_step *s = f->step;
    sl__delta *d = &f->delta;
    d->runs = 0;
    for (int r = 0, n; r < s->rows; r += n) {
        for (n = 1; r + n < s->rows && s->row[r + n].sequence == s->row[r].sequence;) n++;
        d->run[d->runs++] = (sl__run){s->row[r].sequence, r, n};
    }
}

/* --- in --- */

static int in_products(sl_forward *f, int layer, sl__product ret[IN]) {
    const sl_delta_weights *w = &f->m->layer[layer].delta;
    sl__delta *d = &f->delta;
    int n = 0;
    bool sorted = w->gate.data, apart = w->decay.data;
    ret[n++] = (sl__product){&w->in, &f->h, sorted ? d->x : d->mixed};
    if (sorted) ret[n++] = (sl__product){&w->gate, &f->h, d->gate};
    ret[n++] = (sl__product){&w->strength, &f->h, apart ? d->strength : d->gates};
    if (apart) ret[n++] = (sl__product){&w->decay, &f->h, d->decay};
    return n;
}

static void in_item(sl_forward *f, int layer, int self, int item) {
    sl__product p[IN];
    int count = in_products(f, layer, p);
    sl__product_item(f, self, p, count, f->step->rows, item);
}

static void copy(float *to, const float *from, int n) { memcpy(to, from, (size_t)n * sizeof *to); }

/* From [key head][q | k | its value heads' v | their gates] to q, k and v of all heads, and the gates. */
static void sort_heads(sl_forward *f, int row) {
    const sl_hparams *hp = &f->m->hp;
    sl__delta *d = &f->delta;
    int dk = hp->delta_key_dim, keys = sl_delta_keys(hp), values = sl_delta_values(hp), group = values / hp->delta_key_heads;
    const float *from = d->mixed + (size_t)row * (size_t)(2 * keys + 2 * values);
    float *x = d->x + (size_t)row * (size_t)(2 * keys + values), *gate = d->gate + (size_t)row * (size_t)values;
    for (int h = 0; h < hp->delta_key_heads; h++, from += 2 * dk + 2 * group) {
        copy(x + h * dk, from, dk);
        copy(x + keys + h * dk, from + dk, dk);
        copy(x + 2 * keys + h * group, from + 2 * dk, group);
        copy(gate + h * group, from + 2 * dk + group, group);
    }
}

/* From [key head][its value heads' strengths | their decays]. */
static void sort_gates(const sl_hparams *hp, const float *from, float *strength, float *decay) {
    int group = hp->delta_value_heads / hp->delta_key_heads;
    for (int h = 0; h < hp->delta_key_heads; h++, from += 2 * group) {
        copy(strength + h * group, from, group);
        copy(decay + h * group, from + group, group);
    }
}

/* ln(1 + e^x); beyond 20 it is x, as for the reference. The sum is taken in double: e^x may be far below 1. */
static float softplus(float x) { return x > 20 ? x : (float)sl_logd(1 + (double)sl_expf(x)); }

static void in_row(sl_forward *f, int layer, int row) {
    const sl_hparams *hp = &f->m->hp;
    const sl_delta_weights *w = &f->m->layer[layer].delta;
    sl__delta *d = &f->delta;
    size_t heads = (size_t)hp->delta_value_heads;
    float *strength = d->strength + (size_t)row * heads, *decay = d->decay + (size_t)row * heads;
    if (!w->gate.data) sort_heads(f, row);
    if (!w->decay.data) sort_gates(hp, d->gates + (size_t)row * 2 * heads, strength, decay);
    for (size_t j = 0; j < heads; j++) {
        strength[j] = 1 / (1 + sl_expf(-strength[j]));
        decay[j] = sl_expf(w->decay_rate[j] * softplus(decay[j] + w->decay_bias[j]));
    }
}

/* --- convolve --- */

/* A row's heads are cut into so many parts. */
static int parts_of(const sl_forward *f) {
    int most = f->m->hp.delta_key_heads, wanted = (ITEMS_A_THREAD * f->c.threads + f->step->rows - 1) / f->step->rows;
    return wanted < most ? wanted : most;
}

static const sl__run *run_of(const sl_forward *f, int row) {
    int lo = 0, hi = f->delta.runs - 1;
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (f->delta.run[mid].row <= row) lo = mid;
        else hi = mid - 1;
    }
    return &f->delta.run[lo];
}

/* Where the inputs of a run stand that its rows do not have: those of the positions before, or NULL at a sequence's beginning. */
static const float *inputs_before(const sl_forward *f, int layer, const sl__run *u) {
    if (f->step->row[u->row].position == 0) return NULL;
    return sl_state_inputs(&f->state, f->step->sequence[u->sequence].state_before, layer);
}

/* Channels [first, first + n) of a row. history: its newest inputs, oldest first. */
static void convolve(sl_forward *f, int layer, int row, const float *const *history, int first, int n) {
    const sl_hparams *hp = &f->m->hp;
    size_t channels = (size_t)sl_delta_channels(hp);
    const float *at[MOST_TAPS];
    for (int t = 0; t < hp->delta_taps; t++) at[t] = history[t] + first;
    f->k->conv(f->delta.taps[layer] + first, channels, at, hp->delta_taps, n, f->delta.y + (size_t)row * channels + first);
}

/* Each of the heads is divided by its length, and multiplied by `scale`. */
static void to_length(sl_forward *f, float *x, int heads, float scale) {
    int n = f->m->hp.delta_key_dim;
    for (int h = 0; h < heads; h++, x += n) {
        float by = scale / sl_sqrtf(f->k->dot(x, x, n) + LEAST_SQUARE);
        sl_scale(x, by, n);
    }
}

static void convolve_item(sl_forward *f, int layer, int self, int item) {
    (void)self;
    const sl_hparams *hp = &f->m->hp;
    int parts = parts_of(f), row = item / parts, part = item % parts, keys = sl_delta_keys(hp), dk = hp->delta_key_dim;
    size_t channels = (size_t)sl_delta_channels(hp);
    const sl__run *u = run_of(f, row);
    const float *before = inputs_before(f, layer, u), *history[MOST_TAPS];
    for (int t = 0; t < hp->delta_taps; t++) {
        int at = row - hp->delta_taps + 1 + t, past = row - u->row + t; /* its row; its place among those before */
        history[t] = at >= u->row ? f->delta.x + (size_t)at * channels : before ? before + (size_t)past * channels : f->delta.zeros;
    }
    int first = part * hp->delta_key_heads / parts, last = (part + 1) * hp->delta_key_heads / parts;
    float *y = f->delta.y + (size_t)row * channels;
    for (int key = 0; key < 2; key++) {
        convolve(f, layer, row, history, key * keys + first * dk, (last - first) * dk);
        to_length(f, y + key * keys + first * dk, last - first, key ? 1 : 1 / sl_sqrtf((float)dk));
    }
    int values = sl_delta_values(hp) / hp->delta_key_heads; /* any part of them */
    convolve(f, layer, row, history, 2 * keys + first * values, (last - first) * values);
}

/* --- recur --- */

/* The inputs after row `last` of a run: what the convolution of later rows sees of them. before may be `to`. */
static void keep_inputs(const sl_forward *f, const sl__run *u, int last, const float *before, float *to) {
    int kept = f->m->hp.delta_taps - 1;
    size_t channels = (size_t)sl_delta_channels(&f->m->hp), bytes = channels * sizeof(float);
    for (int t = 0; t < kept; t++) { /* upwards: from `before` only places after t are read */
        int row = last + 1 - kept + t;
        const float *from = row >= u->row ? f->delta.x + (size_t)row * channels
                            : before      ? before + (size_t)(t + last + 1 - u->row) * channels
                                          : f->delta.zeros;
        memmove(to + (size_t)t * channels, from, bytes);
    }
}

static void keep_all_inputs(const sl_forward *f, int layer, const sl__run *u) {
    const sl_step_sequence *s = &f->step->sequence[u->sequence];
    const float *before = inputs_before(f, layer, u);
    int position = f->step->row[u->row].position;
    for (int i = 0; i < s->saves; i++)
        keep_inputs(f, u, u->row + s->save[i].position - position, before, sl_state_inputs(&f->state, s->save[i].slot, layer));
    keep_inputs(f, u, u->row + u->rows - 1, before, sl_state_inputs(&f->state, s->state_after, layer));
}

/* Rows [row, row + rows) of a block of columns of a value head. */
static void recur(const sl_forward *f, int row, int rows, int head, int block, const float *from, float *to) {
    const sl_hparams *hp = &f->m->hp;
    size_t channels = (size_t)sl_delta_channels(hp), heads = (size_t)hp->delta_value_heads, at = (size_t)row * channels;
    int keys = sl_delta_keys(hp), key = hp->delta_tiled ? head % hp->delta_key_heads : head / (hp->delta_value_heads / hp->delta_key_heads);
    int column = block * SL_DELTA_COLUMNS, value = head * hp->delta_value_dim + column;
    const float *y = f->delta.y + at;
    sl_delta_rows x = {.q = y + key * hp->delta_key_dim, .k = y + keys + key * hp->delta_key_dim, .v = y + 2 * keys + value,
                       .stride = channels, .decay = f->delta.decay + (size_t)row * heads + head,
                       .strength = f->delta.strength + (size_t)row * heads + head, .gate_stride = heads,
                       .out = sl_planes_row(&f->delta.out, row) + value, .out_stride = (size_t)f->delta.out.cols, .rows = rows,
                       .key_dim = hp->delta_key_dim, .columns = sl__least(SL_DELTA_COLUMNS, hp->delta_value_dim - column)};
    f->k->delta(&x, from, to);
}

/* A block of columns over all rows of a run, from save to save. */
static void recur_block(sl_forward *f, int layer, const sl__run *u, int head, int block) {
    const sl_hparams *hp = &f->m->hp;
    const sl_step_sequence *s = &f->step->sequence[u->sequence];
    size_t size = (size_t)hp->delta_key_dim * SL_DELTA_COLUMNS;
    size_t at = (size_t)(head * sl_delta_blocks(hp) + block) * size;
    int position = f->step->row[u->row].position, row = u->row, end = u->row + u->rows;
    const float *from = position == 0 ? NULL : sl_state_matrices(&f->state, s->state_before, layer) + at;
    for (int i = 0; i < s->saves; i++) {
        int next = u->row + s->save[i].position - position + 1;
        float *to = sl_state_matrices(&f->state, s->save[i].slot, layer) + at;
        recur(f, row, next - row, head, block, from, to);
        from = to;
        row = next;
    }
    recur(f, row, end - row, head, block, from, sl_state_matrices(&f->state, s->state_after, layer) + at);
}

/* Is an item a whole value head? Otherwise a block of it: there are too few heads for all threads. */
static bool whole_heads(const sl_forward *f) {
    return (int64_t)f->delta.runs * f->m->hp.delta_value_heads >= (int64_t)ITEMS_A_THREAD * f->c.threads;
}

static void recur_item(sl_forward *f, int layer, int self, int item) {
    (void)self;
    const sl_hparams *hp = &f->m->hp;
    int blocks = sl_delta_blocks(hp), items = whole_heads(f) ? 1 : blocks;
    const sl__run *u = &f->delta.run[item / (hp->delta_value_heads * items)];
    int head = item / items % hp->delta_value_heads, block = item % items;
    if (head == 0 && block == 0) keep_all_inputs(f, layer, u);
    for (int b = block; b < (items == 1 ? blocks : block + 1); b++) recur_block(f, layer, u, head, b);
}

static void recurred_row(sl_forward *f, int layer, int row) {
    const sl_layer *l = &f->m->layer[layer];
    const sl_hparams *hp = &f->m->hp;
    int n = hp->delta_value_dim;
    float *out = sl_planes_row(&f->delta.out, row);
    const float *gate = f->delta.gate + (size_t)row * (size_t)f->delta.out.cols;
    for (int h = 0; h < hp->delta_value_heads; h++) {
        f->k->rmsnorm(out + h * n, l->delta.norm, n, hp->norm_eps, out + h * n);
        f->k->swiglu(gate + h * n, out + h * n, n, out + h * n);
    }
    if (sl_matrix_quantised(&l->o)) sl_planes_quantize(&f->delta.out, row, 0, f->delta.out.cols);
}

static void mix(sl_forward *f, int layer, int self) {
    sl__product in[IN];
    int count = in_products(f, layer, in), heads = f->delta.runs * f->m->hp.delta_value_heads;
    sl__phase(f, layer, self, sl__product_items(f, in, count), in_item, in_row, NULL);
    sl__phase(f, layer, self, f->step->rows * parts_of(f), convolve_item, NULL, NULL);
    sl__phase(f, layer, self, whole_heads(f) ? heads : heads * sl_delta_blocks(&f->m->hp), recur_item, recurred_row, NULL);
}

static const sl_planes *result(const sl_forward *f, int layer) {
    (void)layer;
    return &f->delta.out;
}

const sl__mixer sl__mixer_delta = {input, mix, result};
