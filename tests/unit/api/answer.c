#include "fixture.h"

static made m;

static sl_event token(int choice, int32_t id, const char *text) {
    static const sl_logprob top[] = {{5, -0.25f}, {6, -9999.0f}};
    return (sl_event){.kind = SL_EVENT_TOKEN, .choice = choice, .token = id, .logprob = -0.1f, .has_logprob = true, .top_count = 2,
                      .top = top, .text = text, .text_len = strlen(text), .finish = -1, .stop = -1, .stop_token = -1};
}

static sl_event finish(int choice, int how) {
    return (sl_event){.kind = SL_EVENT_FINISH, .choice = choice, .token = -1, .text = "", .finish = how, .stop = -1, .stop_token = -1};
}

static json_t *parsed(sl_buffer *b, const char *prefix, const char *suffix) {
    json_error_t e;
    ck_assert(!b->failed);
    const char *text = sl_buffer_text(b);
    size_t before = strlen(prefix), after = strlen(suffix);
    ck_assert(b->len > before + after && strncmp(text, prefix, before) == 0 && strcmp(text + b->len - after, suffix) == 0);
    json_t *doc = json_loadb(text + before, b->len - before - after, JSON_REJECT_DUPLICATES, &e);
    ck_assert_msg(doc != NULL, "%s in %s", e.text, text);
    ck_assert_ptr_null(memchr(text + before, '\n', b->len - before - after));
    sl_buffer_done(b);
    return doc;
}

static json_t *choice_of(json_t *doc, size_t i) { return json_array_get(json_object_get(doc, "choices"), i); }

static void feed(sl_event ev) { sl__answer_collect(&m.a, &ev); }

START_TEST(whole) {
    sl_buffer out = {0};
    make(&m, "{\"prompt\":[1,2],\"n\":2,\"logprobs\":2,\"return_token_ids\":true,\"stop\":\"zz\",\"max_tokens\":3}");
    ck_assert_int_eq(m.q.status, SL_OK);
    feed(token(1, 4, "\xC3\xA9\"\n"));
    feed(token(0, 5, "b"));
    feed(token(1, 6, ""));
    sl_event end = finish(1, SL_FINISH_STOP);
    end.stop = 0;
    feed(end);
    feed(finish(0, SL_FINISH_LENGTH));
    ck_assert_int_eq(m.a.ended, 2);
    ck_assert(!m.a.broken);
    answer_whole(&m.a, &out);
    json_t *doc = parsed(&out, "", "");
    ck_assert_str_eq(json_string_value(json_object_get(doc, "object")), "text_completion");
    ck_assert_str_eq(json_string_value(json_object_get(doc, "model")), "model");
    json_t *second = choice_of(doc, 1), *l = json_object_get(second, "logprobs");
    ck_assert_str_eq(json_string_value(json_object_get(second, "text")), "\xC3\xA9\"\n");
    ck_assert_str_eq(json_string_value(json_object_get(second, "finish_reason")), "stop");
    ck_assert_str_eq(json_string_value(json_object_get(second, "stop_reason")), "zz");
    ck_assert_uint_eq(json_array_size(json_object_get(second, "token_ids")), 2);
    ck_assert_uint_eq(json_array_size(json_object_get(second, "prompt_token_ids")), 2);
    for (const char *const *name = (const char *const[]){"tokens", "token_logprobs", "top_logprobs", "text_offset", NULL}; *name; name++)
        ck_assert_uint_eq(json_array_size(json_object_get(l, *name)), 2);
    double chosen = json_number_value(json_array_get(json_object_get(l, "token_logprobs"), 0));
    ck_assert((float)chosen == -0.1f); /* the same float comes back */
    json_t *top = json_array_get(json_object_get(l, "top_logprobs"), 0);
    ck_assert_uint_eq(json_object_size(top), 3);
    const char *key;
    json_t *value;
    bool found = false;
    json_object_foreach(top, key, value) found = found || json_number_value(value) == -9999;
    ck_assert(found);
    ck_assert_str_eq(json_string_value(json_object_get(choice_of(doc, 0), "finish_reason")), "length");
    ck_assert(json_is_null(json_object_get(choice_of(doc, 0), "stop_reason")));
    json_t *usage = json_object_get(doc, "usage");
    ck_assert_int_eq(json_integer_value(json_object_get(usage, "prompt_tokens")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(usage, "completion_tokens")), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(usage, "total_tokens")), 5);
    json_decref(doc);
    unmake(&m);
    drop(&m);
}
END_TEST

START_TEST(chunks) {
    sl_buffer out = {0};
    make(&m, "{\"prompt\":\"ab\",\"echo\":true,\"stream\":true,\"logprobs\":0,\"stream_options\":{\"include_usage\":true}}");
    ck_assert_int_eq(m.q.status, SL_OK);
    int prompt_tokens = (int)m.q.prompt[0].ids.count;
    for (int i = 0; i < prompt_tokens; i++)
        feed((sl_event){.kind = SL_EVENT_PROMPT_TOKEN, .token = m.q.prompt[0].ids.id[i], .has_logprob = i > 0, .text = "", .finish = -1,
                        .stop = -1, .stop_token = -1});
    feed(token(0, 66, "c"));
    m.a.writer->chunk(&m.a, 0, &out);
    json_t *doc = parsed(&out, "data: ", "\n\n"), *c = choice_of(doc, 0), *l = json_object_get(c, "logprobs");
    ck_assert_str_eq(json_string_value(json_object_get(c, "text")), "abc");
    ck_assert(json_is_null(json_object_get(c, "finish_reason")));
    ck_assert(json_is_null(json_array_get(json_object_get(l, "token_logprobs"), 0)));
    ck_assert_uint_eq(json_array_size(json_object_get(l, "tokens")), (size_t)prompt_tokens + 1);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(l, "text_offset"), (size_t)prompt_tokens)), 2);
    ck_assert_ptr_null(json_object_get(doc, "usage"));
    json_decref(doc);

    feed(token(0, 67, "d"));
    feed(finish(0, SL_FINISH_LENGTH));
    m.a.writer->chunk(&m.a, 0, &out);
    doc = parsed(&out, "data: ", "\n\n");
    ck_assert_str_eq(json_string_value(json_object_get(choice_of(doc, 0), "text")), "d");
    ck_assert_str_eq(json_string_value(json_object_get(choice_of(doc, 0), "finish_reason")), "length");
    json_decref(doc);

    m.a.writer->usage(&m.a, &out);
    doc = parsed(&out, "data: ", "\n\n");
    ck_assert_uint_eq(json_array_size(json_object_get(doc, "choices")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(doc, "usage"), "completion_tokens")), 2);
    json_decref(doc);
    unmake(&m);
    drop(&m);
}
END_TEST

START_TEST(token_ids_for_tokens) { /* two ids with the same text stay apart */
    sl_buffer out = {0};
    make(&m, "{\"prompt\":[1],\"logprobs\":2,\"return_tokens_as_token_ids\":true}");
    feed(token(0, 4, "x"));
    feed(finish(0, SL_FINISH_LENGTH));
    answer_whole(&m.a, &out);
    json_t *doc = parsed(&out, "", ""), *l = json_object_get(choice_of(doc, 0), "logprobs");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(l, "tokens"), 0)), "token_id:4");
    ck_assert_ptr_nonnull(json_object_get(json_array_get(json_object_get(l, "top_logprobs"), 0), "token_id:6"));
    json_decref(doc);
    unmake(&m);
    drop(&m);
}
END_TEST

START_TEST(errors_in_a_stream) {
    sl_buffer out = {0};
    sl__event_error(503, "it \"broke\"", &out);
    json_t *doc = parsed(&out, "data: ", "\n\n");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(doc, "error"), "message")), "it \"broke\"");
    json_decref(doc);
    make(&m, "{\"prompt\":[1]}");
    feed(finish(0, SL_FINISH_ERROR));
    ck_assert(m.a.broken && m.a.ended == 1);
    unmake(&m);
    drop(&m);
}
END_TEST

START_TEST(memory_runs_out) { /* is seen by whoever writes the answer */
    make(&m, "{\"prompt\":[1],\"logprobs\":2}");
    for (long n = 1; n < 12; n++) {
        sl_buffer out = {0};
        m.a.choice[0] = (sl__choice){0};
        sl_alloc_fail_at(n);
        feed(token(0, 4, "x"));
        feed(finish(0, SL_FINISH_LENGTH));
        answer_whole(&m.a, &out);
        long made_before = sl_alloc_fail_at(0);
        ck_assert(out.failed == (made_before >= n));
        sl_buffer_done(&out);
        sl__answer_free(&m.a);
    }
    m.a.choices = 0;
    unmake(&m);
    drop(&m);
}
END_TEST

int main(void) { return RUN_TESTS("api/answer", 30, whole, chunks, token_ids_for_tokens, errors_in_a_stream, memory_runs_out); }
