/* router.h: from router logits to experts and weights, one row at a time.
 * Workers; writes only what the caller gives.
 *
 * Invariants
 *   1. A row's experts depend on its logits alone (Promise 1).
 *   2. Ties go to the lower expert number, on every tier; a score that is not a number loses against every number.
 *   3. A row's experts stand in ascending number, which is the order of the sum in ffn.c. */
#ifndef SL_EXPERTS_ROUTER_H
#define SL_EXPERTS_ROUTER_H

#include "families/family.h"

#include <stdint.h>

typedef struct sl_router_rule {
    int experts, used;
    sl_router_score score;
    sl_router_norm norm;
} sl_router_rule;

/* Picks a row's experts.
 *   scores          [rule->experts] router logits; overwritten by the rule's scores
 *   expert, weight  [rule->used] what is picked, in ascending expert number */
void sl_router_pick(const sl_router_rule *rule, float *scores, int32_t *expert, float *weight);

#endif
