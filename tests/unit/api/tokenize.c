#include "served.h"

static served s;

/* Expected answers are written by hand; the ids are those of tests/reference/tokenizers. */
static void check(const char *path, const char *body, int status, const char *want) {
    char *have;
    ck_assert_msg(ask_once(&s, "POST", path, body, &have) == status, "%s: %s", body, have);
    ck_assert_msg(strstr(have, want) != NULL, "%s: %s", body, have);
    free(have);
}

START_TEST(both_shapes) {
    serve(&s, "gpt2");
    check("/tokenize", "{\"prompt\":\"qz\"}", 200, "{\"count\":2,\"max_model_len\":64,\"tokens\":[80,89],\"token_strs\":null}");
    check("/tokenize", "{\"prompt\":\"qz\",\"return_token_strs\":true}", 200, "\"token_strs\":[\"q\",\"z\"]");
    check("/tokenize", "{\"content\":\"qz\"}", 200, "{\"tokens\":[80,89]}");
    check("/tokenize", "{\"content\":\"qz\",\"with_pieces\":true}", 200, "{\"tokens\":[{\"id\":80,\"piece\":\"q\"},{\"id\":89,\"piece\":\"z\"}]}");
    check("/detokenize", "{\"tokens\":[80,89]}", 200, "{\"prompt\":\"qz\",\"content\":\"qz\"}");
    unserve(&s);
}
END_TEST

START_TEST(bytes_that_are_no_text) {
    serve(&s, "gpt2");
    check("/tokenize", "{\"content\":\"\\u00ff\",\"with_pieces\":true}", 200, "\"piece\":[195]}");
    check("/tokenize", "{\"prompt\":\"\\u00ff\",\"return_token_strs\":true}", 200, "[\"bytes:\\\\xc3\",\"bytes:\\\\xbf\"]");
    check("/detokenize", "{\"tokens\":[172]}", 200, "\"content\":\"\xEF\xBF\xBD\"");
    unserve(&s);
}
END_TEST

START_TEST(special_tokens) {
    serve(&s, "llama3");
    check("/tokenize", "{\"prompt\":\"a\"}", 200, "\"tokens\":[900,64]");
    check("/tokenize", "{\"prompt\":\"a\",\"add_special_tokens\":false}", 200, "\"tokens\":[64]");
    check("/tokenize", "{\"content\":\"a\"}", 200, "{\"tokens\":[64]}");
    check("/tokenize", "{\"content\":\"a\",\"add_special\":true}", 200, "{\"tokens\":[900,64]}");
    check("/tokenize", "{\"content\":\"<|eot_id|>\"}", 200, "{\"tokens\":[902]}");
    unserve(&s);
}
END_TEST

START_TEST(refusals) {
    serve(&s, "gpt2");
    check("/tokenize", "{}", 400, "\"param\":\"prompt\"");
    check("/tokenize", "{\"prompt\":5}", 400, "\"param\":\"prompt\"");
    check("/tokenize", "{\"prompt\":\"a\",\"model\":\"other\"}", 404, "model_not_found");
    check("/tokenize", "{\"prompt\":\"a\",\"model\":\"\"}", 200, "\"count\":1");
    check("/tokenize", "[", 400, "not valid JSON");
    check("/detokenize", "{}", 400, "\"param\":\"tokens\"");
    check("/detokenize", "{\"tokens\":[900000]}", 400, "\"param\":\"tokens\"");
    check("/detokenize", "{\"tokens\":[null]}", 400, "\"param\":\"tokens\"");
    check("/tokenizer_info", "", 405, "error");
    unserve(&s);
}
END_TEST

START_TEST(large_texts_go_through_the_text_thread) {
    serve(&s, "gpt2");
    size_t n = 300000;
    char *body = malloc(n + 100), *have;
    int head = sprintf(body, "{\"prompt\":\"");
    memset(body + head, 'a', n);
    strcpy(body + (size_t)head + n, "\"}");
    ck_assert_int_eq(ask_once(&s, "POST", "/tokenize", body, &have), 200);
    free(have);
    /* a client that leaves while the text thread has its text */
    int fd = connected(&s);
    ask_for(&s, fd, "POST", "/tokenize", body, strlen(body));
    close(fd);
    while (s.api->text_jobs || sl_http_live(s.h)) uv_run(&s.loop, UV_RUN_NOWAIT);
    free(body);
    unserve(&s);
}
END_TEST

/* Promise 4: what jansson would make of it is known before: a body of a megabyte that would take hundreds is refused. */
START_TEST(a_document_of_too_many_values) {
    serve(&s, "gpt2");
    size_t pairs = 350000;
    char *body = malloc(3 * pairs + 10), *have;
    body[0] = '[';
    for (size_t i = 0; i < pairs; i++) memcpy(body + 1 + 3 * i, "{},", 3);
    strcpy(body + 3 * pairs, "]");
    ck_assert_int_eq(ask_once(&s, "POST", "/tokenize", body, &have), 413);
    ck_assert_msg(strstr(have, "request_too_large") != NULL, "%s", have);
    free(have);
    free(body);
    unserve(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("api/tokenize", 60, both_shapes, bytes_that_are_no_text, special_tokens, refusals, large_texts_go_through_the_text_thread,
                     a_document_of_too_many_values);
}
