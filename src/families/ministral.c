/* Ministral, dense: Mistral's block, with the window in those layers that layer_types names, or in all. No GGUF architecture of
 * that name is known; a model with the window in all layers is written as "llama". */
#include "families/internal.h"

const sl_family sl__family_ministral = {
    .name = "ministral",
    .gguf_as = "llama",
    .hf_type = "ministral",
    .rope_style = SL_ROPE_HALF,
    .default_window = 4096,
    .default_norm_eps = 1e-6f,
    .default_rope_theta = 10000,
    .default_context = 131072,
    .default_kv_heads = 8,
};
