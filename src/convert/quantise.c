/* The quantisers: a row of floats to blocks, one after the other. */
#include "convert/quantise.h"

#include "convert/blocks.h"

/* Upper half of the float, to the nearest, ties to even; a NaN stays one. */
static uint16_t bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + (0x7fff + (bits >> 16 & 1))) >> 16);
}

static void floats(sl_type type, const float *x, int cols, uint8_t *out) {
    if (type == SL_TYPE_F32) {
        memcpy(out, x, (size_t)cols * sizeof *x);
        return;
    }
    for (int i = 0; i < cols; i++) {
        uint16_t h = type == SL_TYPE_F16 ? sl_f32_to_f16(x[i]) : bf16(x[i]);
        memcpy(out + 2 * (size_t)i, &h, sizeof h);
    }
}

static sl__quantise_block *const blocks[SL_TYPE_COUNT] = {
#define X(name, file, id, values, bytes, with) [SL_TYPE_##name] = sl__block_##file,
    SL_QUANTISED_TYPES(X, )
#undef X
};

void sl_quantise_row(sl_type type, const float *x, int cols, const float *importance, uint8_t *out) {
    const sl_type_info *t = &sl_types[type];
    float square = importance ? sl__mean_square(x, cols) : 0;
    if (!t->quantised) floats(type, x, cols, out);
    else
        for (int i = 0; i < cols; i += t->block_values, out += t->block_bytes)
            blocks[type](x + i, importance ? importance + i : NULL, square, out);
}

int64_t sl_quantise_bad(const float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x[i])) return (int64_t)i;
    return -1;
}
