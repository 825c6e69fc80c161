#include "fixture.h"

static made m;

static void accepts(const char *body, int prompts, int choices, int64_t max_tokens) {
    make(&m, body);
    ck_assert_msg(m.q.status == SL_OK, "%s: %s", body, m.q.error.message);
    ck_assert_int_eq(m.q.prompts, prompts);
    ck_assert_int_eq(m.q.choices, choices);
    ck_assert_int_eq(m.q.fields.max_tokens, max_tokens);
    unmake(&m);
}

static void refuses(const char *body, sl_status status, const char *param) {
    make(&m, body);
    ck_assert_msg(m.q.status == status, "%s: %d", body, m.q.status);
    ck_assert_msg(strcmp(m.q.error.param, param) == 0, "%s: %s", body, m.q.error.param);
    ck_assert(m.q.error.message[0]);
    unmake(&m);
}

START_TEST(four_shapes) {
    accepts("{\"prompt\":\"a b\"}", 1, 1, 16);
    accepts("{\"prompt\":[\"a\",\"b\"],\"n\":3}", 2, 6, 16);
    accepts("{\"prompt\":[1,2,3]}", 1, 1, 16);
    accepts("{\"prompt\":[[1],[2,3],\"c\"],\"model\":\"alias\"}", 3, 3, 16);
    accepts("{\"prompt\":[1],\"max_completion_tokens\":5}", 1, 1, 5);
    accepts("{\"prompt\":[1],\"max_completion_tokens\":5,\"max_tokens\":4}", 1, 1, 4);
    accepts("{\"prompt\":[1],\"max_tokens\":0,\"echo\":true}", 1, 1, 0);
    accepts("{\"prompt\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
            "1,1,1,1,1,1,1,1]}", 1, 1, 3); /* 61 of 64: what is left */
    drop(&m);
}
END_TEST

START_TEST(refused_shapes) {
    refuses("", SL_INVALID, "");
    refuses("[]", SL_INVALID, "");
    refuses("{}", SL_INVALID, "prompt");
    refuses("{\"prompt\":null}", SL_INVALID, "prompt");
    refuses("{\"prompt\":5}", SL_INVALID, "prompt");
    refuses("{\"prompt\":[]}", SL_INVALID, "prompt");
    refuses("{\"prompt\":[[]]}", SL_INVALID, "prompt");
    refuses("{\"prompt\":[null]}", SL_INVALID, "prompt");
    refuses("{\"prompt\":[1,\"a\"]}", SL_INVALID, "prompt");
    refuses("{\"prompt\":[[1,null]]}", SL_INVALID, "prompt");
    refuses("{\"prompt\":[-1]}", SL_INVALID, "prompt");
    refuses("{\"prompt\":[1000000]}", SL_INVALID, "prompt");
    refuses("{\"prompt\":[1.5]}", SL_INVALID, "prompt");
    refuses("{\"prompt\":\"\"}", SL_INVALID, "prompt");
    refuses("{\"prompt\":[\"a\",\"b\",\"c\"],\"n\":86}", SL_INVALID, "prompt");
    refuses("{\"prompt\":\"a\",\"max_tokens\":0}", SL_INVALID, "max_tokens");
    refuses("{\"prompt\":\"a\",\"max_tokens\":3,\"min_tokens\":4}", SL_INVALID, "min_tokens");
    refuses("{\"prompt\":[1,2],\"max_tokens\":63}", SL_TOO_LONG, "prompt");
    refuses("{\"prompt\":[1],\"max_tokens\":2147483647}", SL_TOO_LONG, "prompt");
    refuses("{\"prompt\":\"a\",\"model\":\"other\"}", SL_NOT_FOUND, "model");
    refuses("{\"prompt\":\"a\",\"model\":\"model\\u0000x\"}", SL_INVALID, "model");
    drop(&m);
}
END_TEST

START_TEST(both_numbers_are_said) { /* Promise 3: a prompt is never cut silently */
    make(&m, "{\"prompt\":[1,2,3],\"max_tokens\":62}");
    ck_assert_int_eq(m.q.status, SL_TOO_LONG);
    ck_assert(strstr(m.q.error.message, "maximum context length is 64 tokens") && strstr(m.q.error.message, "requested 65 tokens (3 in"));
    unmake(&m);
    drop(&m);
}
END_TEST

/* Each allocation fails once: out of memory is said, nothing is read or freed twice. */
START_TEST(memory_runs_out) {
    const char *body = "{\"prompt\":[\"hello there\",[1,2,3],[4]],\"n\":2,\"echo\":true,\"stop\":[\"a\",\"b\"],\"stop_token_ids\":[1],"
                       "\"logit_bias\":{\"1\":2}}";
    make(&m, body);
    unmake(&m);
    for (long n = 1; n < 200; n++) {
        ck_assert_int_eq(sl__ask_begin(&m.q, &m.api, &sl__completion_reader, sl_strdup(body), strlen(body)), SL_OK);
        sl_alloc_fail_at(n);
        sl__ask_read(&m.q);
        sl__ask_tokenize(&m.q);
        long made_before = sl_alloc_fail_at(0);
        ck_assert_msg(m.q.status == SL_OK || m.q.status == SL_NOMEM, "%ld: %s", n, m.q.error.message);
        bool end = m.q.status == SL_OK && made_before < n;
        unmake(&m);
        if (end) {
            drop(&m);
            return;
        }
    }
    ck_abort_msg("it never got through");
}
END_TEST

int main(void) { return RUN_TESTS("api/prompt", 30, four_shapes, refused_shapes, both_numbers_are_said, memory_runs_out); }
