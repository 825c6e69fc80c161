/* OLMoE: q and k are normed over the whole projection (one statistic for all heads), and may be clipped after it; the
 * chosen weights are not renormalised. */
#include "families/internal.h"

const sl_family sl__family_olmoe = {
    .name = "olmoe",
    .gguf_arch = "olmoe",
    .hf_type = "olmoe",
    .routed = true,
    .qk_norm = SL_QK_NORM_FULL,
    .rope_style = SL_ROPE_HALF,
    .hf_bias_key = "attention_bias",
    .bias_on_output = true,
    .clip_qkv = true,
    .router_score = SL_ROUTER_SOFTMAX,
    .router_norm = SL_ROUTER_KEEP,
    .hf_router_norm_key = "norm_topk_prob",
    .hf_experts_key = "num_experts",
    .hf_expert_ff_key = "intermediate_size",
    .hf_moe = "mlp",
    .hf_router = "gate",
    .hf_proj = {"gate_proj", "up_proj", "down_proj"},
    .hf_moe_fused = "mlp",
    .default_norm_eps = 1e-5f,
    .default_rope_theta = 10000,
    .default_context = 4096,
    .default_experts = 64,
    .default_experts_used = 8,
    .default_expert_ff = 2048,
};
