/* Mixtral: Mistral's attention, every layer routes, the chosen weights always sum to 1. Its GGUF files say "llama" and
 * have an expert count. */
#include "families/internal.h"

const sl_family sl__family_mixtral = {
    .name = "mixtral",
    .gguf_arch = "llama",
    .hf_type = "mixtral",
    .routed = true,
    .rope_style = SL_ROPE_HALF,
    .gguf_qk_permuted = true,
    .router_score = SL_ROUTER_SOFTMAX,
    .router_norm = SL_ROUTER_SUM,
    .hf_experts_key = "num_local_experts",
    .hf_expert_ff_key = "intermediate_size",
    .hf_moe = "block_sparse_moe",
    .hf_router = "gate",
    .hf_proj = {"w1", "w3", "w2"},
    .hf_moe_fused = "mlp",
    .default_norm_eps = 1e-5f,
    .default_rope_theta = 1e6f,
    .default_context = 131072,
    .default_kv_heads = 8,
    .default_experts = 8,
    .default_experts_used = 2,
    .default_expert_ff = 14336,
};
