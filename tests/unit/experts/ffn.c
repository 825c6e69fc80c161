/* The feed-forward networks of a layer: against double precision, and the same bits whatever the cut into items. */
#include "experts/ffn.h"

#include "../forward/random_model.h"

#include <check.h>

enum { EXPERTS = 5, USED = 2, WIDTH = 256, FF = 512, ROWS = 200 };

typedef struct rig {
    random_model random; /* arena and seed alone are used */
    sl_ffn_weights experts[EXPERTS], shared;
    int32_t expert[ROWS * USED];
    float weight[ROWS * USED], shared_weight[ROWS];
    sl_planes x; /* [ROWS][WIDTH] */
    bool weighs_input;
} rig;

static sl_planes planes_new(random_model *r, size_t values, int cols) {
    size_t bytes;
    ck_assert(sl_planes_bytes(values, &bytes));
    return sl_planes_in(sl_arena_alloc(r->arena, SL_MEM_OTHER, bytes), values, cols);
}

static rig *rig_new(sl_type type, bool weighs_input) {
    rig *g = calloc(1, sizeof *g);
    g->weighs_input = weighs_input;
    random_model *r = &g->random;
    r->arena = sl_arena_new();
    r->seed = 5;
    for (int e = 0; e < EXPERTS; e++) g->experts[e] = random_ffn(r, type, WIDTH, FF);
    g->shared = random_ffn(r, type, WIDTH, FF / 2);
    g->x = planes_new(r, (size_t)ROWS * WIDTH, WIDTH);
    for (int i = 0; i < ROWS * WIDTH; i++) g->x.f[i] = random_float(r);
    for (int row = 0; row < ROWS; row++) {
        sl_planes_quantize(&g->x, row, 0, WIDTH);
        /* Most rows choose expert 0; nobody chooses 3. */
        int second = row % 4 == 0 ? 4 : 1 + row % 2;
        g->expert[row * USED] = row % 8 == 7 ? 1 : 0;
        g->expert[row * USED + 1] = row % 8 == 7 ? 2 : second;
        for (int i = 0; i < USED; i++) g->weight[row * USED + i] = 0.3f + 0.2f * random_float(r);
        g->shared_weight[row] = 0.5f;
    }
    return g;
}

static void rig_free(rig *g) {
    sl_arena_free(g->random.arena);
    free(g);
}

/* Rows [first, first + rows) of the rig in a step of their own, items in ascending or descending order: y [rows][WIDTH]. */
static float *compute(rig *g, int first, int rows, int threads, bool descending, sl_expert_stats *stats) {
    random_model *r = &g->random;
    sl_hparams hp = {.experts = EXPERTS, .experts_used = USED, .expert_ff = FF, .shared_ff = FF / 2, .ff = FF};
    sl_group group[EXPERTS + 1];
    int first_item[EXPERTS + 2];
    int32_t next[EXPERTS], *row = sl_arena_array(r->arena, SL_MEM_OTHER, ROWS * (USED + 1), sizeof *row);
    for (int i = 0; i < rows; i++) row[rows * USED + i] = i;
    sl_groups groups = {.group = group, .row = row, .weight = sl_arena_array(r->arena, SL_MEM_OTHER, ROWS * USED, sizeof(float)),
                        .next = next, .max_rows = rows, .used = USED, .experts = EXPERTS, .h_room = sl_groups_h_room(&hp, rows)};
    groups.h = planes_new(r, groups.h_room, 0);
    sl_planes x = sl_planes_part(&g->x, (size_t)first * WIDTH, WIDTH);
    float *y = malloc((size_t)rows * WIDTH * sizeof *y);
    sl_ffn f = {.groups = &groups, .x = &x, .y = y, .width = WIDTH, .threads = threads, .stats = stats, .rows = rows,
                .first_item = first_item, .weighs_input = g->weighs_input};
    sl_groups_reset(&groups);
    sl_groups_route(&groups, g->experts, rows, g->expert + first * USED, g->weight + first * USED);
    sl_groups_all(&groups, &g->shared, rows, g->shared_weight);
    sl_ffn_plan(&f);
    float *scratch = malloc(SL_FFN_SCRATCH * sizeof *scratch);
    size_t gemm_bytes = sl_kernels_scratch(&g->experts[0].down);
    void *gemm = gemm_bytes ? aligned_alloc(64, (gemm_bytes + 63) / 64 * 64) : NULL;
    for (int n = sl_ffn_up_items(&f), i = 0; i < n; i++) sl_ffn_up(&f, 0, descending ? n - 1 - i : i, scratch, gemm);
    for (int n = sl_ffn_down_items(&f), i = 0; i < n; i++) sl_ffn_down(&f, 0, descending ? n - 1 - i : i, scratch, gemm);
    free(scratch);
    free(gemm);
    return y;
}

/* sum += weight * down(silu(gate a x) * up a x) in double precision, a being a weight on the input. */
static void add_exactly(const sl_ffn_weights *w, const float *x, double a, double weight, double *sum) {
    float values[FF > WIDTH ? FF : WIDTH];
    double h[FF];
    for (int i = 0; i < w->gate.rows; i++) {
        double part[2] = {0, 0};
        for (int k = 0; k < 2; k++) {
            const sl_matrix *m = k ? &w->up : &w->gate;
            sl_matrix_widen(m, i, values);
            for (int j = 0; j < WIDTH; j++) part[k] += (double)values[j] * (a * (double)x[j]);
        }
        h[i] = part[0] / (1 + exp(-part[0])) * part[1];
    }
    for (int i = 0; i < WIDTH; i++) {
        double y = 0;
        sl_matrix_widen(&w->down, i, values);
        for (int j = 0; j < w->down.cols; j++) y += (double)values[j] * h[j];
        sum[i] += weight * y;
    }
}

/* Weights on the inputs as in transformers 5.24, Llama4TextMoe.forward: an expert gets its score times the row, what the experts give is
 * added as it is, and the shared expert gets the row itself. */
static const struct { sl_type type; double error; bool weighs_input; } types[] = {
    {SL_TYPE_F32, 1e-6, false}, {SL_TYPE_BF16, 1e-6, false}, {SL_TYPE_Q8_0, 0.02, false}, {SL_TYPE_Q4_K, 0.02, false},
    {SL_TYPE_MXFP4_PLANES, 0.02, false}, {SL_TYPE_F32, 1e-6, true}, {SL_TYPE_Q8_0, 0.02, true}}; /* of rounding activations */
enum { TYPES = sizeof types / sizeof types[0] };

START_TEST(is_what_double_precision_says) {
    rig *g = rig_new(types[_i].type, types[_i].weighs_input);
    float *y = compute(g, 0, ROWS, 2, false, NULL);
    double error = 0, square = 0;
    for (int row = 0; row < ROWS; row += 13) {
        double want[WIDTH] = {0};
        const float *x = sl_planes_row(&g->x, row);
        for (int i = 0; i < USED; i++) {
            double weight = (double)g->weight[row * USED + i];
            add_exactly(&g->experts[g->expert[row * USED + i]], x, g->weighs_input ? weight : 1, g->weighs_input ? 1 : weight, want);
        }
        add_exactly(&g->shared, x, 1, 0.5, want);
        for (int i = 0; i < WIDTH; i++) {
            error += pow((double)y[row * WIDTH + i] - want[i], 2);
            square += want[i] * want[i];
        }
    }
    ck_assert_msg(sqrt(error / square) < types[_i].error, "off by %g", sqrt(error / square));
    free(y);
    rig_free(g);
}
END_TEST

/* Threads decide how long ranges are; other rows, in which groups and blocks a row is. None changes a bit. */
START_TEST(same_bits_whatever_the_cut) { /* Promise 1 */
    rig *g = rig_new(types[_i].type, types[_i].weighs_input);
    float *whole = compute(g, 0, ROWS, 1, false, NULL);
    for (int threads = 1; threads <= 64; threads *= 4) {
        float *y = compute(g, 0, ROWS, threads, threads > 1, NULL);
        ck_assert_mem_eq(y, whole, sizeof(float) * ROWS * WIDTH);
        free(y);
    }
    for (int first = 0, n = 1; first + n <= ROWS; first += n, n = n * 3 + 1) {
        float *y = compute(g, first, n, 3, false, NULL);
        ck_assert_mem_eq(y, whole + first * WIDTH, sizeof(float) * (size_t)n * WIDTH);
        free(y);
    }
    free(whole);
    rig_free(g);
}
END_TEST

/* Items cover every group's ff, in order; ranges are multiples of SL_PANEL. */
START_TEST(items_cover_every_group) {
    sl_ffn_weights w[3] = {{.down.cols = 96}, {.down.cols = 1000}, {.down.cols = 64}};
    for (int threads = 1; threads <= 64; threads *= 4)
        for (int n = 1; n < 1000; n = 5 * n + 1) {
            sl_group group[3];
            int first_item[4];
            for (int i = 0; i < 3; i++) group[i] = (sl_group){.w = &w[i], .expert = i, .n = n, .h.cols = w[i].down.cols};
            sl_groups groups = {.group = group, .count = 3};
            sl_ffn f = {.groups = &groups, .width = 1000, .threads = threads, .first_item = first_item};
            sl_ffn_plan(&f);
            ck_assert_int_eq(f.up_range % SL_PANEL, 0);
            ck_assert_int_eq(f.down_range % SL_PANEL, 0);
            ck_assert(f.up_range > 0 && f.down_range > 0);
            ck_assert_int_eq(first_item[0], 0);
            ck_assert_int_eq(sl_ffn_up_items(&f), first_item[3]);
            for (int i = 0; i < 3; i++)
                ck_assert_int_eq(first_item[i + 1] - first_item[i], (w[i].down.cols + f.up_range - 1) / f.up_range);
            int down = sl_ffn_down_items(&f) * f.down_range;
            ck_assert(down >= 1000 && down - f.down_range < 1000);
        }
}
END_TEST

/* Routed experts are counted, the shared one is not. */
START_TEST(counts_what_ran) {
    rig *g = rig_new(SL_TYPE_F32, false);
    sl_expert_stats *stats;
    sl_error e;
    ck_assert(sl_expert_stats_new(1, EXPERTS, 1, NULL, &stats, &e) == SL_OK);
    free(compute(g, 0, 8, 1, false, stats));
    sl_expert_stats_fold(stats);
    static const int want[EXPERTS] = {7, 3, 4, 0, 2};
    for (int i = 0; i < EXPERTS; i++) {
        sl_expert_totals t = sl_expert_stats_get(stats, 0, i);
        ck_assert_int_eq((int)t.tokens, want[i]);
        ck_assert_int_eq((int)t.groups, want[i] > 0);
        ck_assert((t.compute > 0) == (want[i] > 0));
    }
    sl_expert_stats_free(stats);
    rig_free(g);
}
END_TEST

START_TEST(who_reads_quantised_activations) {
    sl_ffn_weights w = {.gate.type = SL_TYPE_F32, .up.type = SL_TYPE_F16, .down.type = SL_TYPE_Q8_0};
    ck_assert(!sl_ffn_quantised(&w));
    w.up.type = SL_TYPE_Q4_K;
    ck_assert(sl_ffn_quantised(&w));
}
END_TEST

int main(void) {
    sl_error e;
    if (sl_kernels_choose(getenv("SLUICE_TIER"), &e) != SL_OK) return 1;
    Suite *s = suite_create("ffn");
    TCase *t = tcase_create("ffn");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, is_what_double_precision_says, 0, TYPES);
    tcase_add_loop_test(t, same_bits_whatever_the_cut, 0, TYPES);
    tcase_add_test(t, items_cover_every_group);
    tcase_add_test(t, counts_what_ran);
    tcase_add_test(t, who_reads_quantised_activations);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
