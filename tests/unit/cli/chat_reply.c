#include "cli/chat_reply.h"

#include "../text/fixture.h"

#include "../run.h"

/* An answer by its tokens. How texts are split is chat/think's test; here: the same whatever it is cut into, and what a cut holds back. */

static sl_tokenizer *tokenizer;
static sl_chat chat;
static sl_reply reply;

static void begin(bool thinks) {
    tokenizer = open_hf("qwen2");
    chat = (sl_chat){.marks = thinks ? sl_known_marks : NULL, .open_token = -1, .close_token = -1};
    sl_reply_begin(&reply, &chat, tokenizer);
}

static void end(void) {
    sl_reply_done(&reply);
    tokenizer = sl_tokenizer_free(tokenizer);
}

static void take(const char *text) {
    sl_ids ids = {0};
    sl_error e;
    ck_assert_int_eq(sl_tokenizer_encode(tokenizer, text, strlen(text), SL_MARKUP, false, SIZE_MAX, &ids, &e), SL_OK);
    for (size_t i = 0; i < ids.count; i++) ck_assert(sl_reply_take(&reply, ids.id[i]));
    sl_free(ids.id);
}

static void is(const char *thought, const char *said) {
    ck_assert_str_eq(sl_buffer_text(&reply.thought), thought);
    ck_assert_str_eq(sl_buffer_text(&reply.said), said);
}

START_TEST(text_and_thoughts) {
    begin(true);
    take("<think>\nwhy\n</think>\n\nbecause \xF0\x9F\x98\x80");
    is("why", "because \xF0\x9F\x98\x80");
    ck_assert(sl_reply_goes_on(&reply));
    sl_reply_end(&reply);
    ck_assert(!sl_reply_goes_on(&reply));
    sl_reply_begin(&reply, &chat, tokenizer); /* the next one */
    is("", "");
    sl_reply_prompted(&reply, true);
    take("so</think>then");
    is("so", "then");
    end();
    begin(false);
    take("<think>a</think>b"); /* a template that knows no marks */
    is("", "<think>a</think>b");
    end();
}
END_TEST

START_TEST(marks_that_are_tokens) {
    begin(true);
    chat.open_token = 903; /* qwen2.json: <think>, </think> */
    chat.close_token = 904;
    take("<think>\nwhy\n</think>because");
    is("why", "because");
    end();
}
END_TEST

/* One byte a token: half a character is in neither text until the rest of it comes, and becomes U+FFFD only at the end. */
START_TEST(half_a_character_waits) {
    begin(false);
    const char *face = "\xF0\x9F\x98\x80";
    sl_ids ids = {0};
    sl_error e;
    ck_assert_int_eq(sl_tokenizer_encode(tokenizer, face, 4, SL_MARKUP, false, SIZE_MAX, &ids, &e), SL_OK);
    ck_assert_uint_gt(ids.count, 1);
    take("a");
    ck_assert(sl_reply_take(&reply, ids.id[0]));
    is("", "a");
    for (size_t i = 1; i < ids.count; i++) ck_assert(sl_reply_take(&reply, ids.id[i]));
    is("", "a\xF0\x9F\x98\x80");
    ck_assert(sl_reply_take(&reply, ids.id[0]));
    sl_reply_end(&reply);
    is("", "a\xF0\x9F\x98\x80\xEF\xBF\xBD");
    sl_free(ids.id);
    end();
}
END_TEST

/* A cut in the middle of a mark or between marks changes nothing of what comes later. */
START_TEST(goes_on_wherever_it_was_cut) {
    begin(true);
    take("<thi");
    is("", "");
    take("nk>why</thi");
    is("why", "");
    take("nk> so");
    is("why", "so");
    end();
}
END_TEST

/* Tokens that end an answer have no text, though they are no special tokens. */
START_TEST(ends_have_no_text) {
    begin(false);
    take("k");
    int32_t last = reply.ids.id[reply.ids.count - 1];
    chat.end[0] = last;
    chat.ends = 1;
    take("k");
    is("", "k");
    ck_assert_int_eq(reply.ids.id[reply.ids.count - 1], last); /* but it was generated */
    end();
}
END_TEST

int main(void) {
    return RUN_TESTS("chat_reply", 60, text_and_thoughts, marks_that_are_tokens, half_a_character_waits, goes_on_wherever_it_was_cut,
                     ends_have_no_text);
}
