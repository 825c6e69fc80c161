/* limits.h: what this machine can do at best, measured on the model's own mapped weights, and what a step costs at least.
 * The main thread, with a worker pool of its own. */
#ifndef SL_CLI_LIMITS_H
#define SL_CLI_LIMITS_H

#include "base/workers.h"
#include "kernels/kernels.h"
#include "model/model.h"

/* Both measured with all workers at once; a tenth of a second each. */
double sl_limit_read(sl_workers *w, const sl_model *m);     /* bytes a second, the weights in order through the mapping */
double sl_limit_multiply(sl_workers *w);                    /* 4-bit by 8-bit multiply-adds a second, in this tier */

/* What rows must cost whatever the implementation. */
typedef struct sl_cost {
    double dense_bytes;        /* read in every step: attention, routers, shared experts, dense layers, output */
    double expert_bytes;       /* one expert, on average over the layers that route */
    double row_multiplies;     /* one row through all layers, its experts included, without output and attention scores */
    double output_multiplies;  /* one row's logits */
    double kv_bytes;           /* keys and values of one position, all layers */
    double state_bytes;         /* of one sequence, read and written in each step that has rows of it */
    double kv_multiplies;      /* one row against one position, all layers */
} sl_cost;
sl_cost sl_cost_of(const sl_model *m, sl_kv_type t);

#endif
