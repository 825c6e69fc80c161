/* SmolLM3, dense: Llama's block, but every fourth layer leaves q and k unrotated. */
#include "families/internal.h"

const sl_family sl__family_smollm3 = {
    .name = "smollm3",
    .gguf_arch = "smollm3",
    .hf_type = "smollm3",
    .rope_style = SL_ROPE_HALF,
    .gguf_qk_permuted = true,
    .hf_bias_key = "attention_bias",
    .bias_on_output = true,
    .hf_window_switch = "use_sliding_window",
    .windows_unrotated = true,
    .default_unrotated_interval = 4,
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 2e6f,
    .default_context = 32768,
    .default_kv_heads = 4,
};
