/* Logits are computed for the rows that want them, in the order of rows, and do not depend on which others do. */
#include "forward/forward.h"
#include "random_model.h"

#include <check.h>

enum { ROWS = 12 };

/* One step over two sequences of 5 and 7 rows; wanted: bit r for row r. Returns the logits [wanted rows][vocab]. */
static float *step(const random_model *r, unsigned wanted, int max_logit_rows, int threads) {
    static const int32_t page[2] = {1, 0};
    sl_step_row row[ROWS];
    sl_step_sequence sequence[2] = {{.page = page}, {.page = page + 1}};
    sl_workers *w;
    sl_forward *f;
    sl_error e;
    int count = __builtin_popcount(wanted);
    for (int i = 0; i < ROWS; i++)
        row[i] = (sl_step_row){i * 37 % r->m.hp.vocab, i < 5 ? i : i - 5, i >= 5, wanted >> i & 1};
    ck_assert(sl_workers_new(threads, 0, &w, &e) == SL_OK);
    sl_forward_config c = {.model = &r->m, .workers = w, .threads = threads, .max_rows = ROWS, .max_logit_rows = max_logit_rows,
                           .max_sequences = 2, .ctx = 32, .kv_type = SL_KV_I16, .kv_pages = 2};
    ck_assert_msg(sl_forward_new(&c, &f, &e) == SL_OK, "%s", e.message);
    size_t bytes = (size_t)(count * r->m.hp.vocab) * sizeof(float);
    float *logits = malloc(bytes + 1);
    memcpy(logits, sl_forward_run(f, &(sl_step){row, ROWS, sequence, 2}), bytes);
    sl_forward_free(f);
    sl_workers_free(w);
    return logits;
}

START_TEST(any_rows_may_want_logits) { /* Promise 1 */
    static const sl_type types[] = {SL_TYPE_F16, SL_TYPE_Q8_0};
    static const unsigned wanted[] = {0x001, 0x800, 0x810, 0x410, 0x07e, 0xaaa, 0x000};
    sl_hparams hp = random_hparams();
    random_model *r = random_model_new(&hp, types[_i], 4);
    size_t vocab = (size_t)hp.vocab;
    float *all = step(r, 0xfff, ROWS, 1);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        int count = __builtin_popcount(wanted[i]);
        float *some = step(r, wanted[i], count ? count : 1, 1 + (int)i % 3);
        for (int row = 0, at = 0; row < ROWS; row++) {
            if (!(wanted[i] >> row & 1)) continue;
            ck_assert_msg(!memcmp(some + (size_t)at * vocab, all + (size_t)row * vocab, vocab * sizeof(float)),
                          "rows %x: row %d has other logits", wanted[i], row);
            at++;
        }
        free(some);
    }
    free(all);
    random_model_free(r);
}
END_TEST

int main(void) {
    sl_error e;
    if (sl_kernels_choose(getenv("SLUICE_TIER"), &e) != SL_OK) return 1;
    Suite *s = suite_create("output");
    TCase *t = tcase_create("output");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, any_rows_may_want_logits, 0, 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
