/* Opens a model: container, hyperparameters, tensors, vocabulary; then counts what was bound. */
#include "model/internal.h"

#include "base/alloc.h"

#include <string.h>
#include <sys/stat.h>

/* The last component of the path, without ".gguf" and without "-00001-of-0000N". A snapshot in a cache is called by a number,
 * so there it is the repository: "…/models--ORG--NAME/snapshots/0123…" is NAME. */
static const char *short_name(sl_arena *arena, const char *path) {
    static const char snapshots[] = "/snapshots/";
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') len--;
    size_t start = len;
    while (start > 0 && path[start - 1] != '/') start--;
    if (start >= sizeof snapshots && memcmp(path + start - (sizeof snapshots - 1), snapshots, sizeof snapshots - 1) == 0) {
        size_t end = start - (sizeof snapshots - 1), from = end;
        while (from > 0 && path[from - 1] != '/') from--;
        if (end - from > 8 && memcmp(path + from, "models--", 8) == 0) {
            len = start = end;
            while (memcmp(path + start - 2, "--", 2) != 0) start--; /* there is one after "models" at the latest */
        }
    }
    const char *name = path + start;
    len -= start;
    if (len > 5 && memcmp(name + len - 5, ".gguf", 5) == 0) len -= 5;
    if (len > 15 && memcmp(name + len - 15, "-00001-of-", 10) == 0) len -= 15;
    return sl_arena_copy(arena, SL_MEM_METADATA, name, len);
}

static uint64_t values_of(const sl_matrix *m) { return m->data ? (uint64_t)m->rows * (uint64_t)m->cols : 0; }

static void count_weights(sl__open *o) {
    sl_model *m = &o->model;
    uint64_t by_type[SL_TYPE_COUNT] = {0}, idle = 0;
    for (uint32_t i = 0; i < o->tensors.index.count; i++) {
        const sl__tensor *t = &o->tensors.entry[i];
        if (!t->used) continue;
        m->mapped_bytes += t->bytes;
        m->parameters += t->values;
        by_type[t->type] += t->bytes;
    }
    for (int i = 0; m->layer && i < m->hp.layers; i++) {
        for (int j = 0; m->layer[i].experts && j < m->hp.experts; j++) {
            const sl_ffn_weights *x = &m->layer[i].experts[j];
            m->expert_bytes += sl_matrix_bytes(&x->gate) + sl_matrix_bytes(&x->up) + sl_matrix_bytes(&x->down);
            if (j >= m->hp.experts_used) idle += values_of(&x->gate) + values_of(&x->up) + values_of(&x->down);
        }
    }
    m->active_parameters = m->parameters - idle;
    int most = 0;
    for (int i = 1; i < SL_TYPE_COUNT; i++)
        if (by_type[i] > by_type[most]) most = i;
    m->type = sl_types[most].name;
}

static sl_status open_gguf(sl__open *o, const char *path, sl_error *e) {
    sl__gguf g = {0};
    sl_status s = sl__gguf_open(o, path, &g, e);
    if (s != SL_OK) return s;
    o->model.container = "gguf";
    o->gguf = g;
    s = sl__gguf_hparams(&g, o, e);
    if (s == SL_OK) s = sl__gguf_vocab(&g, o->arena, &o->vocab, &o->notes, e);
    if (s == SL_OK) s = sl__bind(o, true, e);
    if (s == SL_OK) s = sl__gguf_string(&g, "general.name", false, o->arena, SL_MEM_METADATA, &o->model.name, e);
    return s == SL_OK ? s : sl_error_prefix(e, "%s", path);
}

static sl_status open_folder(sl__open *o, const char *path, sl_error *e) {
    sl_status s = sl__folder_open(o, path, e);
    if (s != SL_OK) return s;
    /* The config is the first file that folder.c maps. */
    s = sl__config_parse(o->vocab.config_json, o->vocab.config_json_len, o->map[0].path, &o->model.family, &o->model.hp,
                         &o->declared, &o->notes, e);
    if (s != SL_OK) return s;
    s = sl__bind(o, false, e);
    return s == SL_OK ? s : sl_error_prefix(e, "%s", path);
}

/* "Qwen/Qwen3-30B-A3B" */
static bool looks_like_repository(const char *path) {
    const char *slash = strchr(path, '/');
    return slash && slash != path && slash[1] && !strchr(slash + 1, '/') && path[0] != '.' && path[0] != '~';
}

static sl_status start(const char *path, sl__open **ret, sl_error *e) {
    sl__open *o = sl_calloc(1, sizeof *o);
    if (o) o->arena = sl_arena_new();
    if (o && o->arena) {
        o->tensors.index.arena = o->arena;
        o->model.path = sl_arena_copy(o->arena, SL_MEM_METADATA, path, strlen(path));
        o->model.name = short_name(o->arena, path);
    }
    if (!o || !o->model.path || !o->model.name) {
        sl_model_close(o ? &o->model : NULL);
        return sl_fail(e, SL_NOMEM, "out of memory for %s", path);
    }
    *ret = o;
    return SL_OK;
}

sl_status sl_model_open_partly(const char *path, sl_model **ret, sl_error *e) {
    struct stat st;
    sl_error unseen;
    sl__open *o = NULL;
    if (!e) e = &unseen;
    sl_status s = start(path, &o, e);
    if (s != SL_OK) return s;
    bool there = stat(path, &st) == 0;
    s = there && S_ISDIR(st.st_mode) ? open_folder(o, path, e) : open_gguf(o, path, e);
    if (!there && s == SL_NOT_FOUND && looks_like_repository(path))
        s = sl_fail(e, s, "%s: no such file or folder (and models are not downloaded: give the path of one)", path);
    if (s != SL_OK && o->tensors.index.count == 0) {
        sl_model_close(&o->model);
        return s;
    }
    count_weights(o);
    o->vocab.rows = o->model.hp.vocab;
    *ret = &o->model;
    return s;
}

sl_status sl_model_open(const char *path, sl_model **ret, sl_error *e) {
    sl_model *m = NULL;
    sl_status s = sl_model_open_partly(path, &m, e);
    if (s == SL_OK) *ret = m;
    else sl_model_close(m);
    return s;
}
