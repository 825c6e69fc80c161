/* windows.h: who has which window page, of models with layers that see the newest positions only; and which are kept for
 * those that come later. Engine thread. Where its bytes lie, and what a row sees, is forward's business (forward/kv.h).
 *
 * A page (pages.h) holds SL_PAGE positions in the layers that see everything, and its number stands for the tokens. In layers
 * with a window the same positions lie in a window page, which has a number of its own, because most pages of a long sequence
 * need none any more: no later row sees them there. With a window of 128 a sequence of 32768 positions holds 1024 pages, and
 * five window pages while it decodes.
 *
 *     FREE ──take──► HELD ──attach: its page is known──► HELD and attached ──last holder drops it──► KEPT
 *      ▲               │ last holder drops it                   ▲                                    │ │
 *      ├───────────────┘                                        └───────────────share────────────────┘ │
 *      ├──forget: its page is known no more────────────────────────────────────────────────────────────┤
 *      a HELD one of somebody else ◄──take, when none is free──────────────────────────────────────────┘
 *
 * Whoever goes on after a known page needs the window pages of the last window's positions (sequence_window.c). So two kinds
 * are kept: ends, which lie before a place where somebody is likely to go on (the end of a prompt, of an answer, where prompts
 * were seen to part), and passed ones, which slid out of the window of a sequence that went on. Passed ones are taken first, of each kind
 * the one that was dropped first.
 *
 * Invariants
 *   1. A window page is free (on the stack), held by `count` sequences, or kept: attached, and held by nobody.
 *   2. An attached one belongs to one known page, which has no other; it is full and never written again.
 *   3. Who holds one that is attached holds its page, and drops that after it. So nobody holds the window page of a page that is
 *      forgotten. */
#ifndef SL_ENGINE_WINDOWS_H
#define SL_ENGINE_WINDOWS_H

#include "base/arena.h"
#include "base/error.h"
#include "forward/kv.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sl__window_page {
    int32_t older, newer; /* among those kept of its kind, by when the last holder dropped them; -1: none */
    int32_t page;         /* the known page that it is attached to; -1: none */
    uint16_t count;       /* holders */
    bool end;             /* as it was dropped: it is one of the ends */
} sl__window_page;

typedef struct sl__window_list {
    int32_t oldest, newest; /* -1: none */
} sl__window_list;

typedef struct sl__windows {
    sl__window_page *window;    /* [total] */
    int32_t *free;              /* [total] stack */
    int32_t *of_page;           /* [pages] the one attached; -1: none */
    sl__window_list passed, ends;
    int total;                  /* 0: no layer has a window; nothing here is called then but _of and _forget, which do nothing */
    int free_count, kept_count;
    int evicted;                /* kept ones that were taken; whoever counts them sets it to 0 */
    sl_kv_window widest;
    int ctx;
} sl__windows;

size_t sl__windows_bytes(int total, int pages); /* what init takes */
sl_status sl__windows_init(sl__windows *x, int total, int pages, const sl_hparams *hp, int ctx, sl_arena *a, sl_error *e);

int32_t sl__windows_take(sl__windows *x); /* -1: all are held */
void sl__windows_share(sl__windows *x, int32_t window);          /* one holder more */
void sl__windows_drop(sl__windows *x, int32_t window, bool end); /* one holder less; free or kept at none */

static inline int sl__windows_available(const sl__windows *x) { return x->free_count + x->kept_count; } /* that can be taken */

/* Attaches one that the caller alone holds, and that is not attached, to a known page. Returns the one that the caller holds
 * from now on: where the page has one already, that one, and `window` is dropped. */
int32_t sl__windows_attach(sl__windows *x, int32_t window, int32_t page);
int32_t sl__windows_of(const sl__windows *x, int32_t page); /* -1: none is attached */
void sl__windows_forget(sl__windows *x, int32_t page);      /* the one attached, if any, is free */

/* The first page of a sequence, counted from its beginning, that a row at the position or a later one sees in such layers. */
int sl__windows_first(const sl__windows *x, int position);

#endif
