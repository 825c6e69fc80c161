/* Llama 1 to 3.3, dense: grouped-query attention, llama3 rope scaling, tied embeddings in the small ones. */
#include "families/internal.h"

const sl_family sl__family_llama = {
    .name = "llama",
    .gguf_arch = "llama",
    .hf_type = "llama",
    .rope_style = SL_ROPE_HALF,
    .gguf_qk_permuted = true,
    .hf_bias_key = "attention_bias",
    .bias_on_output = true,
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 10000,
    .default_context = 2048,
};
