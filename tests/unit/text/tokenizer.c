#include "fixture.h"

#include <time.h>

static const char *const kinds[] = {"gpt2", "llama3", "qwen2", "olmo", "smollm", "o200k", "flags", "mixtral", "gemma", "metaspace"};

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A megabyte of one thing and a letter after it, which makes a pattern that looks ahead go back. The bound is coarse: on an
 * idle core the slowest takes half a second. */
START_TEST(test_megabytes) {
    static const char *const things[] = {"a", " ", "\n", "\u0301", "\u0316\u0301", "\xFF", "1", "▁", "x \n", "'", "<|endoftext", "  z"};
    static const char *const slow_kinds[] = {"llama3", "qwen2", "smollm", "mixtral"};
    const size_t size = 1 << 20;
    sl_tokenizer *t = open_hf(slow_kinds[_i]);
    char *text = malloc(size + 1);
    for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
        size_t len = 0, n = strlen(things[i]);
        for (; len + n <= size; len += n) memcpy(text + len, things[i], n);
        text[len++] = 'z';
        sl_ids ids = {0};
        sl_error e = {0};
        double start = cpu_seconds();
        ck_assert_msg(sl_tokenizer_encode(t, text, len, SL_MARKUP, true, SIZE_MAX, &ids, &e) == SL_OK, "%s", e.message);
        ck_assert_msg(cpu_seconds() - start < 10, "%s: a megabyte of \"%s\" takes %.1f s", slow_kinds[_i], things[i], cpu_seconds() - start);
        sl_free(ids.id);
    }
    free(text);
    sl_tokenizer_free(t);
}
END_TEST

START_TEST(test_most) {
    sl_tokenizer *t = open_hf("llama3");
    sl_ids ids = {0};
    sl_error e = {0};
    ck_assert_int_eq(sl_tokenizer_encode(t, "the quick", 9, SL_CONTENT, true, SIZE_MAX, &ids, &e), SL_OK);
    size_t n = ids.count;
    ck_assert_int_eq(sl_tokenizer_encode(t, "the quick", 9, SL_CONTENT, true, n, &ids, &e), SL_OK);
    ck_assert_uint_eq(ids.count, 2 * n);
    ck_assert_int_eq(sl_tokenizer_encode(t, "the quick", 9, SL_CONTENT, true, n - 1, &ids, &e), SL_TOO_LONG);
    ck_assert_uint_eq(ids.count, 2 * n);
    ck_assert_int_eq(sl_tokenizer_encode(t, "", 0, SL_CONTENT, true, 0, &ids, &e), SL_TOO_LONG); /* the one around it */
    ck_assert_int_eq(sl_tokenizer_encode(t, NULL, 0, SL_CONTENT, false, 0, &ids, &e), SL_OK);
    ck_assert_uint_eq(ids.count, 2 * n);
    sl_free(ids.id);
    sl_tokenizer_free(t);
}
END_TEST

/* Promise 6 */
START_TEST(test_content_is_never_control) {
    sl_tokenizer *t = open_hf(kinds[_i]);
    for (int id = 0; id < sl_tokenizer_count(t); id++) {
        if (!sl_tokenizer_special(t, id)) continue;
        sl_buffer text = {0};
        sl_ids ids = {0};
        sl_tokenizer_piece(t, id, &text);
        sl_buffer_puts(&text, " and ");
        sl_tokenizer_piece(t, id, &text);
        ck_assert_int_eq(sl_tokenizer_encode(t, text.data, text.len, SL_CONTENT, false, 999, &ids, NULL), SL_OK);
        for (size_t i = 0; i < ids.count; i++) ck_assert(!sl_tokenizer_special(t, ids.id[i]));
        ids.count = 0;
        ck_assert_int_eq(sl_tokenizer_encode(t, text.data, text.len, SL_MARKUP, false, 999, &ids, NULL), SL_OK);
        ck_assert(ids.id[0] == id || ids.id[1] == id);
        ck_assert_int_eq(sl_tokenizer_special_id(t, text.data, (text.len - 5) / 2), id);
        ck_assert_int_eq(sl_tokenizer_special_id(t, text.data, text.len), -1);
        ck_assert_int_eq(sl_tokenizer_special_id(t, text.data, 1), -1);
        sl_free(ids.id);
        sl_buffer_done(&text);
    }
    sl_tokenizer_free(t);
}
END_TEST

/* Every allocation fails once, while opening and while encoding. */
START_TEST(test_out_of_memory) {
    size_t len;
    sl_error e = {0};
    char file[100];
    snprintf(file, sizeof file, "%s.json", kinds[_i]);
    char *text = read_reference(file, &len);
    sl_vocab_source v = {.tokenizer_json = text, .tokenizer_json_len = len, .origin = "test"};
    sl_status s = SL_NOMEM;
    for (long n = 1; s != SL_OK; n++) {
        sl_tokenizer *t = NULL;
        sl_ids ids = {0};
        sl_alloc_fail_at(n);
        s = sl_tokenizer_open(&v, &t, &e);
        if (s == SL_OK)
            s = sl_tokenizer_encode(t, "caf\u00e9 <|endoftext|> e\u0301 \xff the quick brown fox jumps", 46, SL_MARKUP, true, 999,
                                    &ids, &e);
        sl_alloc_fail_at(0);
        ck_assert_msg(s == SL_OK || s == SL_NOMEM, "%ld: %s", n, e.message);
        ck_assert(s == SL_OK || ids.count == 0);
        ck_assert_int_lt(n, 1000);
        sl_free(ids.id);
        sl_tokenizer_free(t);
    }
    free(text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tokenizer");
    TCase *c = tcase_create("tokenizer");
    int count = sizeof kinds / sizeof *kinds;
    tcase_set_timeout(c, 200);
    tcase_add_loop_test(c, test_megabytes, 0, 4);
    tcase_add_test(c, test_most);
    tcase_add_loop_test(c, test_content_is_never_control, 0, count);
    tcase_add_loop_test(c, test_out_of_memory, 0, count);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
