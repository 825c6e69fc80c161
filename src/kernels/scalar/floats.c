#include "base/fmath.h"
#include "kernels/scalar/lanes.h"
#include "kernels/scalar/rows.h"

/* The tail is padded with zeros up to a whole round of the lanes. That matters: fma(0, 0, -0) is +0. */
float sl__dot_scalar(const float *a, const float *b, int n) {
    float lane[16] = {0};
    for (int i = 0; i < (n + 15) / 16 * 16; i++)
        lane[i % 16] = i < n ? fmaf(a[i], b[i], lane[i % 16]) : fmaf(0, 0, lane[i % 16]);
    return sl__lanes_total(lane);
}

void sl__dots_scalar(const float *w, int count, const float *x, int rows, int n, float *out, size_t out_stride) {
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < count; o++)
            out[(size_t)r * out_stride + (size_t)o] = sl__dot_scalar(w + (size_t)o * (size_t)n, x + (size_t)r * (size_t)n, n);
}

void sl__rmsnorm_scalar(const float *x, const float *weight, int n, float eps, float *out) {
    float r = 1.0f / sqrtf(sl__dot_scalar(x, x, n) / (float)n + eps);
    for (int i = 0; i < n; i++) out[i] = weight[i] * (x[i] * r);
}

/* NaNs are passed over. A largest zero is +0, whether there are zeros of either sign. */
static float largest(const float *x, int n) {
    float max = -INFINITY;
    for (int i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
    return max + 0.0f;
}

void sl__softmax_scalar(float *x, int n) {
    float max = largest(x, n), lane[16] = {0};
    for (int i = 0; i < n; i++) {
        x[i] = sl_expf(x[i] - max);
        lane[i % 16] += x[i];
    }
    float inverse = 1.0f / sl__lanes_total(lane);
    for (int i = 0; i < n; i++) x[i] *= inverse;
}

float sl__logsumexp_scalar(const float *x, int n, float *ret_max) {
    float max = largest(x, n), lane[16] = {0};
    for (int i = 0; i < n; i++) lane[i % 16] += sl_expf(x[i] - max);
    *ret_max = max;
    return sl_logf(sl__lanes_total(lane));
}

void sl__swiglu_scalar(const float *gate, const float *up, int n, float *out) {
    for (int i = 0; i < n; i++) out[i] = gate[i] / (1.0f + sl_expf(-gate[i])) * up[i];
}

void sl__clamped_scalar(const float *gate, const float *up, int n, float alpha, float limit, float *out) {
    for (int i = 0; i < n; i++) {
        float g = gate[i] > limit ? limit : gate[i], u = up[i] > limit ? limit : up[i];
        u = u < -limit ? -limit : u;
        out[i] = g / (1.0f + sl_expf(-(alpha * g))) * (u + 1.0f);
    }
}

void sl__geglu_scalar(const float *gate, const float *up, int n, float *out) {
    for (int i = 0; i < n; i++) {
        float g = gate[i];
        out[i] = g / (1.0f + sl_expf(-(g * fmaf(SL__GELU_CUBE, g * g, SL__GELU_SLOPE)))) * up[i];
    }
}

void sl__gated_scalar(float *x, const float *gate, int n) {
    for (int i = 0; i < n; i++) x[i] = x[i] / (1.0f + sl_expf(-gate[i]));
}

void sl__cap_scalar(float *x, float limit, int n) {
    for (int i = 0; i < n; i++) {
        float v = x[i] / limit, e = sl_expf(-2.0f * fabsf(v)), t = (1.0f - e) / (1.0f + e);
        x[i] = limit * (v < 0 ? -t : t);
    }
}

void sl__add_scalar(float *y, const float *x, int n) {
    for (int i = 0; i < n; i++) y[i] += x[i];
}

void sl__axpy_scalar(float *y, float a, const float *x, int n) {
    for (int i = 0; i < n; i++) y[i] = fmaf(a, x[i], y[i]);
}

void sl__axpby_scalar(float *y, float b, const float *x, float a, int n) {
    for (int i = 0; i < n; i++) y[i] = fmaf(a, x[i], y[i] * b);
}

void sl__rope_scalar(float *x, const float *cosines, const float *sines, int half, int interleaved) {
    for (int j = 0; j < half; j++) {
        float *p0 = interleaved ? x + 2 * j : x + j, *p1 = interleaved ? x + 2 * j + 1 : x + j + half;
        float x0 = *p0, x1 = *p1, c = cosines[j], s = sines[j];
        *p0 = fmaf(x0, c, -(x1 * s));
        *p1 = fmaf(x1, c, x0 * s);
    }
}

