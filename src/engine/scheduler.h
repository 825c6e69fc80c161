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
 *      oldest always goes on and nothing can block for ever (one sequence alone fits: admission checked it).
 *   4. Waiting sequences enter oldest first, when there is a place and pages for all tokens that they have, beside what
 *      those in the batch still need for theirs. Only choices that wait for the pages of a sibling, which computes their
 *      prompt right now, are overtaken; their places and pages are kept for them. They enter with the step that computes
 *      the last of it, so even if the sibling ends with that step, the prompt is computed once for all that have a place.
 *   5. If anybody waits or is in the batch, the step has rows: the engine never turns for nothing. */
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

/* Decides the step: admits, gives pages, sets every sequence's rows (0: not in it). Returns the rows in all.
 * preempted is called for each sequence that has to give its pages back. */
int sl__scheduler_step(sl__scheduler *c, sl__pages *p, void (*preempted)(void *arg, sl__sequence *s),
                       void (*admitted)(void *arg, sl__sequence *s), void *arg);

void sl__scheduler_learn(sl__scheduler *c, double seconds); /* what the step took */

#endif
