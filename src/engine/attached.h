/* attached.h: what belongs to a known page beside its keys and values: window pages, and slots of state; who holds which, and which
 * are kept for those that come later. Engine thread. Where the bytes lie is forward's business (forward/kv.h, forward/state.h).
 *
 * A page (pages.h) stands for the tokens up to its end, and its keys and values for computing them. That is not all that a sequence
 * needs to go on after it:
 *   - where layers keep a state in place of keys, the state after the page's last position. It is as large for ten positions as for ten
 *     thousand, so it is saved at few: at the end of each prompt, where prompts begin to differ, and where an answer has come to;
 *   - where layers have a window, their keys and values of the newest positions. These lie in window pages, which have numbers of their
 *     own, because most pages of a long sequence need none any more: no later row sees them there. With a window of 128 a sequence
 *     of 32768 positions holds 1024 pages, and five window pages while it decodes.
 * Either is held by one sequence while it is written, and attached when it is whole and its page is known. From then on it may have
 * several holders (of a state: those that have yet to read it), and is kept when it has none (kept.h).
 *
 * Invariants
 *   1. What is attached belongs to one known page, which has no other of its kind. It is never written again.
 *   2. What is kept is attached, and what is free is not. */
#ifndef SL_ENGINE_ATTACHED_H
#define SL_ENGINE_ATTACHED_H

#include "engine/kept.h"

#include <stdbool.h>

typedef struct sl__attached {
    sl__kept kept;    /* total 0: the model has none of the kind. Then nothing here is called but _of and _forget, which do nothing */
    int32_t *page;    /* [kept.total] the known page that it is attached to; -1: none */
    int32_t *of_page; /* [pages] the one attached; -1: none */
    int count;        /* attached */
} sl__attached;

size_t sl__attached_bytes(int total, int pages); /* what init takes */
sl_status sl__attached_init(sl__attached *x, int total, int pages, const char *what, sl_arena *a, sl_error *e);

int32_t sl__attached_take(sl__attached *x);              /* has one holder then, and no page; -1: all are held */
void sl__attached_share(sl__attached *x, int32_t i);     /* one holder more, of one that is attached */
void sl__attached_drop(sl__attached *x, int32_t i, sl__place place); /* one holder less; at none it is kept there, if attached */

/* Attaches one that the caller alone holds to a known page. Returns the one that the caller holds from now on: where the page has
 * one already, that one, and i is dropped. */
int32_t sl__attached_attach(sl__attached *x, int32_t i, int32_t page);
int32_t sl__attached_of(const sl__attached *x, int32_t page); /* -1: none is attached */
void sl__attached_forget(sl__attached *x, int32_t page);      /* the one attached, if any, is free when nobody holds it */

/* The only holder takes what is attached for its own, to write there: true, and it has no page. false: there are others. */
bool sl__attached_take_over(sl__attached *x, int32_t i);

#endif
