/* Opening stays linear whatever a file's texts and merges are: how many slots the tables look at, for keys that were made
 * to collide. Slots are counted, no clock is read. */
#include "text/internal.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#include "../run.h"

enum { BLOCKS = 12, KEYS = 1 << BLOCKS, KEY_BYTES = 16 * BLOCKS };

/* Text number n: of 12 blocks of 16 bytes, each one of two. The two differ in the highest bit of the first word and in two
 * bits of the second, which a hash that multiplies word by word takes back whatever its seed is. */
static void colliding(char *text, int n) {
    for (int i = 0; i < BLOCKS; i++) {
        uint64_t words[2] = {0x6161616161616161u, 0x6161616161616161u};
        if (n >> i & 1) {
            words[0] ^= (uint64_t)1 << 63;
            words[1] ^= (uint64_t)1 << 63 | (uint64_t)1 << 34;
        }
        memcpy(text + 16 * i, words, 16);
    }
}

/* The hash that these tables had, under a seed. */
static uint64_t multiplied(const char *text, size_t len, uint64_t seed) {
    const uint64_t k = 0x9E3779B97F4A7C15u;
    uint64_t h = seed, word;
    for (; len >= 8; text += 8, len -= 8) {
        memcpy(&word, text, 8);
        h = (h ^ word) * k;
        h ^= h >> 29;
    }
    return h;
}

START_TEST(test_texts) {
    char text[KEY_BYTES], first[KEY_BYTES];
    sl_arena *a = sl_arena_new();
    sl__vocabulary v = {0};
    size_t looks = 0;
    ck_assert_int_eq(sl__vocabulary_make(a, &v, KEYS, (size_t)KEYS * KEY_BYTES, NULL), SL_OK);
    colliding(first, 0);
    for (int i = 0; i < KEYS; i++) {
        colliding(text, i);
        for (uint64_t seed = 1; seed <= 3; seed++)
            ck_assert_uint_eq(multiplied(text, KEY_BYTES, seed * 0xD1B54A32D192ED03u), multiplied(first, KEY_BYTES, seed * 0xD1B54A32D192ED03u));
        ck_assert(sl__vocabulary_store(&v, text, KEY_BYTES, &v.key[i]));
        sl__vocabulary_key(&v, i);
    }
    for (uint32_t i = 0; i <= v.mask; i++) {
        if (!v.slots[i]) continue;
        sl__text key = v.key[(uint32_t)v.slots[i] - 1];
        uint32_t home = (uint32_t)sl_hash_bytes(sl__vocabulary_text(&v, key), key.len) & v.mask;
        looks += ((i - home) & v.mask) + 1;
    }
    ck_assert_uint_lt(looks, 3 * KEYS); /* expected: 1.5 a key, at half full; one after the other: 2048 a key */
    for (int i = 0; i < KEYS; i++) {
        colliding(text, i);
        ck_assert_int_eq(sl__vocabulary_find(&v, text, KEY_BYTES), i);
    }
    sl_arena_free(a);
}
END_TEST

/* Merges whose pairs of ids all fell into one slot of the table as it was. */
START_TEST(test_merges) {
    sl_arena *a = sl_arena_new();
    sl__merges m;
    size_t looks = 0;
    int count = 0;
    ck_assert_int_eq(sl__merges_make(a, &m, KEYS, NULL), SL_OK);
    for (uint64_t id = 0; count < KEYS; id++) {
        uint64_t ids = id >> 12 << 32 | (id & 4095), h = ids * 0x9E3779B97F4A7C15u;
        if ((uint32_t)(h >> 32 ^ h >> 15) & m.mask) continue;
        sl__merges_add(&m, (int)(ids >> 32), (int)(uint32_t)ids, (uint32_t)count++, 1);
    }
    for (uint32_t i = 0; i <= m.mask; i++)
        if (m.slots[i].ids != SL__NO_PAIR) looks += ((i - (uint32_t)sl_hash_number(m.slots[i].ids)) & m.mask) + 1;
    ck_assert_uint_lt(looks, 4 * KEYS); /* expected: 2 a key, at two thirds full */
    sl_arena_free(a);
}
END_TEST

/* Added tokens were searched one after the other. */
START_TEST(test_added) {
    enum { TOKENS = 30000 };
    sl__hf_added added = {0};
    sl_error e = {0};
    sl_json file, config = {0};
    sl_buffer text = {0};
    size_t looks = 0;
    sl_buffer_puts(&text, "{\"added_tokens\":[");
    for (int i = 0; i < TOKENS; i++) sl_buffer_printf(&text, "%s{\"id\":%d,\"content\":\"<%d>\"}", i ? "," : "", i, i);
    sl_buffer_puts(&text, "]}");
    ck_assert_msg(sl_json_parse(text.data, text.len, "tokenizer.json", &file, &e) == SL_OK, "%s", e.message);
    json_t *vocab = json_object();
    ck_assert_msg(sl__hf_added_read(&added, vocab, &file, &config, &e) == SL_OK, "%s", e.message);
    ck_assert_uint_eq(added.count, TOKENS);
    for (uint32_t i = 0; i <= added.mask; i++) {
        if (!added.slot[i]) continue;
        const sl__hf_token *t = &added.token[added.slot[i] - 1];
        looks += ((i - (uint32_t)sl_hash_bytes(t->text, t->len)) & added.mask) + 1;
    }
    ck_assert_uint_lt(looks, 3 * TOKENS);
    for (int i = 0; i < TOKENS; i++) {
        char content[16];
        snprintf(content, sizeof content, "<%d>", i);
        ck_assert_int_eq(sl__hf_added_find(&added, content, strlen(content))->id, i);
    }
    ck_assert_ptr_null(sl__hf_added_find(&added, "<x>", 3));
    sl__hf_added_done(&added);
    json_decref(vocab);
    json_decref(file.v);
    sl_buffer_done(&text);
}
END_TEST

int main(void) { return RUN_TESTS("vocabulary", 60, test_texts, test_merges, test_added); }
