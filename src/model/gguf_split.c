/* One GGUF file, or several parts named PREFIX-00001-of-0000N.gguf. Every part carries split.no (from 0), split.count and
 * split.tensors.count; the first has all other keys; each has its own tensors, with offsets into its own data. */
#include "model/internal.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "-00001-of-00003.gguf" */
#define SUFFIX_LEN 20

typedef struct part_keys {
    int64_t no, count, tensors;
} part_keys;

static sl_status parse(sl__open *o, const char *path, sl__gguf *ret, part_keys *ret_keys, sl_error *e) {
    int file = 0;
    sl_status s = sl__open_map(o, path, &file, e);
    if (s != SL_OK) return s;
    part_keys k = {0, 0, -1};
    sl__gguf g = {0};
    s = sl__gguf_parse(o->map[file].data, o->map[file].size, o->map[file].path, file, o->arena, &g, &o->tensors, e);
    if (s == SL_OK) s = sl__gguf_int(&g, "split.no", false, 0, UINT16_MAX, &k.no, e);
    if (s == SL_OK) s = sl__gguf_int(&g, "split.count", false, 0, UINT16_MAX, &k.count, e);
    if (s == SL_OK) s = sl__gguf_int(&g, "split.tensors.count", false, 0, INT32_MAX, &k.tensors, e);
    if (s != SL_OK) return sl_error_prefix(e, "%s", path);
    o->model.files++;
    *ret = g;
    *ret_keys = k;
    return SL_OK;
}

static sl_status open_parts(sl__open *o, const char *path, const part_keys *first, char *name, sl_error *e) {
    size_t prefix = strlen(path) - SUFFIX_LEN;
    for (int i = 1; i < first->count; i++) {
        snprintf(name + prefix, SUFFIX_LEN + 1, "-%05u-of-%05u.gguf", (unsigned)(i + 1) % 100000, (unsigned)first->count % 100000);
        sl__gguf g;
        part_keys k;
        sl_status s = parse(o, name, &g, &k, e);
        if (s != SL_OK) return sl_error_prefix(e, "part %d of %" PRId64, i + 1, first->count);
        if (k.no != i || k.count != first->count)
            return sl_fail(e, SL_FORMAT, "%s says that it is part %" PRId64 " of %" PRId64 ", not %d of %" PRId64, name, k.no + 1,
                           k.count, i + 1, first->count);
    }
    return SL_OK;
}

sl_status sl__gguf_open(sl__open *o, const char *path, sl__gguf *ret, sl_error *e) {
    part_keys k;
    sl_status s = parse(o, path, ret, &k, e);
    if (s != SL_OK) return s;
    if (k.count > 1) {
        char want[SUFFIX_LEN + 1];
        size_t len = strlen(path);
        snprintf(want, sizeof want, "-00001-of-%05u.gguf", (unsigned)k.count % 100000);
        if (k.no != 0) return sl_fail(e, SL_INVALID, "%s is part %" PRId64 " of %" PRId64 ": give the first part", path, k.no + 1, k.count);
        if (k.count > SL__MAX_FILES) return sl_fail(e, SL_FORMAT, "%s: %" PRId64 " parts, at most %d are read", path, k.count, SL__MAX_FILES);
        if (len < SUFFIX_LEN || strcmp(path + len - SUFFIX_LEN, want) != 0)
            return sl_fail(e, SL_FORMAT, "%s is the first of %" PRId64 " parts, so its name must end with %s", path, k.count, want);
        char *name = sl_strdup(path);
        if (!name) return sl_fail(e, SL_NOMEM, "out of memory");
        s = open_parts(o, path, &k, name, e);
        sl_free(name);
        if (s != SL_OK) return s;
    }
    if (k.count > 0 && k.tensors >= 0 && k.tensors != (int64_t)o->tensors.index.count)
        return sl_fail(e, SL_FORMAT, "%s: split.tensors.count is %" PRId64 ", but there are %" PRIu32 " tensors", path, k.tensors,
                       o->tensors.index.count);
    return SL_OK;
}
