#include "engine/sequence.h"

#include <assert.h>
#include <string.h>

int sl__sequence_tokens(const sl__sequence *s) { return s->prompt_len + s->generated_count; }

int32_t sl__sequence_token(const sl__sequence *s, int position) {
    return position < s->prompt_len ? s->prompt[position] : s->generated[position - s->prompt_len];
}

static void drop_last(sl__sequence *s, sl__pages *p) {
    sl__sequence_drop_window(s, p);
    sl__pages_drop(p, s->page[--s->page_count]);
}

void sl__sequence_release(sl__sequence *s, sl__pages *p) {
    sl__sequence_leave(s, p);
    while (s->page_count > 0) drop_last(s, p); /* the last first: pages.h, invariant 3 */
    s->computed = s->known = s->first_window = s->branch = 0;
}

void sl__sequence_preempt(sl__sequence *s, sl__pages *p) {
    sl__sequence_release(s, p);
    s->state = SL__WAITING;
    s->rows = 0;
}

/* Puts a page after `count` others, those from `first` on by number. */
static void put(int32_t *list, int first, int count, int32_t page) {
    int at = count;
    for (; at > first && list[at - 1] > page; at--) list[at] = list[at - 1];
    list[at] = page;
}

/* Pages that come together stand by number: attention reads neighbours as one piece (kv.h), and kept pages are given up from
 * the end of a prefix, so the other way round. */
bool sl__sequence_grow(sl__sequence *s, sl__pages *p, int positions) {
    for (int first = s->page_count; s->page_count * SL_PAGE < positions; s->page_count++) {
        if (!sl__pages_left(p)) return false;
        put(s->page, first, s->page_count, sl__pages_take(p));
        if (p->windows.kept.total) put(s->window, first, s->page_count, sl__attached_take(&p->windows));
    }
    return true;
}

/* --- known pages --- */

int sl__sequence_prompt_end(const sl__sequence *s) { return (s->prompt_len - 1) / SL_PAGE * SL_PAGE; }

static int page_of_next_row(const sl__sequence *s) { return s->computed / SL_PAGE; }

static int32_t page_above(const sl__sequence *s, int page) { return page > 0 ? s->page[page - 1] : SL__ROOT; }

/* `count` tokens from the beginning of a page on: where they stand, or copied to room. */
static const int32_t *tokens_of(const sl__sequence *s, int page, int count, int32_t room[SL_PAGE]) {
    int first = page * SL_PAGE;
    assert(first + count <= sl__sequence_tokens(s));
    if (first + count <= s->prompt_len) return s->prompt + first;
    for (int i = 0; i < count; i++) room[i] = sl__sequence_token(s, first + i);
    return room;
}

/* Its last row is never in such a page. */
static bool may_adopt(const sl__sequence *s, int page) {
    return s->scored >= s->prompt_len && (page + 1) * SL_PAGE < sl__sequence_tokens(s);
}

/* The page of its next row, if it is known. */
static bool adopt_page(sl__sequence *s, sl__pages *p) {
    int32_t room[SL_PAGE];
    int k = page_of_next_row(s);
    assert(s->known == k && s->page_count <= k + 1);
    int32_t page = sl__pages_find(p, page_above(s, k), s->salt, tokens_of(s, k, SL_PAGE, room));
    if (page < 0) return false;
    if (s->page_count > k) drop_last(s, p);
    s->page[s->page_count] = page;
    if (s->window) s->window[s->page_count] = -1; /* not yet: sl__sequence_slide */
    s->page_count++;
    s->known++;
    s->computed = (k + 1) * SL_PAGE;
    return true;
}

/* How many known pages it can take over so that it can go on after them. Notes how far pages are known, and the state that is saved
 * there, if the model keeps one. */
static int adoptable(sl__sequence *s, const sl__pages *p, int32_t *saved) {
    int first = page_of_next_row(s), pages = 0, window = s->first_window; /* from this one on window pages are there */
    int32_t page = page_above(s, first), room[SL_PAGE];
    for (int k = first; may_adopt(s, k); s->branch = ++k * SL_PAGE) {
        page = sl__prefix_find(&p->prefix, page, s->salt, tokens_of(s, k, SL_PAGE, room));
        if (page < 0) break;
        if (p->windows.kept.total && sl__attached_of(&p->windows, page) < 0) window = k + 1;
        if (p->windows.kept.total && sl__pages_first_window(p, (k + 1) * SL_PAGE) < window) continue;
        if (p->states.kept.total && sl__attached_of(&p->states, page) < 0) continue;
        pages = k - first + 1;
        *saved = sl__attached_of(&p->states, page);
    }
    return pages;
}

int sl__sequence_adopt(sl__sequence *s, sl__pages *p) {
    int from = s->computed;
    if (p->states.kept.total || p->windows.kept.total) {
        int32_t saved = -1;
        int pages = adoptable(s, p, &saved);
        if (pages && p->states.kept.total) sl__sequence_begin_with(s, p, saved);
        while (pages-- > 0) adopt_page(s, p);
        sl__sequence_slide(s, p);
    } else {
        while (may_adopt(s, page_of_next_row(s)) && adopt_page(s, p)) continue;
    }
    return s->computed - from;
}

void sl__sequence_publish(sl__sequence *s, sl__pages *p) {
    for (int k; (k = s->known) < page_of_next_row(s); s->known++) {
        int32_t room[SL_PAGE];
        s->page[k] = sl__pages_publish(p, s->page[k], page_above(s, k), s->salt, tokens_of(s, k, SL_PAGE, room));
        sl__sequence_attach_window(s, p, k);
    }
    sl__sequence_slide(s, p);
    sl__sequence_stepped(s, p);
}

bool sl__sequence_wants_page_of(const sl__sequence *s, const sl__sequence *first) {
    int k = page_of_next_row(s);
    int32_t room[2][SL_PAGE];
    if (!may_adopt(s, k) || page_of_next_row(first) != k || (k + 1) * SL_PAGE > sl__sequence_tokens(first)) return false;
    if (page_above(s, k) != page_above(first, k) || s->salt != first->salt) return false;
    return !memcmp(tokens_of(s, k, SL_PAGE, room[0]), tokens_of(first, k, SL_PAGE, room[1]), SL_PAGE * sizeof(int32_t));
}

int sl__sequence_differs_at(const sl__sequence *s, const sl__pages *p) {
    int32_t room[SL_PAGE];
    int first = s->known * SL_PAGE, left = sl__sequence_tokens(s) - first, count = left < SL_PAGE ? left : SL_PAGE;
    int common = sl__prefix_common(&p->prefix, page_above(s, s->known), s->salt, tokens_of(s, s->known, count, room), count);
    return common < 0 || common == count || first + common == 0 ? -1 : first + common;
}
