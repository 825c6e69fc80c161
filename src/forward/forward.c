/* forward.c: making a forward pass, and running a step: one parallel region. */
#include "forward/forward.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "forward/internal.h"

#include <assert.h>

/* --- the workspace: one block of memory, laid out by one function that runs twice, to count and to place --- */

typedef struct space {
    uint8_t *base; /* NULL: only count */
    size_t used;
    bool overflow;
} space;

/* Room for count * size bytes at the next multiple of 64. */
static void *place(space *s, size_t count, size_t size) {
    size_t bytes, at;
    if (!sl_mul(count, size, &bytes) || !sl_align_up(s->used, 64, &at) || !sl_add(at, bytes, &s->used)) s->overflow = true;
    return s->base && !s->overflow ? s->base + at : NULL;
}

static size_t product_of(space *s, size_t rows, size_t cols) {
    size_t n = 0;
    if (!sl_mul(rows, cols, &n)) s->overflow = true;
    return n;
}

static float *floats(space *s, size_t rows, size_t cols) { return place(s, product_of(s, rows, cols), sizeof(float)); }

static sl_planes planes(space *s, size_t values, int cols) {
    size_t bytes = 0;
    if (!sl_planes_bytes(values, &bytes)) s->overflow = true;
    return sl_planes_in(place(s, bytes, 1), values, cols);
}

static bool as_floats(const sl_matrix *w) {
    return sl_matrix_addressable(w) && w->stride == (size_t)w->cols * sizeof(float);
}

static size_t larger(size_t a, const sl_matrix *w) {
    size_t b = w->data ? sl_kernels_scratch(w) : 0;
    return a > b ? a : b;
}

static size_t larger_of_ffn(size_t a, const sl_ffn_weights *w) {
    return larger(larger(larger(a, &w->gate), &w->up), &w->down);
}

/* The most scratch that a kernel wants for any of the model's matrices, in bytes. */
static size_t gemm_scratch(const sl_model *m) {
    size_t most = larger(larger(0, &m->output), &m->own_projection);
    for (int i = 0; i < m->hp.layers; i++) {
        const sl_layer *l = &m->layer[i];
        const sl_matrix *mixing[] = {&l->q, &l->k, &l->v, &l->gate, &l->o, &l->delta.in, &l->delta.gate, &l->delta.strength, &l->delta.decay,
                                     &l->own_gate, &l->own_projection};
        for (size_t j = 0; j < sizeof mixing / sizeof *mixing; j++) most = larger(most, mixing[j]);
        most = larger_of_ffn(larger_of_ffn(most, &l->dense), &l->shared);
        for (int e = 0; l->experts && e < m->hp.experts; e++) most = larger_of_ffn(most, &l->experts[e]);
    }
    return most;
}

static void place_groups(sl_forward *f, space *s) {
    const sl_hparams *hp = &f->m->hp;
    size_t rows = (size_t)f->c.max_rows, used = (size_t)hp->experts_used, most = (size_t)hp->experts + 1;
    sl_groups *g = &f->groups;
    g->max_rows = f->c.max_rows;
    g->used = hp->experts_used;
    g->experts = hp->experts;
    g->group = place(s, most, sizeof *g->group);
    g->row = place(s, product_of(s, rows, used + 1), sizeof *g->row);
    g->weight = floats(s, rows, used);
    g->next = place(s, (size_t)hp->experts, sizeof *g->next);
    g->h_room = sl_groups_h_room(hp, f->c.max_rows);
    g->h = planes(s, g->h_room, 0);
    f->ffn.first_item = place(s, most + 1, sizeof *f->ffn.first_item);
}

static size_t larger_size(size_t a, size_t b) { return a > b ? a : b; }

/* The first layer whose attention has the same heads and the same window as this one's; -1: it has no attention. */
static int same_attention(const sl_hparams *hp, int layer) {
    if (hp->mixer[layer] != SL_MIXER_ATTENTION) return -1;
    for (int i = 0; i < layer; i++)
        if (hp->mixer[i] == SL_MIXER_ATTENTION && hp->heads[i] == hp->heads[layer] && hp->kv_heads[i] == hp->kv_heads[layer] &&
            hp->head_dim[i] == hp->head_dim[layer] && hp->window[i] == hp->window[layer])
            return i;
    return layer;
}

/* Plans share the room for partial results, since one layer is computed at a time. */
static void place_attention(sl_forward *f, space *s) {
    const sl_hparams *hp = &f->m->hp;
    sl__attention *a = &f->attention;
    size_t states = 0, values = 0, counters = 0;
    a->plan = place(s, (size_t)hp->layers, sizeof *a->plan);
    a->same = place(s, (size_t)hp->layers, sizeof *a->same);
    for (int i = 0; i < hp->layers; i++) {
        int same = same_attention(hp, i);
        if (a->same) a->same[i] = same;
        if (same != i) continue;
        sl__attention_plan p = sl__attention_sizes(f, i);
        size_t partials = product_of(s, (size_t)p.max_partials, (size_t)p.heads);
        p.chunk = place(s, (size_t)f->c.max_rows, sizeof *p.chunk);
        p.result = f->a;
        p.result.cols = p.heads * p.head_dim;
        states = larger_size(states, partials);
        values = larger_size(values, product_of(s, partials, (size_t)p.head_dim));
        counters = larger_size(counters, (size_t)p.max_counters);
        if (a->plan) a->plan[i] = p;
    }
    a->partial_state = place(s, states, sizeof *a->partial_state);
    a->partial_acc = floats(s, 1, values);
    a->counter = place(s, counters, sizeof *a->counter);
}

/* What is asked of a worker for any of the layers' attention. */
typedef struct attention_room {
    size_t queries, values, ready; /* queries; values of their heads; bytes of queries made ready */
} attention_room;

static attention_room room_of(const sl_forward *f) {
    const sl_hparams *hp = &f->m->hp;
    attention_room room = {0};
    for (int i = 0; i < hp->layers; i++) {
        if (same_attention(hp, i) != i) continue;
        sl__attention_plan p = sl__attention_sizes(f, i);
        size_t queries = (size_t)p.queries;
        room.queries = larger_size(room.queries, queries);
        room.values = larger_size(room.values, queries * (size_t)p.head_dim);
        room.ready = larger_size(room.ready, queries * sl_query_bytes(p.head_dim));
    }
    return room;
}

static void place_delta(sl_forward *f, space *s) {
    const sl_hparams *hp = &f->m->hp;
    sl__delta *d = &f->delta;
    if (sl_state_bytes(hp) == 0) return;
    size_t rows = (size_t)f->c.max_rows, channels = (size_t)sl_delta_channels(hp), heads = (size_t)hp->delta_value_heads;
    size_t width = heads * (size_t)hp->delta_value_dim;
    bool mixed = false;
    d->taps = place(s, (size_t)hp->layers, sizeof *d->taps);
    for (int i = 0; i < hp->layers; i++) {
        if (hp->mixer[i] != SL_MIXER_DELTA) continue;
        const float *taps = floats(s, (size_t)hp->delta_taps, channels);
        if (d->taps) d->taps[i] = taps;
        mixed = mixed || !f->m->layer[i].delta.gate.data;
    }
    d->zeros = floats(s, 1, channels);
    d->run = place(s, (size_t)f->c.max_sequences, sizeof *d->run);
    d->mixed = floats(s, mixed ? rows : 0, channels + width);
    d->x = floats(s, rows, channels);
    d->y = floats(s, rows, channels);
    d->gate = floats(s, rows, width);
    d->gates = floats(s, rows, 2 * heads);
    d->strength = floats(s, rows, heads);
    d->decay = floats(s, rows, heads);
    d->out = planes(s, product_of(s, rows, width), (int)width);
}

static bool any_gate(const sl_model *m) {
    bool any = m->hp.query_gated;
    for (int i = 0; i < m->hp.layers; i++) any = any || m->layer[i].gate.data;
    return any;
}

static bool any_router_norm(const sl_model *m) {
    bool any = false;
    for (int i = 0; i < m->hp.layers; i++) any = any || m->layer[i].router_norm;
    return any;
}

static void place_worker(space *s, const attention_room *room, sl__worker *w, size_t gemm) {
    size_t queries = room->queries;
    sl__worker placed = {.gemm = place(s, gemm, 1),
                         .ffn = place(s, SL_FFN_SCRATCH, sizeof(float)),
                         .acc = floats(s, 1, room->values),
                         .acc_row = place(s, queries, sizeof(float *)),
                         .ready = place(s, room->ready, 1),
                         .query = place(s, queries, sizeof(sl_query)),
                         .state = place(s, queries, sizeof(sl_attend)),
                         .total = place(s, queries, sizeof(sl_attend)),
                         .first = place(s, queries, sizeof(int)),
                         .count = place(s, queries, sizeof(int))};
    if (w) *w = placed;
}

static void place_all(sl_forward *f, space *s) {
    const sl_hparams *hp = &f->m->hp;
    size_t rows = (size_t)f->c.max_rows, half = (size_t)(hp->rope_dims / 2), window_half = (size_t)(hp->window_rope_dims / 2);
    size_t width = (size_t)hp->width, q_width = 0, kv_width = 0, ones = 0; /* the widest layer's */
    for (int i = 0; i < hp->layers; i++) {
        q_width = larger_size(q_width, (size_t)hp->heads[i] * (size_t)hp->head_dim[i]);
        kv_width = larger_size(kv_width, (size_t)hp->kv_heads[i] * (size_t)hp->head_dim[i]);
    }
    bool plain = hp->value_norm || hp->qk_norm == SL_QK_NORM_PLAIN_AFTER;
    for (int i = 0; plain && i < hp->layers; i++) ones = larger_size(ones, (size_t)hp->head_dim[i]);
    f->ones = ones ? floats(s, 1, ones) : NULL;
    for (size_t i = 0; f->ones && i < ones; i++) f->ones[i] = 1;
    f->frequency = floats(s, 1, half);
    if (hp->window_rope_theta != 0) f->window_frequency = floats(s, 1, window_half);
    f->router = place(s, (size_t)hp->layers, sizeof *f->router);
    f->ffn_quantised = place(s, (size_t)hp->layers, sizeof *f->ffn_quantised);
    for (int i = 0; i < hp->layers; i++) {
        const sl_layer *l = &f->m->layer[i];
        if (!l->experts || as_floats(&l->router)) continue;
        const float *widened = floats(s, (size_t)hp->experts, width);
        if (f->router) f->router[i] = widened;
    }
    f->logit_row = place(s, (size_t)f->c.max_logit_rows, sizeof *f->logit_row);
    f->x = floats(s, rows, width);
    f->y = floats(s, rows, width);
    f->h = planes(s, product_of(s, rows, width), hp->width);
    f->q = floats(s, rows, q_width);
    f->kk = floats(s, rows, kv_width);
    f->v = floats(s, rows, kv_width);
    f->both = floats(s, hp->query_gated ? rows : 0, 2 * q_width);
    f->gate = floats(s, any_gate(f->m) ? rows : 0, q_width);
    f->a = planes(s, product_of(s, rows, q_width), (int)q_width);
    f->cosines = floats(s, rows, half);
    f->sines = floats(s, rows, half);
    f->window_cosines = hp->window_rope_theta != 0 ? floats(s, rows, window_half) : f->cosines;
    f->window_sines = hp->window_rope_theta != 0 ? floats(s, rows, window_half) : f->sines;
    size_t own = product_of(s, rows, (size_t)hp->layer_input);
    f->own = hp->layer_input ? floats(s, own, (size_t)hp->layers) : NULL;
    f->own_projected = hp->layer_input ? floats(s, own, (size_t)hp->layers) : NULL;
    f->own_gate = hp->layer_input ? floats(s, own, 1) : NULL;
    f->own_gated = planes(s, own, hp->layer_input);
    f->beside = hp->dense_beside ? floats(s, rows, width) : NULL;
    f->router_x = any_router_norm(f->m) ? floats(s, rows, width) : NULL;
    f->scores = floats(s, rows, (size_t)hp->experts);
    f->expert = place(s, product_of(s, rows, (size_t)hp->experts_used), sizeof *f->expert);
    f->weight = floats(s, rows, (size_t)hp->experts_used);
    f->shared_weight = floats(s, 1, rows);
    place_groups(f, s);
    place_attention(f, s);
    place_delta(f, s);
    f->logits = floats(s, (size_t)f->c.max_logit_rows, (size_t)hp->vocab);
    f->worker = place(s, (size_t)f->c.threads, sizeof *f->worker);
    size_t gemm = gemm_scratch(f->m);
    attention_room room = room_of(f);
    for (int i = 0; i < f->c.threads; i++) place_worker(s, &room, f->worker ? &f->worker[i] : NULL, gemm);
}

/* What follows from the config alone. */
static sl_forward bare(const sl_forward_config *c) { return (sl_forward){.c = *c, .m = c->model, .k = sl_kernels()}; }

size_t sl_forward_workspace_bytes(const sl_forward_config *c) {
    sl_forward f = bare(c);
    space s = {0};
    place_all(&f, &s);
    return s.overflow ? SIZE_MAX : s.used;
}

/* --- start --- */

static sl_status check(const sl_forward_config *c, sl_error *e) {
    if (c->max_rows < 1 || c->max_logit_rows < 1 || c->max_logit_rows > c->max_rows || c->max_sequences < 1 || c->ctx < 1) {
        return sl_fail(e, SL_INVALID, "a step of %d rows, %d with logits, %d sequences of %d positions", c->max_rows,
                       c->max_logit_rows, c->max_sequences, c->ctx);
    }
    if (sl_workers_count(c->workers) != c->threads) {
        return sl_fail(e, SL_INVALID, "planned for %d threads, the pool has %d", c->threads, sl_workers_count(c->workers));
    }
    return SL_OK;
}

/* The convolution's weights [channels][taps] as [taps][channels], so that channels stand next to each other. */
static void turn_taps(sl_forward *f) {
    const sl_hparams *hp = &f->m->hp;
    int channels = sl_delta_channels(hp);
    for (int i = 0; i < hp->layers; i++) {
        if (hp->mixer[i] != SL_MIXER_DELTA) continue;
        float *to = (float *)(uintptr_t)f->delta.taps[i]; /* our own memory until now */
        const float *from = f->m->layer[i].delta.taps;
        for (int c = 0; c < channels; c++)
            for (int t = 0; t < hp->delta_taps; t++) to[t * channels + c] = from[c * hp->delta_taps + t];
    }
}

/* What is computed once from the model: rope frequencies, routers in float, who reads quantised activations. */
static void prepare(sl_forward *f) {
    const sl_model *m = f->m;
    sl__rope_frequencies(&m->hp, m->rope_divisors, f->c.ctx, f->frequency);
    f->rope_attention = sl__rope_is_long(&m->hp, f->c.ctx) ? m->hp.rope_long_attention : m->hp.rope_attention;
    if (m->hp.window_rope_theta != 0) sl__rope_window_frequencies(&m->hp, f->window_frequency);
    turn_taps(f);
    for (int i = 0; i < m->hp.layers; i++) {
        const sl_layer *l = &m->layer[i];
        f->ffn_quantised[i] = l->experts ? false : sl_ffn_quantised(&l->dense);
        if (!l->experts) continue;
        if (l->shared.gate.data) f->ffn_quantised[i] = sl_ffn_quantised(&l->shared);
        for (int e = 0; e < m->hp.experts; e++) f->ffn_quantised[i] |= sl_ffn_quantised(&l->experts[e]);
        const sl_matrix *w = &l->router;
        if (as_floats(w)) {
            f->router[i] = (const float *)(const void *)w->data;
            continue;
        }
        float *wide = (float *)(uintptr_t)f->router[i]; /* our own memory until now */
        for (int r = 0; r < w->rows; r++) sl_matrix_widen(w, r, wide + (size_t)r * (size_t)w->cols);
    }
    size_t slots = (size_t)f->c.max_rows * (size_t)m->hp.experts_used;
    for (int r = 0; r < f->c.max_rows; r++) f->groups.row[slots + (size_t)r] = r;
    f->ffn = (sl_ffn){.groups = &f->groups, .x = &f->h, .y = f->y, .width = m->hp.width, .threads = f->c.threads,
                      .activation = m->hp.activation, .alpha = m->hp.activation_alpha, .limit = m->hp.activation_limit,
                      .weighs_input = m->hp.weighs_input,
                      .stats = f->c.stats, .first_item = f->ffn.first_item};
}

sl_status sl_forward_new(const sl_forward_config *c, sl_forward **ret, sl_error *e) {
    if (check(c, e) != SL_OK) return SL_INVALID;
    sl_status status = SL_NOMEM;
    sl_forward *f = sl_calloc(1, sizeof *f);
    if (!f) return sl_fail(e, SL_NOMEM, "no memory for the forward pass");
    *f = bare(c);
    size_t bytes = sl_forward_workspace_bytes(c);
    space s = {0};
    f->arena = sl_arena_new();
    if (f->arena && bytes != SIZE_MAX) s.base = sl_arena_alloc(f->arena, SL_MEM_WORKSPACE, bytes);
    if (!s.base) {
        sl_fail(e, SL_NOMEM, "no memory for a workspace of %zu bytes", bytes);
        goto fail;
    }
    place_all(f, &s);
    status = sl_kv_open(&c->model->hp, c->kv_type, c->ctx, c->kv_pages, c->kv_window_pages, &f->kv, e);
    if (status == SL_OK) status = sl_state_open(&c->model->hp, c->states, &f->state, e);
    if (status != SL_OK) goto fail;
    prepare(f);
    *ret = f;
    return SL_OK;
fail:
    sl_forward_free(f);
    return status;
}

sl_forward *sl_forward_free(sl_forward *f) {
    if (!f) return NULL;
    sl_kv_close(&f->kv);
    sl_state_close(&f->state);
    sl_arena_free(f->arena);
    sl_free(f);
    return NULL;
}

/* --- a step --- */

static __attribute__((unused)) bool a_slot(const sl_forward *f, int slot) { return !f->state.slot_bytes || (slot >= 0 && slot < f->c.states); }

/* Has every position that the row sees a page, and in windowed layers too? */
static __attribute__((unused)) bool has_pages(const sl_forward *f, const sl_step_sequence *q, int position) {
    int last = position / SL_PAGE, first = sl_kv_first_in(sl_kv_window_of(&f->m->hp, f->c.ctx), position) / SL_PAGE;
    for (int k = first; f->c.kv_window_pages && k <= last; k++)
        if (q->window[k] < 0 || q->window[k] >= f->c.kv_window_pages) return false;
    return q->page[last] >= 0 && q->page[last] < f->c.kv_pages;
}

/* What the caller has to see to (forward.h): asserted only. */
static __attribute__((unused)) bool fits(const sl_forward *f, const sl_step *s) {
    int logits = 0;
    if (s->rows > f->c.max_rows || s->sequences > f->c.max_sequences) return false;
    for (int i = 0; i < s->rows; i++) {
        const sl_step_row *r = &s->row[i];
        if (r->token < 0 || r->token >= f->m->hp.vocab || r->position < 0 || r->position >= f->c.ctx) return false;
        if (r->sequence < 0 || r->sequence >= s->sequences) return false;
        const sl_step_sequence *q = &s->sequence[r->sequence];
        if (!has_pages(f, q, r->position)) return false;
        if ((r->position && !a_slot(f, q->state_before)) || !a_slot(f, q->state_after)) return false;
        if (i && s->row[i - 1].sequence == r->sequence && s->row[i - 1].position + 1 != r->position) return false;
        logits += r->logits;
    }
    return logits <= f->c.max_logit_rows;
}

static void region(void *ctx, int self) {
    sl_forward *f = ctx;
    sl__embed(f, self);
    for (int i = 0; i < f->m->hp.layers; i++) sl__block(f, i, self);
    sl__output(f, self);
}

float *sl_forward_run(sl_forward *f, const sl_step *s) {
    assert(fits(f, s));
    f->step = s;
    f->logit_rows = 0;
    if (s->rows < 1) return f->logits;
    for (int r = 0; r < s->rows; r++) {
        if (s->row[r].logits) f->logit_row[f->logit_rows++] = r;
    }
    sl__attend_plan(f);
    if (f->state.slot_bytes) sl__delta_plan(f);
    sl_workers_run(f->c.workers, region, f);
    return f->logits;
}
