#include "engine/pages.h"

#include <assert.h>

sl_status sl__pages_init(sl__pages *p, int total, sl_arena *a, sl_error *e) {
    p->free = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *p->free);
    p->count = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *p->count);
    if (!p->free || !p->count) return sl_fail(e, SL_NOMEM, "no memory for the table of %d pages", total);
    p->total = p->free_count = total;
    for (int i = 0; i < total; i++) p->free[i] = total - 1 - i; /* low numbers first */
    return SL_OK;
}

int32_t sl__pages_take(sl__pages *p) {
    if (p->free_count == 0) return -1;
    int32_t page = p->free[--p->free_count];
    assert(p->count[page] == 0);
    p->count[page] = 1;
    return page;
}

void sl__pages_share(sl__pages *p, int32_t page) {
    assert(p->count[page] > 0);
    p->count[page]++;
}

void sl__pages_drop(sl__pages *p, int32_t page) {
    assert(p->count[page] > 0);
    if (--p->count[page] == 0) p->free[p->free_count++] = page;
}
