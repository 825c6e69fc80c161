#include "chat/think.h"

#include <string.h>

#include "../run.h"

/* Thinking and what is said. Expected values are written by hand: what Qwen3's and DeepSeek's templates strip when they get an
 * answer back. */

static const sl_marks marks = {"<think>", "</think>", NULL}, named = {"<|channel>", "<channel|>", "thought"};

/* In pieces of every size, so that every cut of a mark is tried. */
static void splits_by(const sl_marks *m, bool opened, const char *text, const char *thought, const char *said) {
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        sl_think t = {.stage = opened ? SL_THINK_BEGUN : SL_THINK_UNKNOWN};
        sl_buffer a = {0}, b = {0};
        for (size_t at = 0, n; at < strlen(text); at += n) {
            n = strlen(text) - at < piece ? strlen(text) - at : piece;
            sl_think_feed(&t, m, text + at, n, &a, &b);
            ck_assert_uint_le(t.held_len, SL_THINK_HELD);
        }
        sl_think_end(&t, &a, &b);
        ck_assert_msg(!strcmp(sl_buffer_text(&a), thought) && !strcmp(sl_buffer_text(&b), said), "\"%s\" by %zu: \"%s\", \"%s\"", text,
                      piece, sl_buffer_text(&a), sl_buffer_text(&b));
        sl_buffer_done(&a);
        sl_buffer_done(&b);
    }
}

static void splits(bool opened, const char *text, const char *thought, const char *said) { splits_by(&marks, opened, text, thought, said); }

START_TEST(answers) {
    splits(false, "<think>\nwhy\n</think>\n\nbecause", "why", "because");
    splits(false, "\n<think>why</think>because\n", "why", "because\n");
    splits(false, "  because", "", "  because"); /* nothing is stripped from an answer that does not think */
    splits(false, "", "", "");
    splits(false, " \n", "", " \n");
    splits(false, "<thin", "", "<thin");
    splits(false, "<thing> a", "", "<thing> a");
    splits(false, "a <think>b</think> c", "", "a <think>b</think> c"); /* later marks are text */
    splits(false, "<think>a</think>b <think>c</think>", "a", "b <think>c</think>");
    splits(false, "<think></think>b", "", "b");
    splits(false, "<think>\n\n</think>\n\nb", "", "b");
    splits(false, "<think>a <b> </c></thin</think>d", "a <b> </c></thin", "d");
    splits(false, "<think>a << </th</think", "a << </th</think", ""); /* it ends inside */
    splits(false, "<think>a \n", "a \n", "");
    splits(false, "<think>", "", "");
    splits(false, "<think>\xC3\xA9 \xE2\x82\xAC</think>\xF0\x9F\x99\x82", "\xC3\xA9 \xE2\x82\xAC", "\xF0\x9F\x99\x82");
}
END_TEST

/* Gemma 4's, whose first mark has a word. */
START_TEST(marks_with_a_word) {
    splits_by(&named, false, "<|channel>thought\nwhy\n<channel|>because", "why", "because");
    splits_by(&named, false, "<|channel>thought\n<channel|>because", "", "because");
    splits_by(&named, false, "<|channel>thoughtful<channel|>because", "ful", "because");
    splits_by(&named, false, "<|channel>though", "", ""); /* it ends in the word */
    splits_by(&named, false, "<|channel>why<channel|>because", "why", "because");
    splits_by(&named, false, "thought", "", "thought");
    splits_by(&named, true, "why<channel|>because", "why", "because"); /* the prompt had the word */
    sl_think t = {0};
    sl_buffer a = {0}, b = {0};
    sl_think_open(&t, &named);
    sl_think_feed(&t, &named, "thought", 7, &a, &b);
    sl_think_feed(&t, &named, "\nwhy\n", 5, &a, &b);
    sl_think_close(&t, &a);
    sl_think_feed(&t, &named, "because", 7, &a, &b);
    sl_think_end(&t, &a, &b);
    ck_assert_str_eq(sl_buffer_text(&a), "why");
    ck_assert_str_eq(sl_buffer_text(&b), "because");
    sl_buffer_done(&a);
    sl_buffer_done(&b);
}
END_TEST

/* Harmony's messages; '\1' to '\5' stand for its tokens. Text comes in pieces of at most so many bytes. */
static void hear(const char *answer, size_t piece, sl_buffer *thought, sl_buffer *said) {
    static const sl_channels tokens = {true, 1, 2, 3, 4, 5};
    sl_think t = {0};
    while (*answer) {
        size_t n = strcspn(answer, "\1\2\3\4\5");
        if (n > piece) n = piece;
        sl_channels_feed(&t, answer, n, thought, said);
        answer += n;
        bool token = *answer && *answer <= 5;
        sl_channels_token(&t, &tokens, token ? *answer : -1, thought, said);
        answer += token;
        ck_assert(t.to_len <= t.held_len && t.held_len <= sizeof t.held);
    }
    sl_think_end(&t, thought, said);
}

static void channels(const char *answer, const char *thought, const char *said) {
    for (size_t piece = 1; piece <= strlen(answer) + 1; piece++) {
        sl_buffer a = {0}, b = {0};
        hear(answer, piece, &a, &b);
        ck_assert_msg(!strcmp(sl_buffer_text(&a), thought) && !strcmp(sl_buffer_text(&b), said), "by %zu: \"%s\", \"%s\"", piece,
                      sl_buffer_text(&a), sl_buffer_text(&b));
        sl_buffer_done(&a);
        sl_buffer_done(&b);
    }
}

/* Whatever comes, it is split alike however it is cut. */
START_TEST(channels_at_random) {
    static const char *const part[] = {"\1", "\2", "\3", "\4", "\5", " to=", "assistant", "analysis", "final", "f", " ", "\n",
                                       "a word that is longer than most of them are, and goes on for a while"};
    unsigned state = 1;
    for (int round = 0; round < 20000; round++) {
        char answer[1200] = "";
        for (int i = 0; i < round % 16; i++) strcat(answer, part[(state = state * 1103515245 + 12345) / 65536 % (sizeof part / sizeof *part)]);
        sl_buffer out[4] = {0};
        hear(answer, sizeof answer, &out[0], &out[1]);
        hear(answer, 1 + (size_t)round % 7, &out[2], &out[3]);
        for (int i = 0; i < 2; i++) ck_assert_str_eq(sl_buffer_text(&out[i]), sl_buffer_text(&out[i + 2]));
        for (int i = 0; i < 4; i++) sl_buffer_done(&out[i]);
    }
}
END_TEST

/* The first ones, up to the empty line, are what ik_llama.cpp expects of gpt-oss's answers (tests/test-chat.cpp), but that it drops
 * calls of tools that nobody offered. */
START_TEST(answers_in_channels) {
    channels("\1final\2Hello, world!\nWhat's up?", "", "Hello, world!\nWhat's up?");
    channels("\1commentary\2Hello, world!", "", "Hello, world!");
    channels("\1analysis\2I'm\nthinking\4\3assistant\1final\2Hello", "I'm\nthinking", "Hello");
    channels("\1analysis\2I'm\nthinking", "I'm\nthinking", "");
    channels("\1analysis\2I need JSON\4\3assistant\1final \5json\2{\"amount\": 1}", "I need JSON", "{\"amount\": 1}");
    channels("\1commentary to=assistant\1analysis\2I'm thinking\4\3assistant\1final\2Hello", "I'm thinking", "Hello");
    channels("\1analysis\2I'm thinking\4\3assistant\1commentary to=assistant\1final\2Hello", "I'm thinking", "Hello");

    channels("because", "", "because"); /* the prompt ended in a message, or the model opens none */
    channels("\2because", "", "because");
    channels("", "", "");
    channels("\1analysis\2a\4\3assistant\1analysis\2b\4\3assistant\1final\2c\2d", "a\nb", "cd");
    channels("\1analysis\2a\4\3assistant\1commentary\2First b.\4\3assistant\1final\2c", "a", "First b.\nc");
    channels("\1ana", "", ""); /* it ends in a header */
    channels("\1analysis\2a\4\3assistant", "a", "");
    channels("\1analysis\2a\4b", "a", "b"); /* text in no message */
}
END_TEST

/* Calls of tools are told apart from what is said, in all spellings of ik_llama.cpp's tests, and are not lost. */
START_TEST(messages_to_tools) {
    channels("\1commentary to=functions.f json\2{}", "to=functions.f\n{}", "");
    channels("\1commentary to=functions.f \5json\2{}", "to=functions.f\n{}", "");
    channels("\1commentary to=functions.f\5json\2{}", "to=functions.f\n{}", "");
    channels("\1analysis to=functions.f\2{}", "to=functions.f\n{}", "");
    channels(" to=functions.f\1analysis\2{}", "to=functions.f\n{}", "");
    channels("\1analysis\2Run it\4\3assistant to=container.exec\1commentary\2ls", "Run it\nto=container.exec\nls", "");
    channels("\1analysis\2Run it\4\3assistant\1commentary to=python code\2print(1)", "Run it\nto=python\nprint(1)", "");
    channels("\1commentary\2I look.\4\3assistant\1commentary to=python\2x\4\3assistant\1final\2c", "to=python\nx", "I look.\nc");
    channels(" t", "", " t");
    channels(" today", "", " today");
    channels(" to=a", "", ""); /* it ends in the header */
}
END_TEST

/* Longer than any header: text of a model that forgot to begin its message. */
START_TEST(headers_that_are_none) {
    char answer[400] = "\1final", said[400] = "";
    for (int i = 0; i < 40; i++) strcat(answer, " words");
    strcpy(said, answer + 1);
    channels(answer, "", said);
}
END_TEST

START_TEST(the_prompt_opened_it) {
    splits(true, "\nwhy\n</think>\n\nbecause", "why", "because");
    splits(true, "why", "why", "");
    splits(true, "</think>because", "", "because");
    splits(true, "<think>why</think>because", "<think>why", "because"); /* was opened already: text */
}
END_TEST

START_TEST(much_white_space) {
    char text[400] = "<think>a", thought[400] = "a";
    memset(text + 8, ' ', 200);
    strcpy(text + 208, "b</think>c");
    memset(thought + 1, ' ', 200);
    strcpy(thought + 201, "b");
    splits(false, text, thought, "c");
    memset(text, ' ', 100);
    strcpy(text + 100, "<think>");
    splits(false, text, "", text); /* so far from the start it is no mark */
}
END_TEST

START_TEST(marks_that_are_tokens) {
    sl_think t = {0};
    sl_buffer a = {0}, b = {0};
    sl_think_open(&t, &marks);
    sl_think_feed(&t, &marks, "\nwhy \n", 6, &a, &b);
    sl_think_close(&t, &a);
    sl_think_feed(&t, &marks, "\nbecause", 8, &a, &b);
    sl_think_open(&t, &marks); /* too late */
    sl_think_feed(&t, &marks, "!", 1, &a, &b);
    sl_think_end(&t, &a, &b);
    ck_assert_str_eq(sl_buffer_text(&a), "why");
    ck_assert_str_eq(sl_buffer_text(&b), "because!");
    sl_buffer_done(&a);
    sl_buffer_done(&b);
}
END_TEST

START_TEST(what_a_prompt_leaves_open) {
    static const struct {
        const char *text;
        int open; /* -1: no mark */
    } ends[] = {{"<|im_start|>assistant\n<think>\n", 1}, {"<think></think>", 0}, {"</think><think>", 1}, {"", -1}, {"<thin", -1}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (int before = 0; before < 2; before++) {
            bool open = before;
            sl_think_left_open(&marks, ends[i].text, strlen(ends[i].text), &open);
            ck_assert_int_eq(open, ends[i].open < 0 ? before : ends[i].open);
        }
}
END_TEST

int main(void) {
    return RUN_TESTS("chat/think", 30, answers, marks_with_a_word, answers_in_channels, messages_to_tools, channels_at_random,
                     headers_that_are_none, the_prompt_opened_it, much_white_space, marks_that_are_tokens, what_a_prompt_leaves_open);
}
