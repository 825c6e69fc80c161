/* sequence.h: one choice of one request, on its way through the batch.
 * Engine thread; its memory is the request's, made at admission, so that no step allocates.
 *
 *   WAITING ──sl__scheduler_step admits──► PREFILL ──last known row computed [sl__output_accept]──► DECODE
 *   DECODE ──sl__output_accept: a row and a token a step──► DECODE
 *   PREFILL, DECODE ──sl__sequence_preempt: pages run out, this is the youngest──► WAITING (keeps its tokens)
 *   any ──sl__sequence_end: stop, length, error, cancelled──► ENDED
 *
 * Invariants
 *   1. `computed` positions have their keys and values in `page`; the tokens are the prompt and what was generated.
 *   2. The row of the last token gives the next token, so computed < prompt_len + generated_count between steps.
 *   3. A preempted sequence has the same tokens at the same positions again, found in known pages or computed: rows do not
 *      depend on the batch, so the bits are the same (Promise 1). Rows below `peak` are counted as recomputed.
 *   4. `born` grows with admission order, a request's choices in their order; the youngest has the largest.
 *   5. Between steps its full pages are known (pages.h), which the step that filled them made them, and no others.
 *   6. Where the model keeps a state: while it is in the batch it has a slot, which holds the state after its `computed` positions; or
 *      it has a saved one to begin with, which does. Preempted, it loses both, and its state is computed again with its rows, from the
 *      nearest saved one: a copy would take as much memory as going on.
 *   7. Where layers have a window: it holds the window pages of its pages from `first_window` on, which are those that its next row
 *      or a later one sees. What a step computes is written to them before it is given back: sl__sequence_publish, after the step. */
#ifndef SL_ENGINE_SEQUENCE_H
#define SL_ENGINE_SEQUENCE_H

#include "base/buffer.h"
#include "engine/pages.h"
#include "engine/stop.h"
#include "forward/forward.h"
#include "sampling/sampling.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum sl__state { SL__WAITING, SL__PREFILL, SL__DECODE, SL__ENDED } sl__state;

typedef struct sl__sequence {
    struct sl_request *request;
    struct sl__list *list;     /* the scheduler's that it stands in; NULL: none */
    struct sl__sequence *prev, *next;
    sl__state state;
    int choice;
    uint64_t born;
    uint64_t salt;             /* of its request: only sequences with the same have pages in common */
    const int32_t *prompt;     /* [prompt_len] */
    int32_t *generated;        /* [max_tokens] */
    int32_t *page;             /* [pages for prompt_len + max_tokens] */
    int32_t *window;           /* [as page] the window pages of its pages; NULL: no layer has a window */
    int first_window;          /* those from here on are held; those before are anything */
    int prompt_len, generated_count, page_count;
    int known;                 /* the first so many of page are known */
    int computed, peak;        /* positions; peak: the most that were ever computed or taken over */
    bool looked_up;            /* its prompt was counted among those that are looked for in known pages */
    int scored;                /* prompt tokens whose log probability was handed out */
    sl_sampling_params sampling;
    uint16_t *counts;          /* [vocab] for the penalties; NULL: off */
    uint8_t *seen;             /* bitmap; NULL: off */
    sl_detokenizer detokenizer;
    sl__held held;             /* text that could be the beginning of a stop string; memory reserved */
    size_t characters;         /* of the text of its generated tokens, held back or not */
    uint64_t last_token;       /* sl_clock_ns of the last token */
    int branch;                /* where it was seen that so many positions of it are known: others began alike, so that what is needed to
                                * go on there is kept, its state or its window pages */
    /* Where the model keeps a state (sequence_state.c). Slots: -1: none. */
    int32_t slot, read;        /* its own; the saved one whose state it begins its next rows with */
    sl_step_save save[3];      /* [saves] of this step */
    int saves;
    int32_t answer_page;       /* page after which its answer's state is saved; -1: none */
    int rows;                  /* of this step */
    bool leads, follows;       /* in this step: scheduler.c */
    struct sl__sequence *next_leading;
} sl__sequence;

int sl__sequence_tokens(const sl__sequence *s);                /* prompt and generated */
int32_t sl__sequence_token(const sl__sequence *s, int position);
void sl__sequence_release(sl__sequence *s, sl__pages *p);      /* gives its pages back */
void sl__sequence_preempt(sl__sequence *s, sl__pages *p);
bool sl__sequence_grow(sl__sequence *s, sl__pages *p, int positions); /* pages for so many positions; false: none is free */

/* Takes over the known pages that hold the tokens from its next row on, as far as it can go on after them: where layers have a
 * window, window pages must be attached to the last of them, and with a state one must be saved. Returns the positions that it need
 * not compute. Its last row it always computes itself, in a page of its own: nothing else says what comes next. Nothing is taken over while
 * log probabilities of its prompt are missing, which only computed rows give. A page that it has begun to fill is given up
 * for one that is full. */
int sl__sequence_adopt(sl__sequence *s, sl__pages *p);

/* Makes the pages known that are full by now, and gives the window pages back that no later row sees. After a step that
 * succeeded, and before it is released. */
void sl__sequence_publish(sl__sequence *s, sl__pages *p);

/* Where the model keeps a state; otherwise these do nothing, and enter gives true. Takes a slot for it, or the saved one that it
 * begins with where none is left and nobody else reads that; false: it must wait. Gives all slots back. Begins with a saved state.
 * Decides where the state is saved in this step, after its rows are known. After a step that succeeded, when its pages are known. */
bool sl__sequence_enter(sl__sequence *s, sl__pages *p);
void sl__sequence_leave(sl__sequence *s, sl__pages *p);
void sl__sequence_begin_with(sl__sequence *s, sl__pages *p, int32_t slot);
void sl__sequence_plan_saves(sl__sequence *s, sl__pages *p);
void sl__sequence_stepped(sl__sequence *s, sl__pages *p);

/* Where layers have a window; otherwise these do nothing. Gives the window pages back that its next row and later ones do not see,
 * and holds those that they do, of the pages that it took over. Attaches the window page of its page k, which is known by
 * now. Gives back that of its last page. */
void sl__sequence_slide(sl__sequence *s, sl__pages *p);
void sl__sequence_attach_window(sl__sequence *s, sl__pages *p, int k);
void sl__sequence_drop_window(sl__sequence *s, sl__pages *p);

/* The end of its prompt, in whole pages without its last row: there others go on that have the same prompt. */
int sl__sequence_prompt_end(const sl__sequence *s);

/* Will `first` save a state, in this step or a later one, that s wants to begin with? */
bool sl__sequence_wants_state_of(const sl__sequence *s, const sl__sequence *first);

/* Will the page that `first` computes next be the one that s wants to take over next? */
bool sl__sequence_wants_page_of(const sl__sequence *s, const sl__sequence *first);

/* The position at which it goes on otherwise than known pages that begin as it does; -1: nothing known has the beginning in
 * common, or all that is known goes on as it does. After adopt. */
int sl__sequence_differs_at(const sl__sequence *s, const sl__pages *p);

#endif
