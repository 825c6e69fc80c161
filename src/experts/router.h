/* router.h: from router logits to experts and weights, one row at a time.
 * Workers; writes only what the caller gives.
 *
 * Invariants
 *   1. A row's experts depend on its logits alone (Promise 1).
 *   2. Ties go to the lower expert number, on every tier, and to the lower group; a score that is not a number loses against
 *      every number.
 *   3. A row's experts stand in ascending number, which is the order of the sum in ffn.c. */
#ifndef SL_EXPERTS_ROUTER_H
#define SL_EXPERTS_ROUTER_H

#include "families/family.h"

#include <stdint.h>

/* How a family's router chooses (DeepSeek-V3's form, of which the others but the last are cases):
 *   s_e = score of logit z_e;  c_e = s_e + bias_e, for the choice alone
 *   with groups: a group's score is the sum of its two best c; only experts of the best groups can be chosen
 *   the experts with the best c are chosen
 *   w_e = s_e of the chosen; divided by (their sum + eps) if norm is SL_ROUTER_SUM, by the larger of sum and eps if it is
 *         SL_ROUTER_SUM_LEAST; e^s_e divided by the sum of those if it is SL_ROUTER_SHARE; the sigmoid
 *         of s_e if it is SL_ROUTER_SQUASH; times scale, times expert_scale_e
 * SL_ROUTER_SPARSEMIXER, for two experts: the first has the best logit m, and of the others those are left that lie within
 * 2 eps of it, (m - z_i) / max(|z_i|, m) <= 2 eps; its weight is its share in the softmax over these and itself. The second
 * is chosen likewise, without the first. */
typedef struct sl_router_rule {
    int experts, used;
    sl_router_score score;
    sl_router_norm norm;
    float eps, scale;
    int groups, groups_used;
    const float *bias; /* [experts]; NULL: none */
    const float *expert_scale; /* [experts]; NULL: none */
} sl_router_rule;

/* The rule of a model, for a layer with that bias and those scales. */
static inline sl_router_rule sl_router_rule_of(const sl_hparams *hp, const float *bias, const float *expert_scale) {
    return (sl_router_rule){.experts = hp->experts, .used = hp->experts_used, .score = hp->router_score, .norm = hp->router_norm,
                            .eps = hp->router_eps, .scale = hp->router_scale, .groups = hp->router_groups,
                            .groups_used = hp->router_groups_used, .bias = bias, .expert_scale = expert_scale};
}

/* Picks a row's experts.
 *   scores          [rule->experts] router logits; overwritten by the rule's scores
 *   expert, weight  [rule->used] what is picked, in ascending expert number */
void sl_router_pick(const sl_router_rule *rule, float *scores, int32_t *expert, float *weight);

#endif
