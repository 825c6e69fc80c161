/* scheduler.h: who is in the next step, and with how many rows.
 * Engine thread.
 *
 * A promise about time, not about tokens: while somebody decodes, a step is no longer than the target, whatever prompts come
 * in. The scheduler learns what a step costs and cuts prompts accordingly; alone, a prompt gets the largest chunk.
 *
 *   seconds of a step = base[decoding rows] + fixed + unit * sum over the prompt rows of (1 + position / reach)
 * base is a moving average of what was measured (never above a step that had prompt rows too); fixed and unit are fitted to
 * the last steps with prompt rows; reach is the position at which a row's attention costs as much as the rest of the row,
 * from the model's shape.
 *
 * Rules
 *   1. Every decoding sequence gets its row in every step.
 *   2. Prompts are served oldest first with the rows that the target leaves, at least SL__LEAST_CHUNK a step together.
 *   3. Pages go to older sequences first: when none is free the youngest in the batch gives its pages back and waits; so the
 *      oldest always goes on and nothing can block for ever (one sequence alone fits: admission checked it).
 *   4. Waiting sequences enter oldest first, when there is a place and pages for all tokens that they have. Only choices that
 *      wait for the pages of a sibling, which computes their prompt right now, are overtaken.
 *   5. If anybody waits or is in the batch, the step has rows: the engine never turns for nothing. */
#ifndef SL_ENGINE_SCHEDULER_H
#define SL_ENGINE_SCHEDULER_H

#include "engine/sequence.h"

#include <stdint.h>

#define SL__LEAST_CHUNK 8

typedef struct sl__cost {
    double *base;    /* [max_sequences + 1] seconds of a step with so many decoding rows alone, moving average; 0: unknown */
    double fixed;    /* seconds that any prompt rows add to a step */
    double unit;     /* seconds of a prompt row at position 0, beside that; 0: unknown */
    double n, u, uu, s, us; /* sums over the steps that both are fitted to, with fading weights: 1, units, squares, seconds, products */
    double reach;    /* positions */
} sl__cost;

/* Sequences, oldest first. */
typedef struct sl__list {
    sl__sequence *first, *last;
    int count;
} sl__list;

typedef struct sl__scheduler {
    sl__list waiting, batch;
    int max_sequences, max_rows, max_logit_rows;
    double target;                 /* seconds a step may take while somebody decodes */
    sl__cost cost;
    double units;                  /* of the step that was built: for learning */
    int decoding;                  /* rows of it */
} sl__scheduler;

void sl__scheduler_wait(sl__scheduler *c, sl__sequence *s);                 /* puts it among the waiting, by age */
void sl__scheduler_remove(sl__sequence *s);                                 /* out of whatever list it is in */

/* Decides the step: admits, gives pages, sets every sequence's rows (0: not in it). Returns the rows in all.
 * preempted is called for each sequence that has to give its pages back. */
int sl__scheduler_step(sl__scheduler *c, sl__pages *p, void (*preempted)(void *arg, sl__sequence *s),
                       void (*admitted)(void *arg, sl__sequence *s), void *arg);

void sl__scheduler_learn(sl__scheduler *c, double seconds); /* what the step took */

/* Seconds of a step with so many decoding rows and no prompt rows, as far as is known. */
double sl__scheduler_base(const sl__scheduler *c, int decoding);

#endif
