/* Phi-3.5-MoE and its small siblings: layer norms and biases throughout; two experts chosen one after the other, each weighed
 * among those that come near it; long rope. */
#include "families/internal.h"

const sl_family sl__family_phimoe = {
    .name = "phimoe",
    .gguf_arch = "phimoe",
    .hf_type = "phimoe",
    .routed = true,
    .norm = SL_NORM_LAYER,
    .output_bias = true,
    .rope_style = SL_ROPE_HALF,
    .hf_rope_attention_keys = {"short_mscale", "long_mscale"},
    .hf_bias_key = "attention_bias",
    .bias_on_output = true,
    .router_score = SL_ROUTER_SPARSEMIXER,
    .router_norm = SL_ROUTER_KEEP,
    .router_eps = 0.01f,
    .hf_router_eps_key = "router_jitter_noise",
    .hf_experts_key = "num_local_experts",
    .hf_expert_ff_key = "intermediate_size",
    .hf_moe = "block_sparse_moe",
    .hf_router = "gate",
    .hf_proj = {"w1", "w3", "w2"},
    .hf_moe_fused = "block_sparse_moe",
    .default_norm_eps = 1e-5f,
    .default_rope_theta = 1e6f,
    .default_context = 131072,
    .default_kv_heads = 8,
    .default_experts = 16,
    .default_experts_used = 2,
    .default_expert_ff = 6400,
};
