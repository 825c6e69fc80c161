/* panels.h: the walk over panels of output rows and groups of activation rows that the quantised products share.
 * Pure; workers.
 *
 * Few activation rows (up to four): weights are transposed in registers and used at once for all of them; what limits is
 * memory, so the next panel is prefetched while this one is computed. More: sixteen weight rows are unpacked once, 256
 * values at a time, into a panel that fits the first-level cache, and used for groups of three activation rows, whose
 * sums wait in a tile.
 *
 * The last rows of a matrix are computed by a panel that ends at the last row and so overlaps the one before; only
 * the rows that are missing are stored. A matrix of fewer than eight rows is computed row by row, with a stride of zero:
 * all eight lanes hold the same row. */
#ifndef SL_KERNELS_AVX2_PANELS_H
#define SL_KERNELS_AVX2_PANELS_H

#include "kernels/avx2/lanes.h"

/* Activation rows side by side. */
typedef struct sl__columns {
    const int8_t *q[4];
    const float *a[4];
    const int16_t *sum[4];
} sl__columns;

SL__INLINE void sl__columns_at(const sl_acts *x, const int32_t *row, int i, int n, sl__columns *c) {
    size_t k = (size_t)x->cols;
    for (int j = 0; j < n; j++) {
        size_t r = (size_t)sl__act_row(row, i + j);
        c->q[j] = x->q + r * k;
        c->a[j] = x->scale + r * (k / 32);
        c->sum[j] = x->sum + r * (k / 32);
    }
}

/* acc [n] = eight weight rows, row r at w + r * stride, times n <= 4 columns of `cols` values. */
typedef void sl__few_fn(const uint8_t *w, size_t stride, int cols, const sl__columns *x, __m256 *acc);

/* tile [n][16] = sixteen weight rows times n columns, those from activation row `first` of the call on. */
typedef void sl__many_fn(const uint8_t *w, size_t stride, const sl_acts *x, const int32_t *row, int first, int n,
                         float *tile);
enum { SL__MANY = 128 };

/* Lines that lie ahead, to be prefetched a few at a time between other work: in a burst they would stall it. */
typedef struct sl__ahead {
    const uint8_t *next, *end;
    int lines; /* at a time */
} sl__ahead;

SL__INLINE void sl__prefetch(sl__ahead *a) {
    for (int i = 0; i < a->lines && a->next < a->end; i++, a->next += 64) _mm_prefetch((const char *)a->next, _MM_HINT_T0);
}

/* Groups of at most three columns, as equal as can be: group g of `groups` begins at column n g / groups. */
SL__INLINE int sl__groups(int n) { return (n + 2) / 3; }

/* narrow [n][half]: sums of the products of 32 unsigned weights, four values of eight rows a vector, and n columns from
 * value `at` on, in sixteen bits, two a row. */
SL__INLINE void sl__narrow_products(const __m256i (*w)[2], const sl__columns *x, int at, int n, __m256i narrow[3][2]) {
    SL__UNROLL for (int c = 0; c < n; c++) narrow[c][0] = narrow[c][1] = _mm256_setzero_si256();
    SL__UNROLL for (int i = 0; i < 8; i++) {
        __m256i w0 = w[i][0], w1 = w[i][1];
        SL__UNROLL for (int c = 0; c < n; c++) {
            __m256i four = sl__four(x->q[c] + at + 4 * i);
            narrow[c][0] = _mm256_add_epi16(narrow[c][0], _mm256_maddubs_epi16(w0, four));
            narrow[c][1] = _mm256_add_epi16(narrow[c][1], _mm256_maddubs_epi16(w1, four));
        }
    }
}

SL__INLINE void sl__few_panels(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n,
                               float *out, size_t out_stride, sl__few_fn *const few[4]) {
    int lanes = w->rows < 8 ? 1 : 8;
    size_t stride = w->rows < 8 ? 0 : w->stride;
    for (int i = 0; i < n; i += 4) {
        int many = n - i < 4 ? n - i : 4;
        sl__columns c;
        sl__columns_at(x, row, i, many, &c);
        for (int o = first; o < last; o += lanes) {
            int start = o + lanes <= last ? o : last - lanes, skip = o - start;
            __m256 acc[4];
            few[many - 1](w->data + (size_t)start * w->stride, stride, x->cols, &c, acc);
            for (int j = 0; j < many; j++) {
                float *to = out + (size_t)(i + j) * out_stride + (o - first);
                if (lanes == 8 && skip == 0) {
                    _mm256_storeu_ps(to, acc[j]);
                } else {
                    float lane[8];
                    _mm256_storeu_ps(lane, acc[j]);
                    memcpy(to, lane + skip, (size_t)(lanes - skip) * sizeof *to);
                }
            }
        }
    }
}

SL__INLINE void sl__each_panel(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n,
                               float *out, size_t out_stride, sl__few_fn *const few[4], sl__many_fn *many) {
    if (n <= 4 || w->rows < 16) {
        sl__few_panels(w, first, last, x, row, n, out, out_stride, few);
        return;
    }
    _Alignas(32) float tile[SL__MANY * 16];
    for (int i = 0; i < n; i += SL__MANY) {
        int columns = n - i < SL__MANY ? n - i : SL__MANY;
        for (int o = first; o < last; o += 16) {
            int start = o + 16 <= last ? o : last - 16, skip = o - start;
            many(w->data + (size_t)start * w->stride, w->stride, x, row, i, columns, tile);
            for (int j = 0; j < columns; j++)
                memcpy(out + (size_t)(i + j) * out_stride + (o - first), tile + 16 * j + skip,
                       (size_t)(16 - skip) * sizeof *out);
        }
    }
}

/* Makes the product of a type from what its file defines:
 *   few(w, stride, cols, columns, n, acc)                     eight rows times n = 1 … 4 columns
 *   panel, unpack(w, stride, values, panel)                   sixteen rows, `values` (256 or fewer) of K
 *   multiply(panel, columns, at, values, n, tile, ahead)      tile [n][16] += panel times n = 1 … 3 columns from `at` on
 *   BYTES_256                                                 bytes of 256 values of one row */
#define SL__GEMM(type)                                                                                                 \
    static void few1(const uint8_t *w, size_t stride, int cols, const sl__columns *x, __m256 *acc) {                   \
        few(w, stride, cols, x, 1, acc);                                                                               \
    }                                                                                                                  \
    static void few2(const uint8_t *w, size_t stride, int cols, const sl__columns *x, __m256 *acc) {                   \
        few(w, stride, cols, x, 2, acc);                                                                               \
    }                                                                                                                  \
    static void few3(const uint8_t *w, size_t stride, int cols, const sl__columns *x, __m256 *acc) {                   \
        few(w, stride, cols, x, 3, acc);                                                                               \
    }                                                                                                                  \
    static void few4(const uint8_t *w, size_t stride, int cols, const sl__columns *x, __m256 *acc) {                   \
        few(w, stride, cols, x, 4, acc);                                                                               \
    }                                                                                                                  \
    static void multiply1(const panel *w, const sl__columns *x, int at, int values, float *tile, sl__ahead *ahead) {   \
        multiply(w, x, at, values, 1, tile, ahead);                                                                    \
    }                                                                                                                  \
    static void multiply2(const panel *w, const sl__columns *x, int at, int values, float *tile, sl__ahead *ahead) {   \
        multiply(w, x, at, values, 2, tile, ahead);                                                                    \
    }                                                                                                                  \
    static void multiply3(const panel *w, const sl__columns *x, int at, int values, float *tile, sl__ahead *ahead) {   \
        multiply(w, x, at, values, 3, tile, ahead);                                                                    \
    }                                                                                                                  \
    static void many(const uint8_t *w, size_t stride, const sl_acts *x, const int32_t *row, int first, int n,          \
                     float *tile) {                                                                                    \
        panel p;                                                                                                       \
        int groups = sl__groups(n), lines = 16 * BYTES_256 / 64;                                                       \
        const uint8_t *next = w + 16 * stride;                                                                         \
        memset(tile, 0, (size_t)n * 16 * sizeof *tile);                                                                \
        for (int at = 0; at < x->cols; at += 256, w += BYTES_256, next += 16 * BYTES_256) {                            \
            int values = x->cols - at < 256 ? x->cols - at : 256;                                                      \
            sl__ahead ahead = {next, next + 16 * BYTES_256, (lines + groups * 8 - 1) / (groups * 8)};                  \
            unpack(w, stride, values, &p);                                                                             \
            for (int g = 0; g < groups; g++) {                                                                         \
                int from = n * g / groups, columns = n * (g + 1) / groups - from;                                      \
                float *to = tile + 16 * from;                                                                          \
                sl__columns c;                                                                                         \
                sl__columns_at(x, row, first + from, columns, &c);                                                     \
                if (columns == 3) multiply3(&p, &c, at, values, to, &ahead);                                           \
                else if (columns == 2) multiply2(&p, &c, at, values, to, &ahead);                                      \
                else multiply1(&p, &c, at, values, to, &ahead);                                                        \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    void sl__##type##_gemm_avx2(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n,  \
                                float *out, size_t out_stride, void *scratch) {                                        \
        static sl__few_fn *const each[4] = {few1, few2, few3, few4};                                                   \
        (void)scratch;                                                                                                 \
        sl__each_panel(w, first, last, x, row, n, out, out_stride, each, many);                                        \
    }

#endif
