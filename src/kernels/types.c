#include "kernels/types.h"

const sl_type_info sl_types[SL_TYPE_COUNT] = {
#define X(name, file, id, values, bytes, quantised) {#name, id, values, bytes, quantised, 0},
    SL_FLOAT_TYPES(X, 0) SL_QUANTISED_TYPES(X, 1)
#undef X
#define X(name, file, id, values, bytes, with) {#name, id, values, bytes, 1, 1},
    SL_PLANE_TYPES(X, )
#undef X
};

int sl_type_from_ggml(uint32_t ggml_id) {
    for (int t = 0; t < SL_TYPE_COUNT; t++)
        if (sl_types[t].ggml_id >= 0 && (uint32_t)sl_types[t].ggml_id == ggml_id) return t;
    return -1;
}
