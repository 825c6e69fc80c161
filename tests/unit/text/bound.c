#include "fixture.h"

#include "../run.h"

static const struct {
    const char *name;
    bool bounds; /* ASCII text has a lower bound */
} kinds[] = {{"gpt2", true}, {"llama3", true}, {"qwen2", true}, {"olmo", true}, {"smollm", true}, {"o200k", true}, {"flags", false},
             {"mixtral", true}, {"gemma", true}, {"metaspace", true}};

static size_t count(const sl_tokenizer *t, const char *text, size_t len) {
    sl_ids ids = {0};
    sl_error e;
    ck_assert_int_eq(sl_tokenizer_encode(t, text, len, SL_MARKUP, false, 3 * len + 16, &ids, &e), SL_OK);
    sl_free(ids.id);
    return ids.count;
}

/* What is proven is true: for the reference's strings, repeated, and for runs of what composes or is swallowed. */
START_TEST(never_more_than_there_are) {
    sl_tokenizer *t = open_hf(kinds[_i].name);
    json_t *strings = reference_json("strings.json");
    const char *const more[] = {" ", "\n", "a", "e\xCC\x81", "\xE2\x84\xAA", "<l> ", " <lr> ", "<|endoftext|>",
                                "\xE1\x84\x80\xE1\x85\xA1", "\xF0\x9F\x99\x82"};
    for (size_t i = 0; i < json_array_size(strings) + sizeof more / sizeof *more; i++) {
        size_t len;
        bool listed = i < json_array_size(strings);
        char *text = listed ? string_at(strings, i, &len) : strdup(more[i - json_array_size(strings)]);
        if (!listed) len = strlen(text);
        if (len < 2000) {
            char *many = malloc(len * 300 + 1);
            for (int k = 0; k < 300; k++) memcpy(many + (size_t)k * len, text, len);
            ck_assert_uint_le(sl_tokenizer_least(t, many, len * 300), count(t, many, len * 300));
            free(many);
        }
        ck_assert_uint_le(sl_tokenizer_least(t, text, len), count(t, text, len));
        free(text);
    }
    json_decref(strings);
    sl_tokenizer_free(t);
}
END_TEST

START_TEST(says_something_where_it_can) {
    sl_tokenizer *t = open_hf(kinds[_i].name);
    static char text[1 << 20];
    memset(text, 'a', sizeof text);
    size_t least = sl_tokenizer_least(t, text, sizeof text);
    if (kinds[_i].bounds) ck_assert_uint_ge(least, sizeof text / 2048);
    else ck_assert_uint_eq(least, 0);
    sl_tokenizer_free(t);
}
END_TEST

static int pauses;
static bool pause_twice(void *arg) {
    (void)arg;
    return ++pauses < 2;
}

START_TEST(a_long_text_can_be_left) {
    sl_tokenizer *t = open_hf("gpt2");
    static char text[40000];
    sl_ids ids = {0};
    sl_error e;
    for (size_t i = 0; i < sizeof text; i++) text[i] = i % 2 ? 'a' : ' ';
    ck_assert_int_eq(sl_tokenizer_encode_pausing(t, text, sizeof text, SL_MARKUP, false, sizeof text, pause_twice, NULL, &ids, &e), SL_CANCELLED);
    ck_assert_int_eq(pauses, 2);
    ck_assert_uint_eq(ids.count, 0);
    sl_free(ids.id);
    sl_tokenizer_free(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("text/bound");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, never_more_than_there_are, 0, (int)(sizeof kinds / sizeof *kinds));
    tcase_add_loop_test(c, says_something_where_it_can, 0, (int)(sizeof kinds / sizeof *kinds));
    tcase_add_test(c, a_long_text_can_be_left);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
