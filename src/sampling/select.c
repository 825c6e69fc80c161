/* select.c: the largest of a vocabulary, without sorting it.
 *
 * A threshold is found digit by digit: the bits of a float, with the sign turned, order as the floats do. One pass sums
 * what falls under each value of the upper 11 bits; the bucket in which the sum, taken from the top, reaches the wanted
 * amount is the only one looked into by the next pass (11 bits, then 10), which goes over what is outside of it in runs,
 * without a branch an entry. After three passes the bucket holds equal values. So 150,000 entries cost three linear passes,
 * whatever the distribution, and sums are always taken in the same order: ascending index inside a bucket, buckets from the
 * top. */
#include "sampling/internal.h"

#include "base/bits.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define RUN 64 /* entries that are looked at together first */

int sl__select_top(const float *x, int n, int most, sl_logprob *ret) {
    int have = 0;
    if (most <= 0) return 0;
    for (int begin = 0; begin < n; begin += RUN) {
        int end = begin + RUN < n ? begin + RUN : n;
        if (have == most) {
            int any = 0;
            float least = ret[have - 1].logprob;
            for (int i = begin; i < end; i++) any |= x[i] > least;
            if (!any) continue;
        }
        for (int i = begin; i < end; i++) {
            if (have == most && !(x[i] > ret[have - 1].logprob)) continue;
            int at = have < most ? have++ : have - 1;
            for (; at > 0 && x[i] > ret[at - 1].logprob; at--) ret[at] = ret[at - 1];
            ret[at] = (sl_logprob){i, x[i]};
        }
    }
    return have;
}

static float value_of(uint32_t key) { return sl_bits_float(key & 0x80000000u ? key & 0x7FFFFFFFu : ~key); }

/* Does any of x [count] lie in [low, high]? A loop without a branch: most runs of a vocabulary do not. */
static bool any_within(const float *x, int count, float low, float high) {
    int any = 0;
    for (int i = 0; i < count; i++) any |= (x[i] >= low) & (x[i] <= high);
    return any;
}

/* The floats whose upper bits are `prefix`; beyond the infinities there is none. */
static void range_of(uint32_t prefix, int bits_below, float *ret_low, float *ret_high) {
    float low = value_of(prefix << bits_below), high = value_of(prefix << bits_below | ((1u << bits_below) - 1));
    *ret_low = low == low ? low : -INFINITY;
    *ret_high = high == high ? high : INFINITY;
}

/* The largest value t such that what is at least t weighs `need` or more (or the least value, if rounding leaves the whole
 * short of it); *ret_above is the weight of what is larger. An entry weighs 1, or by_weight its own value. */
static float threshold(const float *x, int n, double need, bool by_weight, sl__histogram *h, double *ret_above) {
    static const struct { int shift, bits; } digit[3] = {{21, 11}, {10, 11}, {0, 10}};
    uint32_t prefix = 0;
    double above = 0;
    for (int d = 0; d < 3; d++) {
        int shift = digit[d].shift, upper = shift + digit[d].bits, buckets = 1 << digit[d].bits;
        float low = -INFINITY, high = INFINITY;
        if (d > 0) range_of(prefix, upper, &low, &high);
        memset(h, 0, sizeof *h);
        for (int begin = 0; begin < n; begin += RUN) {
            int end = begin + RUN < n ? begin + RUN : n;
            if (d > 0 && !any_within(x + begin, end - begin, low, high)) continue;
            for (int i = begin; i < end; i++) {
                uint32_t key = sl_float_order(x[i]);
                if (d > 0 && key >> upper != prefix) continue;
                uint32_t b = (key >> shift) & (uint32_t)(buckets - 1);
                h->count[b]++;
                if (by_weight) h->weight[b] += (double)x[i];
            }
        }
        int chosen = -1;
        double before = above;
        for (int b = buckets - 1; b >= 0; b--) {
            if (h->count[b] == 0) continue;
            chosen = b, above = before;
            before += by_weight ? h->weight[b] : (double)h->count[b];
            if (before >= need) break;
        }
        prefix = prefix << digit[d].bits | (uint32_t)(chosen < 0 ? 0 : chosen);
    }
    *ret_above = above;
    return value_of(prefix);
}

float sl__select_kth(const float *x, int n, int k, sl__histogram *h) {
    double above;
    return threshold(x, n, (double)k, false, h, &above);
}

/* The sum of w [n]; block [n / SL_DRAW_BLOCK + 1] gets those of its blocks. */
static double sum_of(const float *w, int n, double *block) {
    int blocks = (n + SL_DRAW_BLOCK - 1) / SL_DRAW_BLOCK;
    double whole = 0;
    for (int b = 0; b < blocks; b++) {
        int end = (b + 1) * SL_DRAW_BLOCK < n ? (b + 1) * SL_DRAW_BLOCK : n;
        double lane[4] = {0};
        for (int i = b * SL_DRAW_BLOCK; i < end; i++) lane[i & 3] += (double)w[i];
        block[b] = (lane[0] + lane[2]) + (lane[1] + lane[3]);
        whole += block[b];
    }
    return whole;
}

/* 1 - share of the whole may go. Weights below an n-th of that are cut first: even n of them are together less than what may
 * go, so none of them is needed. Example: of 150,000 weights and a share of 0.9, those below 0.1 / 150,000 of the whole. In
 * a usual distribution this linear pass, which looks at runs of entries at once, leaves a few hundred candidates, among
 * which the threshold is found. The factor 0.999 is room for the rounding of the sums. */
int sl__select_nucleus(float *w, int32_t *id, int n, double share, double *block, sl__histogram *h) {
    double whole = sum_of(w, n, block), need = share * whole, above;
    float cut = (float)((whole - need) / n * 0.999);
    int candidates = 0, kept = 0;
    for (int begin = 0; begin < n; begin += RUN) {
        int end = begin + RUN < n ? begin + RUN : n;
        if (!any_within(w + begin, end - begin, cut, INFINITY)) continue;
        for (int i = begin; i < end; i++)
            if (w[i] >= cut && w[i] > 0) w[candidates] = w[i], id[candidates++] = id[i];
    }
    float least = threshold(w, candidates, need, true, h, &above);
    for (int i = 0; i < candidates; i++) {
        if (w[i] < least) continue;
        if (w[i] == least) { /* as many of the equal ones as it takes */
            if (above > 0 && above >= need) continue;
            above += (double)w[i];
        }
        w[kept] = w[i];
        id[kept++] = id[i];
    }
    return kept;
}

int sl__select_draw(const float *w, int n, double u, double *block) {
    int blocks = (n + SL_DRAW_BLOCK - 1) / SL_DRAW_BLOCK;
    double whole = sum_of(w, n, block);
    double target = u * whole, sum = 0, before = 0;
    int chosen = 0;
    for (int b = 0; b < blocks && sum <= target; b++) {
        if (!(block[b] > 0)) continue;
        chosen = b, before = sum;
        sum += block[b];
    }
    int last = chosen * SL_DRAW_BLOCK;
    for (int i = last; i < n && i < (chosen + 1) * SL_DRAW_BLOCK; i++) {
        if (!(w[i] > 0)) continue;
        last = i;
        before += (double)w[i];
        if (before > target) break;
    }
    return last;
}
