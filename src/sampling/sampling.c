/* sampling.c: the order of the steps from logits to a token.
 *
 * No step sorts or copies the vocabulary where it need not: truncations are thresholds, found in linear passes (select.c),
 * and only what is above them is gathered, in ascending order of the ids. Weights are what the softmax kernel gives for
 * what is left, and the draw goes through their running sum: the same float operations whatever the batch. */
#include "sampling/internal.h"

#include "base/fmath.h"
#include "kernels/kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define GREEDY_BELOW 1e-5f
#define LEAST_LOGPROB (-9999.0f)
#define FEW 128 /* top_k up to this is found by insertion, beyond it by radix */

/* The scratch of one call. */
typedef struct scratch {
    sl__histogram *histogram;
    double *block; /* [vocab / SL_DRAW_BLOCK + 1] */
    float *raw;    /* [vocab] untouched logits */
    int32_t *id;   /* [vocab] */
} scratch;

static size_t lay_out(int vocab, void *memory, scratch *ret) {
    size_t n = (size_t)vocab, blocks = n / SL_DRAW_BLOCK + 1, at = 0;
    unsigned char *p = memory;
    if (ret) ret->histogram = (void *)(p + at);
    at += sizeof(sl__histogram);
    if (ret) ret->block = (void *)(p + at);
    at += blocks * sizeof(double);
    if (ret) ret->raw = (void *)(p + at);
    at += n * sizeof(float);
    if (ret) ret->id = (void *)(p + at);
    return at + n * sizeof(int32_t);
}

size_t sl_sample_scratch(int vocab) { return (lay_out(vocab, NULL, NULL) + 63) & ~(size_t)63; }

/* Is there neither NaN nor plus infinity, and not minus infinity alone? One pass without a branch an entry. */
static bool sound(const float *x, int n) {
    int numbers = 0, finite = 0;
    for (int i = 0; i < n; i++) {
        numbers += x[i] <= FLT_MAX;
        finite += x[i] >= -FLT_MAX;
    }
    return numbers == n && finite > 0;
}

static void no_result(sl_sampled *ret) { *ret = (sl_sampled){.token = -1, .not_finite = true}; }

static int largest(const float *x, int n) {
    sl_logprob best = {-1, -INFINITY};
    sl__select_top(x, n, 1, &best);
    return best.logprob > -INFINITY ? best.token : -1;
}

static float logprob_of(float x, float max, float lse) {
    float lp = (x - max) - lse;
    return lp > LEAST_LOGPROB ? lp : LEAST_LOGPROB;
}

/* The alternatives. *ret_max and *ret_lse turn any logit into its log probability. */
static void alternatives(const float *raw, int vocab, int top, sl_sampled *ret, float *ret_max, float *ret_lse) {
    *ret_lse = sl_kernels()->logsumexp(raw, vocab, ret_max);
    ret->top_count = sl__select_top(raw, vocab, top < SL_TOP_LOGPROBS ? top : SL_TOP_LOGPROBS, ret->top);
    for (int i = 0; i < ret->top_count; i++) ret->top[i].logprob = logprob_of(ret->top[i].logprob, *ret_max, *ret_lse);
}

/* Bias and bans, then repetition, frequency and presence. */
static void adjust(const sl_sampling_params *p, const sl_history *h, float *x, int vocab, const int32_t *banned,
                   int banned_count) {
    for (int i = 0; i < p->bias_count; i++) x[p->bias[i].token] += p->bias[i].bias;
    for (int i = 0; i < banned_count; i++) x[banned[i]] = -INFINITY;
    if (h->seen && p->repetition != 1.0f)
        for (int byte = 0; byte * 8 < vocab; byte++)
            for (unsigned bits = h->seen[byte]; bits; bits &= bits - 1) {
                int i = byte * 8 + __builtin_ctz(bits);
                x[i] = x[i] > 0 ? x[i] / p->repetition : x[i] * p->repetition;
            }
    if (h->generated && (p->frequency != 0 || p->presence != 0))
        for (int i = 0; i < vocab; i++)
            if (h->generated[i]) {
                x[i] -= p->frequency * (float)h->generated[i];
                x[i] -= p->presence;
            }
}

/* min_p and top_k: moves what they keep to the front, ascending, ids into s->id. Returns how many; vocab: all were kept
 * and s->id is not filled. x holds logits less the largest, over the temperature. */
static int gather(const sl_sampling_params *p, float *x, int vocab, const scratch *s) {
    float least = -INFINITY;
    if (p->top_k > 0 && p->top_k <= FEW && p->top_k < vocab) {
        sl_logprob few[FEW];
        int have = sl__select_top(x, vocab, p->top_k, few);
        least = few[have - 1].logprob;
    } else if (p->top_k > 0 && p->top_k < vocab) {
        least = sl__select_kth(x, vocab, p->top_k, s->histogram);
    }
    /* The exponential decides; the logarithm, with room for its rounding, spares most of the exponentials. */
    float about = p->min_p > 0 ? sl_logf(p->min_p) : -INFINITY;
    about -= 1e-3f;
    if (!(about > -INFINITY) && !(least > -INFINITY)) return vocab;
    if (about > least) least = about;
    int kept = 0;
    for (int i = 0; i < vocab; i++) {
        if (!(x[i] >= least)) continue;
        if (p->min_p > 0 && sl_expf(x[i]) < p->min_p) continue;
        x[kept] = x[i];
        s->id[kept++] = i;
    }
    return kept;
}

static int draw(const sl_sampling_params *p, float *x, int vocab, int best, uint64_t position, const scratch *s) {
    float max = x[best];
    for (int i = 0; i < vocab; i++) x[i] = x[i] == max ? 0 : (x[i] - max) / p->temperature; /* inf - inf would be NaN */
    int n = gather(p, x, vocab, s);
    sl_kernels()->softmax(x, n);
    bool all = n == vocab;
    if (p->top_p < 1.0f) {
        for (int i = 0; all && i < n; i++) s->id[i] = i;
        all = false;
        n = sl__select_nucleus(x, s->id, n, (double)p->top_p, s->block, s->histogram);
    }
    int chosen = sl__select_draw(x, n, sl__uniform(p->seed, position), s->block);
    return all ? chosen : s->id[chosen];
}

void sl_sample(const sl_sampling_params *p, const sl_history *h, float *logits, int vocab, const int32_t *banned,
               int banned_count, uint64_t position, void *memory, sl_sampled *ret) {
    scratch s;
    lay_out(vocab, memory, &s);
    float max = 0, lse = 0;
    if (!sound(logits, vocab)) {
        no_result(ret);
        return;
    }
    ret->not_finite = false;
    ret->top_count = 0;
    ret->logprob = 0;
    if (p->logprobs >= 0) {
        memcpy(s.raw, logits, (size_t)vocab * sizeof *logits);
        alternatives(s.raw, vocab, p->logprobs, ret, &max, &lse);
    }
    adjust(p, h, logits, vocab, banned, banned_count);
    int best = largest(logits, vocab);
    ret->token = best < 0 || p->temperature < GREEDY_BELOW ? best : draw(p, logits, vocab, best, position, &s);
    if (p->logprobs >= 0 && ret->token >= 0) ret->logprob = logprob_of(s.raw[ret->token], max, lse);
}

void sl_score(const float *logits, int vocab, int32_t token, int top, sl_sampled *ret) {
    float max, lse;
    if (!sound(logits, vocab)) {
        no_result(ret);
        return;
    }
    ret->not_finite = false;
    alternatives(logits, vocab, top, ret, &max, &lse);
    ret->token = token;
    ret->logprob = logprob_of(logits[token], max, lse);
}
