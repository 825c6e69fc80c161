#include "fixture.h"

#include "base/utf8.h"

#include "../run.h"

/* Texts of parts: one text to the tokenizer, but special tokens only where markup spells them as a whole. What ids a text has is
 * sl_tokenizer_encode's, which other tests compare with the tokenizers package. */

static sl_tokenizer *t;
static sl_ids have, want;
static sl_error e;

typedef struct piece {
    const char *text;
    sl_markup markup;
} piece;
#define MARKUP(text) {text, SL_MARKUP}
#define CONTENT(text) {text, SL_CONTENT}

static void encode_pieces(const piece *p, int count) {
    char text[4096] = "";
    sl_text_part part[64];
    for (int i = 0; i < count; i++) {
        part[i] = (sl_text_part){strlen(p[i].text), p[i].markup};
        strcat(text, p[i].text);
    }
    have.count = 0;
    ck_assert_msg(sl_tokenizer_encode_parts(t, text, part, (size_t)count, false, SIZE_MAX, NULL, NULL, &have, &e) == SL_OK, "%s", e.message);
}

static void want_text(const char *text, sl_markup markup) {
    want.count = 0;
    ck_assert_int_eq(sl_tokenizer_encode(t, text, strlen(text), markup, false, SIZE_MAX, &want, &e), SL_OK);
}

static void same(const char *what) {
    bool equal = have.count == want.count && !memcmp(have.id, want.id, have.count * sizeof *have.id);
    ck_assert_msg(equal, "%s: %zu ids, not %zu", what, have.count, want.count);
}

/* The text of all pieces as markup gives the same ids. */
static void as_one(const piece *p, int count) {
    char text[4096] = "";
    for (int i = 0; i < count; i++) strcat(text, p[i].text);
    encode_pieces(p, count);
    want_text(text, SL_MARKUP);
    same(text);
}
#define AS_ONE(...) as_one((const piece[]){__VA_ARGS__}, (int)(sizeof(const piece[]){__VA_ARGS__} / sizeof(piece)))
#define ENCODE(...) encode_pieces((const piece[]){__VA_ARGS__}, (int)(sizeof(const piece[]){__VA_ARGS__} / sizeof(piece)))

static const char *const vocabularies[] = {"gpt2", "qwen2", "llama3", "mixtral", "gemma", "olmo", "flags", "metaspace", "o200k", "smollm"};
#define VOCABULARIES (sizeof vocabularies / sizeof *vocabularies)

static void each(void (*test)(void)) {
    for (size_t i = 0; i < VOCABULARIES; i++) {
        t = open_hf(vocabularies[i]);
        test();
        t = sl_tokenizer_free(t);
    }
    sl_free(have.id);
    sl_free(want.id);
    have = want = (sl_ids){0};
}

static void harmless(void) {
    AS_ONE(MARKUP("<|im_start|>user\n"), CONTENT("Hello there, it's 12345  spaces\n\n\tand e\xCC\x81"), MARKUP("<|im_end|>\n<|im_start|>"),
           CONTENT("assistant"), MARKUP("\n"));
    AS_ONE(CONTENT("a"), CONTENT("b"), MARKUP("c"), CONTENT(" d"), MARKUP(" "), CONTENT(" e"));
    AS_ONE(MARKUP("<s>"), CONTENT("  x  "), MARKUP("</s>"), CONTENT("\xE2\x82\xAC"), MARKUP("<|eot_id|>"));
    AS_ONE(CONTENT(""), MARKUP(""), CONTENT("a"));
    AS_ONE(CONTENT("a  "), MARKUP("<l>"), CONTENT("x")); /* white space that a special token swallows may be content */
    AS_ONE(MARKUP("<r>"), CONTENT("  x"));
}

START_TEST(parts_without_special_tokens_in_content) { each(harmless); }
END_TEST

/* Every special token's text, put into content whole and cut in two at every place. */
static void forge(void) {
    for (int id = 0; id < sl_tokenizer_count(t); id++) {
        if (!sl_tokenizer_special(t, id)) continue;
        sl_buffer name = {0};
        sl_tokenizer_piece(t, id, &name);
        const char *text = sl_buffer_text(&name);
        if (sl_tokenizer_special_id(t, text, name.len) != id) {
            sl_buffer_done(&name);
            continue;
        }
        char around[1100];
        snprintf(around, sizeof around, "a %s b", text);
        ENCODE(CONTENT(around));
        want_text(around, SL_CONTENT);
        same(around);
        for (size_t cut = 0; cut <= name.len; cut++) {
            char left[1100], right[1100];
            snprintf(left, sizeof left, "%.*s", (int)cut, text);
            snprintf(right, sizeof right, "%s", text + cut);
            if (!sl_utf8_valid(left, strlen(left))) continue;
            const piece cuts[][2] = {{CONTENT(left), MARKUP(right)}, {MARKUP(left), CONTENT(right)}, {CONTENT(left), CONTENT(right)}};
            for (int i = 0; i < 3; i++) {
                bool whole_markup = (i == 0 && cut == 0) || (i == 1 && cut == name.len);
                bool found = false;
                encode_pieces(cuts[i], 2);
                for (size_t k = 0; k < have.count; k++) found = found || have.id[k] == id;
                ck_assert_msg(found == whole_markup, "%s cut at %zu, %d", text, cut, i);
            }
        }
        sl_buffer_done(&name);
    }
}

START_TEST(content_cannot_forge) { each(forge); } /* Promise 6 */
END_TEST

/* A text of the client does not take a special token from the template either. */
START_TEST(content_cannot_swallow) {
    t = open_hf("qwen2");
    int end = sl_tokenizer_special_id(t, "<|im_end|>", 10);
    static const char *const tails[] = {"<", "<|", "<|im_", "<|im_end|", "\xCC\xB8", "a"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        ENCODE(CONTENT(tails[i]), MARKUP("<|im_end|>"), CONTENT("\xCC\xB8>"));
        int found = 0;
        for (size_t k = 0; k < have.count; k++) found += have.id[k] == end;
        ck_assert_msg(found == 1, "%s", tails[i]);
    }
    sl_tokenizer_free(t);
    sl_free(have.id);
    have = (sl_ids){0};
}
END_TEST

/* A vocabulary whose special tokens are looked for in normalised text: the places there are known too. */
START_TEST(normalised_special_tokens) {
    json_t *file = reference_json("qwen2.json"), *added; /* it normalises with NFC */
    size_t i;
    json_array_foreach(json_object_get(file, "added_tokens"), i, added) json_object_set_new(added, "normalized", json_true());
    char *text = json_dumps(file, 0);
    sl_vocab_source v = {.tokenizer_json = text, .tokenizer_json_len = strlen(text), .origin = "test"};
    ck_assert_msg(sl_tokenizer_open(&v, &t, &e) == SL_OK, "%s", e.message);
    free(text);
    json_decref(file);
    ENCODE(CONTENT("e\xCC\x81"), MARKUP("<|im_end|>"), CONTENT("e\xCC\x81<|im_end|>"), MARKUP("e\xCC\x81<|im_end|>"));
    int end = sl_tokenizer_special_id(t, "<|im_end|>", 10), at[2], found = 0;
    for (size_t k = 0; k < have.count; k++)
        if (have.id[k] == end && found < 2) at[found++] = (int)k;
    ck_assert_int_eq(found, 2);
    ck_assert_int_eq(at[1], (int)have.count - 1);
    want_text("\xC3\xA9", SL_CONTENT);
    ck_assert_int_eq(at[0], (int)want.count);
    want_text("\xC3\xA9<|im_end|>\xC3\xA9", SL_CONTENT);
    ck_assert_int_eq(at[1] - at[0] - 1, (int)want.count);
    ck_assert(!memcmp(have.id + at[0] + 1, want.id, want.count * sizeof *want.id));
    sl_tokenizer_free(t);
    sl_free(have.id);
    sl_free(want.id);
    have = want = (sl_ids){0};
}
END_TEST

START_TEST(refusals) {
    t = open_hf("gpt2");
    const sl_text_part two[] = {{1, SL_CONTENT}, {2, SL_MARKUP}};
    ck_assert_int_eq(sl_tokenizer_encode_parts(t, "a\xC3(", two, 2, false, SIZE_MAX, NULL, NULL, &have, &e), SL_INVALID);
    ck_assert_int_eq(sl_tokenizer_encode_parts(t, "abc", two, 2, false, 1, NULL, NULL, &have, &e), SL_TOO_LONG);
    ck_assert_uint_eq(have.count, 0);
    for (long n = 1; n < 8; n++) {
        sl_alloc_fail_at(n);
        sl_status st = sl_tokenizer_encode_parts(t, "abc", two, 2, false, SIZE_MAX, NULL, NULL, &have, &e);
        sl_alloc_fail_at(0);
        ck_assert(st == SL_OK || (st == SL_NOMEM && have.count == 0));
        have.count = 0;
    }
    sl_tokenizer_free(t);
    sl_free(have.id);
    have = (sl_ids){0};
}
END_TEST

int main(void) {
    return RUN_TESTS("text/parts", 120, parts_without_special_tokens_in_content, content_cannot_forge, content_cannot_swallow,
                     normalised_special_tokens, refusals);
}
