/* forward.h: a step in, logits out.
 * Engine thread calls; the workers compute. Knows no queue and no client; testable alone.
 *
 * A step holds rows: one for each decoding sequence, and the chunk of each prefilling one. Per block: norm, q k v, rope,
 * attention over the sequence's pages, output, norm, router, expert groups, add.
 *
 * Invariants
 *   1. A row's logits depend on its sequence's tokens up to it alone: not on the step's other rows, on how the prompt was
 *      cut into chunks, on the threads, nor on which pages hold its keys (Promise 1).
 *      State is computed row by row, in one order, so that the same holds for it.
 *   2. Keys and values are read from pages only, after rounding to the KV type, also for rows of the same chunk.
 *   3. sl_forward_run allocates nothing. */
#ifndef SL_FORWARD_FORWARD_H
#define SL_FORWARD_FORWARD_H

#include "base/arena.h"
#include "base/error.h"
#include "base/workers.h"
#include "experts/stats.h"
#include "kernels/kernels.h"
#include "model/model.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_forward sl_forward;

typedef struct sl_forward_config {
    const sl_model *model;
    sl_workers *workers;      /* the calling thread is participant 0; NULL where only the plan is asked for */
    int threads;              /* participants of the pool: sl_forward_new refuses one of another size */
    int max_rows;             /* of a step */
    int max_logit_rows;       /* rows of a step that want logits, at most max_rows */
    int max_sequences;        /* of a step */
    int ctx;                  /* positions of the longest sequence */
    sl_kv_type kv_type;
    int kv_pages;             /* pages in all, SL_PAGE positions each (kv.h) */
    int kv_window_pages;      /* likewise, of windowed layers; 0: these have the same pages as the others */
    int states;               /* slots of state, where the model has layers that keep one (state.h) */
    sl_expert_stats *stats;   /* NULL: nothing is counted */
    /* Tests and traces: called on the engine thread after a layer was routed; NULL in service.
     *   expert [rows][experts_used] ascending, weight likewise */
    void (*routed)(void *arg, int layer, int rows, const int32_t *expert, const float *weight);
    void *routed_arg;
    /* Importance: called on the engine thread with what a block's matrices are multiplied by, every row of every matrix once a
     * step; NULL in service.
     *   w         as the model has it: the pointer says which one
     *   x         [..][w->cols]
     *   row       [n] the rows of x that w sees, ascending; NULL: the first n */
    void (*multiplied)(void *arg, const sl_matrix *w, const float *x, const int32_t *row, int n);
    void *multiplied_arg;
} sl_forward_config;

/* For the memory plan, before anything is allocated: bytes of the workspace, SIZE_MAX: more than can be. What pages cost is
 * kv.h's to say, and slots of state are state.h's. */
size_t sl_forward_workspace_bytes(const sl_forward_config *c);

/* Takes the workspace, and the mappings for keys and values and for states. The model and the pool must outlive it. */
sl_status sl_forward_new(const sl_forward_config *c, sl_forward **ret, sl_error *e);
sl_forward *sl_forward_free(sl_forward *f); /* NULL is fine; returns NULL */

typedef struct sl_step_row {
    int32_t token;
    int32_t position;  /* in its sequence, from 0 */
    int32_t sequence;  /* number in step.sequence */
    bool logits;       /* wanted for this row */
} sl_step_row;

/* The state after a position is written to a slot. */
typedef struct sl_step_save {
    int32_t position, slot;
} sl_step_save;

/* What is said of slots counts only where the model has layers with a state. In a step a slot is written by one sequence at most,
 * and then read by no other. */
typedef struct sl_step_sequence {
    const int32_t *page; /* [i] holds positions SL_PAGE * i … SL_PAGE * i + 31; up to the last row's position */
    const int32_t *window; /* likewise in windowed layers, where these have pages of their own; those before the first position that a
                            * row of the step sees there are not read */
    int32_t state_before; /* slot with the state after the position before its first row; a first row at position 0 begins with
                           * zeros, whatever stands in the slot */
    int32_t state_after;  /* slot that gets the state after its last row; may be the same */
    const sl_step_save *save; /* [saves] at positions of its rows, ascending, to other slots than these */
    int saves;
} sl_step_sequence;

/* Rows of one sequence stand together, at positions that follow each other; a sequence's earlier positions are in its pages
 * already. */
typedef struct sl_step {
    const sl_step_row *row; /* [rows] */
    int rows;
    const sl_step_sequence *sequence; /* [sequences] */
    int sequences;
} sl_step;

/* Runs the step. Returns [rows that want logits][vocab], in row order, valid until the next run. The caller may write
 * into it (penalties). Cannot fail: the step was built within the config's limits. */
float *sl_forward_run(sl_forward *f, const sl_step *s);

#endif
