#include "cli/chat_conversation.h"

#include "../text/fixture.h"

#include "../run.h"

/* Messages and the prompts that they give; those are written by hand, after the template. */

#define CHATML                                                                                                                       \
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' + (m.reasoning_content or '') + m.content + '<|im_end|>' }}{%- endfor %}" \
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"

static sl_tokenizer *tokenizer;
static sl_template *template;
static sl_chat chat;
static sl_conversation c;
static sl_error e;

static void begin(const char *source) {
    tokenizer = open_hf("qwen2");
    ck_assert_msg(sl_template_parse(source, strlen(source), &template, &e) == SL_OK, "%s", e.message);
    ck_assert_int_eq(sl_chat_open(&chat, template, NULL, NULL, tokenizer, &e), SL_OK);
    ck_assert_int_eq(sl_conversation_init(&c, &chat, tokenizer, &e), SL_OK);
}

static void end(void) {
    sl_conversation_done(&c);
    sl_chat_done(&chat);
    template = sl_template_free(template);
    tokenizer = sl_tokenizer_free(tokenizer);
}

static void ask(const char *text) { ck_assert_int_eq(sl_conversation_ask(&c, text, strlen(text), &e), SL_OK); }

static void answer(const char *text, const char *thought) {
    sl_buffer said = {0}, thoughts = {0};
    sl_buffer_puts(&said, text);
    sl_buffer_puts(&thoughts, thought);
    ck_assert_int_eq(sl_conversation_answer(&c, &said, &thoughts, &e), SL_OK);
    sl_buffer_done(&said);
    sl_buffer_done(&thoughts);
}

/* The prompt is what the text is as markup: nothing in these messages spells a special token. */
static void prompt_is(const char *text) {
    sl_ids want = {0}, have = {0};
    bool thinking = true;
    ck_assert_msg(sl_conversation_prompt(&c, &have, &thinking, &e) == SL_OK, "%s", e.message);
    ck_assert(!thinking);
    ck_assert_int_eq(sl_tokenizer_encode(tokenizer, text, strlen(text), SL_MARKUP, false, SIZE_MAX, &want, &e), SL_OK);
    ck_assert_msg(have.count == want.count && !memcmp(have.id, want.id, want.count * sizeof *want.id), "not \"%s\"", text);
    sl_free(have.id);
    sl_free(want.id);
}

#define U(text) "<|im_start|>user\n" text "<|im_end|>"
#define A(text) "<|im_start|>assistant\n" text "<|im_end|>"
#define S(text) "<|im_start|>system\n" text "<|im_end|>"
#define GO "<|im_start|>assistant\n"

START_TEST(turns) {
    begin(CHATML);
    ck_assert(!sl_conversation_answered(&c));
    ask("a");
    prompt_is(U("a") GO);
    answer("b", "");
    ck_assert(sl_conversation_answered(&c));
    ask("c");
    prompt_is(U("a") A("b") U("c") GO);
    answer("d", "why ");
    ask("e");
    prompt_is(U("a") A("b") U("c") A("why d") U("e") GO);
    sl_conversation_drop(&c);
    sl_conversation_drop(&c);
    ck_assert(!sl_conversation_answered(&c));
    prompt_is(U("a") A("b") U("c") GO);
    prompt_is(U("a") A("b") U("c") GO); /* a prompt changes nothing */
    sl_conversation_reset(&c);
    sl_conversation_drop(&c); /* of nothing */
    ask("f\xFF");
    prompt_is(U("f\xEF\xBF\xBD") GO);
    end();
}
END_TEST

START_TEST(system_messages) {
    begin(CHATML);
    ask("a");
    ck_assert_int_eq(sl_conversation_system(&c, "Be brief.", 9, &e), SL_OK);
    prompt_is(S("Be brief.") U("a") GO);
    sl_conversation_reset(&c);
    ask("b");
    prompt_is(S("Be brief.") U("b") GO); /* it stays */
    ck_assert_int_eq(sl_conversation_system(&c, "", 0, &e), SL_OK);
    prompt_is(U("b") GO);
    end();
    begin("{% if messages[0].role == 'system' %}{{ raise_exception('no systems') }}{% endif %}" CHATML);
    ask("a");
    ck_assert_int_eq(sl_conversation_system(&c, "x", 1, &e), SL_INVALID);
    ck_assert_msg(strstr(e.message, "no systems") != NULL, "%s", e.message);
    prompt_is(U("a") GO); /* as it was */
    end();
}
END_TEST

static void words_are(const char *want) {
    sl_buffer words = {0};
    sl_conversation_think_words(&c, &words);
    ck_assert_str_eq(sl_buffer_text(&words), want);
    sl_buffer_done(&words);
}

START_TEST(thinking) {
    begin(CHATML);
    words_are("");
    ck_assert_int_eq(sl_conversation_think(&c, "on", &e), SL_MISUSE);
    end();
    begin(CHATML "{{- enable_thinking | default('-') }}{{- thinking | default('-') }}");
    words_are("on, off, default");
    ask("a");
    prompt_is(U("a") GO "--");
    ck_assert_int_eq(sl_conversation_think(&c, "off", &e), SL_OK);
    prompt_is(U("a") GO "FalseFalse");
    ck_assert_int_eq(sl_conversation_think(&c, "high", &e), SL_MISUSE);
    ck_assert_str_eq(sl_conversation_thinks(&c), "off");
    sl_conversation_reset(&c);
    ask("b");
    prompt_is(U("b") GO "FalseFalse"); /* it stays */
    ck_assert_int_eq(sl_conversation_think(&c, "default", &e), SL_OK);
    ck_assert_str_eq(sl_conversation_thinks(&c), "default");
    prompt_is(U("b") GO "--");
    end();
    begin(CHATML "{{- reasoning_effort | default('-') }}{{- messages[0].thinking }}"); /* a member is no variable */
    words_are("low, medium, high, default");
    ask("a");
    ck_assert_int_eq(sl_conversation_think(&c, "low", &e), SL_OK);
    prompt_is(U("a") GO "low");
    end();
}
END_TEST

int main(void) { return RUN_TESTS("chat_conversation", 60, turns, system_messages, thinking); }
