/* sampling.h: logits to a token.
 * Workers: one sequence each, nothing shared; the caller owns everything.
 *
 * Order: log probabilities from the untouched logits; logit bias and min_tokens mask; repetition, then frequency and
 * presence penalties; temperature below 1e-5: the largest logit, lowest id on a tie; otherwise divide by temperature,
 * min_p, top_k, top_p on what is left, then one draw.
 *
 * Invariants
 *   1. The draw depends on (seed, position in the answer) and the logits alone: Philox 4x32-10 keyed by the seed, counter
 *      the position; so batching, preemption and threads cannot shift it (Promise 1).
 *   2. Logits that are no answer of a sound model (a NaN or plus infinity anywhere, or minus infinity everywhere) give no
 *      token and no log probabilities, but `not_finite`. Minus infinity for some of them is a model's way to forbid a token.
 *   3. A banned token is never returned. When everything is banned there is none to return: token is -1. */
#ifndef SL_SAMPLING_SAMPLING_H
#define SL_SAMPLING_SAMPLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_TOP_LOGPROBS 20 /* most alternatives that a request can ask for */

typedef struct sl_logit_bias {
    int32_t token;
    float bias;
} sl_logit_bias;

/* As the request says, checked: constant for a request. */
typedef struct sl_sampling_params {
    float temperature;                   /* 0 … 2 */
    float top_p, min_p;                  /* 1 and 0: off */
    int32_t top_k;                       /* 0: off */
    float presence, frequency, repetition; /* 0, 0, 1: off */
    uint64_t seed;                       /* of this choice */
    const sl_logit_bias *bias;           /* [bias_count] */
    int bias_count;
    int logprobs;                        /* alternatives wanted; -1: no log probabilities at all */
} sl_sampling_params;

typedef struct sl_logprob {
    int32_t token;
    float logprob; /* natural; raw: before bias, penalties and temperature; -inf is -9999 */
} sl_logprob;

typedef struct sl_sampled {
    int32_t token;                    /* -1: nothing can be sampled */
    bool not_finite;                  /* invariant 2: token is -1, top_count is 0 */
    float logprob;                    /* of the token; undefined when params.logprobs is -1 */
    int top_count;
    sl_logprob top[SL_TOP_LOGPROBS];  /* by log probability, then lower id */
} sl_sampled;

/* What a token's history says, for the penalties: a sequence owns one, the caller updates it. counts are only needed
 * when a penalty is on. */
typedef struct sl_history {
    const uint16_t *generated; /* [vocab] times generated; NULL: penalties are off */
    const uint8_t *seen;       /* [vocab] bitmap: in prompt or answer; NULL: repetition is off */
} sl_history;

/* Bytes of scratch that sl_sample needs. */
size_t sl_sample_scratch(int vocab);

/* logits [vocab], overwritten. banned [banned_count]: ids that must not come (eos before min_tokens; ids without text).
 * position: 0 for the first generated token. */
void sl_sample(const sl_sampling_params *p, const sl_history *h, float *logits, int vocab, const int32_t *banned,
               int banned_count, uint64_t position, void *scratch, sl_sampled *ret);

/* Log probability of a given token and the alternatives: for prompts. logits are not modified. */
void sl_score(const float *logits, int vocab, int32_t token, int top, sl_sampled *ret);

#endif
