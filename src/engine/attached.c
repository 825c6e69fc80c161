#include "engine/attached.h"

#include <assert.h>

size_t sl__attached_bytes(int total, int pages) {
    return total ? sl__kept_bytes(total) + ((size_t)total + (size_t)pages) * sizeof(int32_t) : 0;
}

sl_status sl__attached_init(sl__attached *x, int total, int pages, const char *what, sl_arena *a, sl_error *e) {
    *x = (sl__attached){0};
    sl_status st = sl__kept_init(&x->kept, total, what, a, e);
    if (st || !total) return st;
    x->page = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *x->page);
    x->of_page = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)pages, sizeof *x->of_page);
    if (!x->page || !x->of_page) return sl_fail(e, SL_NOMEM, "no memory for the table of %d %s", total, what);
    for (int i = 0; i < total; i++) x->page[i] = -1;
    for (int i = 0; i < pages; i++) x->of_page[i] = -1;
    return SL_OK;
}

static void detach(sl__attached *x, int32_t i) {
    x->of_page[x->page[i]] = -1;
    x->page[i] = -1;
    x->count--;
}

int32_t sl__attached_take(sl__attached *x) {
    int32_t i = sl__kept_take(&x->kept);
    if (i >= 0 && x->page[i] >= 0) detach(x, i); /* it was kept */
    return i;
}

void sl__attached_share(sl__attached *x, int32_t i) {
    assert(x->page[i] >= 0);
    sl__kept_share(&x->kept, i);
}

void sl__attached_drop(sl__attached *x, int32_t i, sl__place place) {
    sl__kept_drop(&x->kept, i, x->page[i] >= 0 ? place : SL__FREE);
}

int32_t sl__attached_attach(sl__attached *x, int32_t i, int32_t page) {
    int32_t same = x->of_page[page];
    assert(x->kept.holders[i] == 1 && x->page[i] < 0);
    if (same >= 0) {
        sl__kept_share(&x->kept, same);
        sl__kept_drop(&x->kept, i, SL__FREE);
        return same;
    }
    x->page[i] = page;
    x->of_page[page] = i;
    x->count++;
    return i;
}

int32_t sl__attached_of(const sl__attached *x, int32_t page) { return x->kept.total ? x->of_page[page] : -1; }

void sl__attached_forget(sl__attached *x, int32_t page) {
    int32_t i = sl__attached_of(x, page);
    if (i < 0) return;
    detach(x, i);
    if (x->kept.holders[i] == 0) sl__kept_free(&x->kept, i);
}

bool sl__attached_take_over(sl__attached *x, int32_t i) {
    if (x->kept.holders[i] != 1) return false;
    if (x->page[i] < 0) return true; /* its page was forgotten already */
    detach(x, i);
    x->kept.evicted++;
    return true;
}
