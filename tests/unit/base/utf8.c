#include "base/buffer.h"
#include "base/utf8.h"

#include <string.h>

#include "../quiet.h"
#include "../run.h"

/* Python's bytes.decode(errors="replace"). */
START_TEST(test_repair) {
    static const struct { const char *text; size_t len; const char *want; } cases[] = {
        {"", 0, ""},
        {"ab", 2, "ab"},
        {"\303\251", 2, "\303\251"},
        {"\377", 1, "\357\277\275"},
        {"\360\237\230x", 4, "\357\277\275x"},
        {"\360\237\230", 3, "\357\277\275"},
        {"\300\257\340\200\277\360\201\202A", 9, "\357\277\275\357\277\275\357\277\275\357\277\275\357\277\275\357\277\275\357\277\275\357\277\275A"},
        {"\355\240\200", 3, "\357\277\275\357\277\275\357\277\275"},
        {"\341\200\342\360\221\222\361\277A", 9, "\357\277\275\357\277\275\357\277\275\357\277\275A"},
        {"\364\220\200\200", 4, "\357\277\275\357\277\275\357\277\275\357\277\275"},
        {"\364\217\277\277", 4, "\364\217\277\277"},
        {"\344\344\275\240", 4, "\357\277\275\344\275\240"},
        {"abcdefgh\200ij", 11, "abcdefgh\357\277\275ij"},
        {"12345678\303", 9, "12345678\357\277\275"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sl_buffer out = {0};
        sl_buffer_utf8(&out, cases[i].text, cases[i].len);
        ck_assert_str_eq(sl_buffer_text(&out), cases[i].want);
        bool same = out.len == cases[i].len && !memcmp(out.data, cases[i].text, out.len);
        ck_assert_msg(sl_utf8_valid(cases[i].text, cases[i].len) == same, "%zu", i);
        ck_assert_msg((sl_utf8_prefix(cases[i].text, cases[i].len) == cases[i].len) == same, "%zu", i);
        ck_assert(sl_utf8_valid(out.data, out.len));
        sl_buffer_done(&out);
    }
}
END_TEST

/* Every code point is read as it was written; the gaps are no characters. */
START_TEST(test_points) {
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[5] = {0};
        int n, len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const unsigned lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
        for (int i = len - 1; i > 0; i--) text[i] = (char)(0x80 | (c >> (6 * (len - 1 - i)) & 0x3F));
        text[0] = (char)(lead[len] | c >> (6 * (len - 1)));
        bool surrogate = c >= 0xD800 && c < 0xE000;
        ck_assert_int_eq(sl_utf8_next(text, (size_t)len, &n), surrogate ? SL_UTF8_BAD : SL_UTF8_GOOD);
        if (surrogate) continue;
        ck_assert_int_eq(n, len);
        ck_assert_uint_eq(sl_utf8_point(text), c);
        for (int cut = 1; cut < len; cut++) ck_assert(sl_utf8_next(text, (size_t)cut, &n) == SL_UTF8_SHORT && n == cut);
    }
}
END_TEST

int main(void) { return RUN_TESTS("utf8", 60, test_repair, test_points); }
