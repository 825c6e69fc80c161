#include "kernels/planes.h"

#include "base/checked.h"

/* Where the planes lie in their memory, in bytes; f is at 0. */
typedef struct layout {
    size_t q, scale, sum, total, pairs, end;
} layout;

/* Appends count numbers of `size` bytes at the next multiple of 64. */
static bool append(layout *l, size_t count, size_t size, size_t *ret_at) {
    size_t bytes;
    return sl_align_up(l->end, 64, ret_at) && sl_mul(count, size, &bytes) && sl_add(*ret_at, bytes, &l->end);
}

static bool lay_out(size_t values, layout *l) {
    size_t blocks = values / 32, f;
    l->end = 0;
    return append(l, values, sizeof(float), &f) && append(l, values, sizeof(int8_t), &l->q) &&
           append(l, blocks, sizeof(float), &l->scale) && append(l, blocks, sizeof(int16_t), &l->sum) &&
           append(l, blocks, sizeof(float), &l->total) && append(l, blocks, 4 * sizeof(int16_t), &l->pairs);
}

bool sl_planes_bytes(size_t values, size_t *ret) {
    layout l;
    if (!lay_out(values, &l)) return false;
    *ret = l.end;
    return true;
}

sl_planes sl_planes_in(void *memory, size_t values, int cols) {
    layout l;
    uint8_t *p = memory;
    if (!p || !lay_out(values, &l)) return (sl_planes){.cols = cols};
    return (sl_planes){(float *)(void *)p, (int8_t *)(p + l.q), (float *)(void *)(p + l.scale), (int16_t *)(void *)(p + l.sum),
                       (float *)(void *)(p + l.total), (int16_t *)(void *)(p + l.pairs), cols};
}
