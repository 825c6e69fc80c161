/* Attention over pages: the plan of a step, and its results against double precision. */
#include "forward/internal.h"
#include "random_model.h"

#include "../quiet.h"

enum { CTX = 3000, MOST_ROWS = 96, SEQUENCES = 12, PAGES_A_SEQUENCE = (CTX + SL_PAGE - 1) / SL_PAGE };

typedef struct rig {
    random_model *r;
    sl_workers *w;
    sl_forward *f;
    sl_step step;
    sl_step_row row[MOST_ROWS];
    sl_step_sequence sequence[SEQUENCES];
    int32_t page[SEQUENCES][PAGES_A_SEQUENCE];
} rig;

static rig *rig_new(int heads, int kv_heads, int threads, int sequences, int window) {
    rig *g = calloc(1, sizeof *g);
    sl_hparams hp = {.vocab = 4, .context = CTX, .width = 32, .layers = 2, .ff = 32, .norm_eps = 1e-5f, .rope_dims = 32,
                     .rope_theta = 10000, .rope_attention = 1, .window = {0, window}};
    sl_error e;
    sl_hparams_heads(&hp, heads, kv_heads, 32);
    g->r = random_model_new(&hp, SL_TYPE_F32, 5);
    ck_assert(sl_workers_new(threads, 0, &g->w, &e) == SL_OK);
    sl_forward_config c = {.model = &g->r->m, .workers = g->w, .threads = threads, .max_rows = MOST_ROWS, .max_logit_rows = 1,
                           .max_sequences = sequences, .ctx = CTX, .kv_type = SL_KV_F32, .kv_pages = sequences * PAGES_A_SEQUENCE};
    ck_assert_msg(sl_forward_new(&c, &g->f, &e) == SL_OK, "%s", e.message);
    for (int s = 0; s < sequences; s++) {
        for (int p = 0; p < PAGES_A_SEQUENCE; p++) g->page[s][p] = p * sequences + s;
        g->sequence[s].page = g->page[s];
    }
    g->step = (sl_step){g->row, 0, g->sequence, sequences};
    g->f->step = &g->step;
    return g;
}

static void rig_free(rig *g) {
    sl_forward_free(g->f);
    sl_workers_free(g->w);
    random_model_free(g->r);
    free(g);
}

static void add_rows(rig *g, int sequence, int first, int count) {
    for (int i = 0; i < count; i++) g->row[g->step.rows++] = (sl_step_row){.position = first + i, .sequence = sequence};
}

static int spans(int pages) { return (pages + SL_SPAN_PAGES - 1) / SL_SPAN_PAGES; }

/* Chunks are the rows in order; each has its own items, and its own places if it is cut; no item that could be cut has more
 * than a quarter of a thread's share, unless there is no place left. */
static void check_plan(const rig *g, int layer) {
    const sl__attention_plan *a = sl__plan_of(g->f, layer);
    int window = g->r->m.hp.window[layer];
    int kv_heads = a->kv_heads, row = 0, item = 0, partial = 0, counter = 0;
    int64_t work = 0;
    sl__attend_plan(g->f);
    for (int i = 0; i < a->chunks; i++) work += (int64_t)a->chunk[i].rows * (a->chunk[i].pages - a->chunk[i].first_page) * kv_heads;
    for (int i = 0; i < a->chunks; i++) {
        const sl__chunk *c = &a->chunk[i];
        ck_assert_int_eq(c->row, row);
        ck_assert_int_eq(c->first_item, item);
        ck_assert(c->rows >= 1 && c->rows * a->group <= a->queries);
        for (int r = 1; r < c->rows; r++) ck_assert_int_eq(g->row[row + r].sequence, g->row[row].sequence);
        int position = g->row[row].position, first = window && position >= window ? position - window + 1 : 0;
        row += c->rows;
        item += kv_heads * c->parts;
        ck_assert_int_eq(c->pages, g->row[row - 1].position / SL_PAGE + 1);
        ck_assert_int_eq(c->first_page, first / SL_PAGE);
        ck_assert_int_eq(c->first_span, first / (SL_PAGE * SL_SPAN_PAGES));
        ck_assert_int_eq(c->spans, spans(c->pages) - c->first_span);
        ck_assert(c->parts >= 1 && c->parts <= c->spans);
        if (c->parts > 1) {
            ck_assert(c->partial == partial && c->counter == counter);
            partial += c->rows * c->spans;
            counter += kv_heads;
        } else if (c->spans > 1 && partial + c->rows * c->spans <= a->max_partials) {
            ck_assert((int64_t)c->rows * (c->pages - c->first_page) * 4 * g->f->c.threads <= work);
        }
    }
    ck_assert_int_eq(row, g->step.rows);
    ck_assert_int_eq(item, a->items);
    ck_assert_int_le(partial, a->max_partials);
    ck_assert_int_le(counter, a->max_counters);
}

START_TEST(plan_covers_the_step) {
    static const struct { int heads, kv_heads, threads; } shapes[] = {{4, 4, 1}, {8, 2, 2}, {8, 1, 8}, {16, 4, 16}, {128, 1, 3}};
    rig *g = rig_new(shapes[_i].heads, shapes[_i].kv_heads, shapes[_i].threads, SEQUENCES, 700);
    random_model *r = g->r;
    for (int trial = 0; trial < 300; trial++) {
        int room = MOST_ROWS;
        g->step.rows = 0;
        for (int s = 0; s < SEQUENCES && room > 0; s++) {
            int rows = random_bits(r) % 3 ? 1 : 1 + (int)(random_bits(r) % 90);
            int first = (int)(random_bits(r) % (trial % 2 ? CTX - 90 : 300));
            if (rows > room) rows = room;
            add_rows(g, s, first, rows);
            room -= rows;
        }
        for (int layer = 0; layer < 2; layer++) check_plan(g, layer);
    }
    rig_free(g);
}
END_TEST

/* A row that is alone is cut wherever it sees more than one span, so its partial results have their place; and a window asks for
 * no more than it sees. */
START_TEST(a_lone_row_is_cut) {
    static const int windows[] = {0, 1, 2, 255, 256, 257, 258, 700, 2999, 5000};
    int window = windows[_i];
    rig *g = rig_new(4, 2, 4, 1, window);
    for (int position = 0; position < CTX; position++) {
        g->step.rows = 0;
        add_rows(g, 0, position, 1);
        for (int layer = 0; layer < 2; layer++) {
            check_plan(g, layer);
            const sl__chunk *c = sl__plan_of(g->f, layer)->chunk;
            ck_assert_msg(c->spans == 1 || c->parts > 1, "window %d, position %d: %d spans", window, position, c->spans);
        }
    }
    int whole = sl__plan_of(g->f, 0)->max_partials, own = sl__plan_of(g->f, 1)->max_partials;
    if (window && window <= 700) ck_assert_int_lt(own, whole / 2);
    else ck_assert_int_eq(own, whole);
    rig_free(g);
}
END_TEST

/* Writes random keys and values of positions 0 … count - 1, kept as doubles too: [count][kv_heads][head_dim]. */
static void fill_pages(rig *g, int sequence, int layer, int count, double *keys, double *values) {
    const sl_forward *f = g->f;
    int d = f->m->hp.head_dim[0], kv_heads = f->m->hp.kv_heads[0];
    for (int p = 0; p < count; p++)
        for (int h = 0; h < kv_heads; h++) {
            float k[32], v[32];
            size_t at = ((size_t)p * (size_t)kv_heads + (size_t)h) * (size_t)d;
            for (int j = 0; j < d; j++) {
                keys[at + (size_t)j] = (double)(k[j] = random_float(g->r));
                values[at + (size_t)j] = (double)(v[j] = random_float(g->r));
            }
            f->k->kv_store[f->kv.type](k, v, d, p % SL_PAGE, sl_kv_head(&f->kv, g->page[sequence][p / SL_PAGE], layer, h));
        }
}

/* out [head_dim]: softmax over positions first … last of one query, in double precision. */
static void exact(const rig *g, const float *q, int kv_head, int first, int last, const double *keys, const double *values, double *out) {
    int d = g->f->m->hp.head_dim[0], kv_heads = g->f->m->hp.kv_heads[0];
    double *score = malloc((size_t)(last + 1) * sizeof *score), most = -INFINITY, total = 0;
    for (int p = first; p <= last; p++) {
        const double *k = keys + ((size_t)p * (size_t)kv_heads + (size_t)kv_head) * (size_t)d;
        score[p] = 0;
        for (int j = 0; j < d; j++) score[p] += (double)q[j] * k[j] / sqrt(d);
        most = fmax(most, score[p]);
    }
    for (int p = first; p <= last; p++) total += score[p] = exp(score[p] - most);
    for (int j = 0; j < d; j++) out[j] = 0;
    for (int p = first; p <= last; p++)
        for (int j = 0; j < d; j++)
            out[j] += score[p] / total * values[((size_t)p * (size_t)kv_heads + (size_t)kv_head) * (size_t)d + (size_t)j];
    free(score);
}

/* A long context cut into parts, and rows of a prompt beside it; items from the last to the first. With windows that begin and end
 * inside pages and spans, and at their borders. */
START_TEST(is_softmax_over_what_a_row_sees) {
    enum { LONG = CTX - 1, LAYER = 1 };
    static const int windows[] = {0, 0, 1, 20, 33, 256, 372, 2900, 1500};
    int window = windows[_i];
    rig *g = rig_new(4, 2, 1 + 3 * (_i % 2), 2, window);
    sl_forward *f = g->f;
    int d = f->m->hp.head_dim[0], heads = f->m->hp.heads[0];
    size_t room = (size_t)CTX * (size_t)(f->m->hp.kv_heads[0] * d);
    double *keys[2], *values[2];
    for (int s = 0; s < 2; s++) {
        keys[s] = malloc(room * sizeof(double));
        values[s] = malloc(room * sizeof(double));
        fill_pages(g, s, LAYER, s ? 400 : LONG + 1, keys[s], values[s]);
    }
    add_rows(g, 0, LONG, 1);
    add_rows(g, 1, 350, _i % 2 ? 50 : 3);
    for (int i = 0; i < g->step.rows * heads * d; i++) f->q[i] = 2 * random_float(g->r);
    check_plan(g, LAYER);
    if (!window || window >= 1500) ck_assert_int_gt(sl__plan_of(f, LAYER)->chunk[0].parts, 1); /* it sees many spans */
    for (int item = sl__plan_of(f, LAYER)->items - 1; item >= 0; item--) sl__attend_item(f, LAYER, 0, item);
    double worst = 0;
    for (int row = 0; row < g->step.rows; row++)
        for (int h = 0; h < heads; h++) {
            double want[32];
            int s = g->row[row].sequence;
            size_t at = (size_t)(row * heads + h) * (size_t)d;
            int last = g->row[row].position;
            exact(g, f->q + at, h / sl__plan_of(f, LAYER)->group, window && last >= window ? last - window + 1 : 0, last, keys[s], values[s], want);
            for (int j = 0; j < d; j++) worst = fmax(worst, fabs((double)f->a.f[at + (size_t)j] - want[j]));
        }
    ck_assert_msg(worst < 2e-5, "off by %g", worst);
    for (int i = 0; i < sl__plan_of(f, LAYER)->max_counters; i++) ck_assert_int_eq(atomic_load(&f->attention.counter[i]), 0);
    for (int s = 0; s < 2; s++) free(keys[s]), free(values[s]);
    rig_free(g);
}
END_TEST

int main(void) {
    sl_error e;
    if (sl_kernels_choose(getenv("SLUICE_TIER"), &e) != SL_OK) return 1;
    Suite *s = suite_create("attention");
    TCase *t = tcase_create("attention");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, plan_covers_the_step, 0, 5);
    tcase_add_loop_test(t, a_lone_row_is_cut, 0, 10);
    tcase_add_loop_test(t, is_softmax_over_what_a_row_sees, 0, 9);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
