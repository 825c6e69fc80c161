/* Granite 3 MoE with a shared expert: as granitemoe, whose row reads its GGUF files. */
#include "families/granitemoe.h"
#include "families/internal.h"

const sl_family sl__family_granitemoeshared = {
    .name = "granitemoeshared",
    .gguf_as = "granitemoe",
    .hf_type = "granitemoeshared",
    SL__GRANITEMOE,
};
