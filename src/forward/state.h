/* state.h: what a sequence carries from row to row beside its pages, in layers that keep a state and no keys: where it lies, and
 * what it costs.
 * Workers read and write it in a step; the engine decides who has which slot.
 *
 * A slot holds the state of one sequence over all such layers, in floats, whatever the sequence's length. In one mapping:
 *
 *     [slot][layer][ inputs | matrices ]
 *
 *   inputs    what the short convolution has yet to see again: its inputs at the last taps - 1 positions, oldest first,
 *             [taps - 1][channels], zeros before the first position
 *   matrices  of the delta rule, [value head][blocks of columns][key_dim][SL_DELTA_COLUMNS]; columns beyond the head's value_dim are
 *             zero. A block is what one work item keeps in the first-level cache.
 *
 * Memory is taken from the system only as slots are first written. */
#ifndef SL_FORWARD_STATE_H
#define SL_FORWARD_STATE_H

#include "base/error.h"
#include "families/family.h"
#include "kernels/kernels.h"

typedef struct sl_state {
    uint8_t *data;
    size_t at[SL_MAX_LAYERS]; /* where a layer begins in a slot */
    size_t matrices;          /* where its matrices begin in a layer */
    size_t slot_bytes, mapped;
} sl_state;

/* Bytes of a slot, a multiple of 64; 0: no layer has a state. */
size_t sl_state_bytes(const sl_hparams *hp);

static inline int sl_delta_blocks(const sl_hparams *hp) { return (hp->delta_value_dim + SL_DELTA_COLUMNS - 1) / SL_DELTA_COLUMNS; }

/* Maps room for `slots` slots. SL_INVALID: more than can be addressed. */
sl_status sl_state_open(const sl_hparams *hp, int slots, sl_state *ret, sl_error *e);
void sl_state_close(sl_state *s); /* zero-initialised is fine */

static inline float *sl_state_inputs(const sl_state *s, int slot, int layer) {
    return (float *)(void *)(s->data + (size_t)slot * s->slot_bytes + s->at[layer]);
}
static inline float *sl_state_matrices(const sl_state *s, int slot, int layer) {
    return (float *)(void *)(s->data + (size_t)slot * s->slot_bytes + s->at[layer] + s->matrices);
}

#endif
