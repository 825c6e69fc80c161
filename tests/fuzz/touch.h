/* touch.h: reads a matrix at its ends. */
#ifndef SL_TESTS_FUZZ_TOUCH_H
#define SL_TESTS_FUZZ_TOUCH_H

#include "kernels/types.h"

static inline uint8_t touched(const sl_matrix *m) {
    if (!m->data) return 0;
    const sl_type_info *t = &sl_types[m->type];
    size_t last = (size_t)(m->rows - 1), blocks = (size_t)(m->cols / t->block_values), bytes = (size_t)t->block_bytes;
    const uint8_t *row = m->data + last * m->stride;
    const uint8_t *end = m->across ? row + (blocks - 1) * m->across + bytes : row + blocks * bytes;
    return (uint8_t)(m->data[0] ^ end[-1] ^ (m->apart ? m->apart[last * (m->stride / 16) + blocks - 1] : 0));
}

#endif
