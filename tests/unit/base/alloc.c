#include "base/alloc.h"

#include <stdint.h>
#include <string.h>

#include "../run.h"

START_TEST(test_sizes) {
    char *p = sl_calloc(3, 5);
    for (int i = 0; i < 15; i++) ck_assert_int_eq(p[i], 0);
    p = sl_realloc(p, 100, 10);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(sl_realloc(p, SIZE_MAX / 2, 3)); /* p lives on */
    ck_assert_ptr_null(sl_calloc(SIZE_MAX / 2, 3));
    sl_free(p);
    for (size_t align = 1; align <= 4096; align *= 2) {
        void *q = sl_aligned(align, 100);
        ck_assert_ptr_nonnull(q);
        ck_assert_uint_eq((uintptr_t)q % align, 0);
        sl_free(q);
    }
    char *s = sl_strndup("a\0bc", 3);
    ck_assert_mem_eq(s, "a\0b", 4);
    sl_free(s);
    s = sl_strdup("text");
    ck_assert_str_eq(s, "text");
    sl_free(s);
    ck_assert_ptr_null(sl_strndup("", SIZE_MAX));
    void *zero = sl_malloc(0);
    ck_assert_ptr_nonnull(zero);
    sl_free(zero);
    sl_free(NULL);
}
END_TEST

START_TEST(test_failure) {
    sl_alloc_fail_at(2);
    void *p = sl_malloc(1), *q = sl_malloc(1), *r = sl_malloc(1);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(q);
    ck_assert_ptr_nonnull(r); /* only the one */
    ck_assert_int_eq(sl_alloc_fail_at(0), 3);
    ck_assert_int_eq(sl_alloc_fail_at(1), 0);
    ck_assert_ptr_null(sl_strdup("x"));
    sl_alloc_fail_at(0);
    sl_free(p);
    sl_free(r);
}
END_TEST

int main(void) {
    return RUN_TESTS("base/alloc", 30, test_sizes, test_failure);
}
