#include "cli/kinds.h"

#include <stdlib.h>
#include <string.h>

#include "../run.h"

static const struct {
    const char *text;
    bool special;
    sl_kind kind;
} tokens[] = {
    {"<s>", true, SL_KIND_SPECIAL}, {"", false, SL_KIND_BLANK}, {" ", false, SL_KIND_BLANK}, {"\n\t ", false, SL_KIND_BLANK},
    {".", false, SL_KIND_PUNCTUATION}, {" (", false, SL_KIND_PUNCTUATION}, {"<b>", false, SL_KIND_PUNCTUATION}, {" «", false, SL_KIND_PUNCTUATION},
    {"…", false, SL_KIND_PUNCTUATION}, {"。", false, SL_KIND_PUNCTUATION}, {"😀", false, SL_KIND_PUNCTUATION}, {"_x", false, SL_KIND_PUNCTUATION},
    {"7", false, SL_KIND_NUMBER}, {" 1984", false, SL_KIND_NUMBER}, {"The", false, SL_KIND_CAPITAL}, {" Über", false, SL_KIND_CAPITAL},
    {" Ωμέγα", false, SL_KIND_CAPITAL}, {" Жук", false, SL_KIND_CAPITAL}, {" a", false, SL_KIND_SMALL}, {" the", false, SL_KIND_SMALL},
    {" für", false, SL_KIND_SMALL}, {" there", false, SL_KIND_WORD}, {" élan", false, SL_KIND_WORD}, {"ing", false, SL_KIND_PART},
    {"中文", false, SL_KIND_PART}, {"\xe4\xb8", false, SL_KIND_BYTES}, {" \xf0\x9f", false, SL_KIND_BYTES}, {"\xff", false, SL_KIND_BYTES},
};

START_TEST(by_their_characters) {
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        sl_kind got = sl_kind_of(tokens[i].text, strlen(tokens[i].text), tokens[i].special);
        ck_assert_msg(got == tokens[i].kind, "\"%s\": %s", tokens[i].text, sl_kind_names[got]);
    }
    ck_assert_int_eq(sl_kind_of("\0", 1, false), SL_KIND_PUNCTUATION);
}
END_TEST

int main(void) { return RUN_TESTS("cli/kinds", 20, by_their_characters); }
