/* Granite 3 MoE: the weights are the softmax over the chosen logits; four multipliers, of which the one on attention scores is 1
 * if nothing is said; experts' gates and ups lie in one tensor. In GGUF files it may have a shared expert. */
#include "families/internal.h"

const sl_family sl__family_granitemoe = {
    .name = "granitemoe",
    .gguf_arch = "granitemoe",
    .hf_type = "granitemoe",
    .routed = true,
    .multipliers = true,
    .rope_style = SL_ROPE_HALF,
    .gguf_qk_permuted = true,
    .hf_bias_key = "attention_bias",
    .bias_on_output = true,
    .router_score = SL_ROUTER_LOGIT,
    .router_norm = SL_ROUTER_SHARE,
    .shared_gate = SL_SHARED_PLAIN,
    .hf_experts_key = "num_local_experts",
    .hf_expert_ff_key = "intermediate_size",
    .hf_shared_ff_key = "shared_intermediate_size",
    .hf_moe = "block_sparse_moe",
    .hf_router = "router.layer",
    .hf_proj = {"gate_proj", "up_proj", "down_proj"},
    .hf_shared = "shared_mlp",
    .hf_moe_fused = "block_sparse_moe",
    .hf_experts_fused = {"input_linear.weight", "output_linear.weight"},
    .hf_shared_fused = {"shared_mlp.input_linear.weight", "shared_mlp.output_linear.weight"},
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 10000,
    .default_context = 2048,
    .default_experts = 8,
    .default_experts_used = 2,
    .default_expert_ff = 11008,
};
