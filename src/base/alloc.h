/* alloc.h: the one way to the heap, so that every allocation can be made to fail in a test.
 * Any thread. */
#ifndef SL_BASE_ALLOC_H
#define SL_BASE_ALLOC_H

#include <stddef.h>

void *sl_malloc(size_t size);
void *sl_calloc(size_t count, size_t size);             /* zeroed; checks count * size */
void *sl_realloc(void *p, size_t count, size_t size);   /* checks count * size */
void *sl_aligned(size_t align, size_t size);            /* uninitialised, freed with sl_free; align a power of two */
char *sl_strdup(const char *s);
char *sl_strndup(const char *s, size_t n);              /* copies exactly n bytes and ends them with a NUL */
void sl_free(void *p);                                  /* NULL is fine */

/* For a program that must never wait for its heap: large blocks become mappings of their own, which grow without being copied and
 * are given back alone. By itself the C library stops doing so after the first large block was freed: then blocks of megabytes
 * are copied as they grow, and one free may give back all that lay free beside it, which takes milliseconds. Call it once,
 * before there are threads. */
void sl_alloc_steady(void);

/* Tests: the n-th allocation from now on (1 = the next), in any thread, returns NULL; 0 switches it off.
 * Returns the number of allocations made since the last call. */
long sl_alloc_fail_at(long n);

#endif
