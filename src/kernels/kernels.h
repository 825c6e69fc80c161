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
 *   Quantised weights. An output element begins as acc = 0; for each 32 values of K, j = 0, 1, … in ascending order, it takes
 *   the steps of its type, in which
 *     a_j, t_j      are the scale and the total of the 32 activations: t_j = a_j * (float)xsum_j, xsum_j being the integer
 *                   sum of the activations q_x; both are computed once, when activations are quantised
 *     isum_j        is the integer sum of q_w q_x over the 32 values, i_k over the 16 values from 16 k on, x_k that of q_x over
 *                   the same 16: exact, so formed in any order
 *     d, dmin, m    are half floats of the weights' block; sc_j, m_j, s_k, m_k integers of its sub-blocks
 *   and a product of floats inside an argument is rounded to float first (d*s_j and dmin*m_j are exact):
 *     Q4_0, Q5_0  acc = fma(d*a_j, (float)isum_j, acc), q_w being the nibble - 8, the five bits - 16
 *     Q4_1, Q5_1  acc = fma(d*a_j, (float)isum_j, acc); acc = fma(m, t_j, acc)
 *     Q8_0        acc = fma(d*a_j, (float)isum_j, acc)
 *     Q4_K, Q5_K  u = fma(a_j, (float)(sc_j*isum_j), u); acc = fma(-(dmin*m_j), t_j, acc)
 *     Q6_K, Q3_K  u = fma(a_j, (float)(s_2j*i_2j + s_2j+1*i_2j+1), u), q_w being the six bits - 32, the three bits - 4
 *     Q2_K        u = fma(a_j, (float)(s_2j*i_2j + s_2j+1*i_2j+1), u); v = fma(a_j, (float)(m_2j*x_2j + m_2j+1*x_2j+1), v)
 *                 in which u and v begin as 0 with each super-block of 256 values, that is, where j is a multiple of 8; at its end
 *                 acc = fma(d, u, acc), and for Q2_K then acc = fma(-dmin, v, acc). The integers are below 2^24.
 *     IQ4_NL      acc = fma(d*a_j, (float)isum_j, acc), q_w being the number, -127 … 113, that the nibble stands for
 *     IQ4_XS      acc = fma((d*s_j)*a_j, (float)isum_j, acc), q_w the same, s_j the six bits - 32
 *     MXFP4       acc = fma(d*a_j, (float)isum_j, acc), q_w being twice the number that the nibble stands for, an integer from
 *                 -12 to 12, and d half the block's power of two (sl__e8m0_half): exact; MXFP4_PLANES likewise
 *   Activations: a_j = amax/127, q_x = round-to-nearest-even(x * (1/a_j)), so |q_x| <= 127. a_j zero or subnormal (its inverse
 *   may not be finite): all zero. An infinity or NaN among the 32: a_j is NaN and q_x zero, so that every product is NaN.
 *   With activations of 1e31 and more u, v or t_j may be infinite; what they enter is then infinite or NaN.
 *   Where a result is a NaN, its sign and payload may differ between tiers.
 *   Unquantised weights: what OpenBLAS does with one fixed shape (float_gemm.c).
 *   Sums of floats: 16 lanes, of which lane l takes elements l, l + 16, l + 32 … in ascending order (the tail is padded with
 *   zeros); then the tree: lanes l and l + 8 for l = 0 … 7, of these l and l + 4, then l and l + 2, then 0 and 1. */
#ifndef SL_KERNELS_KERNELS_H
#define SL_KERNELS_KERNELS_H

#include "base/error.h"
#include "kernels/types.h"

#include <stddef.h>
#include <stdint.h>

/* Activations, one row a token. Unquantised weights read f alone, quantised ones the others alone: what is not read may be
 * anything, NULL too. */
typedef struct sl_acts {
    const float *f;       /* [rows][cols] */
    const int8_t *q;      /* [rows][cols] */
    const float *scale;   /* [rows][cols/32]: a_j */
    const int16_t *sum;   /* [rows][cols/32]: xsum_j */
    const float *total;   /* [rows][cols/32]: t_j */
    const int16_t *pairs; /* [rows][cols/16][2]: the sums of the first two and of the last two of every four q among 16 */
    int cols;             /* K */
} sl_acts;

/* Ranges of output rows begin at multiples of this: the tile of the unquantised products, whose bits depend on where it
 * begins (float_gemm.c). */
#define SL_PANEL 64
/* Positions in a KV page, a constant of the definition of attention. */
#define SL_PAGE 32
/* Columns of a delta rule's state that are computed together. */
#define SL_DELTA_COLUMNS 32
/* Pages in a span: each span of a row's positions has a softmax of its own, and they are merged in ascending order. */
#define SL_SPAN_PAGES 8

/* How keys and values of d numbers are kept. The keys of one KV head in one page, then its values, are one piece of memory
 * that begins at a multiple of 64:
 *   F32  keys [SL_PAGE][d], values [SL_PAGE][d]
 *   I16  16-bit integers, with a float scale for each position's key and each position's value:
 *        keys    [(d + 1) / 2][SL_PAGE][2]: element [j][p] is numbers 2 j and 2 j + 1 of position p's key (0 in place of
 *                number d, where d is odd); then the scales [SL_PAGE]
 *        values  [SL_PAGE / 2][w][2], w being d up to a multiple of 16: element [l][j] is number j of the values at
 *                positions l and l + 16; then the scales [SL_PAGE]
 *        The vector instruction multiplies pairs and adds each pair's two products to a 32-bit lane. Lanes that are loaded
 *        from keys are neighbouring positions, and become their scores; lanes loaded from values are neighbouring numbers of
 *        the result. So nothing is ever added across lanes, and as the sums are exact their order is free. */
typedef enum sl_kv_type { SL_KV_I16, SL_KV_F32, SL_KV_COUNT } sl_kv_type;

/* Bytes of one KV head's keys, or values, in a page. */
static inline size_t sl_kv_keys_bytes(sl_kv_type t, int d) {
    return t == SL_KV_I16 ? SL_PAGE * ((size_t)(d + 1) / 2 * 4 + 4) : SL_PAGE * (size_t)d * 4;
}
static inline size_t sl_kv_values_bytes(sl_kv_type t, int d) {
    return t == SL_KV_I16 ? SL_PAGE * ((size_t)(d + 15) / 16 * 32 + 4) : SL_PAGE * (size_t)d * 4;
}
/* Bytes of a query of d numbers that was made ready, for any type. */
static inline size_t sl_query_bytes(int d) { return (size_t)(d + 15) / 16 * 64; }

/* out[i * out_stride + (o - first)] = W[o] . x[row[i]] for o in [first, last), i in [0, n).
 *   first is a multiple of SL_PANEL, last is one too or w->rows
 *   row    [n] numbers of activation rows; NULL: 0 … n-1
 *   scratch  sl_kernels_scratch(w) bytes of the calling worker, 64-byte aligned (used by unquantised types only)
 *   next   what the caller will multiply by when this is done, or NULL: its first lines are prefetched, since a product
 *          that begins with weights nobody asked for waits for them */
typedef void sl_gemm_fn(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n, float *out,
                        size_t out_stride, void *scratch, const void *next);

/* A query as a type of keys wants it: its numbers, and what a sum of their products with a key's is multiplied by. */
typedef struct sl_query {
    const void *q;
    float scale;
} sl_query;

/* Running softmax of one (row, head), to the base 2. Beside it stands acc: the values so far, each times 2^(score - max).
 * With the sum of these weights, acc / sum is the result. */
typedef struct sl_attend {
    float max; /* -inf before the first page */
    float sum;
} sl_attend;

/* One page of keys and values for `n` queries that share a KV head: one online-softmax update each.
 *   q      [n] queries of d numbers
 *   first, count  [n] query i sees the page's positions first[i] … count[i] - 1; 0 <= first[i] < count[i] <= SL_PAGE, or count[i]
 *          is 0 and it sees none
 *   page   the head's keys and values; what stands at positions that nobody sees does not matter, but may be read
 *   state  [n]; acc [n] pointers to d floats, updated
 *   ahead  the same of the page that will be read next, or NULL: it may be prefetched
 * exp2 is sl_exp2f; a total of weights is that of 16 lanes, lane l holding those of positions l and l + 16, by the tree;
 * positions that the query does not see count as zero, and stand in no sum. count 0 leaves everything as it is.
 *   F32  s_p = scale * dot(q, k_p) in the order of 16 lanes; m' = max(m, max s) + 0; c = exp2(m - m') (0 if m is -inf);
 *        w_p = exp2(s_p - m'); sum = fma(sum, c, total w); acc_j = acc_j * c, then acc_j = fma(w_p, v_pj, acc_j) for p
 *        ascending
 *   I16  s_p = (float)(sum of q_j k_pj, exact) * key scale_p * scale; m', c, w_p and sum as above;
 *        u_p = w_p * value scale_p; U = total u; f = U >= 2^-100 ? 32767 / U : 0; w'_p = u_p * f rounded to the nearest
 *        even integer, which keeps sums below 2^31; acc_j = fma((float)(sum of w'_p v_pj, exact), U * (1/32767), acc_j * c) */
typedef void sl_attend_fn(const sl_query *q, const int *first, const int *count, int n, int d, const void *page, sl_attend *state,
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

/* Dequantises one row of cols values: embeddings, references. */
typedef void sl_widen_fn(const void *row, int cols, float *out);

/* Quantises one row of cols values, a multiple of 32, into the planes of sl_acts. */
typedef void sl_quantize_fn(const float *x, int cols, int8_t *q, float *scale, int16_t *sum, float *total, int16_t *pairs);

/* The sum of a_i b_i in the order of 16 lanes. */
typedef float sl_dot_fn(const float *a, const float *b, int n);

/* out[r * out_stride + o] = dot(w + o * n, x + r * n, n) for o in [0, count), r in [0, rows). */
typedef void sl_dots_fn(const float *w, int count, const float *x, int rows, int n, float *out, size_t out_stride);

/* out = weight * (x * r), r = 1 / sqrt(dot(x, x) / n + eps), each step rounded to float. out may be x. */
typedef void sl_rmsnorm_fn(const float *x, const float *weight, int n, float eps, float *out);

/* In place: x = e^(x - max x) by sl_expf, their sum of 16 lanes, times 1 / sum. */
typedef void sl_softmax_fn(float *x, int n);

/* For sampling: the maximum of x, and log(sum of e^(x - max)), a sum of 16 lanes. */
typedef float sl_logsumexp_fn(const float *x, int n, float *ret_max);

/* out = gate / (1 + e^-gate) * up. out may be gate or up. */
typedef void sl_swiglu_fn(const float *gate, const float *up, int n, float *out);

/* out = g / (1 + e^-(alpha * g)) * (u + 1), g being the gate but at most limit, u up but within ±limit. out may be gate or up. */
typedef void sl_clamped_fn(const float *gate, const float *up, int n, float alpha, float limit, float *out);

/* out = gelu(gate) * up by the tanh formula: gate / (1 + e^-(gate * fma(0.0713548, gate * gate, 1.5957691))) * up. out may be
 * gate or up. */
typedef void sl_geglu_fn(const float *gate, const float *up, int n, float *out);

/* x = x / (1 + e^-gate) */
typedef void sl_gated_fn(float *x, const float *gate, int n);

/* x = limit * tanh(v), v being x / limit: tanh(v) is (1 - e^(-2 |v|)) / (1 + e^(-2 |v|)), with v's sign. */
typedef void sl_cap_fn(float *x, float limit, int n);

typedef void sl_add_fn(float *y, const float *x, int n);                     /* y += x */
typedef void sl_axpy_fn(float *y, float a, const float *x, int n);           /* y = fma(a, x, y) */
typedef void sl_axpby_fn(float *y, float b, const float *x, float a, int n); /* y = fma(a, x, y * b) */

/* Rotates the first 2 * half values of one head: pairs (j, j + half), or (2j, 2j + 1) if interleaved, by the angle whose
 * cosine and sine are c = cosines[j], s = sines[j]: y0 = fma(x0, c, -(x1 * s)), y1 = fma(x1, c, x0 * s). */
typedef void sl_rope_fn(float *x, const float *cosines, const float *sines, int half, int interleaved);

/* A causal convolution of n channels by themselves, over `taps` positions, then silu: out_c = y_c / (1 + e^-y_c), where y_c begins
 * as 0 and takes y_c = fma(weight[t * stride + c], x[t][c], y_c) for t = 0, 1, … taps - 1.
 *   weight [taps][stride], of the first channel
 *   x      [taps] pointers to n channels, oldest position first */
typedef void sl_conv_fn(const float *weight, size_t stride, const float *const *x, int taps, int n, float *out);

/* The gated delta rule for SL_DELTA_COLUMNS columns of one value head's state S, over `rows` rows of a sequence in their order.
 * For each row, with its query q and key k of key_dim values, value v, decay a and strength b, in every column j by itself:
 *     m_j = 0;  m_j = fma(S_ij, k_i, m_j)            for i = 0, 1, … key_dim - 1
 *     d_j = (v_j - a * m_j) * b                      each step rounded
 *     o_j = 0;  S_ij = fma(k_i, d_j, a * S_ij);  o_j = fma(S_ij, q_i, o_j)      for i ascending, a * S_ij rounded
 * So S is what transformers calls the recurrent state, with the decay taken out of the sum of m. A tier may compute m of the next
 * row while it writes S: the order in a column is the same. Whatever rows a call has, the state after a row has the same bits.
 *   to, from  S [key_dim][SL_DELTA_COLUMNS] after and before; they may be the same; from NULL: zeros
 *   columns   1 … SL_DELTA_COLUMNS: so many of v and out there are; the rest counts as zeros, and stays zero in S */
typedef struct sl_delta_rows {
    const float *q, *k; /* of the first row, [key_dim]; the next one stands `stride` floats further */
    const float *v;     /* [columns], likewise */
    size_t stride;
    const float *decay, *strength; /* one number a row, `gate_stride` apart */
    size_t gate_stride;
    float *out;         /* [columns], out_stride apart */
    size_t out_stride;
    int rows, key_dim, columns;
} sl_delta_rows;
typedef void sl_delta_fn(const sl_delta_rows *x, const float *from, float *to);

/* What a core can do at best in this tier, for `bench`: reads bytes in order; multiplies 4-bit by 8-bit numbers out of the
 * first-level cache, and returns how many products it added up. What they compute means nothing. */
typedef uint64_t sl_limit_read_fn(const void *p, size_t bytes);
typedef double sl_limit_multiply_fn(int passes, float *ret);

typedef struct sl_kernel_table {
    const char *tier; /* "scalar", "avx2", … */
    sl_gemm_fn *gemm[SL_TYPE_COUNT];
    sl_widen_fn *widen[SL_TYPE_COUNT];
    sl_quantize_fn *quantize;
    sl_dot_fn *dot;
    sl_dots_fn *dots;
    sl_rmsnorm_fn *rmsnorm;
    sl_softmax_fn *softmax;
    sl_logsumexp_fn *logsumexp;
    sl_swiglu_fn *swiglu;
    sl_clamped_fn *clamped;
    sl_geglu_fn *geglu;
    sl_gated_fn *gated;
    sl_cap_fn *cap;
    sl_add_fn *add;
    sl_axpy_fn *axpy;
    sl_axpby_fn *axpby;
    sl_rope_fn *rope;
    sl_conv_fn *conv;
    sl_delta_fn *delta;
    sl_kv_store_fn *kv_store[SL_KV_COUNT];
    sl_query_fn *query[SL_KV_COUNT];
    sl_attend_fn *attend[SL_KV_COUNT];
    sl_limit_read_fn *limit_read;
    sl_limit_multiply_fn *limit_multiply;
} sl_kernel_table;

/* Chooses the tier once, at start: the fastest that the CPU has and that is not above `limit` ("scalar", "avx2", …;
 * NULL or "": no limit). Unknown names and a tier that the CPU lacks are errors that name what there is. Sets OpenBLAS
 * to one thread. */
sl_status sl_kernels_choose(const char *limit, sl_error *e);
const sl_kernel_table *sl_kernels(void);

/* For tests and benchmarks: tier i of those built in, NULL past the last; *ret_runs tells whether this CPU can run it. */
const sl_kernel_table *sl_kernels_tier(int i, int *ret_runs);

/* Row `row` of a matrix as floats [w->cols], however the file has it. */
void sl_matrix_widen(const sl_matrix *w, int row, float *out);
/* Row `row` of a matrix of type MXFP4_PLANES as MXFP4: w->cols / 32 blocks of 17 bytes. */
void sl_planes_join(const sl_matrix *w, int row, uint8_t *out);

/* Bytes of scratch that a worker needs to multiply by w (0 for quantised types). */
size_t sl_kernels_scratch(const sl_matrix *w);

/* Converts scalars as the kernels do. */
float sl_f16_to_f32(uint16_t h);
uint16_t sl_f32_to_f16(float f); /* nearest even */

#endif
