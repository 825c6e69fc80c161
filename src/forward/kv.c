#include "forward/kv.h"

#include "base/checked.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static size_t head_bytes(const sl_hparams *hp, sl_kv_type type) {
    return sl_kv_keys_bytes(type, hp->head_dim) + sl_kv_values_bytes(type, hp->head_dim);
}

sl_kv_cost sl_kv_cost_of(const sl_hparams *hp, sl_kv_type type) {
    size_t page = (size_t)hp->layers * (size_t)hp->kv_heads * head_bytes(hp, type);
    return (sl_kv_cost){.page_bytes = page,
                        .position_bytes = (double)page / SL_PAGE,
                        .row_multiplies = 2.0 * hp->layers * hp->heads * hp->head_dim};
}

sl_status sl_kv_open(const sl_hparams *hp, sl_kv_type type, int pages, sl_kv *ret, sl_error *e) {
    sl_kv kv = {.type = type};
    size_t page = sl_kv_cost_of(hp, type).page_bytes;
    if (pages < 1 || !sl_mul(page, (size_t)pages, &kv.mapped)) {
        return sl_fail(e, SL_INVALID, "%d KV pages of %zu bytes", pages, page);
    }
    kv.head_bytes = head_bytes(hp, type); /* these divide kv.mapped, which fits */
    kv.plane_bytes = kv.head_bytes * (size_t)pages;
    kv.layer_bytes = kv.plane_bytes * (size_t)hp->kv_heads;
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
