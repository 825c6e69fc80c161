#include "cli/words.h"

#include <stdlib.h>
#include <string.h>

#include "../run.h"

static const struct {
    const char *text;
    int most;
    bool utf8;
    const char *shown;
} words[] = {
    {" the", 0, true, "\" the\""}, {"\n\t\r", 0, true, "\"\\n\\t\\r\""}, {"a\"b\\c", 0, true, "\"a\\\"b\\\\c\""},
    {"\x1b[2J\x7f", 0, true, "\"\\u001b[2J\\u007f\""}, {"\u202e\u200b\ufeff", 0, true, "\"\\u202e\\u200b\\ufeff\""},
    {"\xc2\x85", 0, true, "\"\\u0085\""},
    {"é中😀", 0, true, "\"é中😀\""}, {"é😀", 0, false, "\"\\u00e9\\ud83d\\ude00\""}, {"abcdef", 3, true, "\"abc…\""}, {"abcdef", 3, false, "\"abc...\""},
    {"abc", 3, true, "\"abc\""}, {"\xff\xe4\xb8", 0, true, "\"\xef\xbf\xbd\xef\xbf\xbd\""}, {"", 0, true, "\"\""},
};

START_TEST(quoted) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        sl_buffer b = {0};
        sl_words_quoted(words[i].text, strlen(words[i].text), words[i].most, words[i].utf8, &b);
        ck_assert_str_eq(sl_buffer_text(&b), words[i].shown);
        sl_buffer_done(&b);
    }
}
END_TEST

START_TEST(one_line) {
    sl_buffer b = {0};
    sl_words_line("a \"name\"\n\x1b[31m<b>", &b);
    ck_assert_str_eq(sl_buffer_text(&b), "a \"name\"\\n\\u001b[31m<b>");
    sl_buffer_done(&b);
}
END_TEST

int main(void) { return RUN_TESTS("cli/words", 20, quoted, one_line); }
