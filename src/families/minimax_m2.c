/* MiniMax-M2: q and k are normed over the whole projection; half of a head is rotated, which the released files say as a number
 * of values; every layer routes by a sigmoid router whose bias for the choice stands beside it; no shared expert. */
#include "families/internal.h"

const sl_family sl__family_minimax_m2 = {
    .name = "minimax_m2",
    .gguf_arch = "minimax-m2",
    .hf_type = "minimax_m2",
    .routed = true,
    .qk_norm = SL_QK_NORM_FULL,
    .rope_style = SL_ROPE_HALF,
    .default_rope_part = 1,
    .hf_rope_dims_key = "rotary_dim",
    .router_score = SL_ROUTER_SIGMOID,
    .router_norm = SL_ROUTER_SUM,
    .hf_experts_key = "num_local_experts",
    .hf_expert_ff_key = "intermediate_size",
    .hf_moe = "block_sparse_moe",
    .hf_router = "gate",
    .hf_router_bias = "e_score_correction_bias",
    .hf_proj = {"w1", "w3", "w2"},
    .hf_moe_fused = "mlp",
    .gguf_expert_ff = true,
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 5e6f,
    .default_context = 196608,
    .default_kv_heads = 8,
    .default_head_dim = 128,
    .default_experts = 256,
    .default_experts_used = 8,
    .default_expert_ff = 1536,
};
