/* granitemoe.h: what the rows of Granite's mixtures have in common. Constant; any thread. */
#ifndef SL_FAMILIES_GRANITEMOE_H
#define SL_FAMILIES_GRANITEMOE_H

#include "families/family.h"

#define SL__GRANITEMOE                                                                        \
    .routed = true,                                                                           \
    .multipliers = true,                                                                      \
    .rope_style = SL_ROPE_HALF,                                                               \
    .hf_bias_key = "attention_bias",                                                          \
    .bias_on_output = true,                                                                   \
    .router_score = SL_ROUTER_LOGIT,                                                          \
    .router_norm = SL_ROUTER_SHARE,                                                           \
    .shared_gate = SL_SHARED_PLAIN,                                                           \
    .hf_experts_key = "num_local_experts",                                                    \
    .hf_expert_ff_key = "intermediate_size",                                                  \
    .hf_shared_ff_key = "shared_intermediate_size",                                           \
    .hf_moe = "block_sparse_moe",                                                             \
    .hf_router = "router.layer",                                                              \
    .hf_proj = {"gate_proj", "up_proj", "down_proj"},                                         \
    .hf_shared = "shared_mlp",                                                                \
    .hf_moe_fused = "block_sparse_moe",                                                       \
    .hf_experts_fused = {"input_linear.weight", "output_linear.weight"},                      \
    .hf_shared_fused = {"shared_mlp.input_linear.weight", "shared_mlp.output_linear.weight"}, \
    .default_norm_eps = 1e-6f,                                                                \
    .default_rope_theta = 10000,                                                              \
    .default_context = 2048,                                                                  \
    .default_experts = 8,                                                                     \
    .default_experts_used = 2,                                                                \
    .default_expert_ff = 11008

#endif
