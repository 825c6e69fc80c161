/* kv.h: where keys and values lie.
 * Workers write a row's keys and values between two barriers, then read pages; the engine decides who has which page.
 *
 * One page holds SL_PAGE positions of one sequence over all layers. In one big mapping:
 *
 *     [layer][kv head][page][ keys | values ]      (the layout inside: sl_kv_type)
 *
 * so what one attention item reads (one layer, one KV head) of pages with neighbouring numbers is one piece: memory is read
 * in order at twice the speed of pieces of 16 KB that lie apart. Memory is touched when a position is first written. */
#ifndef SL_FORWARD_KV_H
#define SL_FORWARD_KV_H

#include "base/error.h"
#include "families/family.h"
#include "kernels/kernels.h"

typedef struct sl_kv {
    uint8_t *data;     /* [layers][kv heads][pages] of a head of a page */
    size_t head_bytes, plane_bytes, layer_bytes; /* of a head in a page, of a head in all pages, of a layer */
    size_t page_bytes;                           /* of a page in all layers */
    size_t mapped;
    sl_kv_type type;
} sl_kv;

/* The layout alone. */
sl_kv sl_kv_layout(const sl_hparams *hp, sl_kv_type type, int pages);

sl_status sl_kv_open(const sl_hparams *hp, sl_kv_type type, int pages, sl_kv *ret, sl_error *e);
void sl_kv_close(sl_kv *kv); /* zero-initialised is fine */

/* Keys and values of one head of a page. */
static inline uint8_t *sl_kv_head(const sl_kv *kv, int page, int layer, int kv_head) {
    return kv->data + (size_t)layer * kv->layer_bytes + (size_t)kv_head * kv->plane_bytes + (size_t)page * kv->head_bytes;
}

#endif
