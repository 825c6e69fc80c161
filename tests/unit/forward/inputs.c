/* What is told of the matrices' inputs (config.multiplied): every row of every matrix once a step, the same ones
 * however the rows are cut and shared among threads; and that telling changes no bit. That the inputs are the right
 * ones is held against transformers by tests/server/test_texts.py. */
#include "forward/forward.h"

#include "random_model.h"

#include <stdio.h>

#include "../run.h"

enum { LENGTH = 40, MOST = 256 };

typedef struct told {
    const sl_matrix *w;
    int rows;
    double sum; /* of squares */
} told;

typedef struct teller {
    told of[MOST];
    int count;
} teller;

static void hear(void *arg, const sl_matrix *w, const float *x, const int32_t *row, int n) {
    teller *t = arg;
    int i = 0;
    while (i < t->count && t->of[i].w != w) i++;
    if (i == t->count) {
        ck_assert_int_lt(t->count, MOST);
        t->of[t->count++] = (told){.w = w};
    }
    for (int r = 0; r < n; r++) {
        const float *v = x + (size_t)(row ? row[r] : r) * (size_t)w->cols;
        for (int k = 0; k < w->cols; k++) t->of[i].sum += (double)v[k] * (double)v[k];
        if (row && r) ck_assert_int_gt(row[r], row[r - 1]);
    }
    t->of[i].rows += n;
}

static const told *find(const teller *t, const sl_matrix *w) {
    for (int i = 0; i < t->count; i++)
        if (t->of[i].w == w) return &t->of[i];
    return NULL;
}

/* The last row's logits [vocab]. */
static float *run(const sl_model *m, int threads, int chunk, teller *t) {
    sl_error e;
    sl_workers *w;
    sl_forward *f;
    int32_t page[(LENGTH + SL_PAGE - 1) / SL_PAGE];
    sl_step_row row[LENGTH];
    const float *logits = NULL;
    for (size_t i = 0; i < sizeof page / sizeof *page; i++) page[i] = (int32_t)i;
    ck_assert_msg(sl_workers_new(threads, 0, &w, &e) == SL_OK, "%s", e.message);
    sl_forward_config c = {.model = m,
                           .workers = w,
                           .threads = threads,
                           .max_rows = chunk,
                           .max_logit_rows = 1,
                           .max_sequences = 1,
                           .ctx = LENGTH,
                           .kv_type = SL_KV_F32,
                           .kv_pages = (int)(sizeof page / sizeof *page),
                           .multiplied = t ? hear : NULL,
                           .multiplied_arg = t};
    ck_assert_msg(sl_forward_new(&c, &f, &e) == SL_OK, "%s", e.message);
    sl_step_sequence sequence = {.page = page};
    for (int at = 0; at < LENGTH; at += chunk) {
        int n = LENGTH - at < chunk ? LENGTH - at : chunk;
        for (int i = 0; i < n; i++) row[i] = (sl_step_row){(at + i) * 7 % m->hp.vocab, at + i, 0, at + i == LENGTH - 1};
        logits = sl_forward_run(f, &(sl_step){row, n, &sequence, 1});
    }
    float *copy = malloc((size_t)m->hp.vocab * sizeof *copy);
    memcpy(copy, logits, (size_t)m->hp.vocab * sizeof *copy);
    sl_forward_free(f);
    sl_workers_free(w);
    return copy;
}

static void every_row(const teller *t, const sl_matrix *w) {
    const told *x = find(t, w);
    ck_assert_ptr_nonnull(x);
    ck_assert_int_eq(x->rows, LENGTH);
    ck_assert_double_gt(x->sum, 0);
}

static void complete(const sl_model *m, const teller *t) {
    if (m->hp.layer_input) every_row(t, &m->own_projection);
    for (int l = 0; l < m->hp.layers; l++) {
        const sl_layer *y = &m->layer[l];
        const sl_matrix *all[] = {&y->q, &y->k, &y->v, &y->o};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (all[i]->data) every_row(t, all[i]);
        const sl_ffn_weights *dense[] = {&y->shared, &y->dense};
        for (size_t i = 0; i < 2; i++)
            if (dense[i]->gate.data) every_row(t, &dense[i]->gate), every_row(t, &dense[i]->up), every_row(t, &dense[i]->down);
        if (y->own_gate.data) every_row(t, &y->own_gate), every_row(t, &y->own_projection);
        if (!y->experts) continue;
        every_row(t, &y->router);
        int rows = 0;
        for (int e = 0; e < m->hp.experts; e++) {
            const told *gate = find(t, &y->experts[e].gate), *up = find(t, &y->experts[e].up),
                       *down = find(t, &y->experts[e].down);
            ck_assert(!gate == !up && !gate == !down);
            if (!gate) continue;
            ck_assert_int_eq(gate->rows, up->rows);
            ck_assert_int_eq(gate->rows, down->rows);
            ck_assert(gate->sum == up->sum);
            rows += gate->rows;
        }
        ck_assert_int_eq(rows, LENGTH * m->hp.experts_used);
    }
}

START_TEST(every_input_once) {
    static const sl_type types[] = {SL_TYPE_Q4_K, SL_TYPE_F32};
    static const struct { int threads, chunk; } ways[] = {{1, 1}, {1, 2}, {3, 2}, {2, 33}, {3, 40}};
    for (size_t i = 0; i < 2 * sizeof types / sizeof *types; i++) {
        sl_hparams hp = random_hparams();
        if (i % 2)
            hp.wiring = SL_WIRING_SANDWICH, hp.dense_beside = hp.value_norm = hp.keyed_values[1] = true, hp.layer_input = 256,
            hp.keys_of[2] = 1;
        random_model *r = random_model_new(&hp, types[i / 2], 5);
        static teller first, other;
        first = (teller){0};
        float *want = run(&r->m, 1, LENGTH, NULL);
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
            teller *t = way ? &other : &first;
            *t = (teller){0};
            float *got = run(&r->m, ways[way].threads, ways[way].chunk, t);
            ck_assert_mem_eq(got, want, (size_t)r->m.hp.vocab * sizeof *got);
            complete(&r->m, t);
            ck_assert_int_eq(t->count, first.count);
            for (int k = 0; k < t->count; k++) {
                const told *x = find(&first, t->of[k].w);
                ck_assert(x && x->rows == t->of[k].rows);
                ck_assert_double_le(fabs(x->sum - t->of[k].sum), 1e-9 * x->sum); /* the same squares in another order */
            }
            free(got);
        }
        free(want);
        random_model_free(r);
    }
}
END_TEST

int main(void) { return RUN_TESTS("forward/inputs", 120, every_input_once); }
