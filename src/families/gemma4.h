/* gemma4.h: what the rows of Gemma 4's language models have in common. Constant; any thread. */
#ifndef SL_FAMILIES_GEMMA4_H
#define SL_FAMILIES_GEMMA4_H

#include "families/family.h"

#define SL__GEMMA4                                                                                            \
    .wiring = SL_WIRING_SANDWICH,                                                                             \
    .hf_embedding_root = true,                                                                                \
    .gguf_embedding_root = true,                                                                              \
    .logit_cap = true,                                                                                        \
    .attention_scale = 1,                                                                                     \
    .stream_scaled = true,                                                                                    \
    .qk_norm = SL_QK_NORM_HEAD,                                                                               \
    .value_norm = true,                                                                                       \
    .rope_style = SL_ROPE_HALF,                                                                               \
    .hf_bias_key = "attention_bias",                                                                          \
    .bias_on_output = true,                                                                                   \
    .hf_full_head_dim_key = "global_head_dim",                                                                \
    .default_full_head_dim = 512,                                                                             \
    .hf_full_kv_heads_key = "num_global_key_value_heads",                                                     \
    .hf_shared_keys_key = "num_kv_shared_layers",                                                             \
    .hf_ff_doubled_key = "use_double_wide_mlp",                                                               \
    .hf_keyed_values_key = "attention_k_eq_v",                                                                \
    .hf_window_interval_key = "sliding_window_pattern",                                                       \
    .default_window_interval = 6,                                                                             \
    .last_sees_all = true,                                                                                    \
    .default_window_rope_theta = 10000,                                                                       \
    .default_rope_turning_part = 0.25f,                                                                       \
    .activation = SL_ACTIVATION_GELU,                                                                         \
    .hf_norm_names = {"pre_feedforward_layernorm", "post_attention_layernorm", "post_feedforward_layernorm"}, \
    .default_norm_eps = 1e-6f,                                                                                \
    .default_rope_theta = 1000000,                                                                            \
    .default_vocab = 262144,                                                                                  \
    .default_heads = 8,                                                                                       \
    .default_kv_heads = 4,                                                                                    \
    .default_head_dim = 256

#endif
