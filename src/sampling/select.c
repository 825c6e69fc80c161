/* select.c: the largest of a vocabulary, without sorting it.
 *
 * A threshold is found digit by digit: the bits of a float, with the sign turned, order as the floats do. One pass sums
 * what falls under each value of the upper 11 bits; the bucket in which the sum, taken from the top, reaches the wanted
 * amount is the only one looked into by the next pass (11 bits, then 10). After three passes the bucket holds equal
 * values. So 150,000 entries cost three linear passes, whatever the distribution, and sums are always taken in the same
 * order: ascending index inside a bucket, buckets from the top. */
#include "sampling/internal.h"

#include <stdbool.h>
#include <string.h>

int sl__select_top(const float *x, int n, int most, sl_logprob *ret) {
    int have = 0;
    if (most <= 0) return 0;
    for (int begin = 0; begin < n; begin += 64) {
        int end = begin + 64 < n ? begin + 64 : n;
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

/* Bits whose unsigned order is the order of the floats. */
static uint32_t key_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t key) {
    uint32_t bits = key & 0x80000000u ? key & 0x7FFFFFFFu : ~key;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The largest value t such that what is at least t weighs `need` or more (or the least value, if rounding leaves the whole
 * short of it); *ret_above is the weight of what is larger. An entry weighs 1, or by_weight its own value; then entries of
 * 0 are left out. */
static float threshold(const float *x, int n, double need, bool by_weight, sl__histogram *h, double *ret_above) {
    static const struct { int shift, bits; } digit[3] = {{21, 11}, {10, 11}, {0, 10}};
    uint32_t prefix = 0;
    double above = 0;
    for (int d = 0; d < 3; d++) {
        int shift = digit[d].shift, upper = shift + digit[d].bits, buckets = 1 << digit[d].bits;
        memset(h, 0, sizeof *h);
        for (int i = 0; i < n; i++) {
            if (by_weight && !(x[i] > 0)) continue;
            uint32_t key = key_of(x[i]);
            if (d > 0 && key >> upper != prefix) continue;
            uint32_t b = (key >> shift) & (uint32_t)(buckets - 1);
            h->count[b]++;
            if (by_weight) h->weight[b] += (double)x[i];
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

void sl__select_nucleus(float *w, int n, double share, sl__histogram *h) {
    double whole = 0, above;
    for (int i = 0; i < n; i++) whole += (double)w[i];
    double need = share * whole;
    float least = threshold(w, n, need, true, h, &above);
    bool none = above <= 0;
    for (int i = 0; i < n; i++) {
        if (w[i] > least) continue;
        if (w[i] == least && (none || above < need)) {
            above += (double)w[i];
            none = false;
        } else {
            w[i] = 0;
        }
    }
}

int sl__select_draw(const float *w, int n, double u, double *block) {
    int blocks = (n + SL_DRAW_BLOCK - 1) / SL_DRAW_BLOCK;
    double whole = 0;
    for (int b = 0; b < blocks; b++) {
        int end = (b + 1) * SL_DRAW_BLOCK < n ? (b + 1) * SL_DRAW_BLOCK : n;
        double lane[4] = {0};
        for (int i = b * SL_DRAW_BLOCK; i < end; i++) lane[i & 3] += (double)w[i];
        block[b] = (lane[0] + lane[2]) + (lane[1] + lane[3]);
        whole += block[b];
    }
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
