#include "engine/states.h"

#include <assert.h>

size_t sl__states_bytes(int total, int pages) {
    return total ? (size_t)total * (sizeof(sl__slot) + sizeof(int32_t)) + (size_t)pages * sizeof(int32_t) : 0;
}

sl_status sl__states_init(sl__states *x, int total, int pages, sl_arena *a, sl_error *e) {
    *x = (sl__states){.total = total, .free_count = total, .oldest = -1, .newest = -1};
    if (!total) return SL_OK;
    x->slot = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *x->slot);
    x->free = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *x->free);
    x->of_page = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)pages, sizeof *x->of_page);
    if (!x->slot || !x->free || !x->of_page) return sl_fail(e, SL_NOMEM, "no memory for the table of %d states", total);
    for (int i = 0; i < total; i++) {
        x->free[i] = total - 1 - i; /* low numbers first */
        x->slot[i] = (sl__slot){.page = -1};
    }
    for (int i = 0; i < pages; i++) x->of_page[i] = -1;
    return SL_OK;
}

/* --- those saved that nobody reads --- */

static void list(sl__states *x, int32_t slot) {
    sl__slot *s = &x->slot[slot];
    s->older = x->newest;
    s->newer = -1;
    *(x->newest >= 0 ? &x->slot[x->newest].newer : &x->oldest) = slot;
    x->newest = slot;
}

static void unlist(sl__states *x, int32_t slot) {
    sl__slot *s = &x->slot[slot];
    *(s->older >= 0 ? &x->slot[s->older].newer : &x->oldest) = s->newer;
    *(s->newer >= 0 ? &x->slot[s->newer].older : &x->newest) = s->older;
}

/* It belongs to no page any more. */
static void detach(sl__states *x, int32_t slot) {
    x->of_page[x->slot[slot].page] = -1;
    x->slot[slot].page = -1;
    x->saved_count--;
}

/* --- slots --- */

int32_t sl__states_take(sl__states *x) {
    if (x->free_count > 0) return x->free[--x->free_count];
    int32_t slot = x->oldest;
    if (slot < 0) return -1;
    unlist(x, slot);
    detach(x, slot);
    x->evicted++;
    return slot;
}

void sl__states_drop(sl__states *x, int32_t slot) {
    assert(x->slot[slot].page < 0 && x->slot[slot].readers == 0);
    x->free[x->free_count++] = slot;
}

void sl__states_save(sl__states *x, int32_t slot, int32_t page) {
    if (x->of_page[page] >= 0) {
        sl__states_drop(x, slot);
        return;
    }
    x->slot[slot].page = page;
    x->of_page[page] = slot;
    x->saved_count++;
    list(x, slot);
}

int32_t sl__states_of(const sl__states *x, int32_t page) { return x->total ? x->of_page[page] : -1; }

void sl__states_forget(sl__states *x, int32_t page) {
    int32_t slot = sl__states_of(x, page);
    if (slot < 0) return;
    detach(x, slot);
    if (x->slot[slot].readers) return; /* free when the last of them has read it */
    unlist(x, slot);
    sl__states_drop(x, slot);
}

void sl__states_read(sl__states *x, int32_t slot) {
    assert(x->slot[slot].page >= 0);
    if (x->slot[slot].readers++ == 0) unlist(x, slot);
}

void sl__states_read_end(sl__states *x, int32_t slot) {
    assert(x->slot[slot].readers > 0);
    if (--x->slot[slot].readers) return;
    if (x->slot[slot].page >= 0) list(x, slot);
    else sl__states_drop(x, slot);
}

bool sl__states_take_over(sl__states *x, int32_t slot) {
    sl__slot *s = &x->slot[slot];
    if (s->readers != 1) return false;
    s->readers = 0;
    if (s->page < 0) return true; /* it was given up already */
    detach(x, slot);
    x->evicted++;
    return true;
}
