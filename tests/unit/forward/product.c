/* The products of a phase: their items write every output once, the same bits as each matrix in one piece. */
#include "forward/internal.h"
#include "random_model.h"

#include <check.h>

enum { ROWS = 7, COLS = 256, MATRICES = 3 };
static const int sizes[MATRICES] = {1000, 40, 130};

START_TEST(items_are_the_whole_product) {
    static const sl_type types[] = {SL_TYPE_F32, SL_TYPE_Q8_0};
    sl_type type = types[_i];
    random_model r = {.arena = sl_arena_new(), .seed = 3};
    sl_matrix w[MATRICES];
    sl__product p[MATRICES];
    float *whole[MATRICES];
    size_t bytes;
    ck_assert(sl_planes_bytes(ROWS * COLS, &bytes));
    sl_planes x = sl_planes_in(sl_arena_alloc(r.arena, SL_MEM_OTHER, bytes), ROWS * COLS, COLS);
    for (int i = 0; i < ROWS * COLS; i++) x.f[i] = random_float(&r);
    for (int i = 0; i < ROWS; i++) sl_planes_quantize(&x, i, 0, COLS);
    sl_acts acts = sl_planes_acts(&x, 0);
    for (int i = 0; i < MATRICES; i++) {
        w[i] = random_matrix(&r, type, sizes[i], COLS);
        p[i] = (sl__product){&w[i], &x, sl_arena_array(r.arena, SL_MEM_OTHER, (size_t)(ROWS * sizes[i]), sizeof(float))};
        whole[i] = sl_arena_array(r.arena, SL_MEM_OTHER, (size_t)(ROWS * sizes[i]), sizeof(float));
    }
    sl__worker worker = {.gemm = aligned_alloc(64, (sl_kernels_scratch(&w[0]) + 64) / 64 * 64)};
    for (int i = 0; i < MATRICES; i++)
        sl_kernels()->gemm[type](&w[i], 0, sizes[i], &acts, NULL, ROWS, whole[i], (size_t)sizes[i], worker.gemm, NULL);
    for (int threads = 1; threads < 100; threads *= 3)
        for (int first = 0; first < MATRICES; first++) {
            int count = MATRICES - first;
            sl_forward f = {.c.threads = threads, .k = sl_kernels(), .worker = &worker};
            for (int i = first; i < MATRICES; i++) memset(p[i].out, 0xff, (size_t)(ROWS * sizes[i]) * sizeof(float)); /* NaN */
            for (int item = sl__product_items(&f, p + first, count) - 1; item >= 0; item--)
                sl__product_item(&f, 0, p + first, count, ROWS, item);
            for (int i = first; i < MATRICES; i++)
                ck_assert_mem_eq(p[i].out, whole[i], (size_t)(ROWS * sizes[i]) * sizeof(float));
        }
    free(worker.gemm);
    sl_arena_free(r.arena);
}
END_TEST

int main(void) {
    sl_error e;
    if (sl_kernels_choose(getenv("SLUICE_TIER"), &e) != SL_OK) return 1;
    Suite *s = suite_create("product");
    TCase *t = tcase_create("product");
    tcase_add_loop_test(t, items_are_the_whole_product, 0, 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
