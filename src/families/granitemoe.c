/* Granite 3 MoE: the weights are the softmax over the chosen logits; four multipliers, of which the one on attention scores is 1
 * if nothing is said; experts' gates and ups lie in one tensor. In GGUF files it may have a shared expert. */
#include "families/granitemoe.h"
#include "families/internal.h"

const sl_family sl__family_granitemoe = {
    .name = "granitemoe",
    .gguf_arch = "granitemoe",
    .hf_type = "granitemoe",
    SL__GRANITEMOE,
    .gguf_qk_permuted = true,
};
