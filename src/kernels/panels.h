/* panels.h: the walk over output rows and activation rows that the quantised products of the vector tiers share.
 * Pure; workers.
 * A tier's products.h comes first and says how wide things are:
 *   SL__LANES, sl__floats, sl__store   output rows in a vector; a vector of floats, and how it is stored
 *   SL__FEW_ROWS, SL__EACH_FEW         most activation rows that are taken without a panel (a type's file may say another)
 *   SL__GROUP, SL__EACH_GROUP          most activation rows that share the registers when a panel is used
 *   SL__FAR, SL__AGAIN                 bytes ahead at which weights are prefetched; nearer by SL__AGAIN for a second time
 *
 * A lane of a vector is an output row; an activation row is called a column. A panel is a few neighbouring weight rows.
 *   Few columns (up to SL__FEW_ROWS): SL__LANES weight rows at a time are transposed in registers and used at once for all
 *   columns. Memory is the limit, so panels some way ahead are prefetched while this one is computed.
 *   More columns: 2 * SL__LANES = SL__TALL weight rows are unpacked once, 256 values at a time, into a panel that fits the
 *   first-level cache. It is multiplied by one group of columns after another, whose sums wait in a tile meanwhile.
 *
 * The last rows of a matrix are computed by a panel that ends at the last row and so overlaps the one before; only the rows
 * that are missing are stored. A matrix of fewer rows than lanes is computed row by row, with a stride of zero, so that all
 * lanes hold the same row. */
#ifndef SL_KERNELS_PANELS_H
#define SL_KERNELS_PANELS_H

#include "kernels/internal.h"

/* Up to SL__MOST_COLUMNS columns: where the planes of each begin. */
typedef struct sl__columns {
    const int8_t *q[SL__MOST_COLUMNS];
    const float *a[SL__MOST_COLUMNS];
    const int16_t *sum[SL__MOST_COLUMNS];
    const float *total[SL__MOST_COLUMNS];
    const int16_t *pairs[SL__MOST_COLUMNS];
} sl__columns;

SL__INLINE void sl__columns_at(const sl_acts *x, const int32_t *row, int i, int n, sl__columns *c) {
    size_t k = (size_t)x->cols;
    for (int j = 0; j < n; j++) {
        size_t r = (size_t)sl__act_row(row, i + j);
        c->q[j] = x->q + r * k;
        c->a[j] = x->scale + r * (k / 32);
        c->sum[j] = x->sum + r * (k / 32);
        c->total[j] = x->total + r * (k / 32);
        c->pairs[j] = x->pairs + r * (k / 8);
    }
}

/* The lines that a panel asks for (prefetches) while it is computed. A processor drops prefetches while all its miss buffers
 * wait, which is most of the time where memory is the limit. A tier that computes much faster than memory delivers therefore
 * asks twice for every line: first from afar and into the second-level cache, so that the first-level one keeps what is in
 * use; then SL__AGAIN bytes later and into the first-level cache. SL__AGAIN 0: once, into the first-level cache. */
typedef struct sl__lines {
    const uint8_t *ahead, *again;
} sl__lines;

SL__INLINE void sl__ask(sl__lines l, int offset) {
    if (SL__AGAIN) {
        _mm_prefetch((const char *)l.ahead + offset, _MM_HINT_T1);
        _mm_prefetch((const char *)l.again + offset, _MM_HINT_T0);
    } else {
        _mm_prefetch((const char *)l.ahead + offset, _MM_HINT_T0);
    }
}

/* Moves on by what was asked for. */
SL__INLINE void sl__pass(sl__lines *l, int bytes) {
    l->ahead += bytes;
    l->again += bytes;
}

/* A type whose scales stand in a plane of their own defines SL__APART before. Its functions have one more argument, where the
 * scales of the first row begin; row r's begin r * (stride / 16) bytes further. */
#ifdef SL__APART
#define SL__SCALES , const uint8_t *scales
#define SL__SCALES_AT(offset) , scales + (offset)
#define SL__SCALES_OF(w, row) , (w)->apart + (size_t)(row) * ((w)->stride / 16)
#else
#define SL__SCALES
#define SL__SCALES_AT(offset)
#define SL__SCALES_OF(w, row)
#endif

/* acc [n] = SL__LANES weight rows, row r at w + r * stride, times n <= SL__FEW_ROWS columns of `cols` values; meanwhile as
 * many bytes as these rows have are asked for. */
typedef void sl__few_fn(const uint8_t *w, size_t stride, int cols, const sl__columns *x, sl__lines ask,
                        sl__floats *acc SL__SCALES);

enum { SL__TALL = 2 * SL__LANES, SL__MANY = 128, SL__GROUPS = (SL__MANY + SL__GROUP - 1) / SL__GROUP };

/* Columns that a panel is multiplied by together, and which of the tile's they are. */
typedef struct sl__group {
    sl__columns x;
    int from, n;
} sl__group;

/* Cuts n <= SL__MANY columns into groups of sizes as equal as can be, which all panels use; returns how many. */
SL__INLINE int sl__groups_of(const sl_acts *x, const int32_t *row, int first, int n, sl__group group[SL__GROUPS]) {
    int count = (n + SL__GROUP - 1) / SL__GROUP;
    for (int g = 0; g < count; g++) {
        int from = n * g / count, columns = n * (g + 1) / count - from;
        group[g].from = from;
        group[g].n = columns;
        sl__columns_at(x, row, first + from, columns, &group[g].x);
    }
    return count;
}

/* tile [n][SL__TALL] = SL__TALL weight rows times n columns of `cols` values, which stand in `groups` groups. Meanwhile as many
 * bytes as these rows have are asked for, from `ahead` on. */
typedef void sl__many_fn(const uint8_t *w, size_t stride, int cols, const sl__group *group, int groups, int n,
                         const uint8_t *ahead, float *tile SL__SCALES);

/* Lines that lie ahead, to be prefetched `lines` at a time between other work: all at once would stall it. */
typedef struct sl__ahead {
    const uint8_t *next, *end;
    int lines; /* at a time */
} sl__ahead;

/* How many of the `all` lines of a panel's 256 values are asked for before each of its halves is unpacked: so many that the miss
 * buffers have work during the third of the time that this takes when few columns share a panel, but no more than half of the
 * sixteen that a processor may have, or the loads of this panel wait for them. The rest follows between the products. */
SL__INLINE int sl__early_lines(int all) { return all / 6 < 8 ? all / 6 : 8; }

SL__INLINE void sl__prefetch(sl__ahead *a) {
    for (int i = 0; i < a->lines && a->next < a->end; i++, a->next += 64) _mm_prefetch((const char *)a->next, _MM_HINT_T0);
}

/* How far ahead of its own place a product of few columns asks for lines: a whole number of panels, and at least SL__FAR
 * bytes, so that short rows are asked for in time. */
SL__INLINE size_t sl__ahead_of(size_t panel) {
    size_t distance = panel;
    while (panel && distance < SL__FAR) distance += panel;
    return distance;
}

/* Asks for the first bytes of a range, which no panel before has asked for. The panels read them row by row, which is what
 * the processor's own prefetching is worst at (a fifth of the speed of a read in order), so they are asked for in order. */
SL__INLINE void sl__ask_first(const uint8_t *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) _mm_prefetch((const char *)p + i, _MM_HINT_T0);
}

/* Where a range of weight rows ends, and where what is read after it begins (see `next` of sl_gemm_fn). */
typedef struct sl__range {
    const uint8_t *end, *next;
} sl__range;

SL__INLINE sl__range sl__range_of(const sl_matrix *w, int last, const void *next) {
    const uint8_t *end = w->data + (size_t)last * w->stride;
    return (sl__range){end, next ? next : end};
}

/* The place to ask for in place of `ahead`, which may lie behind the range's end: then it is as far behind the beginning of
 * what is read next. */
SL__INLINE const uint8_t *sl__behind(const sl__range *r, const uint8_t *ahead) {
    return ahead < r->end ? ahead : r->next + (ahead - r->end);
}

/* The lines at `ahead`, and for the second time those SL__AGAIN bytes before it. In the first SL__AGAIN bytes of what is read
 * next there is nothing before it that anybody wants: there both are the same. */
SL__INLINE sl__lines sl__lines_of(const sl__range *r, const uint8_t *ahead) {
    const uint8_t *to = sl__behind(r, ahead);
    int begins = ahead >= r->end && ahead - r->end < SL__AGAIN;
    return (sl__lines){to, begins ? to : to - SL__AGAIN};
}

/* The product of up to SL__FEW_ROWS columns at a time. lanes is 1 where the matrix has fewer rows than a vector has lanes. */
SL__INLINE void sl__few_panels(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n,
                               float *out, size_t out_stride, const void *next, sl__few_fn *const few[SL__FEW_ROWS]) {
    int lanes = w->rows < SL__LANES ? 1 : SL__LANES;
    size_t stride = w->rows < SL__LANES ? 0 : w->stride, distance = sl__ahead_of((size_t)lanes * w->stride);
    sl__range range = sl__range_of(w, last, next);
    sl__ask_first(w->data + (size_t)first * w->stride, distance);
    for (int i = 0; i < n; i += SL__FEW_ROWS) {
        int many = n - i < SL__FEW_ROWS ? n - i : SL__FEW_ROWS;
        sl__columns c;
        sl__columns_at(x, row, i, many, &c);
        for (int o = first; o < last; o += lanes) {
            int start = o + lanes <= last ? o : last - lanes, skip = o - start;
            sl__floats acc[SL__FEW_ROWS];
            few[many - 1](w->data + (size_t)start * w->stride, stride, x->cols, &c,
                          sl__lines_of(&range, w->data + (size_t)o * w->stride + distance), acc SL__SCALES_OF(w, start));
            for (int j = 0; j < many; j++) {
                float *to = out + (size_t)(i + j) * out_stride + (o - first);
                if (lanes == SL__LANES && skip == 0) {
                    sl__store(to, acc[j]);
                } else {
                    float lane[SL__LANES];
                    sl__store(lane, acc[j]);
                    memcpy(to, lane + skip, (size_t)(lanes - skip) * sizeof *to);
                }
            }
        }
    }
}

/* The product of any number of columns. */
SL__INLINE void sl__each_panel(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n,
                               float *out, size_t out_stride, const void *next, sl__few_fn *const few[SL__FEW_ROWS],
                               sl__many_fn *many) {
    if (n <= SL__FEW_ROWS || w->rows < SL__TALL) {
        sl__few_panels(w, first, last, x, row, n, out, out_stride, next, few);
        return;
    }
    _Alignas(64) float tile[SL__MANY * SL__TALL];
    sl__group group[SL__GROUPS];
    size_t distance = SL__TALL * w->stride;
    sl__range range = sl__range_of(w, last, next);
    sl__ask_first(w->data + (size_t)first * w->stride, distance);
    for (int i = 0; i < n; i += SL__MANY) {
        int columns = n - i < SL__MANY ? n - i : SL__MANY, groups = sl__groups_of(x, row, i, columns, group);
        for (int o = first; o < last; o += SL__TALL) {
            int start = o + SL__TALL <= last ? o : last - SL__TALL, skip = o - start;
            many(w->data + (size_t)start * w->stride, w->stride, x->cols, group, groups, columns,
                 sl__behind(&range, w->data + (size_t)o * w->stride + distance), tile SL__SCALES_OF(w, start));
            for (int j = 0; j < columns; j++)
                memcpy(out + (size_t)(i + j) * out_stride + (o - first), tile + SL__TALL * j + skip,
                       (size_t)(SL__TALL - skip) * sizeof *out);
        }
    }
}

/* SL__GEMM(type, tier) makes the product of a type on a tier from what its file defines before:
 *   few(w, stride, cols, columns, n, ask, acc)             acc [n] = SL__LANES rows times n = 1 … SL__FEW_ROWS columns of
 *                                                          `cols` values; asks for as many bytes as it reads
 *   panel                                                  a struct: SL__TALL rows of 256 values, unpacked
 *   unpack(w, stride, values, half, panel)                 fills half 0 or 1 of it, the SL__LANES rows from w on, with `values`
 *                                                          (256, or fewer at the end) values of K
 *   multiply(panel, columns, at, values, n, tile, ahead)   tile [n][SL__TALL] += the panel times n = 1 … SL__GROUP columns,
 *                                                          from value `at` of K on
 *   BYTES_256                                              bytes that 256 values of one row take
 * For each number of columns there is a function of its own, in which the number is a constant. */
#define SL__FEW(n)                                                                                                     \
    static void few##n(const uint8_t *w, size_t stride, int cols, const sl__columns *x, sl__lines ask,                 \
                       sl__floats *acc SL__SCALES) {                                                                   \
        few(w, stride, cols, x, n, ask, acc SL__SCALES_AT(0));                                                         \
    }
#define SL__MULTIPLY(n)                                                                                                \
    static void multiply##n(const panel *w, const sl__columns *x, int at, int values, float *tile, sl__ahead *ahead) { \
        multiply(w, x, at, values, n, tile, ahead);                                                                    \
    }
#define SL__FEW_NAME(n) few##n,
#define SL__NAME(n) multiply##n,
#define SL__GEMM(type, tier) SL__GEMM_OF(type, tier) /* the tier may be a macro */
#define SL__GEMM_OF(type, tier)                                                                                        \
    SL__EACH_FEW(SL__FEW)                                                                                              \
    SL__EACH_GROUP(SL__MULTIPLY)                                                                                       \
    static void many(const uint8_t *w, size_t stride, int cols, const sl__group *group, int groups, int n,             \
                     const uint8_t *next, float *tile SL__SCALES) {                                                    \
        static void (*const each[SL__GROUP])(const panel *, const sl__columns *, int, int, float *, sl__ahead *) = {   \
            SL__EACH_GROUP(SL__NAME)};                                                                                 \
        panel p;                                                                                                       \
        const int all = SL__TALL * BYTES_256 / 64, early = sl__early_lines(all);                                       \
        int lines = (all - 2 * early + groups * 8 - 1) / (groups * 8);                                                 \
        memset(tile, 0, (size_t)n * SL__TALL * sizeof *tile);                                                          \
        for (int at = 0; at < cols; at += 256, w += BYTES_256, next += SL__TALL * BYTES_256) {                         \
            int values = cols - at < 256 ? cols - at : 256;                                                            \
            sl__ahead ahead = {next, next + SL__TALL * BYTES_256, early};                                              \
            SL__UNROLL for (int half = 0; half < 2; half++) {                                                          \
                size_t row = (size_t)half * SL__LANES;                                                                 \
                sl__prefetch(&ahead);                                                                                  \
                unpack(w + row * stride, stride, values, half, &p SL__SCALES_AT(row * (stride / 16) + (size_t)at / 32)); \
            }                                                                                                          \
            ahead.lines = lines;                                                                                       \
            for (int g = 0; g < groups; g++) {                                                                         \
                const sl__group *c = group + g;                                                                        \
                each[c->n - 1](&p, &c->x, at, values, tile + SL__TALL * c->from, &ahead);                              \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    void sl__##type##_gemm_##tier(const sl_matrix *w, int first, int last, const sl_acts *x, const int32_t *row, int n, \
                                  float *out, size_t out_stride, void *scratch, const void *next) {                    \
        static sl__few_fn *const each[SL__FEW_ROWS] = {SL__EACH_FEW(SL__FEW_NAME)};                                    \
        (void)scratch;                                                                                                 \
        sl__each_panel(w, first, last, x, row, n, out, out_stride, next, each, many);                                  \
    }

#endif
