/* kv.h: where keys and values lie, and what they cost.
 * Workers write a row's keys and values between two barriers, then read pages; the engine decides who has which page.
 *
 * One page holds SL_PAGE positions of one sequence over all layers. In one big mapping:
 *
 *     [layer][kv head][page][ keys | values ]      (the bytes inside a head of a page: sl_kv_type in kernels.h)
 *
 * Layers may differ in their number of KV heads and in the bytes of a head; those that keep no keys and values have no bytes in it.
 *
 * One attention item reads one KV head of one layer over all pages of a sequence. With this order pages whose numbers are
 * neighbours are one piece of memory to it, and that is read at twice the speed of pieces of some 16 KB that lie apart.
 * Memory is taken from the system only as pages are first written. */
#ifndef SL_FORWARD_KV_H
#define SL_FORWARD_KV_H

#include "base/error.h"
#include "families/family.h"
#include "kernels/kernels.h"

typedef struct sl_kv_layer {
    size_t at;          /* where it begins; of a layer without keys, where the next one does */
    size_t head_bytes;  /* keys and values of one KV head in one page */
    size_t plane_bytes; /* of one KV head in all pages */
} sl_kv_layer;

typedef struct sl_kv {
    uint8_t *data;      /* [layers that have keys][the layer's kv heads][pages][its head_bytes] */
    sl_kv_layer layer[SL_MAX_LAYERS];
    size_t mapped;      /* of all layers */
    sl_kv_type type;
} sl_kv;

/* What keys and values cost: for the memory plan, the scheduler's prices and the limits that `bench` prints. Nobody else
 * derives these from the hyperparameters, so that layers with other layouts will change them here alone. */
typedef struct sl_kv_cost {
    size_t page_bytes;       /* one page in all layers */
    double position_bytes;   /* read for one position that is attended to, in all layers, whatever the number of rows */
    double row_multiplies;   /* multiply-adds of one row with one position, in all layers: its score, and its value's share */
} sl_kv_cost;
sl_kv_cost sl_kv_cost_of(const sl_hparams *hp, sl_kv_type type);

/* Maps room for `pages` pages. SL_INVALID: none, or more than can be addressed. */
sl_status sl_kv_open(const sl_hparams *hp, sl_kv_type type, int pages, sl_kv *ret, sl_error *e);
void sl_kv_close(sl_kv *kv); /* zero-initialised is fine */

/* Keys and values of one KV head of a page: the layer's head_bytes, 64-byte aligned. */
static inline uint8_t *sl_kv_head(const sl_kv *kv, int page, int layer, int kv_head) {
    const sl_kv_layer *l = &kv->layer[layer];
    return kv->data + l->at + (size_t)kv_head * l->plane_bytes + (size_t)page * l->head_bytes;
}

#endif
