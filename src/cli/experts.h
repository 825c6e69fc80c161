/* experts.h: which experts ran, for people and for programs.
 * The main thread; pure. */
#ifndef SL_CLI_EXPERTS_H
#define SL_CLI_EXPERTS_H

#include "base/buffer.h"
#include "experts/stats.h"

#include <stdbool.h>

typedef struct sl_experts_report {
    int layers, experts, experts_per_token;
    const bool *routed;             /* [layers]; a layer that does not route is left out */
    const sl_expert_totals *totals; /* [layers][experts] */
} sl_experts_report;

/* A table with a line for each layer: rows, how many experts ran, core time, the hottest experts with their load as a
 * multiple of an even share. Nothing for a dense model. */
void sl_experts_text(const sl_experts_report *r, sl_buffer *out);

/* [{"layer":0,"rows":21,"tokens":[…],"compute_seconds":[…]}, …], each list by expert. */
void sl_experts_json(const sl_experts_report *r, sl_buffer *out);

#endif
