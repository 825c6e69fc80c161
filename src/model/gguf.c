/* The GGUF container, version 3 (and 2, which has the same bytes): a pure function from bytes to checked tables.
 *
 *   magic "GGUF" · u32 version · u64 tensors · u64 key-values
 *   key-values    string key · u32 type · value                    string: u64 length · bytes, no NUL
 *                 array: u32 element type · u64 count · elements packed
 *   tensor infos  string name · u32 n · n × u64 ne, fastest first · u32 ggml type · u64 offset
 *   zeros up to the next multiple of general.alignment (32), counted from the start of the file: DATA
 *   tensor data   at DATA + offset, offset a multiple of the alignment
 *
 * All integers are little-endian and unaligned. Every length is compared with what is left of the file before it is
 * used, and nothing is allocated from a length alone: tables grow with what was really read. An array's strings are
 * walked once here, so that later walks may trust their lengths. */
#include "model/internal.h"

#include "base/alloc.h"
#include "base/checked.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEYS (64 * 1024)
#define MAX_TENSORS (1024 * 1024)
#define MAX_KEY 65535
#define MAX_NAME 64
#define MAX_STRING (64 * 1024 * 1024) /* a value: chat templates, whole tokenizer files */
#define MAX_ELEMENT (1024 * 1024)     /* a string in an array: a token */
#define MAX_ARRAY (16 * 1024 * 1024)
#define MIN_ALIGNMENT 8
#define MAX_ALIGNMENT (64 * 1024)

static const uint8_t value_bytes[SL__GGUF_TYPES] = {
    [SL__GGUF_U8] = 1,  [SL__GGUF_I8] = 1,  [SL__GGUF_U16] = 2, [SL__GGUF_I16] = 2, [SL__GGUF_U32] = 4, [SL__GGUF_I32] = 4,
    [SL__GGUF_F32] = 4, [SL__GGUF_BOOL] = 1, [SL__GGUF_U64] = 8, [SL__GGUF_I64] = 8, [SL__GGUF_F64] = 8,
};

typedef struct reader {
    const uint8_t *data;
    size_t pos, size;
} reader;

static size_t left(const reader *r) { return r->size - r->pos; }

static sl_status skip(reader *r, uint64_t n, sl_error *e) {
    if (n > left(r)) return sl_fail(e, SL_FORMAT, "the file ends inside its header (at byte %zu of %zu)", r->pos, r->size);
    r->pos += (size_t)n;
    return SL_OK;
}

static sl_status read_u32(reader *r, uint32_t *ret, sl_error *e) {
    const uint8_t *p = r->data + r->pos;
    sl_status s = skip(r, sizeof *ret, e);
    if (s == SL_OK) memcpy(ret, p, sizeof *ret);
    return s;
}

static sl_status read_u64(reader *r, uint64_t *ret, sl_error *e) {
    const uint8_t *p = r->data + r->pos;
    sl_status s = skip(r, sizeof *ret, e);
    if (s == SL_OK) memcpy(ret, p, sizeof *ret);
    return s;
}

static sl_status read_string(reader *r, const char *what, uint64_t most, sl__name *ret, sl_error *e) {
    uint64_t len = 0;
    sl_status s = read_u64(r, &len, e);
    if (s != SL_OK) return s;
    if (len > left(r))
        return sl_fail(e, SL_FORMAT, "%s of %" PRIu64 " bytes at byte %zu, but %zu are left of the file", what, len, r->pos,
                       left(r));
    if (len > most) return sl_fail(e, SL_FORMAT, "%s of %" PRIu64 " bytes, at most %" PRIu64 " are read", what, len, most);
    *ret = (sl__name){(const char *)r->data + r->pos, (uint32_t)len};
    r->pos += (size_t)len;
    return SL_OK;
}

static sl_status read_array(reader *r, sl__gguf_value *v, sl_error *e) {
    uint32_t element = 0;
    uint64_t count = 0;
    sl_status s = read_u32(r, &element, e);
    if (s == SL_OK) s = read_u64(r, &count, e);
    if (s != SL_OK) return s;
    if (element >= SL__GGUF_TYPES || element == SL__GGUF_ARRAY)
        return sl_fail(e, SL_FORMAT, "an array's elements have type %" PRIu32, element);
    size_t least = element == SL__GGUF_STRING ? 8 : value_bytes[element];
    if (count > left(r) / least)
        return sl_fail(e, SL_FORMAT, "an array of %" PRIu64 " elements, but %zu bytes are left of the file", count, left(r));
    if (count > MAX_ARRAY) return sl_fail(e, SL_FORMAT, "an array of %" PRIu64 " elements, at most %d are read", count, MAX_ARRAY);
    v->element = (uint8_t)element;
    v->count = count;
    v->data = r->data + r->pos;
    if (element != SL__GGUF_STRING) return skip(r, count * least, e);
    sl__name unused;
    for (uint64_t i = 0; i < count && s == SL_OK; i++) s = read_string(r, "a string in an array", MAX_ELEMENT, &unused, e);
    return s;
}

static sl_status read_value(reader *r, sl__gguf_value *v, sl_error *e) {
    uint32_t type = 0;
    sl_status s = read_u32(r, &type, e);
    if (s != SL_OK) return s;
    if (type >= SL__GGUF_TYPES) return sl_fail(e, SL_FORMAT, "value type %" PRIu32 " does not exist", type);
    *v = (sl__gguf_value){.type = (uint8_t)type, .count = 1, .data = r->data + r->pos};
    sl__name unused;
    if (type == SL__GGUF_ARRAY) return read_array(r, v, e);
    if (type == SL__GGUF_STRING) return read_string(r, "a string", MAX_STRING, &unused, e);
    return skip(r, value_bytes[type], e);
}

static sl_status read_keys(reader *r, uint64_t count, sl__gguf *g, sl_arena *arena, sl_error *e) {
    uint32_t cap = 0;
    for (uint64_t i = 0; i < count; i++) {
        sl__name key = {0};
        sl__gguf_value value = {0};
        sl_status s = read_string(r, "a key", MAX_KEY, &key, e);
        if (s == SL_OK && key.len == 0) s = sl_fail(e, SL_FORMAT, "the key is empty");
        if (s == SL_OK) s = read_value(r, &value, e);
        value.end = r->data + r->pos;
        if (s != SL_OK) return sl_error_prefix(e, "key-value %" PRIu64 " of %" PRIu64, i + 1, count);
        if (g->keys.count == cap) {
            cap = cap ? cap * 2 : 64;
            sl__gguf_value *grown = sl_arena_array(arena, SL_MEM_METADATA, cap, sizeof *grown);
            if (!grown) return sl_fail(e, SL_NOMEM, "out of memory for the key-values");
            if (g->keys.count) memcpy(grown, g->value, g->keys.count * sizeof *grown);
            g->value = grown;
        }
        s = sl__index_add(&g->keys, key.text, key.len);
        if (s == SL_INVALID) return sl_fail(e, SL_FORMAT, "the key of key-value %" PRIu64 " occurs twice", i + 1);
        if (s != SL_OK) return sl_fail(e, s, "out of memory for the key-values");
        g->value[g->keys.count - 1] = value;
    }
    return SL_OK;
}

static sl_status read_alignment(const sl__gguf *g, uint64_t *ret, sl_error *e) {
    int64_t alignment = 32;
    sl_status s = sl__gguf_int(g, "general.alignment", false, 0, UINT32_MAX, &alignment, e);
    if (s != SL_OK) return s;
    if (alignment < MIN_ALIGNMENT || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)))
        return sl_fail(e, SL_FORMAT, "general.alignment is %" PRId64 ", not a power of two from %d to %d", alignment,
                       MIN_ALIGNMENT, MAX_ALIGNMENT);
    *ret = (uint64_t)alignment;
    return SL_OK;
}

static bool plain(sl__name n) {
    for (uint32_t i = 0; i < n.len; i++)
        if (n.text[i] <= ' ' || n.text[i] > '~') return false;
    return n.len > 0;
}

/* One tensor info. It says where the tensor begins in DATA, which is *ret_offset; t->data is not known yet. */
static sl_status read_info(reader *r, sl_arena *arena, sl__name *ret_name, sl__tensor *t, uint64_t *ret_offset, sl_error *e) {
    uint32_t n = 0, type = 0;
    sl__name name;
    sl_status s = read_string(r, "a name", MAX_NAME, &name, e);
    if (s == SL_OK && !plain(name)) s = sl_fail(e, SL_FORMAT, "the name is empty or has characters that are no plain ASCII");
    if (s == SL_OK) s = read_u32(r, &n, e);
    if (s != SL_OK) return s;
    if (n > 4) return sl_fail(e, SL_FORMAT, "\"%.*s\" has %" PRIu32 " dimensions", (int)name.len, name.text, n);
    t->dims = (int)n;
    t->values = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t ne = 0;
        if ((s = read_u64(r, &ne, e)) != SL_OK) return s;
        t->shape[n - 1 - i] = ne;
        if (ne > INT64_MAX || __builtin_mul_overflow(t->values, ne, &t->values) || t->values > INT64_MAX)
            return sl_fail(e, SL_FORMAT, "\"%.*s\" has more values than can be counted", (int)name.len, name.text);
    }
    if ((s = read_u32(r, &type, e)) != SL_OK || (s = read_u64(r, ret_offset, e)) != SL_OK) return s;
    uint64_t block_values, block_bytes;
    if (!sl__gguf_tensor_type(t, type, arena, &block_values, &block_bytes)) return sl_fail(e, SL_NOMEM, "out of memory for the tensor table");
    if (block_values) {
        uint64_t row = n ? t->shape[n - 1] : 1;
        if (row % block_values)
            return sl_fail(e, SL_FORMAT, "\"%.*s\": rows of %" PRIu64 " values are not whole blocks of %s", (int)name.len,
                           name.text, row, t->type_name);
        if (__builtin_mul_overflow(t->values / block_values, block_bytes, &t->bytes))
            return sl_fail(e, SL_FORMAT, "\"%.*s\" has more bytes than can be counted", (int)name.len, name.text);
    }
    *ret_name = name;
    return SL_OK;
}

typedef struct range {
    const uint8_t *data;
    uint64_t bytes;
} range;

static int by_start(const void *a, const void *b) {
    const range *x = a, *y = b;
    return x->data < y->data ? -1 : x->data > y->data;
}

static sl_status check_overlap(const sl__tensor *t, size_t count, sl_error *e) {
    range *ranges = sl_malloc(count * sizeof *ranges + 1);
    if (!ranges) return sl_fail(e, SL_NOMEM, "out of memory for the tensor table");
    for (size_t i = 0; i < count; i++) ranges[i] = (range){t[i].data, t[i].bytes};
    qsort(ranges, count, sizeof *ranges, by_start);
    sl_status s = SL_OK;
    for (size_t i = 1; i < count && s == SL_OK; i++)
        if (ranges[i - 1].bytes > (uint64_t)(ranges[i].data - ranges[i - 1].data))
            s = sl_fail(e, SL_FORMAT, "two tensors share bytes of the file");
    sl_free(ranges);
    return s;
}

/* Reads the tensor infos; then, DATA being known, turns offsets into pointers. */
static sl_status read_tensors(reader *r, uint64_t count, uint64_t alignment, int file, sl__tensors *tensors, sl_error *e) {
    uint32_t first = tensors->index.count;
    for (uint64_t i = 0; i < count; i++) {
        sl__name name;
        sl__tensor t = {.file = file};
        uint64_t offset = 0;
        sl_status s = read_info(r, tensors->index.arena, &name, &t, &offset, e);
        if (s != SL_OK) return sl_error_prefix(e, "tensor %" PRIu64 " of %" PRIu64, i + 1, count);
        if (offset % alignment || offset > r->size)
            return sl_fail(e, SL_FORMAT, "tensor \"%.*s\" begins at offset %" PRIu64 ", which is %s", (int)name.len, name.text,
                           offset, offset > r->size ? "beyond the end of the file: was it copied or downloaded whole?" : "not aligned");
        t.data = r->data + offset; /* from the file's begin: that of DATA is added below, once it is known */
        s = sl__tensors_add(tensors, name.text, name.len, &t, e);
        if (s != SL_OK) return s;
    }
    if (count == 0) return SL_OK;
    size_t start;
    if (!sl_align_up(r->pos, (size_t)alignment, &start) || start > r->size)
        return sl_fail(e, SL_FORMAT, "the file ends before its tensor data");
    sl__tensor *t = tensors->entry + first;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t offset = (uint64_t)(t[i].data - r->data);
        if (!sl_within(offset, t[i].bytes, r->size - start))
            return sl_fail(e, SL_FORMAT,
                           "tensor \"%s\" has %" PRIu64 " bytes at offset %" PRIu64
                           ", but the file ends %zu bytes after the data's begin (is the download complete?)",
                           t[i].name, t[i].bytes, offset, r->size - start);
        t[i].data += start;
    }
    return check_overlap(t, (size_t)count, e);
}

sl_status sl__gguf_parse(const uint8_t *data, size_t size, const char *origin, int file, sl_arena *arena, sl__gguf *ret,
                         sl__tensors *tensors, sl_error *e) {
    reader r = {data, 0, size};
    sl__gguf g = {.origin = origin, .keys = {.arena = arena}};
    uint32_t magic = 0, version = 0;
    uint64_t tensor_count = 0, key_count = 0, alignment = 0;
    if (size < 24) return sl_fail(e, SL_FORMAT, "a file of %zu bytes is no GGUF file", size);
    sl_status s = read_u32(&r, &magic, e);
    if (s == SL_OK && magic != 0x46554747) {
        const char *mistaken = sl__mistaken_file(data, size);
        s = sl_fail(e, SL_FORMAT, "not a GGUF file: %s", mistaken ? mistaken : "it does not begin with \"GGUF\"");
    }
    if (s == SL_OK) s = read_u32(&r, &version, e);
    if (s == SL_OK && version && (version & 0xFFFF) == 0) s = sl_fail(e, SL_UNSUPPORTED, "big-endian GGUF is not read");
    if (s == SL_OK && version != 2 && version != 3)
        s = sl_fail(e, SL_UNSUPPORTED, "GGUF version %" PRIu32 " is not read, only 2 and 3", version);
    if (s == SL_OK) s = read_u64(&r, &tensor_count, e);
    if (s == SL_OK) s = read_u64(&r, &key_count, e);
    if (s == SL_OK && (key_count > MAX_KEYS || key_count > left(&r) / 13))
        s = sl_fail(e, SL_FORMAT,
                    "%" PRIu64 " key-values cannot be in this file of %zu bytes: it is damaged, or was not copied whole",
                    key_count, size);
    if (s == SL_OK && (tensor_count > MAX_TENSORS || tensor_count > left(&r) / 24))
        s = sl_fail(e, SL_FORMAT,
                    "%" PRIu64 " tensors cannot be in this file of %zu bytes: it is damaged, or was not copied whole",
                    tensor_count, size);
    if (s == SL_OK) s = read_keys(&r, key_count, &g, arena, e);
    if (s == SL_OK) s = read_alignment(&g, &alignment, e);
    if (s == SL_OK) s = read_tensors(&r, tensor_count, alignment, file, tensors, e);
    if (s == SL_OK) *ret = g;
    return s;
}
