/* Readers of the binder: a tensor found by its name, of the shape that the hyperparameters say, as a matrix, a vector or a bias. */
#include "model/bind.h"

#include "base/buffer.h"
#include "kernels/kernels.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sl__tensor *sl__bind_find(const sl__binder *b, char full[SL__BIND_NAME], const char *fmt, ...) {
    int n = b->layer >= 0 ? snprintf(full, SL__BIND_NAME, "%s%d.", b->n->layer, b->layer) : 0;
    va_list args;
    va_start(args, fmt);
    vsnprintf(full + n, SL__BIND_NAME - (size_t)n, fmt, args);
    va_end(args);
    return sl__tensors_find(&b->o->tensors, full);
}

sl_status sl__bind_missing(const sl__binder *b, const char *full) {
    return sl_fail(b->e, SL_FORMAT, "tensor \"%s\" is missing", full);
}

/* Names the type, and those that would do. */
static sl_status unread_type(const sl__binder *b, const sl__tensor *t) {
    char number[32] = "";
    sl_buffer known = {0};
    if (b->gguf && strncmp(t->type_name, "ggml type ", 10) != 0) snprintf(number, sizeof number, " (ggml type %" PRIu32 ")", t->type_id);
    for (int i = 0; i < SL_TYPE_COUNT; i++)
        if (b->gguf || !sl_types[i].quantised) sl_buffer_printf(&known, "%s%s", known.len ? ", " : "", sl_types[i].name);
    sl_status s = sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" has type %s%s%s; supported are %s", t->name, t->type_name, number,
                          b->gguf ? sl__gguf_type_remark(t->type_id) : "", sl_buffer_text(&known));
    sl_buffer_done(&known);
    return s;
}

sl_status sl__bind_take(const sl__binder *b, sl__tensor *t, uint64_t a, uint64_t rows, uint64_t cols) {
    char have[96], want[96];
    if (!sl__tensor_is(t, a, rows, cols)) {
        sl__tensor w = {.dims = a > 1 ? 3 : rows > 1 ? 2 : 1, .shape = {a, rows, cols}};
        if (a == 1 && rows > 1) memcpy(w.shape, (uint64_t[]){rows, cols}, 2 * sizeof *w.shape);
        if (a == 1 && rows == 1) w.shape[0] = cols;
        return sl_fail(b->e, SL_FORMAT, "tensor \"%s\" has shape %s, but the hyperparameters say %s", t->name,
                       sl__tensor_shape(t, have, sizeof have), sl__tensor_shape(&w, want, sizeof want));
    }
    if (t->type < 0) return unread_type(b, t);
    t->used = true;
    return SL_OK;
}

sl_matrix sl__bind_part(const sl__tensor *t, int slice, int all, int first, int rows, int cols) {
    const sl_type_info *info = &sl_types[t->type];
    size_t stride = (size_t)cols / (size_t)info->block_values * (size_t)info->block_bytes;
    size_t row = (size_t)slice * (size_t)all + (size_t)first;
    return (sl_matrix){.data = t->data + row * stride, .stride = stride, .rows = rows, .cols = cols, .type = (sl_type)t->type};
}

sl_status sl__bind_matrix(const sl__binder *b, const char *name, int rows, int cols, sl_matrix *ret) {
    char full[SL__BIND_NAME];
    sl__tensor *t = sl__bind_find(b, full, "%s.weight", name);
    if (!t) return sl__bind_missing(b, full);
    sl_status s = sl__bind_take(b, t, 1, (uint64_t)rows, (uint64_t)cols);
    if (s == SL_OK) *ret = sl__bind_part(t, 0, rows, 0, rows, cols);
    return s;
}

sl_status sl__bind_floats_of(const sl__binder *b, sl__tensor *t, int rows, int cols, const float **ret) {
    int n = rows * cols;
    sl_status s = sl__bind_take(b, t, 1, (uint64_t)rows, (uint64_t)cols);
    if (s != SL_OK) return s;
    if (t->type == SL_TYPE_F32 && (uintptr_t)t->data % _Alignof(float) == 0) {
        *ret = (const float *)(const void *)t->data;
        return SL_OK;
    }
    if (t->type != SL_TYPE_F32 && t->type != SL_TYPE_F16 && t->type != SL_TYPE_BF16)
        return sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" is a vector of type %s, which is not supported", t->name, t->type_name);
    float *copy = sl_arena_array(b->o->arena, SL_MEM_METADATA, (size_t)n, sizeof *copy);
    if (!copy) return sl_fail(b->e, SL_NOMEM, "out of memory for tensor \"%s\"", t->name);
    for (int i = 0; i < n; i++) {
        uint32_t bits = 0;
        memcpy(&bits, t->data + (size_t)i * (size_t)sl_types[t->type].block_bytes, (size_t)sl_types[t->type].block_bytes);
        if (t->type == SL_TYPE_BF16) bits <<= 16;
        if (t->type == SL_TYPE_F16) copy[i] = sl_f16_to_f32((uint16_t)bits);
        else memcpy(&copy[i], &bits, sizeof bits);
    }
    *ret = copy;
    return SL_OK;
}

sl_status sl__bind_vector_of(const sl__binder *b, sl__tensor *t, int n, const float **ret) { return sl__bind_floats_of(b, t, 1, n, ret); }

sl_status sl__bind_changed(const sl__binder *b, int n, float (*of)(float), const float **ret) {
    float *copy = sl_arena_array(b->o->arena, SL_MEM_METADATA, (size_t)n, sizeof *copy);
    if (!copy) return sl_fail(b->e, SL_NOMEM, "out of memory for a vector of %d values", n);
    for (int i = 0; i < n; i++) copy[i] = of((*ret)[i]);
    *ret = copy;
    return SL_OK;
}

static float plus_one(float x) { return x + 1; }

sl_status sl__bind_norm_of(const sl__binder *b, sl__tensor *t, int n, const float **ret) {
    sl_status s = sl__bind_vector_of(b, t, n, ret);
    return s == SL_OK && !b->gguf && b->family->hf_norms_less_one ? sl__bind_changed(b, n, plus_one, ret) : s;
}

sl_status sl__bind_norm_vector(const sl__binder *b, const char *name, int n, const float **ret) {
    char full[SL__BIND_NAME];
    sl__tensor *t = sl__bind_find(b, full, "%s.weight", name);
    return t ? sl__bind_norm_of(b, t, n, ret) : sl__bind_missing(b, full);
}

sl_status sl__bind_vector(const sl__binder *b, const char *name, int n, const float **ret) {
    char full[SL__BIND_NAME];
    sl__tensor *t = sl__bind_find(b, full, "%s.weight", name);
    return t ? sl__bind_vector_of(b, t, n, ret) : sl__bind_missing(b, full);
}

sl_status sl__bind_bias(const sl__binder *b, const char *name, int want, int n, const float **ret) {
    char full[SL__BIND_NAME];
    sl__tensor *t = sl__bind_find(b, full, "%s.bias", name);
    if (!t) return want == 1 ? sl__bind_missing(b, full) : SL_OK;
    if (want == 0) return sl_fail(b->e, SL_UNSUPPORTED, "tensor \"%s\" is a bias that this model must not have", full);
    return sl__bind_vector_of(b, t, n, ret);
}

sl_status sl__bind_norm(const sl__binder *b, const char *name, const float **ret_weight, const float **ret_bias) {
    sl_status s = sl__bind_norm_vector(b, name, b->hp->width, ret_weight);
    return s == SL_OK ? sl__bind_bias(b, name, b->hp->norm == SL_NORM_LAYER ? -1 : 0, b->hp->width, ret_bias) : s;
}
