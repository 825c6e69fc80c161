#include "engine/pages.h"

#include <assert.h>

size_t sl__pages_bytes(int total) { return sl__kept_bytes(total) + sl__prefix_bytes(total); }

sl_status sl__pages_init(sl__pages *p, int total, bool keep, sl_arena *a, sl_error *e) {
    *p = (sl__pages){.keep = keep};
    sl_status st = sl__kept_init(&p->kept, total, "pages", a, e);
    return st ? st : sl__prefix_init(&p->prefix, total, a, e);
}

sl_status sl__pages_windows(sl__pages *p, int total, const sl_hparams *hp, int ctx, sl_arena *a, sl_error *e) {
    p->widest = sl_kv_window_of(hp, ctx);
    p->ctx = ctx;
    return sl__attached_init(&p->windows, total, p->kept.total, "window pages", a, e);
}

/* --- holders --- */

/* It is known no more. */
static void forget(sl__pages *p, int32_t page) {
    assert(sl__attached_of(&p->windows, page) < 0 || !p->windows.kept.holders[sl__attached_of(&p->windows, page)]);
    sl__prefix_remove(&p->prefix, page);
    sl__attached_forget(&p->states, page);
    sl__attached_forget(&p->windows, page);
}

int32_t sl__pages_take(sl__pages *p) {
    int32_t page = sl__kept_take(&p->kept);
    if (page >= 0 && sl__prefix_knows(&p->prefix, page)) forget(p, page); /* it was kept */
    return page;
}

void sl__pages_share(sl__pages *p, int32_t page) {
    assert(p->kept.holders[page] > 0 || (p->keep && sl__prefix_knows(&p->prefix, page)));
    sl__kept_share(&p->kept, page);
}

void sl__pages_drop(sl__pages *p, int32_t page) {
    if (p->kept.holders[page] == 1 && !p->keep && sl__prefix_knows(&p->prefix, page)) forget(p, page);
    sl__kept_drop(&p->kept, page, sl__prefix_knows(&p->prefix, page) ? SL__KEPT : SL__FREE);
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
