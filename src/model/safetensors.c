/* The safetensors container: a pure function from bytes to checked tensors.
 *
 *   u64 N, little-endian · N bytes of JSON (may be padded with spaces) · data
 *   {"NAME": {"dtype": "BF16", "shape": [rows, cols], "data_offsets": [begin, end]}, …, "__metadata__": {…}}
 *
 * Offsets count from the data's begin. As the reference reader demands: sorted by offset the tensors follow each other
 * without holes or overlaps from 0 to the file's end, and end - begin is what dtype and shape say. Data need not be
 * aligned. */
#include "model/internal.h"

#include "base/alloc.h"
#include "base/checked.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER 100000000
#define MAX_TENSORS (1024 * 1024)
#define MAX_NAME 256

static const struct dtype {
    const char *name;
    int bits;
    int type; /* sl_type; -1: not read */
} dtypes[] = {
    {"F32", 32, SL_TYPE_F32}, {"F16", 16, SL_TYPE_F16}, {"BF16", 16, SL_TYPE_BF16},
    {"F64", 64, -1}, {"C64", 64, -1}, {"I64", 64, -1}, {"U64", 64, -1}, {"I32", 32, -1}, {"U32", 32, -1}, {"I16", 16, -1},
    {"U16", 16, -1}, {"I8", 8, -1}, {"U8", 8, -1}, {"BOOL", 8, -1}, {"F8_E4M3", 8, -1}, {"F8_E5M2", 8, -1},
    {"F8_E8M0", 8, -1}, {"F8_E4M3FNUZ", 8, -1}, {"F8_E5M2FNUZ", 8, -1}, {"F6_E2M3", 6, -1}, {"F6_E3M2", 6, -1},
    {"F4", 4, -1},
};

static sl_status read_dtype(const sl_json *at, sl_arena *arena, sl__tensor *t, int *ret_bits, sl_error *e) {
    const char *name = NULL;
    sl_status s = sl_json_string(at, &name, NULL, e);
    if (s != SL_OK) return s;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(name, dtypes[i].name) != 0) continue;
        t->type_name = dtypes[i].name;
        t->type = dtypes[i].type;
        *ret_bits = dtypes[i].bits;
        return SL_OK;
    }
    /* A type of the future: an error only if the tensor is used; its size is what its offsets say. */
    t->type_name = sl_arena_copy(arena, SL_MEM_METADATA, name, strlen(name) < 32 ? strlen(name) : 32);
    t->type = -1;
    *ret_bits = 0;
    return t->type_name ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory for the tensor table");
}

static sl_status read_shape(const sl_json *at, sl__tensor *t, sl_error *e) {
    sl_status s = sl_json_array(at, 16, e);
    if (s != SL_OK) return s;
    t->values = 1;
    size_t n = sl_json_size(at);
    for (size_t i = 0; i < n; i++) {
        sl_json d;
        int64_t x = 0;
        sl_json_at(at, i, &d);
        if (!json_is_integer(d.v)) return sl_json_fail(&d, e, "must be an integer"); /* 2.0 is none here */
        s = sl_json_int(&d, 0, INT64_MAX, &x, e);
        if (s != SL_OK) return s;
        if (__builtin_mul_overflow(t->values, (uint64_t)x, &t->values) || t->values > INT64_MAX / 64)
            return sl_json_fail(at, e, "has more values than can be counted");
        if (n <= 4 || x != 1) t->shape[t->dims++ % 4] = (uint64_t)x;
    }
    /* Of more than four dimensions those of 1 are left out; if still more are left it is nothing that is used: shown as one. */
    if (t->dims > 4) t->shape[0] = t->values, t->dims = 1;
    return SL_OK;
}

static sl_status read_offsets(const sl_json *at, uint64_t size, uint64_t *ret_begin, uint64_t *ret_end, sl_error *e) {
    sl_json x;
    int64_t begin = 0, end = 0;
    sl_status s = sl_json_array(at, 2, e);
    if (s == SL_OK && sl_json_size(at) != 2) s = sl_json_fail(at, e, "must be two numbers");
    if (s != SL_OK) return s;
    if (!json_is_integer(json_array_get(at->v, 0)) || !json_is_integer(json_array_get(at->v, 1)))
        return sl_json_fail(at, e, "must be two integers");
    sl_json_at(at, 0, &x);
    s = sl_json_int(&x, 0, INT64_MAX, &begin, e);
    sl_json_at(at, 1, &x);
    if (s == SL_OK) s = sl_json_int(&x, begin, INT64_MAX, &end, e);
    if (s == SL_OK && (uint64_t)end > size)
        s = sl_json_fail(at, e, "ends beyond the file, which has %" PRIu64 " bytes of data (is the download complete?)", size);
    *ret_begin = (uint64_t)begin;
    *ret_end = (uint64_t)end;
    return s;
}

typedef struct range {
    const uint8_t *data;
    uint64_t bytes;
} range;

static sl_status read_tensor(const sl_json *at, const uint8_t *data, uint64_t size, int file, sl__tensors *tensors,
                             range *ret_range, sl_error *e) {
    sl__tensor t = {.file = file};
    sl_json dtype, shape, offsets;
    uint64_t begin = 0, end = 0;
    int bits = 0;
    size_t len = strlen(at->key);
    if (len == 0 || len > MAX_NAME) return sl_json_fail(at, e, "has a name of %zu bytes, not 1 … %d", len, MAX_NAME);
    sl_status s = sl_json_object(at, e);
    if (s != SL_OK) return s;
    sl_json_get(at, "dtype", &dtype);
    sl_json_get(at, "shape", &shape);
    sl_json_get(at, "data_offsets", &offsets);
    s = read_dtype(&dtype, tensors->index.arena, &t, &bits, e);
    if (s == SL_OK) s = read_shape(&shape, &t, e);
    if (s == SL_OK) s = read_offsets(&offsets, size, &begin, &end, e);
    if (s != SL_OK) return s;
    if (bits && ((t.values * (uint64_t)bits) % 8 || t.values * (uint64_t)bits / 8 != end - begin))
        return sl_json_fail(&offsets, e, "span %" PRIu64 " bytes, which is not what shape and dtype say", end - begin);
    t.bytes = end - begin;
    t.data = data + begin;
    *ret_range = (range){t.data, t.bytes};
    return sl__tensors_add(tensors, at->key, len, &t, e);
}

static int by_start(const void *a, const void *b) {
    const range *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* Sorted by where they begin, the ranges must fill [data, data + size). Sorts them. */
static sl_status check_contiguous(range *ranges, size_t count, const uint8_t *data, uint64_t size, const char *origin,
                                  sl_error *e) {
    qsort(ranges, count, sizeof *ranges, by_start);
    const uint8_t *next = data;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].data != next) return sl_fail(e, SL_FORMAT, "%s: the tensors' data have holes or overlaps", origin);
        next = ranges[i].data + ranges[i].bytes;
    }
    if (next != data + size)
        return sl_fail(e, SL_FORMAT, "%s: %" PRIu64 " bytes after the last tensor", origin, size - (uint64_t)(next - data));
    return SL_OK;
}

static sl_status read_tensors(const sl_json *top, const uint8_t *data, uint64_t size, int file, sl__tensors *tensors, sl_error *e) {
    if (sl_json_size(top) > MAX_TENSORS) return sl_json_fail(top, e, "has more than %d tensors", MAX_TENSORS);
    range *ranges = sl_malloc(sl_json_size(top) * sizeof *ranges + 1);
    if (!ranges) return sl_fail(e, SL_NOMEM, "%s: out of memory for the tensor table", top->origin);
    size_t count = 0;
    const char *key;
    json_t *value;
    sl_status s = SL_OK;
    json_object_foreach(top->v, key, value) {
        sl_json at = {.v = value, .parent = top, .key = key};
        if (strcmp(key, "__metadata__") == 0) continue;
        s = read_tensor(&at, data, size, file, tensors, &ranges[count++], e);
        if (s != SL_OK) break;
    }
    if (s == SL_OK) s = check_contiguous(ranges, count, data, size, top->origin, e);
    sl_free(ranges);
    return s;
}

sl_status sl__safetensors_parse(const uint8_t *data, size_t size, const char *origin, int file, sl__tensors *tensors,
                                sl_error *e) {
    uint64_t header = 0;
    if (size < sizeof header) return sl_fail(e, SL_FORMAT, "%s: a file of %zu bytes is no safetensors file", origin, size);
    const char *mistaken = sl__mistaken_file(data, size);
    memcpy(&header, data, sizeof header);
    if ((header > size - sizeof header || header == 0) && mistaken) return sl_fail(e, SL_FORMAT, "%s is no safetensors file: %s", origin, mistaken);
    if (header > size - sizeof header)
        return sl_fail(e, SL_FORMAT, "%s: a header of %" PRIu64 " bytes in a file of %zu", origin, header, size);
    if (header > MAX_HEADER)
        return sl_fail(e, SL_FORMAT, "%s: a header of %" PRIu64 " bytes, at most %d are read", origin, header, MAX_HEADER);
    const uint8_t *body = data + sizeof header + header;
    uint64_t left = size - sizeof header - header;
    if (header == 0 || data[sizeof header] != '{') return sl_fail(e, SL_FORMAT, "%s: the header is no JSON object", origin);
    sl_json top;
    sl_status s = sl_json_parse((const char *)data + sizeof header, (size_t)header, origin, &top, e);
    if (s != SL_OK) return s;
    s = read_tensors(&top, body, left, file, tensors, e);
    json_decref(top.v);
    return s;
}
