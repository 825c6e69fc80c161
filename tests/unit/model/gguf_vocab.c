/* The vocabulary's keys, from bytes: what files in the wild get wrong. */
#include "model/internal.h"

#include <stdlib.h>
#include "writer.h"

typedef struct outcome {
    sl_arena *arena;
    sl_vocab_source v;
    sl_notes notes;
    sl_error e;
} outcome;

/* A file of two tokens and what `more` adds (`keys` more keys). */
static sl_status read_vocab(const sl_buffer *more, int keys, outcome *r) {
    sl_buffer b = {0};
    sl__gguf g = {0};
    sl__tensors t = {0};
    *r = (outcome){.arena = sl_arena_new()};
    t.index.arena = r->arena;
    sl_buffer_puts(&b, "GGUF");
    put_u32(&b, 3), put_u64(&b, 0), put_u64(&b, 2 + (uint64_t)keys);
    put_kv_text(&b, "tokenizer.ggml.model", "gpt2");
    put_text(&b, "tokenizer.ggml.tokens"), put_u32(&b, 9), put_u32(&b, 8), put_u64(&b, 2), put_text(&b, "a"), put_text(&b, "b");
    sl_buffer_append(&b, more->data, more->len);
    char *kept = sl_arena_copy(r->arena, SL_MEM_OTHER, b.data, b.len);
    ck_assert_msg(sl__gguf_parse((const uint8_t *)kept, b.len, "x.gguf", 0, r->arena, &g, &t, &r->e) == SL_OK, "%s", r->e.message);
    sl_buffer_done(&b);
    return sl__gguf_vocab(&g, r->arena, &r->v, &r->notes, &r->e);
}

/* Ids of special tokens that name no token are noted and left out, whichever they are. */
START_TEST(test_ids_past_the_end) {
    static const char *const keys[] = {"bos", "eos", "unknown", "eot", "eom", "padding"};
    static const struct { uint32_t type; int64_t value; bool noted; } ids[] = {
        {4, 2, true}, {4, UINT32_MAX, false}, {4, UINT32_MAX - 1, true}, {5, -1, false}, {5, -100, true}, {11, INT64_MAX, true},
        {10, INT64_MIN, true}, {10, -1, false}, {4, 1, false}, /* 10 is an unsigned type: 2^63 and 2^64 - 1 */
    };
    outcome r;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
            char key[80];
            sl_buffer more = {0};
            snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", keys[k]);
            put_text(&more, key), put_u32(&more, ids[i].type);
            sl_buffer_append(&more, &ids[i].value, ids[i].type >= 10 ? 8 : 4);
            ck_assert_msg(read_vocab(&more, 1, &r) == SL_OK, "%s", r.e.message);
            const int of[] = {r.v.bos, r.v.eos, r.v.unk, r.v.eot, r.v.eom, r.v.pad};
            ck_assert_int_eq(of[k], ids[i].value == 1 ? 1 : -1);
            ck_assert_int_eq(r.notes.count, ids[i].noted);
            if (ids[i].noted) ck_assert_msg(strstr(r.notes.text[0], key) && strstr(r.notes.text[0], "there are 2 tokens"), "%s", r.notes.text[0]);
            sl_arena_free(r.arena);
            sl_buffer_done(&more);
        }
}
END_TEST

static void put_array(sl_buffer *b, const char *key, uint32_t element, int count, const void *values, size_t size) {
    put_text(b, key), put_u32(b, 9), put_u32(b, element), put_u64(b, (uint64_t)count);
    sl_buffer_append(b, values, size);
}

/* Scores and types of any number's type, for at least as many tokens as there are; or none. */
START_TEST(test_scores_and_types) {
    static const int32_t ints[] = {-3, 6, 9};
    static const float floats[] = {-3, 6, 9};
    static const uint8_t bytes[] = {3, 6, 99};
    outcome r;
    sl_buffer more = {0};
    ck_assert_int_eq(read_vocab(&more, 0, &r), SL_OK);
    ck_assert(r.v.tokens[0].type == SL_TOKEN_UNTYPED && r.v.tokens[1].score == 0);
    sl_arena_free(r.arena);
    for (int count = 1; count <= 3; count++)
        for (int kind = 0; kind < 2; kind++) {
            sl_buffer_clear(&more);
            put_array(&more, "tokenizer.ggml.scores", kind ? 6 : 5, count, kind ? (const void *)floats : ints, 4 * (size_t)count);
            put_array(&more, "tokenizer.ggml.token_type", kind ? 0 : 5, count, kind ? (const void *)bytes : ints, (kind ? 1 : 4) * (size_t)count);
            sl_status s = read_vocab(&more, 2, &r);
            ck_assert_int_eq(s, count < 2 ? SL_FORMAT : SL_OK);
            if (count >= 2) {
                ck_assert(r.v.tokens[0].score == -3 && r.v.tokens[1].score == 6);
                ck_assert(r.v.tokens[0].type == (kind ? 3 : 0) && r.v.tokens[1].type == 6);
            }
            sl_arena_free(r.arena);
        }
    sl_buffer_clear(&more);
    put_kv_text(&more, "tokenizer.ggml.token_type", "normal");
    ck_assert_int_eq(read_vocab(&more, 1, &r), SL_FORMAT);
    ck_assert_msg(strstr(r.e.message, "tokenizer.ggml.token_type is not an array of 2 integers"), "%s", r.e.message);
    sl_arena_free(r.arena);
    sl_buffer_done(&more);
}
END_TEST

/* eos_token_ids, as Ollama's converter writes it beside eos_token_id: all of them end an answer, there and here. */
START_TEST(test_several_ends) {
    static const struct {
        uint32_t element; /* 5: signed, 4: not, 6: no integer */
        int count;
        int32_t values[3];
        int eos, ends, notes; /* what is read; -2: refused */
    } lists[] = {
        {5, 1, {1}, 1, 1, 0}, {4, 2, {0, 1}, 0, 2, 0}, {5, 3, {-1, 1, 2}, 1, 1, 1}, {5, 0, {0}, -1, 0, 0}, {6, 1, {0}, -2, 0, 0},
    };
    outcome r;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        sl_buffer more = {0};
        put_array(&more, "tokenizer.ggml.eos_token_ids", lists[i].element, lists[i].count, lists[i].values, 4 * (size_t)lists[i].count);
        sl_status s = read_vocab(&more, 1, &r);
        ck_assert_int_eq(s, lists[i].eos == -2 ? SL_FORMAT : SL_OK);
        if (s == SL_OK) {
            ck_assert(r.v.eos == lists[i].eos && r.v.end_count == lists[i].ends);
            if (lists[i].ends) ck_assert_int_eq(r.v.ends[lists[i].ends - 1], 1);
            ck_assert_int_eq(r.notes.count, lists[i].notes);
        } else {
            ck_assert_msg(strstr(r.e.message, "tokenizer.ggml.eos_token_ids is no array of integers") != NULL, "%s", r.e.message);
        }
        sl_arena_free(r.arena);
        sl_buffer_done(&more);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("gguf_vocab");
    TCase *c = tcase_create("gguf_vocab");
    tcase_add_test(c, test_ids_past_the_end);
    tcase_add_test(c, test_scores_and_types);
    tcase_add_test(c, test_several_ends);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
