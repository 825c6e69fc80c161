/* Tokens by id, and the table from a text to the id that has it: open addressing, at most half full. */
#include "text/internal.h"

#include "base/hash.h"

#include <string.h>

static uint32_t hash_of(const char *text, size_t len) { return (uint32_t)sl_hash_bytes(text, len); }

sl_status sl__vocabulary_make(sl_arena *a, sl__vocabulary *v, int count, size_t bytes, sl_error *e) {
    uint32_t slots = 16;
    while (slots < (uint32_t)count * 2) slots *= 2;
    if (bytes > UINT32_MAX) return sl_fail(e, SL_FORMAT, "the vocabulary has %zu bytes of text, more than 4 GiB", bytes);
    v->count = count;
    v->room = bytes;
    v->mask = slots - 1;
    v->piece = sl_arena_array(a, SL_MEM_VOCABULARY, (size_t)count, sizeof *v->piece);
    v->key = sl_arena_array(a, SL_MEM_VOCABULARY, (size_t)count, sizeof *v->key);
    v->flags = sl_arena_array(a, SL_MEM_VOCABULARY, (size_t)count, 1);
    v->bytes = sl_arena_array(a, SL_MEM_VOCABULARY, bytes ? bytes : 1, 1);
    v->slots = sl_arena_array(a, SL_MEM_VOCABULARY, slots, sizeof *v->slots);
    if (!v->piece || !v->key || !v->flags || !v->bytes || !v->slots) return sl_fail(e, SL_NOMEM, "no memory for the vocabulary");
    return SL_OK;
}

bool sl__vocabulary_store(sl__vocabulary *v, const char *text, size_t len, sl__text *ret) {
    if (len > v->room - v->used) return false;
    if (len) memcpy(v->bytes + v->used, text, len);
    *ret = (sl__text){.at = (uint32_t)v->used, .len = (uint32_t)len};
    v->used += len;
    return true;
}

/* The slot that holds the text, or the empty one where it belongs. */
static uint64_t *slot_of(const sl__vocabulary *v, const char *text, size_t len) {
    uint32_t hash = hash_of(text, len);
    for (uint32_t i = hash & v->mask;; i = (i + 1) & v->mask) {
        uint64_t slot = v->slots[i];
        if (!slot) return &v->slots[i];
        if ((uint32_t)(slot >> 32) != hash) continue;
        sl__text key = v->key[(uint32_t)slot - 1];
        if (key.len == len && memcmp(v->bytes + key.at, text, len) == 0) return &v->slots[i];
    }
}

void sl__vocabulary_key(sl__vocabulary *v, int id) {
    sl__text key = v->key[id];
    const char *text = v->bytes + key.at;
    uint64_t *slot = slot_of(v, text, key.len);
    if (*slot && (v->flags[id] & SL__SPECIAL)) return;
    *slot = (uint64_t)hash_of(text, key.len) << 32 | ((uint32_t)id + 1);
    v->flags[id] |= SL__KEYED;
    if (key.len > v->longest_key) v->longest_key = key.len;
}

int sl__vocabulary_any(const sl__vocabulary *v, const char *text, size_t len) {
    if (len > v->longest_key) return -1;
    uint64_t slot = *slot_of(v, text, len);
    return slot ? (int)((uint32_t)slot - 1) : -1;
}

int sl__vocabulary_find(const sl__vocabulary *v, const char *text, size_t len) {
    int id = sl__vocabulary_any(v, text, len);
    return id >= 0 && (v->flags[id] & SL__SPECIAL) ? -1 : id;
}

const char *sl__vocabulary_text(const sl__vocabulary *v, sl__text t) { return v->bytes + t.at; }
