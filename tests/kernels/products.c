/* Quantised products. */
#include "check.h"

size_t row_bytes(sl_type type, int cols) {
    return (size_t)(cols / sl_types[type].block_values) * (size_t)sl_types[type].block_bytes;
}

/* A type that is not named has a scale at 0 and no minimum; MXFP4 has no half at all. */
const half_places half_of[SL_TYPE_COUNT] = {
    [SL_TYPE_Q4_1] = {0, 2},   [SL_TYPE_Q5_1] = {0, 2},   [SL_TYPE_Q4_K] = {0, 2},    [SL_TYPE_Q5_K] = {0, 2},
    [SL_TYPE_Q2_K] = {80, 82}, [SL_TYPE_Q3_K] = {108, 0}, [SL_TYPE_Q6_K] = {208, 0},  [SL_TYPE_MXFP4] = {-1, 0},
    [SL_TYPE_MXFP4_PLANES] = {-1, 0},
};

static void put_half(uint8_t *p, scale_kind kind) {
    uint16_t h;
    switch (kind) {
    case SCALES_SMALL: h = sl_f32_to_f16(random_normal() * 0.01f); break;
    case SCALES_LARGE: h = (uint16_t)(0x7bff - (random64() & 0x800f)); break;
    case SCALES_TINY: h = (uint16_t)(random64() & 0x83ff); break;
    default: h = (uint16_t)random64(); break;
    }
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

/* The exponent of a block of MXFP4. */
static uint8_t exponent(scale_kind kind) {
    switch (kind) {
    case SCALES_SMALL: return (uint8_t)(118 + (random64() & 3));
    case SCALES_LARGE: return (uint8_t)(255 - (random64() & 3));
    case SCALES_TINY: return (uint8_t)(random64() & 3);
    default: return (uint8_t)random64();
    }
}

/* Byte `at` of a block. Low and high: the extreme values of the type's integers, scales and minima included. */
static uint8_t fill_byte(sl_type type, fill_kind fill, int at) {
    if (fill == FILL_RANDOM) return (uint8_t)random64();
    if (fill == FILL_ZERO) return 0;
    int low = fill == FILL_LOW;
    if (type == SL_TYPE_Q8_0) return low ? 0x80 : 0x7f;
    if ((type == SL_TYPE_Q4_K || type == SL_TYPE_Q5_K) && at < 16) return 0xff; /* largest scales and minima, whatever the nibbles */
    if (type == SL_TYPE_Q2_K && at < 16) return 0xff;
    if (type == SL_TYPE_Q6_K && at >= 192) return random64() & 1 ? 0x80 : 0x7f;
    if (type == SL_TYPE_Q3_K && at >= 96) return random64() & 1 ? 0x00 : 0xff;   /* mostly scales of -32 and 31 */
    if (type == SL_TYPE_IQ4_XS && at < 8) return random64() & 1 ? 0x00 : 0xff;
    if (type == SL_TYPE_MXFP4 || type == SL_TYPE_MXFP4_PLANES) return low ? 0xff : 0x77; /* -6, 6 */
    return low ? 0x00 : 0xff;
}

void fill_rows(sl_type type, uint8_t *data, int rows, int cols, size_t stride, scale_kind scales, fill_kind fill) {
    int bytes = sl_types[type].block_bytes, blocks = cols / sl_types[type].block_values;
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < blocks; b++) {
            uint8_t *p = data + (size_t)r * stride + (size_t)b * (size_t)bytes;
            for (int i = 0; i < bytes; i++) p[i] = fill_byte(type, fill, i);
            if (half_of[type].d >= 0) put_half(p + half_of[type].d, scales);
            else if (!sl_types[type].apart) *p = exponent(scales);
            if (half_of[type].m) put_half(p + half_of[type].m, scales);
        }
}

/* Activations of given extremes. */
typedef enum act_kind { ACT_QUANTIZED, ACT_RANDOM, ACT_ZERO, ACT_MOST, ACT_LEAST, ACT_HUGE, ACT_SUBNORMAL, ACT_KINDS } act_kind;

typedef struct acts {
    sl_acts x;
    int rows;
    size_t f_bytes, q_bytes, scale_bytes, sum_bytes, pairs_bytes;
} acts;

static int8_t act_value(act_kind kind) {
    if (kind == ACT_ZERO) return 0;
    if (kind == ACT_MOST) return 127;
    if (kind == ACT_LEAST) return random64() & 7 ? -127 : 127;
    return (int8_t)random_int(-127, 127);
}

static float act_scale(act_kind kind) {
    if (kind == ACT_HUGE) return 3e38f;
    if (kind == ACT_SUBNORMAL) return 0x1p-140f * (float)random_int(1, 100);
    return fabsf(random_normal()) * 0.1f;
}

static acts acts_new(int rows, int cols, act_kind kind) {
    size_t n = (size_t)rows * (size_t)cols;
    acts a = {{0}, rows, n * sizeof(float), n, n / 32 * sizeof(float), n / 32 * sizeof(int16_t), n / 8 * sizeof(int16_t)};
    float *f = edge(a.f_bytes), *scale = edge(a.scale_bytes), *total = edge(a.scale_bytes);
    int8_t *q = edge(a.q_bytes);
    int16_t *sum = edge(a.sum_bytes), *pairs = edge(a.pairs_bytes);
    for (size_t i = 0; i < n; i++) f[i] = random_normal();
    if (kind == ACT_QUANTIZED) {
        for (int r = 0; r < rows; r++) {
            size_t at = (size_t)r * (size_t)cols;
            scalar_tier()->quantize(f + at, cols, q + at, scale + at / 32, sum + at / 32, total + at / 32, pairs + at / 8);
        }
    } else {
        for (size_t b = 0; b < n / 32; b++) {
            int xsum = 0, part[4] = {0};
            for (int i = 0; i < 32; i++) {
                int8_t v = q[32 * b + (size_t)i] = act_value(kind);
                xsum += v;
                part[i / 16 * 2 + i % 4 / 2] += v;
            }
            for (size_t i = 0; i < 4; i++) pairs[4 * b + i] = (int16_t)part[i];
            scale[b] = act_scale(kind);
            sum[b] = (int16_t)xsum;
            total[b] = scale[b] * (float)xsum;
        }
    }
    a.x = (sl_acts){f, q, scale, sum, total, pairs, cols};
    return a;
}

static void acts_free(acts *a) {
    edge_free((void *)(uintptr_t)a->x.f, a->f_bytes);
    edge_free((void *)(uintptr_t)a->x.q, a->q_bytes);
    edge_free((void *)(uintptr_t)a->x.scale, a->scale_bytes);
    edge_free((void *)(uintptr_t)a->x.sum, a->sum_bytes);
    edge_free((void *)(uintptr_t)a->x.total, a->scale_bytes);
    edge_free((void *)(uintptr_t)a->x.pairs, a->pairs_bytes);
}

/* Range [first, last) of w times the n rows of `row`, by the tier and by scalar. Promise 1 */
static void compare(const sl_kernel_table *t, const sl_matrix *w, int first, int last, const acts *a, const int32_t *row,
                    int n, const char *what) {
    size_t width = (size_t)(last - first), stride = width + (size_t)random_int(0, 9), size = (size_t)n * stride - (stride - width);
    guarded got = guarded_new(size * sizeof(float)), want = guarded_new(size * sizeof(float));
    t->gemm[w->type](w, first, last, &a->x, row, n, got.f, stride, NULL, NULL);
    scalar_tier()->gemm[w->type](w, first, last, &a->x, row, n, want.f, stride, NULL, NULL);
    same_floats(got.f, want.f, size, "%s %s %s: %d x %d, rows %d to %d, n %d", t->tier, sl_types[w->type].name, what, w->rows,
                w->cols, first, last, n);
    guarded_check(&got, sl_types[w->type].name);
    guarded_free(&got);
    guarded_free(&want);
}

static sl_matrix matrix_new(sl_type type, int rows, int cols, size_t extra, scale_kind scales, fill_kind fill) {
    if (sl_types[type].apart) extra *= row_bytes(type, cols); /* other rows lie between */
    sl_matrix w = {.stride = row_bytes(type, cols) + extra, .rows = rows, .cols = cols, .type = type};
    size_t bytes = (size_t)rows * w.stride - extra;
    uint8_t *data = edge(bytes), *apart = sl_types[type].apart ? edge(bytes / 16) : NULL;
    fill_rows(type, data, rows, cols, w.stride, scales, fill);
    for (size_t i = 0; apart && i < bytes / 16; i++) apart[i] = exponent(scales);
    w.data = data;
    w.apart = apart;
    return w;
}

static void matrix_free(sl_matrix *w) {
    size_t bytes = (size_t)w->rows * w->stride - (w->stride - row_bytes(w->type, w->cols));
    edge_free((void *)(uintptr_t)w->data, bytes);
    if (w->apart) edge_free((void *)(uintptr_t)w->apart, bytes / 16);
}

/* Every number of rows up to 70, with row lists that repeat and go back. */
static void check_counts(const sl_kernel_table *t, sl_type type, int cols) {
    acts a = acts_new(80, cols, ACT_QUANTIZED);
    sl_matrix w = matrix_new(type, 37, cols, 0, SCALES_SMALL, FILL_RANDOM);
    int32_t row[300];
    for (int n = 1; n <= 70; n++) {
        for (int i = 0; i < n; i++) row[i] = random_int(0, a.rows - 1);
        compare(t, &w, 0, w.rows, &a, row, n, "row list");
        compare(t, &w, 0, w.rows, &a, NULL, n, "rows in order");
    }
    for (int i = 0; i < 300; i++) row[i] = random_int(0, a.rows - 1);
    compare(t, &w, 0, w.rows, &a, row, 129, "row list");
    compare(t, &w, 0, w.rows, &a, row, 300, "row list");
    matrix_free(&w);
    acts_free(&a);
}

static void check_shapes(const sl_kernel_table *t, sl_type type, int unit) {
    static const int rows[] = {1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 33, 64, 65, 71, 128, 130, 205};
    static const int units[] = {1, 2, 3, 5, 9};
    static const int counts[] = {1, 2, 3, 4, 5, 7, 8, 11};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
            acts a = acts_new(11, units[u] * unit, ACT_QUANTIZED);
            sl_matrix w = matrix_new(type, rows[r], units[u] * unit, (size_t)random_int(0, 3), SCALES_SMALL, FILL_RANDOM);
            for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
                for (int first = 0; first < w.rows; first += SL_PANEL) {
                    int last = first + SL_PANEL < w.rows ? first + SL_PANEL : w.rows;
                    compare(t, &w, first, last, &a, NULL, counts[c], "piece");
                    if (first) compare(t, &w, first, w.rows, &a, NULL, counts[c], "rest");
                }
            matrix_free(&w);
            acts_free(&a);
        }
}

static void check_extremes(const sl_kernel_table *t, sl_type type, int cols) {
    static const int counts[] = {1, 2, 3, 4, 5, 6, 7, 9};
    for (int k = 0; k < ACT_KINDS; k++) {
        acts a = acts_new(9, cols, (act_kind)k);
        for (int s = 0; s < SCALE_KINDS; s++)
            for (int f = 0; f < FILL_KINDS; f++) {
                sl_matrix w = matrix_new(type, 33, cols, 0, (scale_kind)s, (fill_kind)f);
                char what[64];
                snprintf(what, sizeof what, "activations %d scales %d fill %d", k, s, f);
                for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
                    compare(t, &w, 0, w.rows, &a, NULL, counts[c], what);
                matrix_free(&w);
            }
        acts_free(&a);
    }
}

/* Against integers times scales in double precision; the error of at most two roundings a term is measured by the sum
 * of the terms' magnitudes. */
static void check_reference(const sl_kernel_table *t, sl_type type, int cols) {
    enum { ROWS = 19, N = 6 };
    acts a = acts_new(N, cols, ACT_QUANTIZED);
    sl_matrix w = matrix_new(type, ROWS, cols, 0, SCALES_SMALL, FILL_RANDOM);
    float out[N * ROWS], *row = malloc((size_t)cols * sizeof *row);
    double worst = 0;
    t->gemm[type](&w, 0, ROWS, &a.x, NULL, N, out, ROWS, NULL, NULL);
    for (int o = 0; o < ROWS; o++) {
        sl_matrix_widen(&w, o, row);
        for (int i = 0; i < N; i++) {
            double sum = 0, magnitude = 0;
            for (int k = 0; k < cols; k++) {
                size_t at = (size_t)i * (size_t)cols + (size_t)k;
                double term = (double)row[k] * (double)a.x.q[at] * (double)a.x.scale[at / 32];
                sum += term;
                magnitude += fabs(term);
            }
            double error = fabs(sum - (double)out[i * ROWS + o]) / magnitude;
            if (error > worst) worst = error;
        }
    }
    if (!(worst < 1e-6)) fail("%s %s: error %g of the terms' sum", t->tier, sl_types[type].name, worst);
    free(row);
    matrix_free(&w);
    acts_free(&a);
}

/* Planes against the same blocks together: the same numbers, and the same bits of their products. */
static void check_planes_as_blocks(const sl_kernel_table *t, int cols) {
    enum { ROWS = 45, N = 9 };
    acts a = acts_new(N, cols, ACT_QUANTIZED);
    sl_matrix planes = matrix_new(SL_TYPE_MXFP4_PLANES, ROWS, cols, 1, SCALES_SMALL, FILL_RANDOM);
    sl_matrix blocks = matrix_new(SL_TYPE_MXFP4, ROWS, cols, 0, SCALES_SMALL, FILL_RANDOM);
    float got[N * ROWS], want[N * ROWS], *x = malloc((size_t)cols * 2 * sizeof *x);
    for (int o = 0; o < ROWS; o++) {
        const uint8_t *pairs = planes.data + (size_t)o * planes.stride, *scale = planes.apart + (size_t)o * planes.stride / 16;
        uint8_t *to = (uint8_t *)(uintptr_t)blocks.data + (size_t)o * blocks.stride;
        for (int b = 0; b < cols / 32; b++, pairs += 16, to += 17) {
            to[0] = scale[b];
            for (int v = 0; v < 32; v++) {
                int nibble = pairs[v / 2] >> (v % 2 ? 4 : 0) & 15;
                to[1 + v % 16] = (uint8_t)(v < 16 ? nibble : to[1 + v % 16] | nibble << 4);
            }
        }
        sl_matrix_widen(&planes, o, x);
        sl_matrix_widen(&blocks, o, x + cols);
        same_floats(x, x + cols, (size_t)cols, "%s: planes widened", t->tier);
    }
    for (int n = 1; n <= N; n += 4) {
        t->gemm[SL_TYPE_MXFP4_PLANES](&planes, 0, ROWS, &a.x, NULL, n, got, ROWS, NULL, NULL);
        t->gemm[SL_TYPE_MXFP4](&blocks, 0, ROWS, &a.x, NULL, n, want, ROWS, NULL, NULL);
        same_floats(got, want, (size_t)(n * ROWS), "%s: planes' products, n %d", t->tier, n);
    }
    free(x);
    matrix_free(&planes);
    matrix_free(&blocks);
    acts_free(&a);
}

static void check_widen(const sl_kernel_table *t, sl_type type, int cols) {
    for (int s = 0; s < SCALE_KINDS; s++) {
        sl_matrix w = matrix_new(type, 1, cols, 0, (scale_kind)s, FILL_RANDOM);
        guarded got = guarded_new((size_t)cols * sizeof(float)), want = guarded_new((size_t)cols * sizeof(float));
        t->widen[type](w.data, cols, got.f);
        scalar_tier()->widen[type](w.data, cols, want.f);
        same_floats(got.f, want.f, (size_t)cols, "%s %s widen", t->tier, sl_types[type].name);
        guarded_check(&got, "widen");
        guarded_free(&got);
        guarded_free(&want);
        matrix_free(&w);
    }
}

void check_products(const sl_kernel_table *t) {
    for (int type = 0; type < SL_TYPE_COUNT; type++) {
        int unit = sl_types[type].block_values;
        if (!sl_types[type].quantised) {
            for (int cols = 1; cols < 40; cols++) check_widen(t, (sl_type)type, cols);
            check_widen(t, (sl_type)type, 65536);
            continue;
        }
        if (sl_types[type].apart) check_planes_as_blocks(t, 512);
        else check_widen(t, (sl_type)type, 3 * unit);
        check_reference(t, (sl_type)type, 2048);
        if (t == scalar_tier()) continue;
        check_counts(t, (sl_type)type, 512);
        check_shapes(t, (sl_type)type, unit);
        check_extremes(t, (sl_type)type, 512);
    }
}
