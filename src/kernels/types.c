#include "kernels/types.h"

const sl_type_info sl_types[SL_TYPE_COUNT] = {
#define X(name, file, id, values, bytes, quantised) {#name, id, values, bytes, quantised},
    SL_FLOAT_TYPES(X, 0) SL_QUANTISED_TYPES(X, 1)
#undef X
};

int sl_type_from_ggml(uint32_t ggml_id) {
    for (int t = 0; t < SL_TYPE_COUNT; t++)
        if ((uint32_t)sl_types[t].ggml_id == ggml_id) return t;
    return -1;
}
