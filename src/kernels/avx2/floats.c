#include "base/fmath.h"
#include "kernels/avx2/lanes.h"

#include <stdbool.h>

/* Rest of a row: the first n (0 … 8) of eight, the others zero. */
SL__INLINE __m256 load_first(const float *x, int n) { return _mm256_maskload_ps(x, sl__first_lanes(n)); }

/* How many of the eight that begin at i are below n. */
SL__INLINE int left(int n, int i) { return n - i < 0 ? 0 : n - i < 8 ? n - i : 8; }

float sl__dot_avx2(const float *a, const float *b, int n) {
    __m256 low = _mm256_setzero_ps(), high = low;
    int i = 0;
    for (; i + 16 <= n; i += 16) {
        low = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), low);
        high = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), high);
    }
    if (i < n) {
        int more = left(n, i + 8), at = more ? i + 8 : i;
        low = _mm256_fmadd_ps(load_first(a + i, left(n, i)), load_first(b + i, left(n, i)), low);
        high = _mm256_fmadd_ps(load_first(a + at, more), load_first(b + at, more), high);
    }
    return sl__lanes_total(low, high);
}

/* Two rows of weights by m = 1 … 3 rows of activations in registers, so that a number that was loaded is used more than
 * once. */
SL__INLINE void dots_tile(const float *w0, const float *w1, const float *x, int m, int n, float (*ret)[2]) {
    __m256 low[3][2], high[3][2];
    int i = 0;
    SL__UNROLL for (int r = 0; r < m; r++)
        SL__UNROLL for (int o = 0; o < 2; o++) low[r][o] = high[r][o] = _mm256_setzero_ps();
    for (; i < n; i += 16) {
        int more = left(n, i + 8), at = more ? i + 8 : i;
        bool whole = i + 16 <= n;
        __m256 l0 = whole ? _mm256_loadu_ps(w0 + i) : load_first(w0 + i, left(n, i));
        __m256 l1 = whole ? _mm256_loadu_ps(w1 + i) : load_first(w1 + i, left(n, i));
        __m256 h0 = whole ? _mm256_loadu_ps(w0 + i + 8) : load_first(w0 + at, more);
        __m256 h1 = whole ? _mm256_loadu_ps(w1 + i + 8) : load_first(w1 + at, more);
        SL__UNROLL for (int r = 0; r < m; r++) {
            const float *xr = x + (size_t)r * (size_t)n;
            __m256 xl = whole ? _mm256_loadu_ps(xr + i) : load_first(xr + i, left(n, i));
            __m256 xh = whole ? _mm256_loadu_ps(xr + i + 8) : load_first(xr + at, more);
            low[r][0] = _mm256_fmadd_ps(l0, xl, low[r][0]);
            low[r][1] = _mm256_fmadd_ps(l1, xl, low[r][1]);
            high[r][0] = _mm256_fmadd_ps(h0, xh, high[r][0]);
            high[r][1] = _mm256_fmadd_ps(h1, xh, high[r][1]);
        }
    }
    SL__UNROLL for (int r = 0; r < m; r++)
        SL__UNROLL for (int o = 0; o < 2; o++) ret[r][o] = sl__lanes_total(low[r][o], high[r][o]);
}

void sl__dots_avx2(const float *w, int count, const float *x, int rows, int n, float *out, size_t out_stride) {
    for (int m; rows > 0; rows -= m, x += (size_t)m * (size_t)n, out += (size_t)m * out_stride) {
        m = rows < 3 ? rows : 3;
        for (int o = 0; o < count; o += 2) {
            int pair = count - o < 2 ? 1 : 2;
            const float *w0 = w + (size_t)o * (size_t)n, *w1 = pair == 2 ? w0 + n : w0;
            float sum[3][2];
            if (m == 3) dots_tile(w0, w1, x, 3, n, sum);
            else if (m == 2) dots_tile(w0, w1, x, 2, n, sum);
            else dots_tile(w0, w1, x, 1, n, sum);
            for (int r = 0; r < m; r++) memcpy(out + (size_t)r * out_stride + o, sum[r], (size_t)pair * sizeof(float));
        }
    }
}

void sl__rmsnorm_avx2(const float *x, const float *weight, int n, float eps, float *out) {
    float r = 1.0f / sqrtf(sl__dot_avx2(x, x, n) / (float)n + eps);
    __m256 rv = _mm256_set1_ps(r);
    int i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_loadu_ps(weight + i), _mm256_mul_ps(_mm256_loadu_ps(x + i), rv)));
    for (; i < n; i++) out[i] = weight[i] * (x[i] * r);
}

SL__INLINE float largest(const float *x, int n) {
    __m256 v = _mm256_set1_ps(-INFINITY);
    int i = 0;
    for (; i + 8 <= n; i += 8) v = _mm256_max_ps(_mm256_loadu_ps(x + i), v);
    float lane[8], max = -INFINITY;
    _mm256_storeu_ps(lane, v);
    for (int l = 0; l < 8; l++) max = lane[l] > max ? lane[l] : max;
    for (; i < n; i++) max = x[i] > max ? x[i] : max;
    return max + 0.0f;
}

/* exp(x - max) of the eight that begin at i, zero beyond n. */
SL__INLINE __m256 exp_first(const float *x, int n, int i, __m256 max) {
    int more = left(n, i);
    if (more == 8) return sl__exp8(_mm256_sub_ps(_mm256_loadu_ps(x + i), max));
    __m256i on = sl__first_lanes(more);
    __m256 v = _mm256_maskload_ps(more ? x + i : x, on);
    return _mm256_and_ps(_mm256_castsi256_ps(on), sl__exp8(_mm256_sub_ps(v, max)));
}

void sl__softmax_avx2(float *x, int n) {
    float total, inverse;
    __m256 max = _mm256_set1_ps(largest(x, n)), low = _mm256_setzero_ps(), high = low;
    for (int i = 0; i < n; i += 16) {
        __m256 e0 = exp_first(x, n, i, max), e1 = exp_first(x, n, i + 8, max);
        low = _mm256_add_ps(low, e0);
        high = _mm256_add_ps(high, e1);
        _mm256_maskstore_ps(x + i, sl__first_lanes(left(n, i)), e0);
        if (n > i + 8) _mm256_maskstore_ps(x + i + 8, sl__first_lanes(left(n, i + 8)), e1);
    }
    total = sl__lanes_total(low, high);
    inverse = 1.0f / total;
    for (int i = 0; i < n; i++) x[i] *= inverse;
}

float sl__logsumexp_avx2(const float *x, int n, float *ret_max) {
    float most = largest(x, n);
    __m256 max = _mm256_set1_ps(most), low = _mm256_setzero_ps(), high = low;
    for (int i = 0; i < n; i += 16) {
        low = _mm256_add_ps(low, exp_first(x, n, i, max));
        high = _mm256_add_ps(high, exp_first(x, n, i + 8, max));
    }
    *ret_max = most;
    return sl_logf(sl__lanes_total(low, high));
}

SL__INLINE __m256 swiglu8(__m256 gate, __m256 up) {
    return _mm256_mul_ps(sl__times_sigmoid8(gate, gate), up);
}

void sl__swiglu_avx2(const float *gate, const float *up, int n, float *out) {
    int i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, swiglu8(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    if (i < n)
        _mm256_maskstore_ps(out + i, sl__first_lanes(n - i), swiglu8(load_first(gate + i, n - i), load_first(up + i, n - i)));
}

SL__INLINE __m256 clamped8(__m256 gate, __m256 up, __m256 alpha, __m256 limit) {
    /* min and max give their second argument if one is NaN. */
    __m256 g = _mm256_min_ps(limit, gate), least = _mm256_sub_ps(_mm256_setzero_ps(), limit);
    __m256 u = _mm256_max_ps(least, _mm256_min_ps(limit, up));
    return _mm256_mul_ps(sl__times_sigmoid8(g, _mm256_mul_ps(alpha, g)), _mm256_add_ps(u, _mm256_set1_ps(1.0f)));
}

void sl__clamped_avx2(const float *gate, const float *up, int n, float alpha, float limit, float *out) {
    __m256 a = _mm256_set1_ps(alpha), l = _mm256_set1_ps(limit);
    int i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, clamped8(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i), a, l));
    if (i < n)
        _mm256_maskstore_ps(out + i, sl__first_lanes(n - i), clamped8(load_first(gate + i, n - i), load_first(up + i, n - i), a, l));
}

SL__INLINE __m256 geglu8(__m256 gate, __m256 up) {
    __m256 slope = _mm256_fmadd_ps(_mm256_set1_ps(SL__GELU_CUBE), _mm256_mul_ps(gate, gate), _mm256_set1_ps(SL__GELU_SLOPE));
    return _mm256_mul_ps(sl__times_sigmoid8(gate, _mm256_mul_ps(gate, slope)), up);
}

void sl__geglu_avx2(const float *gate, const float *up, int n, float *out) {
    int i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, geglu8(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    if (i < n)
        _mm256_maskstore_ps(out + i, sl__first_lanes(n - i), geglu8(load_first(gate + i, n - i), load_first(up + i, n - i)));
}

void sl__gated_avx2(float *x, const float *gate, int n) {
    int i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(x + i, sl__times_sigmoid8(_mm256_loadu_ps(x + i), _mm256_loadu_ps(gate + i)));
    if (i < n)
        _mm256_maskstore_ps(x + i, sl__first_lanes(n - i), sl__times_sigmoid8(load_first(x + i, n - i), load_first(gate + i, n - i)));
}

static __m256 cap8(__m256 x, __m256 limit) {
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    __m256 v = _mm256_div_ps(x, limit), e = sl__exp8(_mm256_mul_ps(_mm256_set1_ps(-2.0f), _mm256_andnot_ps(sign, v)));
    __m256 t = _mm256_div_ps(_mm256_sub_ps(one, e), _mm256_add_ps(one, e));
    __m256 negative = _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_LT_OQ);
    return _mm256_mul_ps(limit, _mm256_xor_ps(t, _mm256_and_ps(negative, sign)));
}

void sl__cap_avx2(float *x, float limit, int n) {
    __m256 l = _mm256_set1_ps(limit);
    int i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(x + i, cap8(_mm256_loadu_ps(x + i), l));
    if (i < n) _mm256_maskstore_ps(x + i, sl__first_lanes(n - i), cap8(load_first(x + i, n - i), l));
}

void sl__add_avx2(float *y, const float *x, int n) {
    for (int i = 0; i < n; i++) y[i] += x[i];
}

void sl__axpy_avx2(float *y, float a, const float *x, int n) {
    __m256 av = _mm256_set1_ps(a);
    int i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(av, _mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++) y[i] = fmaf(a, x[i], y[i]);
}

void sl__axpby_avx2(float *y, float b, const float *x, float a, int n) {
    __m256 av = _mm256_set1_ps(a), bv = _mm256_set1_ps(b);
    int i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(av, _mm256_loadu_ps(x + i), _mm256_mul_ps(bv, _mm256_loadu_ps(y + i))));
    for (; i < n; i++) y[i] = fmaf(a, x[i], y[i] * b);
}

SL__INLINE void rotate(__m256 x0, __m256 x1, __m256 c, __m256 s, __m256 *ret0, __m256 *ret1) {
    *ret0 = _mm256_fmsub_ps(x0, c, _mm256_mul_ps(x1, s));
    *ret1 = _mm256_fmadd_ps(x1, c, _mm256_mul_ps(x0, s));
}

void sl__rope_avx2(float *x, const float *cosines, const float *sines, int half, int interleaved) {
    int j = 0;
    for (; j + 8 <= half; j += 8) {
        float *p0 = interleaved ? x + 2 * j : x + j, *p1 = interleaved ? p0 + 8 : x + j + half;
        __m256 a = _mm256_loadu_ps(p0), b = _mm256_loadu_ps(p1), c = _mm256_loadu_ps(cosines + j);
        __m256 s = _mm256_loadu_ps(sines + j), y0, y1;
        if (interleaved) {
            /* Even and odd values, in the order 0 1 4 5 2 3 6 7 of the pairs; so are the angles. */
            __m256 x0 = _mm256_shuffle_ps(a, b, 0x88), x1 = _mm256_shuffle_ps(a, b, 0xdd);
            c = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(c), 0xd8));
            s = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(s), 0xd8));
            rotate(x0, x1, c, s, &y0, &y1);
            a = _mm256_unpacklo_ps(y0, y1);
            b = _mm256_unpackhi_ps(y0, y1);
        } else {
            rotate(a, b, c, s, &a, &b);
        }
        _mm256_storeu_ps(p0, a);
        _mm256_storeu_ps(p1, b);
    }
    for (; j < half; j++) {
        float *p0 = interleaved ? x + 2 * j : x + j, *p1 = interleaved ? x + 2 * j + 1 : x + j + half;
        float x0 = *p0, x1 = *p1, c = cosines[j], s = sines[j];
        *p0 = fmaf(x0, c, -(x1 * s));
        *p1 = fmaf(x1, c, x0 * s);
    }
}
