/* Qwen2 and Qwen2.5, dense: q, k and v always have biases, o never. */
#include "families/internal.h"

const sl_family sl__family_qwen2 = {
    .name = "qwen2",
    .gguf_arch = "qwen2",
    .hf_type = "qwen2",
    .rope_style = SL_ROPE_HALF,
    .always_bias = true,
    .hf_window_switch = "use_sliding_window",
    .default_window = 4096,
    .default_window_layers = 28,
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 10000,
    .default_context = 32768,
    .default_kv_heads = 32,
};
