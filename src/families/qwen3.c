/* Qwen3, dense: q and k are normed head by head; head_dim is given and is not width / heads. */
#include "families/internal.h"

const sl_family sl__family_qwen3 = {
    .name = "qwen3",
    .gguf_arch = "qwen3",
    .hf_type = "qwen3",
    .qk_norm = SL_QK_NORM_HEAD,
    .rope_style = SL_ROPE_HALF,
    .hf_bias_key = "attention_bias",
    .bias_on_output = true,
    .hf_window_switch = "use_sliding_window",
    .default_window = 4096,
    .default_window_layers = 28,
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 10000,
    .default_context = 32768,
    .default_kv_heads = 32,
    .default_head_dim = 128,
};
