#include "experts/residency.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { EXPERTS = 3, ROWS = 100 };

/* A layer whose experts' matrices follow each other from an odd place of `data`: gates, ups, downs. Returns the bytes. */
static size_t lay_out(uint8_t *data, size_t stride, sl_ffn_weights *experts) {
    uint8_t *at = data + 100;
    for (int part = 0; part < 3; part++) {
        for (int i = 0; i < EXPERTS; i++, at += stride * ROWS) {
            sl_matrix w = {at, stride, ROWS, (int)stride / 4, SL_TYPE_F32};
            if (part == 0) experts[i].gate = w;
            else if (part == 1) experts[i].up = w;
            else experts[i].down = w;
        }
    }
    return (size_t)(at - data - 100);
}

START_TEST(counts_bytes_in_memory) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 64 * page;
    uint8_t *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(data, MAP_FAILED);
    ck_assert_int_eq(madvise(data, size, MADV_NOHUGEPAGE), 0);
    sl_ffn_weights experts[EXPERTS];
    memset(experts, 0, sizeof experts);
    size_t bytes = lay_out(data, 200, experts);
    sl_layer layers[2];
    memset(layers, 0, sizeof layers);
    layers[1].experts = experts;
    sl_model m;
    memset(&m, 0, sizeof m);
    m.hp.experts = EXPERTS;
    m.layer = layers;

    sl_residency r = sl_residency_layer(&m, 0); /* dense */
    ck_assert(r.total == 0 && r.resident == 0);
    r = sl_residency_layer(&m, 1);
    ck_assert(r.total == bytes && r.resident == 0);
    data[0] = 1; /* the first page holds 100 bytes before the weights */
    data[2 * page] = 1;
    r = sl_residency_layer(&m, 1);
    ck_assert_int_eq((int)r.resident, (int)(2 * page - 100));
    memset(data, 1, size);
    r = sl_residency_layer(&m, 1);
    ck_assert(r.resident == bytes && r.total == bytes);
    munmap(data, size);
}
END_TEST

int main(void) {
    Suite *s = suite_create("residency");
    TCase *t = tcase_create("residency");
    tcase_add_test(t, counts_bytes_in_memory);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
