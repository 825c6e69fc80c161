#include "fixture.h"

#include <stdarg.h>

/* What log probabilities look like: names of tokens, and where they begin. Every expected value is written by hand. */

static made m;

static void open_with(const char *tokenizer, const char *body) {
    m.tokenizer = open_hf(tokenizer);
    make(&m, body);
    ck_assert_msg(m.q.status == SL_OK, "%s", m.q.error.message);
}

static void close_all(void) {
    unmake(&m);
    drop(&m);
}

static json_t *whole(void) {
    sl_buffer out = {0};
    json_error_t e;
    sl_event end = {.kind = SL_EVENT_FINISH, .token = -1, .text = "", .finish = SL_FINISH_LENGTH, .stop = -1, .stop_token = -1};
    sl__answer_collect(&m.a, &end);
    answer_whole(&m.a, &out);
    json_t *doc = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, &e);
    ck_assert_msg(doc != NULL, "%s in %s", e.text, sl_buffer_text(&out));
    sl_buffer_done(&out);
    return doc;
}

static json_t *logprobs_of(json_t *doc) {
    return json_object_get(json_array_get(json_object_get(doc, "choices"), 0), "logprobs");
}

static void tops(int32_t token, float logprob, const sl_logprob *top, int count) {
    sl_event ev = {.kind = SL_EVENT_TOKEN, .token = token, .logprob = logprob, .has_logprob = true, .top = top, .top_count = count,
                   .text = "", .finish = -1, .stop = -1, .stop_token = -1};
    sl__answer_collect(&m.a, &ev);
}

/* Two bytes of one character each: both would be U+FFFD. */
START_TEST(bytes_have_names_of_their_own) {
    open_with("gpt2", "{\"prompt\":[1],\"logprobs\":2}");
    const sl_logprob top[] = {{172, -0.5f}, {158, -1.5f}}; /* F0, E2 */
    tops(158, -1.5f, top, 2);
    json_t *doc = whole(), *l = logprobs_of(doc), *t = json_array_get(json_object_get(l, "top_logprobs"), 0);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(l, "tokens"), 0)), "bytes:\\xe2");
    ck_assert_double_eq(json_number_value(json_object_get(t, "bytes:\\xf0")), -0.5);
    ck_assert_double_eq(json_number_value(json_object_get(t, "bytes:\\xe2")), -1.5);
    ck_assert_uint_eq(json_object_size(t), 2);
    json_decref(doc);
    close_all();
}
END_TEST

/* "  " is an added token and a token of the vocabulary: one name, and the likelier value, whichever was chosen. */
START_TEST(the_likeliest_of_one_name_survives) {
    for (int chosen = 0; chosen < 2; chosen++) {
        open_with("olmo", "{\"prompt\":[1],\"logprobs\":2}");
        const sl_logprob top[] = {{923, -0.5f}, {258, -1.5f}};
        tops(top[chosen].token, top[chosen].logprob, top, 2);
        json_t *doc = whole(), *l = logprobs_of(doc), *t = json_array_get(json_object_get(l, "top_logprobs"), 0);
        ck_assert_uint_eq(json_object_size(t), 1);
        ck_assert_double_eq(json_number_value(json_object_get(t, "  ")), -0.5);
        ck_assert_double_eq(json_number_value(json_array_get(json_object_get(l, "token_logprobs"), 0)), top[chosen].logprob);
        json_decref(doc);
        close_all();
    }
}
END_TEST

/* Feeds the whole prompt and compares the offsets, -1 at their end. */
static void offsets(const char *tokenizer, const char *body, ...) {
    open_with(tokenizer, body);
    const sl_ids *p = &m.q.prompt[0].ids;
    for (size_t i = 0; i < p->count; i++) {
        sl_event ev = {.kind = SL_EVENT_PROMPT_TOKEN, .token = p->id[i], .logprob = -1, .has_logprob = i > 0, .text = "", .finish = -1,
                       .stop = -1, .stop_token = -1};
        sl__answer_collect(&m.a, &ev);
    }
    sl_event next = {.kind = SL_EVENT_TOKEN, .token = 1, .logprob = -1, .has_logprob = true, .text = "", .begin = 100, .finish = -1,
                     .stop = -1, .stop_token = -1};
    sl__answer_collect(&m.a, &next);
    json_t *doc = whole(), *have = json_object_get(logprobs_of(doc), "text_offset");
    va_list args;
    va_start(args, body);
    for (size_t i = 0; i < p->count; i++) {
        int want = va_arg(args, int);
        ck_assert_msg(json_integer_value(json_array_get(have, i)) == want, "%s, token %zu: %d, not %d", body, i,
                      (int)json_integer_value(json_array_get(have, i)), want);
    }
    int prompt = va_arg(args, int); /* its characters */
    ck_assert_int_eq(json_integer_value(json_array_get(have, p->count)), prompt + 100);
    ck_assert_int_eq(va_arg(args, int), -1);
    va_end(args);
    json_decref(doc);
    close_all();
}

#define ECHOED "\"echo\":true,\"logprobs\":1}"

START_TEST(where_tokens_begin) {
    /* special tokens of the text are shown, an added one is not; skip_special_tokens is about what is generated */
    offsets("qwen2", "{\"prompt\":\"<|im_start|>a<|im_end|>b\"," ECHOED, 0, 12, 13, 23, 24, -1);
    offsets("qwen2", "{\"skip_special_tokens\":false,\"prompt\":\"<|im_start|>a<|im_end|>b\"," ECHOED, 0, 12, 13, 23, 24, -1);
    offsets("llama3", "{\"prompt\":\"a\"," ECHOED, 0, 0, 1, -1);
    offsets("llama3", "{\"skip_special_tokens\":false,\"prompt\":\"a\"," ECHOED, 0, 0, 1, -1);
    offsets("llama3", "{\"prompt\":\"<|begin_of_text|>a\"," ECHOED, 0, 0, 17, 18, -1);
    offsets("llama3", "{\"add_special_tokens\":false,\"prompt\":\"<|begin_of_text|>a\"," ECHOED, 0, 17, 18, -1);
    /* SentencePiece puts a space in front, which is not in the text */
    offsets("mixtral", "{\"prompt\":\"ab\"," ECHOED, 0, 0, 1, 2, -1);
    /* tokens that are parts of a character begin where it begins */
    offsets("gpt2", "{\"prompt\":\"a\\ud83d\\ude42b\"," ECHOED, 0, 1, 1, 1, 2, 3, -1);
    offsets("gpt2", "{\"prompt\":[64,172,253,65]," ECHOED, 0, 1, 1, 2, 3, -1);             /* unfinished: one U+FFFD */
    offsets("gpt2", "{\"prompt\":[64,172,172,65]," ECHOED, 0, 1, 2, 3, 4, -1);             /* two of them */
    offsets("qwen2", "{\"prompt\":[901,64,902,65]," ECHOED, 0, 0, 1, 1, 2, -1);            /* hidden when sent as tokens … */
    offsets("qwen2", "{\"skip_special_tokens\":false,\"prompt\":[901,64,902,65]," ECHOED, 0, 12, 13, 23, 24, -1); /* … or shown */
    /* NFC makes one character of two: what follows is found again */
    offsets("qwen2", "{\"prompt\":\"e\\u0301 b\"," ECHOED, 0, 1, 2, 4, -1);
    /* white space that a special token swallows belongs to it */
    offsets("flags", "{\"prompt\":\"a  <l>b\"," ECHOED, 0, 3, 6, 7, -1);
    offsets("flags", "{\"prompt\":\"a<r>  b\"," ECHOED, 0, 1, 5, 7, -1); /* its pre-tokenizer makes " b" of b */
}
END_TEST

int main(void) { return RUN_TESTS("api/logprobs", 30, bytes_have_names_of_their_own, the_likeliest_of_one_name_survives, where_tokens_begin); }
