/* Qwen3-MoE: Qwen3's attention, no shared expert. Released models renormalise the chosen weights and say so in
 * config.json, where the class's default is not to; GGUF files do not say it. */
#include "families/internal.h"

const sl_family sl__family_qwen3_moe = {
    .name = "qwen3_moe",
    .gguf_arch = "qwen3moe",
    .hf_type = "qwen3_moe",
    .routed = true,
    .qk_norm = SL_QK_NORM_HEAD,
    .rope_style = SL_ROPE_HALF,
    .hf_bias_key = "attention_bias",
    .bias_on_output = true,
    .hf_window_switch = "use_sliding_window",
    .default_window = 4096,
    .router_score = SL_ROUTER_SOFTMAX,
    .router_norm = SL_ROUTER_SUM,
    .hf_router_norm_key = "norm_topk_prob",
    .hf_experts_key = "num_experts",
    .hf_expert_ff_key = "moe_intermediate_size",
    .hf_dense_rule = true,
    .hf_moe = "mlp",
    .hf_router = "gate",
    .hf_proj = {"gate_proj", "up_proj", "down_proj"},
    .hf_moe_fused = "mlp",
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 10000,
    .default_context = 32768,
    .default_kv_heads = 4,
    .default_experts = 128,
    .default_experts_used = 8,
    .default_expert_ff = 768,
};
