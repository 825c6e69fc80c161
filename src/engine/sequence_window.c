/* A sequence's window pages, of models with layers that have a window. In the order of a step: sl__sequence_grow takes one with
 * each page; the step writes its rows' keys and values, and reads those of the window before them; sl__sequence_publish attaches
 * those of the pages that are full now, and then gives those back that no later row sees. So a page that others are given
 * has been read and written for the last time.
 *
 *     positions   0 …                                  computed - window            computed
 *     pages       [known][known][known][known][known][known][known][known][known][known][begun]
 *     windows      .......passed: held by nobody, ........  [held, attached        ] [held]
 *                  .......attached as long as it lasts ...
 *
 * Whoever goes on after a known page needs the window pages of the last window's positions. So ends are kept longer, which lie before a
 * place where somebody is likely to go on (the end of a prompt, of an answer, where prompts were seen to part), than those which slid
 * out of the window of a sequence that went on. Who holds a window page that is attached holds its page, and drops that after it. */
#include "engine/sequence.h"

#include <assert.h>

/* Is the window page of its page k needed by who goes on after so many positions, in whole pages? */
static bool needed_at(const sl__pages *p, int k, int positions) {
    return (k + 1) * SL_PAGE <= positions && k >= sl__pages_first_window(p, positions);
}

static bool an_end(const sl__sequence *s, const sl__pages *p, int k) {
    return needed_at(p, k, sl__sequence_prompt_end(s)) || needed_at(p, k, s->branch);
}

void sl__sequence_slide(sl__sequence *s, sl__pages *p) {
    sl__attached *x = &p->windows;
    if (!x->kept.total) return;
    int first = sl__pages_first_window(p, s->computed);
    for (int k = s->first_window; k < first; k++)
        if (s->window[k] >= 0) sl__attached_drop(x, s->window[k], an_end(s, p, k) ? SL__KEPT_LONGER : SL__KEPT);
    for (int k = first; k < s->page_count; k++) {
        if (s->window[k] >= 0) continue;
        s->window[k] = sl__attached_of(x, s->page[k]);
        sl__attached_share(x, s->window[k]);
    }
    assert(first <= s->page_count);
    s->first_window = first;
}

void sl__sequence_attach_window(sl__sequence *s, sl__pages *p, int k) {
    if (p->windows.kept.total) s->window[k] = sl__attached_attach(&p->windows, s->window[k], s->page[k]);
}

/* Where it ends, or loses its pages, somebody is likely to go on. */
void sl__sequence_drop_window(sl__sequence *s, sl__pages *p) {
    int k = s->page_count - 1;
    if (p->windows.kept.total && k >= s->first_window && s->window[k] >= 0) sl__attached_drop(&p->windows, s->window[k], SL__KEPT_LONGER);
}
