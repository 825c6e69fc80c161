/* states.h: who has which slot of state, and which slots are kept for those that come later; of models with layers that keep a
 * state in place of keys. Engine thread. Where a slot's bytes lie is forward's business (forward/state.h).
 *
 *     FREE ──take──► HELD by one sequence ──save: the state after a known page──► SAVED ──read──► READ by sequences that go on there
 *      ▲               │ drop                                                      │  ▲             │ the last reader has taken it over
 *      └───────────────┘                                                           │  └─────────────┘
 *      ▲                                                                           │
 *      └──forget: its page is known no more─────────────────────────────────────────┤
 *      a HELD slot of somebody else ◄──take, when none is free: the one that was used longest ago
 *
 * A page's keys stand for computing it (pages.h), but a state is needed to go on after it. It is as large for ten positions as for
 * ten thousand, so it is saved at few: at the end of each prompt, where prompts begin to differ, and where an answer has come to.
 *
 * Invariants
 *   1. A slot is free, held by one sequence, or saved: then it belongs to one known page, which has no other.
 *   2. A saved slot is never written; one that is read is not given away. */
#ifndef SL_ENGINE_STATES_H
#define SL_ENGINE_STATES_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sl__slot {
    int32_t older, newer; /* among those saved that nobody reads, by when they were last used; -1: none */
    int32_t page;         /* whose it is; -1: nobody's, or a sequence's */
    uint16_t readers;
} sl__slot;

typedef struct sl__states {
    sl__slot *slot;         /* [total] */
    int32_t *free;          /* [total] stack */
    int32_t *of_page;       /* [pages] the slot with the state after it; -1: none is saved */
    int total;              /* 0: the model keeps no state; nothing here is called then but with a page, and does nothing */
    int free_count, saved_count; /* saved: read or not */
    int32_t oldest, newest; /* of those saved that nobody reads; -1: none */
    int evicted;            /* saved slots that were taken; whoever counts them sets it to 0 */
} sl__states;

size_t sl__states_bytes(int total, int pages); /* what init takes */
sl_status sl__states_init(sl__states *x, int total, int pages, sl_arena *a, sl_error *e);

int32_t sl__states_take(sl__states *x);            /* -1: all are held or read */
void sl__states_drop(sl__states *x, int32_t slot); /* held until now */

/* A slot that was held becomes the page's; dropped, if the page has one. */
void sl__states_save(sl__states *x, int32_t slot, int32_t page);
int32_t sl__states_of(const sl__states *x, int32_t page); /* -1: none */
void sl__states_forget(sl__states *x, int32_t page);      /* what is saved there, if anything, is saved no more */

void sl__states_read(sl__states *x, int32_t slot);     /* one reader more */
void sl__states_read_end(sl__states *x, int32_t slot); /* one reader less */
/* The only reader takes the slot for its own: true, and it is held. false: others read it. */
bool sl__states_take_over(sl__states *x, int32_t slot);

#endif
