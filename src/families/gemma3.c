/* Gemma 3, dense: norms before and after each part, gelu, five layers with a window and a rope base of their own to one without. */
#include "families/internal.h"

const sl_family sl__family_gemma3 = {
    .name = "gemma3",
    .gguf_arch = "gemma3",
    .hf_type = "gemma3_text",
    .wiring = SL_WIRING_SANDWICH,
    .hf_embedding_root = true,
    .gguf_embedding_root = true,
    .logit_cap = true,
    .hf_score_width_key = "query_pre_attn_scalar",
    .default_score_width = 256,
    .gguf_width_scored_layers = 62, /* 27B */
    .hf_norms_less_one = true,
    .qk_norm = SL_QK_NORM_HEAD,
    .rope_style = SL_ROPE_HALF,
    .hf_bias_key = "attention_bias",
    .bias_on_output = true,
    .default_window = 4096,
    .hf_window_interval_key = "sliding_window_pattern",
    .default_window_interval = 6,
    .default_window_rope_theta = 10000,
    .activation = SL_ACTIVATION_GELU,
    .hf_norm_names = {"pre_feedforward_layernorm", "post_attention_layernorm", "post_feedforward_layernorm"},
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 1000000,
    .default_context = 131072,
    .default_vocab = 262208,
    .default_heads = 8,
    .default_kv_heads = 4,
    .default_head_dim = 256,
};
