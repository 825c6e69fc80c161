/* Gemma 4 whose pictures and sounds have no encoder: the dense language model of Gemma 4. */
#include "families/gemma4.h"
#include "families/internal.h"

const sl_family sl__family_gemma4_unified = {
    .name = "gemma4_unified",
    .gguf_as = "gemma4",
    .hf_type = "gemma4_unified_text",
    SL__GEMMA4,
    .default_window = 1024,
    .default_context = 262144,
};
