/* kernels.h: arithmetic on blocks of numbers. scalar/ is the definition; a tier (avx2/, …) repeats it faster, bit for bit.
 * Workers; pure functions on their arguments, the table is constant after sl_kernels_choose().
 *
 * Invariants
 *   1. A kernel neither allocates, nor fails, nor looks anything up; sizes were checked when the model was opened.
 *   2. Every tier gives the same bits as scalar/ for every input, worst cases included (Promise 1).
 *   3. An output element depends on its weight row and its activation row alone: not on the other rows of the call, on
 *      their number or order, nor on the range of output rows (Promise 1).
 *
 * The float order, binding for all tiers
 *   Quantised weights (per output element, blocks in ascending K, integer sums exact in any order; a_j is the activation
 *   scale of 32 values, isum_j and xsum_j the integer sums over these 32 of q_w q_x and of q_x, t_j = a_j * (float)xsum_j;
 *   each product is rounded to float first, d*sc_j and dmin*m_j are exact):
 *     Q4_K  acc = fma((d*sc_j)*a_j, (float)isum_j, acc); acc = fma(-(dmin*m_j), t_j, acc)
 *     Q6_K  acc = fma(d*a_j, (float)(s_2j*i_2j + s_2j+1*i_2j+1), acc), i over 16 values each, weights as q - 32
 *     Q8_0, Q4_0 (weights as q - 8)  acc = fma(d*a_j, (float)isum_j, acc)
 *     Q4_1  the same, then acc = fma(m, t_j, acc)
 *   Activations: a_j = amax/127, q = round-to-nearest-even(x * (1/a_j)), so |q| <= 127. a_j zero or subnormal (its inverse
 *   may not be finite): all zero. An infinity or NaN among the 32: a_j is NaN and q zero, so that every product is NaN.
 *   From 1e37 on t_j may be infinite; then so or NaN is what it is multiplied into.
 *   Where a result is a NaN, its sign and payload may differ between tiers.
 *   Floats: 16 lanes (lane i takes elements i, i+16, … by fma in ascending order; the tail is padded with zeros), then
 *   the tree ((0+8)+(4+12))+((2+10)+(6+14)) + odd lanes likewise: lanes l and l+8, then l and l+4, l and l+2, l and l+1. */
#ifndef SL_KERNELS_KERNELS_H
#define SL_KERNELS_KERNELS_H

#include "base/error.h"
#include "kernels/types.h"

#include <stddef.h>
#include <stdint.h>

/* Activations, one row a token. Quantised planes are NULL until quantize filled them (needed for quantised weights). */
typedef struct sl_acts {
    const float *f;       /* [rows][cols] */
    const int8_t *q;      /* [rows][cols] */
    const float *scale;   /* [rows][cols/32]: a_j */
    const int16_t *sum;   /* [rows][cols/32]: xsum_j */
    const float *total;   /* [rows][cols/32]: t_j */
    int cols;             /* K */
} sl_acts;

/* Work on output rows is cut at multiples of this (the last piece may be shorter): the tile of the float matrices. */
#define SL_PANEL 64
/* Positions in a KV page, a constant of the definition of attention. */
#define SL_PAGE 32
/* Pages in a span: spans are work items, merged in ascending order. */
#define SL_SPAN_PAGES 8

/* How keys and values are kept. A head of a page is one piece, its keys, then its values, and begins at a multiple of 64:
 *   F32  keys [SL_PAGE][d], values [SL_PAGE][d]
 *   I16  16-bit integers and a scale for each position, 0 in a pair of keys whose second number is missing:
 *        keys    pair [(d + 1) / 2][SL_PAGE][2]: values 2 j and 2 j + 1 of every position; float scale [SL_PAGE]
 *        values  pair [SL_PAGE / 2][d up to a multiple of 16][2]: positions l and l + 16; float scale [SL_PAGE]
 *        so that a vector of pairs times a pair in every lane adds up to scores of neighbouring positions, or to sums of
 *        neighbouring values: nothing is ever added across lanes, and as the sums are exact their order is free. */
typedef enum sl_kv_type { SL_KV_I16, SL_KV_F32, SL_KV_COUNT } sl_kv_type;

/* Bytes of a head's keys, or values, in a page. */
static inline size_t sl_kv_keys_bytes(sl_kv_type t, int d) {
    return t == SL_KV_I16 ? SL_PAGE * ((size_t)(d + 1) / 2 * 4 + 4) : SL_PAGE * (size_t)d * 4;
}
static inline size_t sl_kv_values_bytes(sl_kv_type t, int d) {
    return t == SL_KV_I16 ? SL_PAGE * ((size_t)(d + 15) / 16 * 32 + 4) : SL_PAGE * (size_t)d * 4;
}
/* Bytes of a query that was made ready. */
static inline size_t sl_query_bytes(int d) { return (size_t)(d + 15) / 16 * 64; }

/* out[i * out_stride + (o - first)] = W[o] . x[row[i]] for o in [first, last), i in [0, n).
 *   first is a multiple of SL_PANEL, last is one too or w->rows
 *   row    [n] numbers of activation rows; NULL: 0 … n-1
 *   scratch  sl_kernels_scratch(w) bytes of the calling worker, 64-byte aligned (used by unquantised types only)
 *   next   what the caller will multiply by when this is done, or NULL: its first lines are prefetched, since a product
 *          that begins with weights nobody asked for waits for them */
typedef void sl_gemm_fn(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n, float *out,
                        size_t out_stride, void *scratch, const void *next);

/* A query that was made ready for a type of keys: its numbers, and what their products are multiplied by. */
typedef struct sl_query {
    const void *q;
    float scale;
} sl_query;

/* Running softmax of one (row, head), to the base 2: the weighted sum of values is acc / sum, with exponents relative to
 * max. */
typedef struct sl_attend {
    float max; /* -inf before the first page */
    float sum;
} sl_attend;

/* One page of keys and values for `n` queries that share a KV head: one online-softmax update each.
 *   q      [n] queries of d numbers; count [n] positions of the page that query i sees, 0 … SL_PAGE
 *   page   the head's keys and values; what stands at positions that nobody sees does not matter, but may be read
 *   state  [n]; acc [n] pointers to d floats, updated
 *   ahead  the same of the page that will be read next, or NULL: it may be prefetched
 * exp2 is sl_exp2f; a total of weights is that of 16 lanes, lane l holding those of positions l and l + 16, by the tree;
 * positions that the query does not see count as zero. count 0 leaves everything as it is.
 *   F32  s_p = scale * dot(q, k_p) in the order of 16 lanes; m' = max(m, max s) + 0; c = exp2(m - m') (0 if m is -inf);
 *        w_p = exp2(s_p - m'); sum = fma(sum, c, total w); acc_j = acc_j * c, then acc_j = fma(w_p, v_pj, acc_j) for p
 *        ascending
 *   I16  s_p = (float)(sum of q_j k_pj, exact) * key scale_p * scale; m', c, w_p and sum as above;
 *        u_p = w_p * value scale_p; U = total u; f = U >= 2^-100 ? 32767 / U : 0; w'_p = u_p * f rounded to the nearest
 *        even integer, which keeps sums below 2^31; acc_j = fma((float)(sum of w'_p v_pj, exact), U * (1/32767), acc_j * c) */
typedef void sl_attend_fn(const sl_query *q, const int *count, int n, int d, const void *page, sl_attend *state,
                          float *const *acc, const void *ahead);

/* Writes the key and the value of position `at` of a page.
 * I16: integers by a step a, x * (1/a) rounded to the nearest even one, and the step as scale. The step is the larger of
 * amax * (1/32767) and, in keys and queries, sqrt(dot(x, x)) * (1/46000), so that a sum of products never leaves 31 bits
 * (Cauchy and Schwarz). A step below 2^-50: zero and all zeros; a sum of squares that is not finite: NaN and all zeros.
 * Half floats cost as much or more: they are finer for numbers below a sixteenth of the largest, coarser above, and it is
 * the large ones that weigh (tests/kernels/attend.c). */
typedef void sl_kv_store_fn(const float *k, const float *v, int d, int at, void *page);

/* Makes a query of d floats ready: its numbers to `out`, sl_query_bytes(d), 64-byte aligned; returns what to multiply by:
 * `scale` (times the step). */
typedef float sl_query_fn(const float *x, int d, float scale, void *out);

typedef struct sl_kernel_table {
    const char *tier; /* "scalar", "avx2", … */
    sl_gemm_fn *gemm[SL_TYPE_COUNT];
    void (*widen[SL_TYPE_COUNT])(const void *row, int cols, float *out);  /* dequantise one row: embedding, references */
    /* One row of cols values, a multiple of 32: the planes of sl_acts. */
    void (*quantize)(const float *x, int cols, int8_t *q, float *scale, int16_t *sum, float *total);

    float (*dot)(const float *a, const float *b, int n);                             /* 16-lane order */
    /* out[r * out_stride + o] = dot(w + o * n, x + r * n, n) for o in [0, count), r in [0, rows) */
    void (*dots)(const float *w, int count, const float *x, int rows, int n, float *out, size_t out_stride);
    void (*rmsnorm)(const float *x, const float *weight, int n, float eps, float *out); /* out may be x; out = w * (x * r),
                                           r = 1 / sqrt(dot(x, x) / n + eps), each step rounded to float */
    void (*softmax)(float *x, int n);                                                /* in place; max, expf, 16-lane sum, multiply by 1/sum */
    void (*swiglu)(const float *gate, const float *up, int n, float *out);           /* out = gate / (1 + exp(-gate)) * up */
    void (*add)(float *y, const float *x, int n);                                    /* y += x */
    void (*axpy)(float *y, float a, const float *x, int n);                          /* y = fma(a, x, y) */
    void (*axpby)(float *y, float b, const float *x, float a, int n);                /* y = fma(a, x, y * b) */
    void (*rope)(float *x, const float *cosines, const float *sines, int half, int interleaved); /* one head, rotates the
                                           first 2*half values: pairs (j, j+half), or (2j, 2j+1); y0 = fma(x0, c, -(x1*s)),
                                           y1 = fma(x1, c, x0*s) with the inner product rounded first */
    sl_kv_store_fn *kv_store[SL_KV_COUNT];
    sl_query_fn *query[SL_KV_COUNT];
    sl_attend_fn *attend[SL_KV_COUNT];
    /* Sampling: log of the sum of exponentials over a vocabulary: *ret_max and log(sum exp(x - max)), 16-lane sum. */
    float (*logsumexp)(const float *x, int n, float *ret_max);

    /* What a core can do at best in this tier, for `bench`: reads bytes in order; multiplies 4-bit by 8-bit numbers out of
     * the first-level cache and returns how many products it added. What they compute means nothing. */
    uint64_t (*limit_read)(const void *p, size_t bytes);
    double (*limit_multiply)(int passes, float *ret);
} sl_kernel_table;

/* Chooses the tier once, at start: the fastest that the CPU has and that is not above `limit` ("scalar", "avx2", …;
 * NULL or "": no limit). Unknown names and a tier that the CPU lacks are errors that name what there is. Sets OpenBLAS
 * to one thread. */
sl_status sl_kernels_choose(const char *limit, sl_error *e);
const sl_kernel_table *sl_kernels(void);

/* For tests and benchmarks: tier i of those built in, NULL past the last; *ret_runs tells whether this CPU can run it. */
const sl_kernel_table *sl_kernels_tier(int i, int *ret_runs);

/* Bytes of scratch that a worker needs to multiply by w (0 for quantised types). */
size_t sl_kernels_scratch(const sl_matrix *w);

/* Converts scalars as the kernels do. */
float sl_f16_to_f32(uint16_t h);
uint16_t sl_f32_to_f16(float f); /* nearest even */

#endif
