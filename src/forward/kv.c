#include "forward/kv.h"

#include "base/checked.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* One KV head in one page. */
static size_t head_bytes(const sl_hparams *hp, int layer, sl_kv_type type) {
    return sl_kv_keys_bytes(type, hp->head_dim[layer]) + sl_kv_values_bytes(type, hp->head_dim[layer]);
}

/* A layer's KV heads, none if it keeps no keys and values. */
static size_t kept_heads(const sl_hparams *hp, int layer) { return hp->mixer[layer] == SL_MIXER_ATTENTION ? (size_t)hp->kv_heads[layer] : 0; }

sl_kv_cost sl_kv_cost_of(const sl_hparams *hp, sl_kv_type type) {
    sl_kv_cost cost = {0};
    for (int i = 0; i < hp->layers; i++) {
        cost.page_bytes += kept_heads(hp, i) * head_bytes(hp, i, type);
        if (kept_heads(hp, i)) cost.row_multiplies += 2.0 * hp->heads[i] * hp->head_dim[i];
    }
    cost.position_bytes = (double)cost.page_bytes / SL_PAGE;
    return cost;
}

sl_status sl_kv_open(const sl_hparams *hp, sl_kv_type type, int pages, sl_kv *ret, sl_error *e) {
    sl_kv kv = {.type = type};
    size_t page = sl_kv_cost_of(hp, type).page_bytes;
    if (pages < 1 || !sl_mul(page, (size_t)pages, &kv.mapped)) {
        return sl_fail(e, SL_INVALID, "%d KV pages of %zu bytes", pages, page);
    }
    size_t at = 0;
    for (int i = 0; i < hp->layers; i++) { /* all of this is within kv.mapped, which fits */
        size_t one = head_bytes(hp, i, type);
        kv.layer[i] = (sl_kv_layer){.at = at, .head_bytes = one, .plane_bytes = kept_heads(hp, i) ? one * (size_t)pages : 0};
        at += kept_heads(hp, i) * kv.layer[i].plane_bytes;
    }
    void *p = mmap(NULL, kv.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return sl_fail(e, SL_NOMEM, "%zu bytes for KV pages (--kv-memory): %s", kv.mapped, strerror(errno));
    kv.data = p;
    *ret = kv;
    return SL_OK;
}

void sl_kv_close(sl_kv *kv) {
    if (kv->data) munmap(kv->data, kv->mapped);
    *kv = (sl_kv){0};
}
