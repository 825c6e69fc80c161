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
static size_t kept_heads(const sl_hparams *hp, int layer) {
    return hp->mixer[layer] == SL_MIXER_ATTENTION && !hp->keys_of[layer] ? (size_t)hp->kv_heads[layer] : 0;
}

sl_kv_cost sl_kv_cost_of(const sl_hparams *hp, sl_kv_type type) {
    sl_kv_cost cost = {0};
    size_t read = 0; /* also what another layer keeps */
    for (int i = 0; i < hp->layers; i++) {
        if (hp->mixer[i] != SL_MIXER_ATTENTION) continue;
        cost.page_bytes += kept_heads(hp, i) * head_bytes(hp, i, type);
        read += (size_t)hp->kv_heads[i] * head_bytes(hp, i, type);
        cost.row_multiplies += 2.0 * hp->heads[i] * hp->head_dim[i];
    }
    cost.position_bytes = (double)read / SL_PAGE;
    return cost;
}

sl_kv_work sl_kv_work_of(const sl_hparams *hp, sl_kv_type type, int position) {
    sl_kv_work work = {0};
    for (int i = 0; i < hp->layers; i++) {
        if (hp->mixer[i] != SL_MIXER_ATTENTION) continue;
        double seen = position - sl_kv_first_seen(hp, i, position) + 1;
        work.bytes += seen * (double)((size_t)hp->kv_heads[i] * head_bytes(hp, i, type)) / SL_PAGE;
        work.multiplies += seen * 2.0 * hp->heads[i] * hp->head_dim[i];
    }
    return work;
}

size_t sl_kv_page_bytes(const sl_hparams *hp, sl_kv_type type, int ctx, sl_kv_kind kind) {
    size_t bytes = 0;
    for (int i = 0; i < hp->layers; i++)
        if (sl_kv_kind_of(hp, ctx, i) == kind) bytes += kept_heads(hp, i) * head_bytes(hp, i, type);
    return bytes;
}

int sl_kv_window(const sl_hparams *hp, int ctx) {
    int most = 0;
    for (int i = 0; i < hp->layers; i++)
        if (sl_kv_kind_of(hp, ctx, i) == SL_KV_WINDOWED && hp->window[i] > most) most = hp->window[i];
    return most;
}

int sl_kv_window_pages(const sl_hparams *hp, int ctx, int rows) {
    int64_t seen = (int64_t)sl_kv_window(hp, ctx) - 1 + rows;
    if (seen < rows) return 0;
    int64_t pages = (seen + SL_PAGE - 2) / SL_PAGE + 1, all = ((int64_t)ctx + SL_PAGE - 1) / SL_PAGE;
    return (int)(pages < all ? pages : all);
}

int sl_kv_first_kept(const sl_hparams *hp, int ctx, int position) {
    int first = position;
    for (int i = 0; i < hp->layers; i++) {
        int seen = sl_kv_kind_of(hp, ctx, i) == SL_KV_WINDOWED ? sl_kv_first_seen(hp, i, position) : position;
        if (seen < first) first = seen;
    }
    return first;
}

/* Bytes of all pages. */
static bool mapped_bytes(const sl_hparams *hp, sl_kv_type type, int ctx, int pages, int window_pages, size_t *ret) {
    size_t full, windowed;
    if (pages < 1 || window_pages < 0) return false;
    if (!window_pages) return sl_mul(sl_kv_cost_of(hp, type).page_bytes, (size_t)pages, ret);
    return sl_mul(sl_kv_page_bytes(hp, type, ctx, SL_KV_FULL), (size_t)pages, &full) &&
           sl_mul(sl_kv_page_bytes(hp, type, ctx, SL_KV_WINDOWED), (size_t)window_pages, &windowed) && sl_add(full, windowed, ret);
}

sl_status sl_kv_open(const sl_hparams *hp, sl_kv_type type, int ctx, int pages, int window_pages, sl_kv *ret, sl_error *e) {
    sl_kv kv = {.type = type};
    if (!mapped_bytes(hp, type, ctx, pages, window_pages, &kv.mapped))
        return sl_fail(e, SL_INVALID, "%d KV pages and %d window pages, of %zu bytes together", pages, window_pages, sl_kv_cost_of(hp, type).page_bytes);
    size_t at = 0;
    for (int i = 0; i < hp->layers; i++) { /* all of this is within kv.mapped, which fits */
        sl_kv_layer *l = &kv.layer[i];
        *l = (sl_kv_layer){.at = at, .head_bytes = head_bytes(hp, i, type), .kind = window_pages ? sl_kv_kind_of(hp, ctx, i) : SL_KV_FULL};
        size_t count = (size_t)(l->kind == SL_KV_WINDOWED ? window_pages : pages);
        if (kept_heads(hp, i)) l->plane_bytes = l->head_bytes * count;
        at += kept_heads(hp, i) * l->plane_bytes;
        if (hp->keys_of[i]) *l = kv.layer[hp->keys_of[i] - 1];
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
