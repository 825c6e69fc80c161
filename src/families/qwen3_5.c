/* Qwen3.5 and 3.6, dense, text: gated delta nets and gated attention as in the mixtures. */
#include "families/internal.h"

const sl_family sl__family_qwen3_5 = {
    .name = "qwen3_5",
    .gguf_arch = "qwen35",
    .hf_type = "qwen3_5_text",
    .hf_norms_less_one = true,
    .qk_norm = SL_QK_NORM_HEAD,
    .rope_style = SL_ROPE_HALF,
    .default_rope_part = 0.25f,
    .query_gated = true,
    .delta_mixers = true,
    .gguf_rope_sections = true,
    .gguf_delta_tiled = true,
    .hf_bias_key = "attention_bias",
    .bias_on_output = true,
    .gguf_ffn_norm = "post_attention_norm",
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 10000,
    .default_context = 32768,
    .default_kv_heads = 4,
    .default_head_dim = 256,
};
