/* matrix.c: rows of a matrix as floats, however the file has them. */
#include "kernels/internal.h"

/* A block's scale and its nibbles as MXFP4 has them (scalar/mxfp4.c). */
static void join(const uint8_t *pairs, uint8_t scale, uint8_t block[17]) {
    block[0] = scale;
    for (int j = 0; j < 16; j++) {
        int low = pairs[j / 2] >> (4 * (j % 2)) & 15, high = pairs[j / 2 + 8] >> (4 * (j % 2)) & 15;
        block[1 + j] = (uint8_t)(low | high << 4);
    }
}

void sl_planes_join(const sl_matrix *w, int row, uint8_t *out) {
    const uint8_t *data = w->data + (size_t)row * w->stride, *scales = w->apart + (size_t)row * (w->stride / 16);
    for (int b = 0; b < w->cols / 32; b++) join(data + 16 * b, scales[b], out + 17 * b);
}

void sl_matrix_widen(const sl_matrix *w, int row, float *out) {
    const sl_kernel_table *k = sl_kernels();
    const uint8_t *data = w->data + (size_t)row * w->stride;
    if (w->across) {
        for (int i = 0; i < w->cols; i++) k->widen[w->type](data + (size_t)i * w->across, 1, out + i);
        return;
    }
    if (!w->apart) {
        k->widen[w->type](data, w->cols, out);
        return;
    }
    const uint8_t *scales = w->apart + (size_t)row * (w->stride / 16);
    for (int b = 0; b < w->cols / 32; b++, data += 16, out += 32) {
        uint8_t block[17];
        join(data, scales[b], block);
        k->widen[SL_TYPE_MXFP4](block, 32, out);
    }
}
