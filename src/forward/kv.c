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

/* Adds what a row does with so many positions in a layer, whichever layer keeps their keys. */
static void add_work(sl_kv_work *sum, const sl_hparams *hp, int layer, sl_kv_type type, double positions) {
    if (hp->mixer[layer] != SL_MIXER_ATTENTION) return;
    sum->bytes += positions * (double)((size_t)hp->kv_heads[layer] * head_bytes(hp, layer, type)) / SL_PAGE;
    sum->multiplies += positions * 2.0 * hp->heads[layer] * hp->head_dim[layer];
}

sl_kv_cost sl_kv_cost_of(const sl_hparams *hp, sl_kv_type type) {
    sl_kv_cost cost = {0};
    for (int i = 0; i < hp->layers; i++) {
        cost.page_bytes += kept_heads(hp, i) * head_bytes(hp, i, type);
        add_work(&cost.position, hp, i, type, 1);
    }
    return cost;
}

sl_kv_work sl_kv_position_work(const sl_hparams *hp, sl_kv_type type, int ctx, sl_kv_kind kind) {
    sl_kv_work work = {0};
    for (int i = 0; i < hp->layers; i++)
        if (sl_kv_kind_of(hp, ctx, i) == kind) add_work(&work, hp, i, type, 1);
    return work;
}

sl_kv_work sl_kv_work_of(const sl_hparams *hp, sl_kv_type type, int position) {
    sl_kv_work work = {0};
    for (int i = 0; i < hp->layers; i++) add_work(&work, hp, i, type, position - sl_kv_first_seen(hp, i, position) + 1);
    return work;
}

size_t sl_kv_page_bytes(const sl_hparams *hp, sl_kv_type type, int ctx, sl_kv_kind kind) {
    size_t bytes = 0;
    for (int i = 0; i < hp->layers; i++)
        if (sl_kv_kind_of(hp, ctx, i) == kind) bytes += kept_heads(hp, i) * head_bytes(hp, i, type);
    return bytes;
}

sl_kv_page_sizes sl_kv_page_sizes_of(const sl_hparams *hp, sl_kv_type type, int ctx, bool window_pages) {
    if (!window_pages) return (sl_kv_page_sizes){.page = sl_kv_cost_of(hp, type).page_bytes};
    return (sl_kv_page_sizes){sl_kv_page_bytes(hp, type, ctx, SL_KV_FULL), sl_kv_page_bytes(hp, type, ctx, SL_KV_WINDOWED)};
}

sl_kv_window sl_kv_window_of(const sl_hparams *hp, int ctx) {
    sl_kv_window widest = {.chunked = hp->chunked};
    for (int i = 0; i < hp->layers; i++)
        if (sl_kv_kind_of(hp, ctx, i) == SL_KV_WINDOWED && hp->window[i] > widest.positions) widest.positions = hp->window[i];
    return widest;
}

int sl_kv_window_pages(sl_kv_window w, int ctx, int rows) {
    if (!w.positions) return 0;
    int64_t seen = (int64_t)w.positions - 1 + rows;
    int64_t pages = (seen + SL_PAGE - 2) / SL_PAGE + 1, all = ((int64_t)ctx + SL_PAGE - 1) / SL_PAGE;
    return (int)(pages < all ? pages : all);
}

/* Bytes of all pages. */
static bool mapped_bytes(const sl_hparams *hp, sl_kv_type type, int ctx, int pages, int window_pages, size_t *ret) {
    size_t full, windowed;
    if (pages < 1 || window_pages < 0) return false;
    sl_kv_page_sizes bytes = sl_kv_page_sizes_of(hp, type, ctx, window_pages > 0);
    return sl_mul(bytes.page, (size_t)pages, &full) && sl_mul(bytes.window_page, (size_t)window_pages, &windowed) && sl_add(full, windowed, ret);
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
