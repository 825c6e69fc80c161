/* Mistral, dense: Llama's block without biases; the first ones had a sliding window in every layer. Its GGUF files say
 * "llama". */
#include "families/internal.h"

const sl_family sl__family_mistral = {
    .name = "mistral",
    .gguf_as = "llama",
    .hf_type = "mistral",
    .rope_style = SL_ROPE_HALF,
    .default_window = 4096,
    .window_in_all = true,
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 10000,
    .default_context = 131072,
    .default_kv_heads = 8,
};
