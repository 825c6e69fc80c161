/* The tensor table: one for all files of a model, found by name in constant time. */
#include "model/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

sl_status sl__tensors_add(sl__tensors *t, const char *name, size_t len, const sl__tensor *value, sl_error *e) {
    int64_t before = sl__index_find(&t->index, name, len);
    if (before >= 0 && (!t->later_counts || t->entry[before].file == value->file))
        return sl_fail(e, SL_FORMAT, "tensor \"%.*s\" occurs twice", (int)len, name);
    if (before >= 0) {
        const char *kept = t->entry[before].name;
        t->entry[before] = *value;
        t->entry[before].name = kept;
        t->replaced++;
        return SL_OK;
    }
    char *copy = sl_arena_copy(t->index.arena, SL_MEM_METADATA, name, len);
    if (!copy) return sl_fail(e, SL_NOMEM, "out of memory for the tensor table");
    if (t->index.count == t->cap) {
        uint32_t cap = t->cap ? t->cap * 2 : 256;
        sl__tensor *entry = sl_arena_array(t->index.arena, SL_MEM_METADATA, cap, sizeof *entry);
        if (!entry) return sl_fail(e, SL_NOMEM, "out of memory for the tensor table");
        if (t->cap) memcpy(entry, t->entry, t->cap * sizeof *entry);
        t->entry = entry;
        t->cap = cap;
    }
    sl_status s = sl__index_add(&t->index, copy, (uint32_t)len);
    if (s != SL_OK) return sl_fail(e, s, "out of memory for the tensor table");
    sl__tensor *entry = &t->entry[t->index.count - 1];
    *entry = *value;
    entry->name = copy;
    return SL_OK;
}

sl__tensor *sl__tensors_find(const sl__tensors *t, const char *name) {
    int64_t i = sl__index_find(&t->index, name, strlen(name));
    return i < 0 ? NULL : &t->entry[i];
}

bool sl__tensor_is(const sl__tensor *t, uint64_t a, uint64_t b, uint64_t c) {
    const uint64_t want[3] = {a, b, c};
    int i = 0, j = 0;
    for (;; i++, j++) {
        while (i < t->dims && t->shape[i] == 1) i++;
        while (j < 3 && want[j] == 1) j++;
        if (i == t->dims || j == 3) return i == t->dims && j == 3;
        if (t->shape[i] != want[j]) return false;
    }
}

const char *sl__tensor_shape(const sl__tensor *t, char *buf, size_t size) {
    int n = snprintf(buf, size, "[");
    for (int i = 0; i < t->dims && n > 0 && (size_t)n < size; i++)
        n += snprintf(buf + n, size - (size_t)n, "%s%" PRIu64, i ? ", " : "", t->shape[i]);
    if (n > 0 && (size_t)n < size) snprintf(buf + n, size - (size_t)n, "]");
    return buf;
}
