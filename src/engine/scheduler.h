/* scheduler.h: who is in the next step, and with how many rows.
 * Engine thread.
 *
 * A promise about time, not about tokens: while somebody decodes, a step is no longer than the target, whatever prompts come
 * in. The scheduler learns what a step costs (cost.h) and cuts prompts accordingly, into chunks as large as the target
 * allows: every chunk reads the experts' weights again. While nobody decodes, a step may take a few times the target.
 *
 * Rules
 *   1. Every decoding sequence gets its row in every step.
 *   2. Prompts are served oldest first with the rows that the target leaves, at least SL__LEAST_CHUNK a step together; but
 *      up to a quarter of them go to younger prompts that have fewer tokens left than the oldest, the shortest first. So a
 *      short prompt does not wait for all of a long one before it, the oldest has three quarters at least and nobody
 *      starves, and prompts of one length are computed one after the other, as that is best for their mean.
 *   3. Pages go to older sequences first: when none is free the youngest in the batch gives its pages back and waits; so the
 *      oldest always goes on and nothing can block for ever (one sequence alone fits: admission checked it). The same holds for
 *      window pages; but as a sequence needs many of them only while a large chunk of its prompt is computed, a prompt takes
 *      them from others for SL__LEAST_CHUNK rows, and has a smaller chunk beyond that.
 *   4. Waiting sequences enter oldest first, when there is a place and pages for all tokens that they have, beside what
 *      those in the batch still need for theirs. Pages that are kept count as free ones; known pages that somebody holds
 *      anyway are not needed. Likewise for window pages, of which a sequence needs those of its window. Where the model keeps a
 *      state there must be a slot for it: one that is free, or saved and not read.
 *   5. What is known is not computed: whoever is in the batch with rows of its prompt missing takes over known pages (pages.h)
 *      before it gets any. And what is computed for one is not computed for another in the same step: a prompt whose next page
 *      is filled by somebody else waits for that page, as it will be known. So the choices of a prompt, and requests that
 *      begin alike, compute what they have in common once, whenever they came. The oldest prompt waits for nobody, and
 *      nobody for a prompt that is scored. With a state, what is known counts as far as a state is saved, and who waits waits
 *      for the one at the end of the other prompt.
 *      Where layers have a window, what is known counts as far as the window before it is still there (attached.h).
 *   6. If anybody waits or is in the batch, the step has rows: the engine never turns for nothing. */
#ifndef SL_ENGINE_SCHEDULER_H
#define SL_ENGINE_SCHEDULER_H

#include "engine/cost.h"
#include "engine/sequence.h"

#define SL__LEAST_CHUNK 8

/* Sequences, oldest first. */
typedef struct sl__list {
    sl__sequence *first, *last;
    int count;
} sl__list;

typedef struct sl__scheduler {
    sl__list waiting, batch;
    int max_sequences, max_rows, max_logit_rows;
    double target;  /* seconds a step may take while somebody decodes */
    sl__cost cost;
    sl__work work;  /* of the step that was built */
} sl__scheduler;

void sl__scheduler_wait(sl__scheduler *c, sl__sequence *s);                 /* puts it among the waiting, by age */
void sl__scheduler_remove(sl__sequence *s);                                 /* out of whatever list it is in */

/* What the scheduler tells while it decides a step. */
typedef struct sl__scheduler_events {
    void (*preempted)(void *arg, sl__sequence *s);         /* had to give its pages back */
    void (*admitted)(void *arg, sl__sequence *s);          /* is in the batch, maybe not for the first time */
    void (*reused)(void *arg, sl__sequence *s, int tokens); /* took over pages with so many tokens that it never had computed */
    void *arg;
} sl__scheduler_events;

/* Decides the step: admits, gives pages, sets every sequence's rows (0: not in it). Returns the rows in all. */
int sl__scheduler_step(sl__scheduler *c, sl__pages *p, const sl__scheduler_events *tell);

void sl__scheduler_learn(sl__scheduler *c, double seconds); /* what the step took */

#endif
