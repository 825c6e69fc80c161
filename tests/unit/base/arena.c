#include "base/alloc.h"
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "../run.h"

static int all_bytes_are(const unsigned char *p, size_t n, int value) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != (unsigned char)value) return 0;
    return 1;
}

START_TEST(test_blocks) {
    enum { BLOCKS = 300 };
    sl_arena *a = sl_arena_new();
    unsigned char *block[BLOCKS];
    size_t size[BLOCKS], least = 0;
    for (int i = 0; i < BLOCKS; i++) {
        size[i] = (size_t)(i * i * 7 % 40000);
        block[i] = sl_arena_alloc(a, SL_MEM_KV, size[i]);
        ck_assert_uint_eq((uintptr_t)block[i] % 64, 0);
        ck_assert(all_bytes_are(block[i], size[i], 0));
        if (size[i]) memset(block[i], i, size[i]);
        least += size[i];
    }
    for (int i = 0; i < BLOCKS; i++) /* none overlaps another */
        ck_assert(all_bytes_are(block[i], size[i], i));
    ck_assert_uint_ge(sl_arena_used(a, SL_MEM_KV), least);
    ck_assert_uint_lt(sl_arena_used(a, SL_MEM_KV), least + 65 * BLOCKS);
    ck_assert_uint_eq(sl_arena_used(a, SL_MEM_OTHER), 0);
    ck_assert_str_eq(sl_arena_copy(a, SL_MEM_OTHER, "abcdef", 3), "abc");
    ck_assert_str_eq(sl_mem_name(SL_MEM_KV), "kv pages");
    ck_assert_ptr_null(sl_arena_free(a));
    ck_assert_ptr_null(sl_arena_free(NULL));
}
END_TEST

START_TEST(test_refusal) {
    sl_arena *a = sl_arena_new();
    ck_assert_ptr_null(sl_arena_array(a, SL_MEM_KV, SIZE_MAX / 4, 5));
    ck_assert_ptr_null(sl_arena_alloc(a, SL_MEM_KV, SIZE_MAX));
    ck_assert_ptr_null(sl_arena_alloc(a, SL_MEM_KV, SIZE_MAX - 70));
    ck_assert_ptr_null(sl_arena_copy(a, SL_MEM_KV, "", SIZE_MAX));
    sl_alloc_fail_at(1);
    ck_assert_ptr_null(sl_arena_alloc(a, SL_MEM_KV, 10));
    ck_assert_ptr_nonnull(sl_arena_alloc(a, SL_MEM_KV, 10));
    sl_alloc_fail_at(1);
    ck_assert_ptr_null(sl_arena_alloc(a, SL_MEM_KV, 1 << 20));
    sl_alloc_fail_at(0);
    ck_assert_uint_eq(sl_arena_used(a, SL_MEM_KV), 64);
    sl_arena_free(a);
    sl_alloc_fail_at(1);
    ck_assert_ptr_null(sl_arena_new());
    sl_alloc_fail_at(0);
}
END_TEST

int main(void) {
    return RUN_TESTS("base/arena", 30, test_blocks, test_refusal);
}
