/* checked.h: arithmetic on sizes that come from files or requests; false means it did not fit.
 * Any thread; all static inline. */
#ifndef SL_BASE_CHECKED_H
#define SL_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool sl_add(size_t a, size_t b, size_t *ret) { return !__builtin_add_overflow(a, b, ret); }
static inline bool sl_mul(size_t a, size_t b, size_t *ret) { return !__builtin_mul_overflow(a, b, ret); }

/* Does [offset, offset + size) lie inside [0, limit)? */
static inline bool sl_within(uint64_t offset, uint64_t size, uint64_t limit) {
    return offset <= limit && size <= limit - offset;
}

/* x rounded up to a multiple of align, which is a power of two. */
static inline bool sl_align_up(size_t x, size_t align, size_t *ret) {
    if (__builtin_add_overflow(x, align - 1, ret)) return false;
    *ret &= ~(align - 1);
    return true;
}

#endif
