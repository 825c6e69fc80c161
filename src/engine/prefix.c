#include "engine/prefix.h"

#include "base/hash.h"

#include <assert.h>
#include <string.h>

static size_t slots_for(int total) {
    size_t slots = 2;
    while (slots < 2 * (size_t)total) slots *= 2;
    return slots;
}

size_t sl__prefix_bytes(int total) { return (size_t)total * sizeof(sl__known) + slots_for(total) * sizeof(int32_t); }

sl_status sl__prefix_init(sl__prefix *x, int total, sl_arena *a, sl_error *e) {
    *x = (sl__prefix){.slots = slots_for(total), .first = -1, .hash = sl_hash_bytes};
    x->page = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *x->page);
    x->slot = sl_arena_array(a, SL_MEM_SEQUENCES, x->slots, sizeof *x->slot);
    if (!x->page || !x->slot) return sl_fail(e, SL_NOMEM, "no memory to find %d pages by their tokens", total);
    for (size_t i = 0; i < x->slots; i++) x->slot[i] = -1;
    return SL_OK;
}

/* What is hashed: the page above stands for all tokens before. */
typedef struct key {
    int64_t above;
    uint64_t salt;
    int32_t token[SL_PAGE];
} key;

static uint64_t salt_below(int32_t above, uint64_t salt) { return above == SL__ROOT ? salt : 0; }

static uint64_t hash_of(const sl__prefix *x, int32_t above, uint64_t salt, const int32_t *token) {
    key k = {.above = above, .salt = salt_below(above, salt)};
    memcpy(k.token, token, sizeof k.token);
    return x->hash(&k, sizeof k);
}

static int32_t *slot_of(const sl__prefix *x, uint64_t hash) { return &x->slot[hash & (x->slots - 1)]; }

static int32_t find(const sl__prefix *x, uint64_t hash, int32_t above, uint64_t salt, const int32_t *token) {
    for (int32_t i = *slot_of(x, hash); i >= 0; i = x->page[i].next) {
        const sl__known *p = &x->page[i];
        if (p->hash == hash && p->above == above && p->salt == salt_below(above, salt) && !memcmp(p->token, token, sizeof p->token))
            return i;
    }
    return -1;
}

int32_t sl__prefix_find(const sl__prefix *x, int32_t above, uint64_t salt, const int32_t *token) {
    return find(x, hash_of(x, above, salt, token), above, salt, token);
}

/* Where the newest page below `above` is noted. */
static int32_t *below(sl__prefix *x, int32_t above) { return above == SL__ROOT ? &x->first : &x->page[above].below; }

void sl__prefix_add(sl__prefix *x, int32_t page, int32_t above, uint64_t salt, const int32_t *token) {
    sl__known *p = &x->page[page];
    uint64_t hash = hash_of(x, above, salt, token);
    assert(!p->known && (above == SL__ROOT || x->page[above].known) && find(x, hash, above, salt, token) < 0);
    int32_t *slot = slot_of(x, hash), *newest = below(x, above);
    *p = (sl__known){.hash = hash, .salt = salt_below(above, salt), .above = above, .below = -1, .newer = -1, .older = *newest,
                     .next = *slot, .known = true};
    memcpy(p->token, token, sizeof p->token);
    if (p->older >= 0) x->page[p->older].newer = page;
    *newest = page;
    *slot = page;
}

void sl__prefix_remove(sl__prefix *x, int32_t page) {
    sl__known *p = &x->page[page];
    assert(p->known && p->below < 0);
    int32_t *at = slot_of(x, p->hash);
    while (*at != page) at = &x->page[*at].next;
    *at = p->next;
    if (p->older >= 0) x->page[p->older].newer = p->newer;
    *(p->newer >= 0 ? &x->page[p->newer].older : below(x, p->above)) = p->older;
    p->known = false;
}

int sl__prefix_common(const sl__prefix *x, int32_t above, uint64_t salt, const int32_t *token, int count) {
    int most = -1, looked = 0;
    int32_t i = above == SL__ROOT ? x->first : x->page[above].below;
    for (; i >= 0 && looked < SL__LOOKED; i = x->page[i].older, looked++) {
        const sl__known *p = &x->page[i];
        int n = 0;
        if (p->salt != salt_below(above, salt)) continue;
        while (n < count && p->token[n] == token[n]) n++;
        if (n > most) most = n;
    }
    return most;
}
