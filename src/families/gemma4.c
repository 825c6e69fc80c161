/* Gemma 4, dense and mixtures: norms before and after each part, five layers with a window to one without, whose heads are larger
 * and whose values are keys; a mixture has a dense network beside its experts. */
#include "families/gemma4.h"
#include "families/internal.h"

const sl_family sl__family_gemma4 = {
    .name = "gemma4",
    .gguf_arch = "gemma4",
    .hf_type = "gemma4_text",
    .routed = true,
    SL__GEMMA4,
    .hf_layer_input_key = "hidden_size_per_layer_input",
    .default_layer_input = 256,
    .default_window = 512,
    .router_score = SL_ROUTER_SOFTMAX,
    .router_norm = SL_ROUTER_SUM,
    .router_normed = true,
    .expert_scales = true,
    .dense_beside = true,
    .hf_routed_key = "enable_moe_block",
    .hf_experts_key = "num_experts",
    .hf_experts_used_key = "top_k_experts",
    .hf_expert_ff_key = "moe_intermediate_size",
    .hf_moe = "",
    .hf_router = "router.proj",
    .hf_proj = {"gate_proj", "up_proj", "down_proj"},
    .hf_moe_fused = "",
    .default_context = 131072,
};
