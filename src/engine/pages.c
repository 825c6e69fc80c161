#include "engine/pages.h"

#include <assert.h>

size_t sl__pages_bytes(int total) { return (size_t)total * (sizeof(sl__page) + sizeof(int32_t)) + sl__prefix_bytes(total); }

sl_status sl__pages_init(sl__pages *p, int total, bool keep, sl_arena *a, sl_error *e) {
    *p = (sl__pages){.oldest = -1, .newest = -1, .total = total, .free_count = total, .keep = keep};
    p->page = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *p->page);
    p->free = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *p->free);
    if (!p->page || !p->free) return sl_fail(e, SL_NOMEM, "no memory for the table of %d pages", total);
    for (int i = 0; i < total; i++) p->free[i] = total - 1 - i; /* low numbers first */
    return sl__prefix_init(&p->prefix, total, a, e);
}

/* --- those that are kept --- */

static void keep(sl__pages *p, int32_t page) {
    sl__page *g = &p->page[page];
    g->older = p->newest;
    g->newer = -1;
    *(p->newest >= 0 ? &p->page[p->newest].newer : &p->oldest) = page;
    p->newest = page;
    p->kept_count++;
}

static void unkeep(sl__pages *p, int32_t page) {
    sl__page *g = &p->page[page];
    *(g->older >= 0 ? &p->page[g->older].newer : &p->oldest) = g->newer;
    *(g->newer >= 0 ? &p->page[g->newer].older : &p->newest) = g->older;
    p->kept_count--;
}

/* It is known no more. */
static void forget(sl__pages *p, int32_t page) {
    sl__prefix_remove(&p->prefix, page);
    sl__states_forget(&p->states, page);
    sl__windows_forget(&p->windows, page);
}

/* --- holders --- */

int32_t sl__pages_take(sl__pages *p) {
    int32_t page = p->oldest;
    if (p->free_count > 0) {
        page = p->free[--p->free_count];
    } else if (page >= 0) {
        unkeep(p, page);
        forget(p, page);
        p->evicted++;
    } else {
        return -1;
    }
    assert(p->page[page].count == 0);
    p->page[page].count = 1;
    return page;
}

void sl__pages_share(sl__pages *p, int32_t page) {
    sl__page *g = &p->page[page];
    assert(g->count > 0 || (p->keep && sl__prefix_knows(&p->prefix, page)));
    if (g->count == 0) unkeep(p, page);
    g->count++;
}

void sl__pages_drop(sl__pages *p, int32_t page) {
    assert(p->page[page].count > 0);
    if (--p->page[page].count > 0) return;
    bool known = sl__prefix_knows(&p->prefix, page);
    if (known && p->keep) {
        keep(p, page);
    } else {
        if (known) forget(p, page);
        p->free[p->free_count++] = page;
    }
}

/* --- by their tokens --- */

int32_t sl__pages_find(sl__pages *p, int32_t above, uint64_t salt, const int32_t *token) {
    int32_t page = sl__prefix_find(&p->prefix, above, salt, token);
    if (page >= 0) sl__pages_share(p, page);
    return page;
}

int32_t sl__pages_publish(sl__pages *p, int32_t page, int32_t above, uint64_t salt, const int32_t *token) {
    int32_t same = sl__pages_find(p, above, salt, token);
    if (same < 0) {
        sl__prefix_add(&p->prefix, page, above, salt, token);
        return page;
    }
    assert(same != page);
    sl__pages_drop(p, page);
    return same;
}
