/* Float operations, conversions and the quantisation of activations. libm stands for the reference here. */
#include "check.h"

enum { LONGEST = 150 };

typedef enum kind { NORMAL, WIDE, HARD, KINDS } kind;

/* Normal: around 1. Wide: any exponent. Hard: zeros, subnormals, infinities, NaN among ordinary numbers. */
static float value(kind k) {
    static const float hard[] = {0.0f, -0.0f, 0x1p-149f, -0x1p-140f, 0x1p-126f, INFINITY, -INFINITY, NAN, 3e38f, -3e38f};
    if (k == HARD && random_int(0, 9) == 0) return hard[random_int(0, (int)(sizeof hard / sizeof hard[0]) - 1)];
    float x = random_normal();
    return k == WIDE ? ldexpf(x, random_int(-150, 126)) : x;
}

static float *values(int n, kind k) {
    float *f = edge((size_t)n * sizeof *f);
    for (int i = 0; i < n; i++) f[i] = value(k);
    return f;
}

static void free_values(float *f, int n) { edge_free(f, (size_t)n * sizeof *f); }

/* Runs `got` on the tier and `want` on scalar, each with its own output that starts as a copy of `start`. */
#define COMPARE(name, start_, count, call)                                                                             \
    do {                                                                                                               \
        guarded got = guarded_new((size_t)(count) * sizeof(float)), want = guarded_new((size_t)(count) * sizeof(float)); \
        for (int pass = 0; pass < 2; pass++) {                                                                         \
            const sl_kernel_table *k = pass ? scalar_tier() : t;                                                       \
            float *out = pass ? want.f : got.f;                                                                        \
            memcpy(out, start_, (size_t)(count) * sizeof(float));                                                      \
            call;                                                                                                      \
        }                                                                                                              \
        same_floats(got.f, want.f, (size_t)(count), "%s %s: n %d inputs %d", t->tier, name, n, kd);                    \
        guarded_check(&got, name);                                                                                     \
        guarded_free(&got);                                                                                            \
        guarded_free(&want);                                                                                           \
    } while (0)

static void against_scalar(const sl_kernel_table *t, int n, int kd) {
    float *a = values(n, (kind)kd), *b = values(n, (kind)kd), *c = values(2 * n, (kind)kd), max[2], total[2];
    float dots[2] = {t->dot(a, b, n), scalar_tier()->dot(a, b, n)};
    same_floats(dots, dots + 1, 1, "%s dot: n %d inputs %d", t->tier, n, kd);
    total[0] = t->logsumexp(a, n, max);
    total[1] = scalar_tier()->logsumexp(a, n, max + 1);
    same_floats(total, total + 1, 1, "%s logsumexp: n %d inputs %d", t->tier, n, kd);
    same_floats(max, max + 1, 1, "%s logsumexp's maximum: n %d inputs %d", t->tier, n, kd);
    float *w = values(5 * n, (kind)kd), *x = values(7 * n, (kind)kd), none[7 * 6] = {0};
    for (int rows = 1; rows <= 7; rows++) COMPARE("dots", none, 6 * rows, k->dots(w, 5, x + (7 - rows) * n, rows, n, out, 6));
    COMPARE("dots of one row", none, 1, k->dots(w + 4 * n, 1, x + 6 * n, 1, n, out, 1));
    free_values(w, 5 * n);
    free_values(x, 7 * n);
    COMPARE("rmsnorm", b, n, k->rmsnorm(a, b, n, 1e-6f, out));
    COMPARE("rmsnorm in place", b, n, k->rmsnorm(out, a, n, 1e-5f, out));
    COMPARE("softmax", a, n, k->softmax(out, n));
    COMPARE("swiglu", a, n, k->swiglu(a, b, n, out));
    COMPARE("clamped", a, n, k->clamped(a, b, n, 1.702f, 7, out));
    COMPARE("geglu", a, n, k->geglu(a, b, n, out));
    COMPARE("gated", a, n, k->gated(out, b, n));
    COMPARE("cap", a, n, k->cap(out, 30, n));
    COMPARE("add", a, n, k->add(out, b, n));
    COMPARE("axpy", a, n, k->axpy(out, b[0], b, n));
    COMPARE("rope", c, 2 * n, k->rope(out, a, b, n, 0));
    COMPARE("rope interleaved", c, 2 * n, k->rope(out, a, b, n, 1));
    COMPARE("axpby", a, n, k->axpby(out, b[0], b, a[0], n));
    free_values(a, n);
    free_values(b, n);
    free_values(c, 2 * n);
}

static void check_quantize(const sl_kernel_table *t, int blocks, int kd) {
    int n = 32 * blocks;
    float *x = values(n, (kind)kd);
    guarded q[2], scale[2], sum[2], total[2], pairs[2];
    for (int b = 0; b < blocks; b++) { /* some blocks of one magnitude, so that zeros and subnormals fill a whole one */
        float factor = random_int(0, 3) ? 1.0f : ldexpf(1, -random_int(100, 149));
        for (int i = 0; i < 32; i++) x[32 * b + i] *= factor;
        if (random_int(0, 5) == 0) memset(x + 32 * b, 0, 32 * sizeof *x);
    }
    for (int i = 0; i < 2; i++) {
        q[i] = guarded_new((size_t)n);
        scale[i] = guarded_new((size_t)blocks * sizeof(float));
        sum[i] = guarded_new((size_t)blocks * sizeof(int16_t));
        total[i] = guarded_new((size_t)blocks * sizeof(float));
        pairs[i] = guarded_new((size_t)blocks * 4 * sizeof(int16_t));
        (i ? scalar_tier() : t)->quantize(x, n, (int8_t *)q[i].f, scale[i].f, (int16_t *)(void *)sum[i].f, total[i].f,
                                          (int16_t *)(void *)pairs[i].f);
        guarded_check(q + i, "quantize");
        guarded_check(scale + i, "quantize");
        guarded_check(sum + i, "quantize");
        guarded_check(total + i, "quantize");
        guarded_check(pairs + i, "quantize");
    }
    same_bytes(q[0].f, q[1].f, (size_t)n, "%s quantize, values", t->tier);
    same_floats(scale[0].f, scale[1].f, (size_t)blocks, "%s quantize, scales", t->tier);
    same_bytes(sum[0].f, sum[1].f, (size_t)blocks * sizeof(int16_t), "%s quantize, sums", t->tier);
    same_floats(total[0].f, total[1].f, (size_t)blocks, "%s quantize, totals", t->tier);
    same_bytes(pairs[0].f, pairs[1].f, (size_t)blocks * 4 * sizeof(int16_t), "%s quantize, pairs", t->tier);
    for (int i = 0; i < n; i++) {
        double a = (double)scale[0].f[i / 32], v = (double)((int8_t *)q[0].f)[i];
        if (fabs(v) > 127) fail("quantize: %g is beyond 127", v);
        if (a > 0 && fabs(v * a - (double)x[i]) > a * 0.50001) fail("quantize: %a became %g * %a", (double)x[i], v, a);
    }
    for (int i = 0; i < 2; i++)
        guarded_free(q + i), guarded_free(scale + i), guarded_free(sum + i), guarded_free(total + i), guarded_free(pairs + i);
    free_values(x, n);
}

static void near(const char *what, int n, double got, double want, double tolerance) {
    comparisons++;
    if (!(fabs(got - want) <= tolerance)) fail("%s, n %d: %.9g, should be %.9g", what, n, got, want);
}

/* Against double precision. */
static void against_double(const sl_kernel_table *t, int n) {
    float a[LONGEST], b[LONGEST], out[2 * LONGEST], max, got;
    double dot = 0, squares = 0, size = 0, most = -INFINITY, total = 0;
    for (int i = 0; i < n; i++) {
        a[i] = random_normal() * 3;
        b[i] = random_normal();
        dot += (double)a[i] * (double)b[i];
        size += fabs((double)a[i] * (double)b[i]);
        squares += (double)a[i] * (double)a[i];
        most = fmax(most, (double)a[i]);
    }
    for (int i = 0; i < n; i++) total += exp((double)a[i] - most);
    near("dot", n, (double)t->dot(a, b, n), dot, 1e-6 * size);
    got = t->logsumexp(a, n, &max);
    near("logsumexp", n, (double)got + (double)max, log(total) + most, 1e-5);
    t->rmsnorm(a, b, n, 1e-6f, out);
    for (int i = 0; i < n; i++) {
        double want = (double)a[i] / sqrt(squares / n + 1e-6) * (double)b[i];
        near("rmsnorm", n, (double)out[i], want, 1e-6 * fabs(want));
    }
    memcpy(out, a, (size_t)n * sizeof *a);
    t->softmax(out, n);
    for (int i = 0; i < n; i++) {
        double want = exp((double)a[i] - most) / total;
        near("softmax", n, (double)out[i], want, 2e-6 * want);
    }
    t->swiglu(a, b, n, out);
    for (int i = 0; i < n; i++) {
        double want = (double)a[i] / (1 + exp(-(double)a[i])) * (double)b[i];
        near("swiglu", n, (double)out[i], want, 1e-6 * fabs(want));
    }
    t->clamped(a, b, n, 1.702f, 0.75f, out);
    for (int i = 0; i < n; i++) {
        double g = fmin((double)a[i], 0.75), u = fmax(-0.75, fmin((double)b[i], 0.75));
        double want = g / (1 + exp(-1.702 * g)) * (u + 1);
        near("clamped", n, (double)out[i], want, 1e-6 * (1 + fabs(g)) * fabs(want)); /* the exponent is rounded */
    }
    t->geglu(a, b, n, out);
    for (int i = 0; i < n; i++) {
        double g = (double)a[i], want = 0.5 * g * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (g + 0.044715 * g * g * g))) * (double)b[i];
        near("geglu", n, (double)out[i], want, 1e-6 * fabs(g * (double)b[i]));
    }
    memcpy(out, a, (size_t)n * sizeof *a);
    t->gated(out, b, n);
    for (int i = 0; i < n; i++) {
        double want = (double)a[i] / (1 + exp(-(double)b[i]));
        near("gated", n, (double)out[i], want, 1e-6 * fabs(want));
    }
    memcpy(out, a, (size_t)n * sizeof *a);
    t->cap(out, 0.5f, n);
    for (int i = 0; i < n; i++) near("cap", n, (double)out[i], 0.5 * tanh((double)a[i] / 0.5), 1e-6 * 0.5);
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        float x[2 * LONGEST];
        for (int i = 0; i < 2 * n; i++) out[i] = x[i] = random_normal();
        t->rope(out, a, b, n, interleaved);
        for (int j = 0; j < n; j++) {
            int i0 = interleaved ? 2 * j : j, i1 = interleaved ? 2 * j + 1 : j + n;
            double c = (double)a[j], s = (double)b[j], x0 = (double)x[i0], x1 = (double)x[i1];
            near("rope", n, (double)out[i0], x0 * c - x1 * s, 1e-6 * (fabs(x0 * c) + fabs(x1 * s)));
            near("rope", n, (double)out[i1], x1 * c + x0 * s, 1e-6 * (fabs(x1 * c) + fabs(x0 * s)));
        }
    }
}

/* Every half by its definition, and rounding at and beside the middle between every two neighbours. */
static void check_halves(const sl_kernel_table *t) {
    uint16_t *all = malloc(65536 * sizeof *all);
    float *wide = malloc(65536 * sizeof *wide);
    for (int h = 0; h < 65536; h++) all[h] = (uint16_t)h;
    t->widen[SL_TYPE_F16](all, 65536, wide);
    for (int h = 0; h < 65536; h++) {
        int exponent = h >> 10 & 31, fraction = h & 1023;
        double want = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                      : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                     : ldexp(fraction, -24);
        if (h & 0x8000) want = -want;
        if ((double)wide[h] != want && !(isnan(want) && isnan(wide[h]))) fail("half %04x is %g", h, (double)wide[h]);
        if (!signbit(wide[h]) != !(h >> 15)) fail("half %04x lost its sign", h);
        if (exponent == 31) continue;
        double next = exponent == 30 && fraction == 1023 ? 65536.0 : (double)fabsf(wide[(h & 0x7fff) + 1]);
        float middle = (float)((fabs(want) + next) / 2);
        const float in[3] = {nextafterf(middle, 0), middle, nextafterf(middle, INFINITY)};
        const int up[3] = {0, h & 1, 1};
        for (int i = 0; i < 3; i++) {
            float f = h & 0x8000 ? -in[i] : in[i];
            int stored = sl_f32_to_f16(f);
            if (stored != h + up[i]) fail("%a as a half is %04x, should be %04x", (double)f, stored, h + up[i]);
        }
        comparisons += 4;
    }
    free(all);
    free(wide);
}

static void check_conv(const sl_kernel_table *t, int n, int taps, int kd) {
    int stride = n + 3;
    float *w = values(taps * stride - 3, (kind)kd), *x = values(taps * n, (kind)kd), none[LONGEST] = {0};
    const float *at[16];
    for (int i = 0; i < taps; i++) at[i] = x + (size_t)i * (size_t)n;
    COMPARE("conv", none, n, k->conv(w, (size_t)stride, at, taps, n, out));
    free_values(w, taps * stride - 3);
    free_values(x, taps * n);
}

/* The state and the results of `rows` rows: against scalar in bits, and against the formula in double. In one call and in two. */
static void check_delta(const sl_kernel_table *t, int key_dim, int columns, int rows, int kd) {
    size_t size = (size_t)key_dim * SL_DELTA_COLUMNS;
    int stride = 2 * key_dim + columns;
    float *x = values(rows * stride, (kind)kd), *decay = values(rows, NORMAL), *strength = values(rows, NORMAL);
    for (int i = 0; i < rows; i++) decay[i] = 1 / (1 + fabsf(decay[i])), strength[i] = 1 / (1 + fabsf(strength[i]));
    for (int i = 0; kd == NORMAL && i < rows; i++) /* keys of length 1, as they come */
        for (int part = 0; part < 2; part++) {
            float *v = x + (size_t)i * (size_t)stride + part * key_dim, by = 1 / sqrtf(t->dot(v, v, key_dim) + 1e-6f);
            for (int j = 0; j < key_dim; j++) v[j] *= by;
        }
    guarded state[2], out[2];
    double *s = calloc(size, sizeof *s);
    for (int pass = 0; pass < 2; pass++) {
        const sl_kernel_table *k = pass ? scalar_tier() : t;
        int first = pass ? rows : rows / 3;
        state[pass] = guarded_new(size * sizeof(float));
        out[pass] = guarded_new((size_t)(rows * columns) * sizeof(float));
        sl_delta_rows r = {.q = x, .k = x + key_dim, .v = x + 2 * key_dim, .stride = (size_t)stride, .decay = decay, .strength = strength,
                           .gate_stride = 1, .out = out[pass].f, .out_stride = (size_t)columns, .rows = first, .key_dim = key_dim,
                           .columns = columns};
        k->delta(&r, NULL, state[pass].f);
        size_t at = (size_t)first * (size_t)stride;
        r.q += at, r.k += at, r.v += at, r.decay += first, r.strength += first, r.out += (size_t)(first * columns);
        r.rows = rows - first;
        if (r.rows) k->delta(&r, state[pass].f, state[pass].f);
        guarded_check(&state[pass], "delta");
        guarded_check(&out[pass], "delta");
    }
    same_floats(out[0].f, out[1].f, (size_t)(rows * columns), "%s delta: keys of %d, %d columns, %d rows, inputs %d", t->tier, key_dim,
                columns, rows, kd);
    for (int i = 0; i < key_dim; i++)
        same_floats(state[0].f + i * SL_DELTA_COLUMNS, state[1].f + i * SL_DELTA_COLUMNS, (size_t)columns, "%s delta's state", t->tier);
    for (int r = 0; kd == NORMAL && r < rows; r++)
        for (int j = 0; j < columns; j++) {
            const float *q = x + (size_t)r * (size_t)stride, *k = q + key_dim, *v = k + key_dim;
            double m = 0, o = 0;
            for (int i = 0; i < key_dim; i++) m += (double)decay[r] * s[i * SL_DELTA_COLUMNS + j] * (double)k[i];
            for (int i = 0; i < key_dim; i++) {
                double *at = &s[i * SL_DELTA_COLUMNS + j];
                *at = (double)decay[r] * *at + (double)k[i] * ((double)v[j] - m) * (double)strength[r];
                o += *at * (double)q[i];
            }
            near("delta", key_dim, (double)out[0].f[r * columns + j], o, 1e-5);
        }
    free(s);
    for (int i = 0; i < 2; i++) guarded_free(&state[i]), guarded_free(&out[i]);
    free_values(x, rows * stride);
    free_values(decay, rows);
    free_values(strength, rows);
}

void check_floats(const sl_kernel_table *t) {
    for (int kd = 0; kd < KINDS; kd++) {
        for (int n = 1; n < LONGEST; n += 1 + n / 20) check_conv(t, n, 1 + n % 5, kd);
        for (int columns = 1; columns <= SL_DELTA_COLUMNS; columns++) check_delta(t, 1 + columns * 5, columns, 1 + columns % 7, kd);
        check_delta(t, 128, SL_DELTA_COLUMNS, 40, kd);
    }
    check_halves(t);
    for (int n = 1; n < LONGEST; n++) {
        against_double(t, n);
        for (int kd = 0; kd < KINDS; kd++) against_scalar(t, n, kd);
    }
    for (int kd = 0; kd < KINDS; kd++) {
        against_scalar(t, 5003, kd);
        for (int i = 0; i < 200; i++) check_quantize(t, 1 + i % 9, kd);
    }
}
