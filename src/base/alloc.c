/* alloc.c: every way to the heap asks must_fail() first, so that a test can make any one allocation fail. */
#include "base/alloc.h"
#include "base/checked.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_long made;      /* allocations since the last sl_alloc_fail_at */
static atomic_long countdown; /* the allocation that takes it from 1 to 0 fails; 0 or less: none */

static bool must_fail(void) {
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    if (atomic_load_explicit(&countdown, memory_order_relaxed) <= 0) return false;
    return atomic_fetch_sub_explicit(&countdown, 1, memory_order_relaxed) == 1;
}

void *sl_malloc(size_t size) { return must_fail() ? NULL : malloc(size ? size : 1); }

void *sl_calloc(size_t count, size_t size) {
    size_t bytes;
    if (must_fail() || !sl_mul(count, size, &bytes)) return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *sl_realloc(void *p, size_t count, size_t size) {
    size_t bytes;
    if (must_fail() || !sl_mul(count, size, &bytes)) return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void *sl_aligned(size_t align, size_t size) {
    void *p;
    if (align < sizeof(void *)) align = sizeof(void *);
    if (must_fail() || posix_memalign(&p, align, size ? size : 1)) return NULL;
    return p;
}

char *sl_strndup(const char *s, size_t n) {
    size_t size;
    char *copy = sl_add(n, 1, &size) ? sl_malloc(size) : NULL;
    if (!copy) return NULL;
    if (n) memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

char *sl_strdup(const char *s) { return sl_strndup(s, strlen(s)); }

void sl_free(void *p) { free(p); }

void sl_alloc_steady(void) {
    mallopt(M_MMAP_THRESHOLD, 256 << 10); /* setting it also keeps it where it is */
    mallopt(M_TRIM_THRESHOLD, 1 << 20);   /* what lies free at the heap's end: about a quarter of a millisecond to give back */
}

long sl_alloc_fail_at(long n) {
    atomic_store(&countdown, n);
    return atomic_exchange(&made, 0);
}
