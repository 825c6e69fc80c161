/* kv.h: where keys and values lie, and what they cost.
 * Workers write a row's keys and values between two barriers, then read pages; the engine decides who has which page.
 *
 * One page holds SL_PAGE positions of one sequence, over the layers of one kind: those that see all positions, or those that see
 * the newest alone. In one big mapping:
 *
 *     [layer][kv head][page of the layer's kind][ keys | values ]      (the bytes inside a head of a page: sl_kv_type in kernels.h)
 *
 * The kinds have pages of their own because a sequence needs those of its newest positions alone in the layers with a window, so
 * that they can be given to others when no later row sees them (engine/attached.h). A sequence has a table of pages for each kind,
 * by position in both: entry i is the page of positions SL_PAGE * i … SL_PAGE * i + 31. In the table of the layers with a window an
 * entry is read only if a row of the step sees one of its positions.
 *
 * Layers may differ in their number of KV heads and in the bytes of a head; those that keep no keys and values have no bytes in it,
 * and those that attend to another layer's stand where that one does.
 *
 * One attention item reads one KV head of one layer over all pages of a sequence. With this order pages whose numbers are
 * neighbours are one piece of memory to it, and that is read at twice the speed of pieces of some 16 KB that lie apart.
 * Memory is taken from the system only as pages are first written. */
#ifndef SL_FORWARD_KV_H
#define SL_FORWARD_KV_H

#include "base/error.h"
#include "families/family.h"
#include "kernels/kernels.h"

/* What rows see of the positions up to their own. */
typedef struct sl_kv_window {
    int positions; /* so many, the row's own among them; 0: all */
    bool chunked;  /* as in sl_hparams */
} sl_kv_window;

/* The first position that a row sees. A later row sees no earlier one. */
static inline int sl_kv_first_in(sl_kv_window w, int position) {
    if (w.positions && w.chunked) return position - position % w.positions;
    return w.positions && position >= w.positions ? position - w.positions + 1 : 0;
}

/* The positions that the first `rows` rows of a sequence see, in sum. */
static inline int64_t sl_kv_seen(sl_kv_window w, int rows) {
    int64_t n = rows, size = w.positions;
    if (!size || n <= size) return n * (n + 1) / 2;
    int64_t all = size * (size + 1) / 2; /* of the first chunk's rows */
    return w.chunked ? n / size * all + n % size * (n % size + 1) / 2 : all + (n - size) * size;
}

static inline int sl_kv_first_seen(const sl_hparams *hp, int layer, int position) {
    return sl_kv_first_in((sl_kv_window){hp->window[layer], hp->chunked}, position);
}

/* Layers are of two kinds, each with pages of its own: those whose rows see all positions, and those where a row sees fewer than
 * `ctx`, the positions of the longest sequence. In the latter positions that no later row sees are not kept. */
typedef enum sl_kv_kind { SL_KV_FULL, SL_KV_WINDOWED } sl_kv_kind;

static inline sl_kv_kind sl_kv_kind_of(const sl_hparams *hp, int ctx, int layer) {
    bool fewer = hp->mixer[layer] == SL_MIXER_ATTENTION && hp->window[layer] > 0 && hp->window[layer] < ctx;
    return fewer ? SL_KV_WINDOWED : SL_KV_FULL;
}

/* The widest window of the windowed layers: what a row does not see in it is kept for nobody. Chunks are all of one size. 0 positions:
 * there is no such layer. */
sl_kv_window sl_kv_window_of(const sl_hparams *hp, int ctx);

/* The most pages that a sequence needs at once in windowed layers: those of all positions that `rows` rows of a step see, wherever
 * in a page the first one stands. 0: there is no windowed layer. */
int sl_kv_window_pages(sl_kv_window w, int ctx, int rows);

typedef struct sl_kv_layer {
    size_t at;          /* where it begins; of a layer without keys, where the next one does */
    size_t head_bytes;  /* keys and values of one KV head in one page */
    size_t plane_bytes; /* of one KV head in all pages of its kind */
    sl_kv_kind kind;
} sl_kv_layer;

typedef struct sl_kv {
    uint8_t *data;      /* [layers that have keys][the layer's kv heads][pages of its kind][its head_bytes] */
    sl_kv_layer layer[SL_MAX_LAYERS];
    size_t mapped;      /* of all layers */
    sl_kv_type type;
} sl_kv;

/* What keys and values cost: for the memory plan, the scheduler's prices and the limits that `bench` prints. Nobody else
 * derives these from the hyperparameters, so that layers with other layouts will change them here alone. */
typedef struct sl_kv_work {
    double bytes;      /* read, whatever the number of rows */
    double multiplies; /* multiply-adds of one row: scores, and the values' shares */
} sl_kv_work;

typedef struct sl_kv_cost {
    size_t page_bytes;   /* one page in all layers, of both kinds */
    sl_kv_work position; /* of one position that is seen in all layers */
} sl_kv_cost;
sl_kv_cost sl_kv_cost_of(const sl_hparams *hp, sl_kv_type type);

/* One position that is seen in the layers of one kind. */
sl_kv_work sl_kv_position_work(const sl_hparams *hp, sl_kv_type type, int ctx, sl_kv_kind kind);

/* What a row at `position` must at least read and compute of the positions that it sees, over all layers. */
sl_kv_work sl_kv_work_of(const sl_hparams *hp, sl_kv_type type, int position);

/* Bytes of a page in the layers of one kind; 0: there are none. */
size_t sl_kv_page_bytes(const sl_hparams *hp, sl_kv_type type, int ctx, sl_kv_kind kind);

/* Bytes of a page and of a window page, as sl_kv_open lays them out with or without window pages: without them a page is one in all
 * layers. Whoever plans memory asks here. */
typedef struct sl_kv_page_sizes {
    size_t page, window_page; /* window_page 0: there are none */
} sl_kv_page_sizes;
sl_kv_page_sizes sl_kv_page_sizes_of(const sl_hparams *hp, sl_kv_type type, int ctx, bool window_pages);

/* Maps room for `pages` pages, and for windowed layers `window_pages`; 0: these have the same pages as the others, so that ctx does not
 * matter. SL_INVALID: no pages, or more than can be addressed. */
sl_status sl_kv_open(const sl_hparams *hp, sl_kv_type type, int ctx, int pages, int window_pages, sl_kv *ret, sl_error *e);
void sl_kv_close(sl_kv *kv); /* zero-initialised is fine */

/* Keys and values of one KV head of a page: the layer's head_bytes, 64-byte aligned. */
static inline uint8_t *sl_kv_head(const sl_kv *kv, int page, int layer, int kv_head) {
    const sl_kv_layer *l = &kv->layer[layer];
    return kv->data + l->at + (size_t)kv_head * l->plane_bytes + (size_t)page * l->head_bytes;
}

#endif
