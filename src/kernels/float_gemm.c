/* float_gemm.c: unquantised matrices, through OpenBLAS, on every tier.
 *
 * OpenBLAS chooses its kernels, and with them the order of additions, by the shape of the product. A row's bits must not
 * depend on the other rows of a step, so every product has one shape: 8 rows of activations (padded with zero rows) by one
 * panel of SL_PANEL output columns from a fixed start (the matrix's last panel may be shorter) by the whole of K. With 8 rows
 * the bits of a row were measured to depend neither on the other seven nor on its place among them, on every kernel set of
 * OpenBLAS 0.3.21; with 5, 6, 7, 16 or 32 they do. tests/kernels/blas.c holds it.
 *
 * A matrix that has K outside (sl_matrix.across) is put together row by row: the same products, and so the same bits, as of one
 * that has it inside.
 *
 * Scratch: [SL_PANEL][K] widened weights (not used for matrices that a float pointer can address) | [8][K] gathered rows of
 * activations | [8][SL_PANEL] output. */
#include "kernels/internal.h"

#include <cblas.h>

enum { ROWS = 8 };

size_t sl_kernels_scratch(const sl_matrix *w) {
    if (sl_types[w->type].quantised) return 0;
    size_t k = (size_t)w->cols, panel = SL_PANEL * k;
    return sizeof(float) * (panel + ROWS * k + (size_t)ROWS * SL_PANEL);
}

/* Output row `o` of w as floats; bytes: room for the row as its type has it. */
static void widen_row(const sl_matrix *w, int o, uint8_t *bytes, sl_widen_fn *widen, float *out) {
    const uint8_t *data = w->data + (size_t)o * w->stride;
    if (!w->across) {
        widen(data, w->cols, out);
        return;
    }
    size_t size = (size_t)sl_types[w->type].block_bytes;
    if (size == 2)
        for (int i = 0; i < w->cols; i++) memcpy(bytes + (size_t)i * 2, data + (size_t)i * w->across, 2);
    else
        for (int i = 0; i < w->cols; i++) memcpy(bytes + (size_t)i * 4, data + (size_t)i * w->across, 4);
    widen(bytes, w->cols, out);
}

void sl__float_gemm(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n, float *out,
                    size_t out_stride, void *scratch, sl_widen_fn *widen) {
    size_t k = (size_t)w->cols;
    float *panel = scratch, *rows = panel + SL_PANEL * k, *tile = rows + ROWS * k;
    int direct = sl_matrix_addressable(w) && w->stride / sizeof(float) <= INT32_MAX; /* an int is what BLAS takes */

    for (int o = first; o < last; o += SL_PANEL) {
        int columns = w->rows - o < SL_PANEL ? w->rows - o : SL_PANEL;
        const uint8_t *data = w->data + (size_t)o * w->stride;
        const float *weights = direct ? (const float *)(const void *)data : panel;
        int weights_stride = direct ? (int)(w->stride / sizeof(float)) : w->cols;
        if (!direct)
            for (int c = 0; c < columns; c++)
                widen_row(w, o + c, (uint8_t *)rows, widen, panel + (size_t)c * k);
        for (int i = 0; i < n; i += ROWS) {
            int many = n - i < ROWS ? n - i : ROWS;
            for (int r = 0; r < many; r++)
                memcpy(rows + (size_t)r * k, x->f + (size_t)sl__act_row(row, i + r) * k, k * sizeof(float));
            if (many < ROWS) memset(rows + (size_t)many * k, 0, (size_t)(ROWS - many) * k * sizeof(float));
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, ROWS, columns, w->cols, 1.0f, rows, w->cols, weights,
                        weights_stride, 0.0f, tile, SL_PANEL);
            for (int r = 0; r < many; r++)
                memcpy(out + (size_t)(i + r) * out_stride + (o - first), tile + (size_t)r * SL_PANEL,
                       (size_t)columns * sizeof(float));
        }
    }
}
