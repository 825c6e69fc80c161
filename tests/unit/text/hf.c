#include "fixture.h"

static const char *const kinds[] = {"gpt2", "llama3", "qwen2", "olmo", "smollm", "o200k", "flags", "mixtral", "metaspace", "metaspace_decoder"};

/* Promise 2, Promise 6 */
START_TEST(test_ids) {
    sl_tokenizer *t = open_hf(kinds[_i]);
    same_as_reference(t, kinds[_i]);
    sl_tokenizer_free(t);
}
END_TEST

START_TEST(test_around) {
    char file[100];
    size_t len;
    snprintf(file, sizeof file, "%s.ids.json", kinds[_i]);
    sl_tokenizer *t = open_hf(kinds[_i]);
    json_t *strings = reference_json("strings.json"), *want = reference_json(file);
    char *text = string_at(strings, 0, &len);
    sl_ids ids = {0};
    ck_assert_int_eq(sl_tokenizer_encode(t, text, len, SL_MARKUP, true, SIZE_MAX, &ids, NULL), SL_OK);
    same_ids(&ids, json_object_get(want, "around"), kinds[_i], 0, "with what stands around");
    free(text);
    sl_free(ids.id);
    json_decref(strings);
    json_decref(want);
    sl_tokenizer_free(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("hf");
    TCase *c = tcase_create("hf");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, test_ids, 0, sizeof kinds / sizeof *kinds);
    tcase_add_loop_test(c, test_around, 0, sizeof kinds / sizeof *kinds);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
