#include "engine/kept.h"

#include <assert.h>

size_t sl__kept_bytes(int total) {
    return total ? ((size_t)total + SL__PLACES) * sizeof(sl__link) + (size_t)total * sizeof(uint16_t) : 0;
}

/* --- places --- */

static int *count_of(sl__kept *k, sl__place place) { return place == SL__FREE ? &k->free_count : &k->kept_count; }

static void put(sl__kept *k, int32_t i, sl__place place) {
    int32_t end = k->total + (int32_t)place, before = place == SL__FREE ? end : k->link[end].before, after = k->link[before].after;
    k->link[i] = (sl__link){before, after};
    k->link[before].after = k->link[after].before = i;
    ++*count_of(k, place);
}

static void take_out(sl__kept *k, int32_t i, sl__place place) {
    sl__link l = k->link[i];
    k->link[l.before].after = l.after;
    k->link[l.after].before = l.before;
    --*count_of(k, place);
}

/* --- holders --- */

sl_status sl__kept_init(sl__kept *k, int total, const char *what, sl_arena *a, sl_error *e) {
    *k = (sl__kept){.total = total};
    if (!total) return SL_OK;
    k->link = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total + SL__PLACES, sizeof *k->link);
    k->holders = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *k->holders);
    if (!k->link || !k->holders) return sl_fail(e, SL_NOMEM, "no memory for the table of %d %s", total, what);
    for (int32_t end = total; end < total + SL__PLACES; end++) k->link[end] = (sl__link){end, end};
    for (int32_t i = total - 1; i >= 0; i--) put(k, i, SL__FREE); /* low numbers are taken first */
    return SL_OK;
}

int32_t sl__kept_take(sl__kept *k) {
    for (sl__place place = SL__FREE; place < SL__PLACES; place++) {
        int32_t i = k->link[k->total + (int32_t)place].after;
        if (i >= k->total) continue; /* nobody stands there */
        assert(k->holders[i] == 0);
        take_out(k, i, place);
        k->evicted += place != SL__FREE;
        k->holders[i] = 1;
        return i;
    }
    return -1;
}

void sl__kept_share(sl__kept *k, int32_t i) {
    if (k->holders[i]++ == 0) take_out(k, i, SL__KEPT);
}

void sl__kept_drop(sl__kept *k, int32_t i, sl__place place) {
    assert(k->holders[i] > 0);
    if (--k->holders[i] == 0) put(k, i, place);
}

void sl__kept_free(sl__kept *k, int32_t i) {
    assert(k->holders[i] == 0);
    take_out(k, i, SL__KEPT);
    put(k, i, SL__FREE);
}
