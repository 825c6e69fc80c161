#include "engine/windows.h"

#include <assert.h>

size_t sl__windows_bytes(int total, int pages) {
    return total ? (size_t)total * (sizeof(sl__window_page) + sizeof(int32_t)) + (size_t)pages * sizeof(int32_t) : 0;
}

sl_status sl__windows_init(sl__windows *x, int total, int pages, const sl_hparams *hp, int ctx, sl_arena *a, sl_error *e) {
    *x = (sl__windows){.passed = {-1, -1}, .ends = {-1, -1}, .total = total, .free_count = total, .widest = sl_kv_window_of(hp, ctx), .ctx = ctx};
    if (!total) return SL_OK;
    x->window = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *x->window);
    x->free = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)total, sizeof *x->free);
    x->of_page = sl_arena_array(a, SL_MEM_SEQUENCES, (size_t)pages, sizeof *x->of_page);
    if (!x->window || !x->free || !x->of_page) return sl_fail(e, SL_NOMEM, "no memory for the table of %d window pages", total);
    for (int i = 0; i < total; i++) {
        x->free[i] = total - 1 - i; /* low numbers first */
        x->window[i] = (sl__window_page){.page = -1};
    }
    for (int i = 0; i < pages; i++) x->of_page[i] = -1;
    return SL_OK;
}

/* --- those that are kept --- */

static sl__window_list *list_of(sl__windows *x, const sl__window_page *g) { return g->end ? &x->ends : &x->passed; }

static void keep(sl__windows *x, int32_t window) {
    sl__window_page *g = &x->window[window];
    sl__window_list *list = list_of(x, g);
    g->older = list->newest;
    g->newer = -1;
    *(list->newest >= 0 ? &x->window[list->newest].newer : &list->oldest) = window;
    list->newest = window;
    x->kept_count++;
}

static void unkeep(sl__windows *x, int32_t window) {
    sl__window_page *g = &x->window[window];
    sl__window_list *list = list_of(x, g);
    *(g->older >= 0 ? &x->window[g->older].newer : &list->oldest) = g->newer;
    *(g->newer >= 0 ? &x->window[g->newer].older : &list->newest) = g->older;
    x->kept_count--;
}

static void detach(sl__windows *x, int32_t window) {
    x->of_page[x->window[window].page] = -1;
    x->window[window].page = -1;
}

/* --- holders --- */

int32_t sl__windows_take(sl__windows *x) {
    int32_t window = x->passed.oldest >= 0 ? x->passed.oldest : x->ends.oldest;
    if (x->free_count > 0) {
        window = x->free[--x->free_count];
    } else if (window >= 0) {
        unkeep(x, window);
        detach(x, window);
        x->evicted++;
    } else {
        return -1;
    }
    assert(x->window[window].count == 0 && x->window[window].page < 0);
    x->window[window].count = 1;
    return window;
}

void sl__windows_share(sl__windows *x, int32_t window) {
    sl__window_page *g = &x->window[window];
    assert(g->page >= 0);
    if (g->count == 0) unkeep(x, window);
    g->count++;
}

void sl__windows_drop(sl__windows *x, int32_t window, bool end) {
    sl__window_page *g = &x->window[window];
    assert(g->count > 0);
    if (--g->count > 0) return;
    g->end = end;
    if (g->page >= 0) keep(x, window);
    else x->free[x->free_count++] = window;
}

/* --- by their pages --- */

int32_t sl__windows_attach(sl__windows *x, int32_t window, int32_t page) {
    int32_t same = x->of_page[page];
    assert(x->window[window].count == 1 && x->window[window].page < 0);
    if (same < 0) {
        x->window[window].page = page;
        x->of_page[page] = window;
        return window;
    }
    sl__windows_share(x, same);
    sl__windows_drop(x, window, false);
    return same;
}

int32_t sl__windows_of(const sl__windows *x, int32_t page) { return x->total ? x->of_page[page] : -1; }

void sl__windows_forget(sl__windows *x, int32_t page) {
    int32_t window = sl__windows_of(x, page);
    if (window < 0) return;
    assert(x->window[window].count == 0);
    unkeep(x, window);
    detach(x, window);
    x->free[x->free_count++] = window;
}

int sl__windows_first(const sl__windows *x, int position) { return sl_kv_first_in(x->widest, position) / SL_PAGE; }
