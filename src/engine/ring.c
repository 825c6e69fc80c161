#include "engine/ring.h"

/* Every record begins with its size, rounded up to 8 bytes and the size itself included; size 0 says: go to the start. */
typedef struct head {
    uint64_t size;
} head;

static size_t rounded(size_t n) { return (n + sizeof(head) + 7) & ~(size_t)7; }

static head *at(sl__ring *r, uint64_t position) { return (head *)(void *)(r->data + (position & (r->size - 1))); }

/* Where a record of n bytes would begin, or UINT64_MAX. */
static uint64_t place(sl__ring *r, size_t n) {
    uint64_t w = atomic_load_explicit(&r->written, memory_order_relaxed);
    uint64_t read = atomic_load_explicit(&r->read, memory_order_acquire);
    size_t left = r->size - (w & (r->size - 1));
    uint64_t begin = left >= n ? w : w + left;
    return begin + n - read <= r->size ? begin : UINT64_MAX;
}

void *sl__ring_reserve(sl__ring *r, size_t n) {
    n = rounded(n);
    if (n > r->size) return NULL;
    uint64_t begin = place(r, n);
    return begin == UINT64_MAX ? NULL : at(r, begin) + 1;
}

void sl__ring_commit(sl__ring *r, size_t n) {
    n = rounded(n);
    uint64_t w = atomic_load_explicit(&r->written, memory_order_relaxed), begin = place(r, n);
    if (begin != w) at(r, w)->size = 0; /* there are always 8 bytes left before the end: positions are multiples of 8 */
    at(r, begin)->size = n;
    atomic_store_explicit(&r->written, begin + n, memory_order_release);
}

const void *sl__ring_next(sl__ring *r) {
    atomic_store_explicit(&r->read, r->held, memory_order_release);
    uint64_t w = atomic_load_explicit(&r->written, memory_order_acquire), position = r->held;
    if (position == w) return NULL;
    if (at(r, position)->size == 0) position += r->size - (position & (r->size - 1));
    r->held = position + at(r, position)->size;
    return at(r, position) + 1;
}

size_t sl__ring_size(size_t total, size_t largest) {
    size_t size = 1024, one = rounded(largest), need;
    if (one < largest || __builtin_add_overflow(total, one, &need)) return 0;
    if (need < 2 * one) need = 2 * one;
    while (size < need) {
        if (size > SIZE_MAX / 2) return 0;
        size *= 2;
    }
    return size;
}
