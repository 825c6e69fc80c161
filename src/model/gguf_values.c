/* Typed getters over GGUF's key-values: any integer type serves for an integer, and every range is checked. */
#include "model/internal.h"

#include <inttypes.h>
#include <string.h>

/* Element i of type `type` at p, as an integer; false: no integer, or above INT64_MAX. */
static bool integer(uint8_t type, const uint8_t *p, uint64_t i, int64_t *ret) {
    union {
        uint8_t u8; int8_t i8; uint16_t u16; int16_t i16; uint32_t u32; int32_t i32; uint64_t u64; int64_t i64;
    } v;
    switch (type) {
    case SL__GGUF_U8: *ret = p[i]; return true;
    case SL__GGUF_I8: memcpy(&v, p + i, 1); *ret = v.i8; return true;
    case SL__GGUF_U16: memcpy(&v, p + 2 * i, 2); *ret = v.u16; return true;
    case SL__GGUF_I16: memcpy(&v, p + 2 * i, 2); *ret = v.i16; return true;
    case SL__GGUF_U32: memcpy(&v, p + 4 * i, 4); *ret = v.u32; return true;
    case SL__GGUF_I32: memcpy(&v, p + 4 * i, 4); *ret = v.i32; return true;
    case SL__GGUF_I64: memcpy(&v, p + 8 * i, 8); *ret = v.i64; return true;
    case SL__GGUF_U64:
        memcpy(&v, p + 8 * i, 8);
        if (v.u64 > INT64_MAX) return false;
        *ret = (int64_t)v.u64;
        return true;
    default: return false;
    }
}

static bool real(uint8_t type, const uint8_t *p, uint64_t i, double *ret) {
    float f;
    switch (type) {
    case SL__GGUF_F32: memcpy(&f, p + 4 * i, 4); *ret = (double)f; return true;
    case SL__GGUF_F64: memcpy(ret, p + 8 * i, 8); return true;
    default: return false;
    }
}

const sl__gguf_value *sl__gguf_find(const sl__gguf *g, const char *key) {
    int64_t i = sl__index_find(&g->keys, key, strlen(key));
    return i < 0 ? NULL : &g->value[i];
}

static sl_status absent(const char *key, bool required, sl_error *e) {
    return required ? sl_fail(e, SL_FORMAT, "key %s is missing", key) : SL_OK;
}

static sl_status in_range(const char *key, int64_t x, int64_t lo, int64_t hi, sl_error *e) {
    if (x >= lo && x <= hi) return SL_OK;
    return sl_fail(e, SL_FORMAT, "%s is %" PRId64 ", not within %" PRId64 " … %" PRId64, key, x, lo, hi);
}

sl_status sl__gguf_int(const sl__gguf *g, const char *key, bool required, int64_t lo, int64_t hi, int64_t *ret,
                       sl_error *e) {
    const sl__gguf_value *v = sl__gguf_find(g, key);
    if (!v) return absent(key, required, e);
    int64_t x;
    if (!integer(v->type, v->data, 0, &x)) return sl_fail(e, SL_FORMAT, "%s is not an integer that fits", key);
    sl_status s = in_range(key, x, lo, hi, e);
    if (s == SL_OK) *ret = x;
    return s;
}

sl_status sl__gguf_uniform(const sl__gguf *g, const char *key, bool required, int64_t lo, int64_t hi, int64_t *ret,
                           sl_error *e) {
    const sl__gguf_value *v = sl__gguf_find(g, key);
    if (!v || v->type != SL__GGUF_ARRAY) return sl__gguf_int(g, key, required, lo, hi, ret, e);
    int64_t first = 0;
    for (uint64_t i = 0; i < v->count; i++) {
        int64_t x;
        if (!integer(v->element, v->data, i, &x)) return sl_fail(e, SL_FORMAT, "%s is not an array of integers", key);
        if (i == 0) first = x;
        if (x != first) return sl_fail(e, SL_UNSUPPORTED, "%s differs from layer to layer, which is not supported", key);
    }
    if (v->count == 0) return sl_fail(e, SL_FORMAT, "%s is an empty array", key);
    sl_status s = in_range(key, first, lo, hi, e);
    if (s == SL_OK) *ret = first;
    return s;
}

sl_status sl__gguf_by_layer(const sl__gguf *g, const char *key, bool required, int most, int layers, int *ret, sl_error *e) {
    const sl__gguf_value *v = sl__gguf_find(g, key);
    int64_t x = 0;
    if (!v) return absent(key, required, e);
    bool each = v->type == SL__GGUF_ARRAY;
    sl_status s = each ? SL_OK : sl__gguf_int(g, key, true, 1, most, &x, e);
    if (each && v->count < (uint64_t)layers) s = sl_fail(e, SL_FORMAT, "%s has fewer elements than there are layers", key);
    for (int i = 0; i < layers && s == SL_OK; i++) {
        if (each && !integer(v->element, v->data, (uint64_t)i, &x)) return sl_fail(e, SL_FORMAT, "%s is not an array of integers", key);
        if (each) s = in_range(key, x, 0, most, e);
        if (s == SL_OK) ret[i] = (int)x;
    }
    return s;
}

sl_status sl__gguf_float(const sl__gguf *g, const char *key, bool required, double lo, double hi, double *ret,
                         sl_error *e) {
    const sl__gguf_value *v = sl__gguf_find(g, key);
    if (!v) return absent(key, required, e);
    double x;
    if (!real(v->type, v->data, 0, &x)) return sl_fail(e, SL_FORMAT, "%s is not a float", key);
    if (!(x >= lo && x <= hi)) return sl_fail(e, SL_FORMAT, "%s is %g, not within %g … %g", key, x, lo, hi);
    *ret = x;
    return SL_OK;
}

sl_status sl__gguf_bool(const sl__gguf *g, const char *key, bool *ret, sl_error *e) {
    const sl__gguf_value *v = sl__gguf_find(g, key);
    if (!v) return SL_OK;
    if (v->type != SL__GGUF_BOOL) return sl_fail(e, SL_FORMAT, "%s is not a boolean", key);
    *ret = v->data[0] != 0;
    return SL_OK;
}

sl_status sl__gguf_string(const sl__gguf *g, const char *key, bool required, sl_arena *arena, sl_mem tag,
                          const char **ret, sl_error *e) {
    const sl__gguf_value *v = sl__gguf_find(g, key);
    if (!v) return absent(key, required, e);
    if (v->type != SL__GGUF_STRING) return sl_fail(e, SL_FORMAT, "%s is not a string", key);
    const uint8_t *p = v->data;
    sl__name text = sl__gguf_next_string(&p);
    if (memchr(text.text, 0, text.len)) return sl_fail(e, SL_FORMAT, "%s has a NUL inside", key);
    char *copy = sl_arena_copy(arena, tag, text.text, text.len);
    if (!copy) return sl_fail(e, SL_NOMEM, "out of memory for %s", key);
    *ret = copy;
    return SL_OK;
}

int64_t sl__gguf_int_at(const sl__gguf_value *v, uint64_t i) {
    int64_t x = -1;
    return integer(v->element, v->data, i, &x) ? x : -1;
}

float sl__gguf_float_at(const sl__gguf_value *v, uint64_t i) {
    double x = 0;
    return real(v->element, v->data, i, &x) ? (float)x : 0;
}

double sl__gguf_number_at(const sl__gguf_value *v, uint64_t i) {
    uint8_t type = v->type == SL__GGUF_ARRAY ? v->element : v->type;
    int64_t whole = 0;
    double x = 0;
    if (real(type, v->data, i, &x)) return x;
    return integer(type, v->data, i, &whole) ? (double)whole : 0x1p63; /* an integer above int64 */
}

sl__name sl__gguf_next_string(const uint8_t **p) {
    uint64_t len;
    memcpy(&len, *p, sizeof len);
    sl__name n = {(const char *)*p + sizeof len, (uint32_t)len};
    *p += sizeof len + (size_t)len;
    return n;
}
