#include "forward/kv.h"

#include "base/checked.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

sl_kv sl_kv_layout(const sl_hparams *hp, sl_kv_type type, int pages) {
    sl_kv kv = {.type = type};
    kv.head_bytes = sl_kv_keys_bytes(type, hp->head_dim) + sl_kv_values_bytes(type, hp->head_dim);
    kv.page_bytes = (size_t)hp->layers * (size_t)hp->kv_heads * kv.head_bytes;
    kv.plane_bytes = (size_t)pages * kv.head_bytes;
    kv.layer_bytes = (size_t)hp->kv_heads * kv.plane_bytes;
    return kv;
}

sl_status sl_kv_open(const sl_hparams *hp, sl_kv_type type, int pages, sl_kv *ret, sl_error *e) {
    sl_kv kv = sl_kv_layout(hp, type, pages);
    if (pages < 1 || !sl_mul(kv.page_bytes, (size_t)pages, &kv.mapped)) {
        return sl_fail(e, SL_INVALID, "%d KV pages of %zu bytes", pages, kv.page_bytes);
    }
    void *p = mmap(NULL, kv.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return sl_fail(e, SL_NOMEM, "%zu bytes for KV pages: %s", kv.mapped, strerror(errno));
    kv.data = p;
    *ret = kv;
    return SL_OK;
}

void sl_kv_close(sl_kv *kv) {
    if (kv->data) munmap(kv->data, kv->mapped);
    *kv = (sl_kv){0};
}
