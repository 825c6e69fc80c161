/* Names to numbers by open addressing. The hash is seeded by the process, so that a file can't choose its collisions. */
#include "model/internal.h"

#include "base/hash.h"

#include <string.h>

static bool same(const sl__name *n, const char *text, size_t len) {
    return n->len == len && memcmp(n->text, text, len) == 0;
}

static void place(sl__index *x, uint32_t number) {
    uint32_t i = (uint32_t)sl_hash_bytes(x->name[number].text, x->name[number].len) & x->mask;
    while (x->slot[i]) i = (i + 1) & x->mask;
    x->slot[i] = number + 1;
}

static sl_status grow(sl__index *x) {
    uint32_t cap = x->cap ? x->cap * 2 : 256;
    sl__name *name = sl_arena_array(x->arena, SL_MEM_METADATA, cap, sizeof *name);
    uint32_t *slot = sl_arena_array(x->arena, SL_MEM_METADATA, (size_t)cap * 2, sizeof *slot);
    if (!name || !slot) return SL_NOMEM;
    if (x->count) memcpy(name, x->name, x->count * sizeof *name);
    x->name = name;
    x->slot = slot;
    x->cap = cap;
    x->mask = cap * 2 - 1;
    for (uint32_t i = 0; i < x->count; i++) place(x, i);
    return SL_OK;
}

int64_t sl__index_find(const sl__index *x, const char *text, size_t len) {
    if (x->count == 0) return -1;
    uint32_t i = (uint32_t)sl_hash_bytes(text, len) & x->mask;
    for (; x->slot[i]; i = (i + 1) & x->mask)
        if (same(&x->name[x->slot[i] - 1], text, len)) return x->slot[i] - 1;
    return -1;
}

sl_status sl__index_add(sl__index *x, const char *text, uint32_t len) {
    if (sl__index_find(x, text, len) >= 0) return SL_INVALID;
    if (x->count == x->cap) {
        sl_status s = grow(x);
        if (s != SL_OK) return s;
    }
    x->name[x->count] = (sl__name){text, len};
    place(x, x->count);
    x->count++;
    return SL_OK;
}
