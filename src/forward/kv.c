#include "forward/kv.h"

#include "base/checked.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static size_t head_bytes(const sl_hparams *hp, sl_kv_type type) {
    return sl_kv_keys_bytes(type, hp->head_dim) + sl_kv_values_bytes(type, hp->head_dim);
}

static bool keeps_keys(const sl_hparams *hp, int layer) { return hp->mixer[layer] == SL_MIXER_ATTENTION; }

sl_kv_cost sl_kv_cost_of(const sl_hparams *hp, sl_kv_type type) {
    int layers = 0;
    for (int i = 0; i < hp->layers; i++) layers += keeps_keys(hp, i);
    size_t page = (size_t)layers * (size_t)hp->kv_heads * head_bytes(hp, type);
    return (sl_kv_cost){.page_bytes = page,
                        .position_bytes = (double)page / SL_PAGE,
                        .row_multiplies = 2.0 * layers * hp->heads * hp->head_dim};
}

sl_status sl_kv_open(const sl_hparams *hp, sl_kv_type type, int pages, sl_kv *ret, sl_error *e) {
    sl_kv kv = {.type = type};
    size_t page = sl_kv_cost_of(hp, type).page_bytes;
    if (pages < 1 || !sl_mul(page, (size_t)pages, &kv.mapped)) {
        return sl_fail(e, SL_INVALID, "%d KV pages of %zu bytes", pages, page);
    }
    kv.head_bytes = head_bytes(hp, type); /* these divide kv.mapped, which fits */
    kv.plane_bytes = kv.head_bytes * (size_t)pages;
    for (int i = 0, before = 0; i < hp->layers; i++) {
        kv.at[i] = (size_t)before * (size_t)hp->kv_heads * kv.plane_bytes;
        before += keeps_keys(hp, i);
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
