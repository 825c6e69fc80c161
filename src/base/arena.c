/* arena.c: small blocks share chunks of CHUNK bytes, a large block has a chunk of its own. Chunks come from calloc, which
 * leaves the pages of large ones untouched until they are used. */
#include "base/arena.h"
#include "base/alloc.h"
#include "base/checked.h"

#include <string.h>

enum { CHUNK = 64 * 1024, ALIGN = 64 };

typedef struct chunk {
    struct chunk *next;
} chunk;

struct sl_arena {
    chunk *chunks;
    char *free; /* in the newest shared chunk; 64-byte aligned */
    size_t left;
    size_t used[SL_MEM_COUNT];
};

sl_arena *sl_arena_new(void) { return sl_calloc(1, sizeof(sl_arena)); }

sl_arena *sl_arena_free(sl_arena *a) {
    if (!a) return NULL;
    for (chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        sl_free(c);
    }
    sl_free(a);
    return NULL;
}

/* A chunk with room for size bytes at a multiple of 64. */
static char *add_chunk(sl_arena *a, size_t size) {
    size_t bytes;
    if (!sl_add(size, sizeof(chunk) + ALIGN, &bytes)) return NULL;
    chunk *c = sl_calloc(1, bytes);
    if (!c) return NULL;
    c->next = a->chunks;
    a->chunks = c;
    size_t start = (size_t)(c + 1);
    return (char *)(c + 1) + (ALIGN - start % ALIGN) % ALIGN;
}

void *sl_arena_alloc(sl_arena *a, sl_mem tag, size_t size) {
    size_t rounded;
    if (!sl_align_up(size ? size : 1, ALIGN, &rounded)) return NULL;
    char *p;
    if (rounded > CHUNK / 4) {
        p = add_chunk(a, rounded);
        if (!p) return NULL;
    } else {
        if (rounded > a->left) {
            char *fresh = add_chunk(a, CHUNK);
            if (!fresh) return NULL;
            a->free = fresh;
            a->left = CHUNK;
        }
        p = a->free;
        a->free += rounded;
        a->left -= rounded;
    }
    a->used[tag] += rounded;
    return p;
}

void *sl_arena_array(sl_arena *a, sl_mem tag, size_t count, size_t size) {
    size_t bytes;
    return sl_mul(count, size, &bytes) ? sl_arena_alloc(a, tag, bytes) : NULL;
}

char *sl_arena_copy(sl_arena *a, sl_mem tag, const char *s, size_t n) {
    size_t bytes;
    char *copy = sl_add(n, 1, &bytes) ? sl_arena_alloc(a, tag, bytes) : NULL;
    if (copy && n) memcpy(copy, s, n);
    return copy;
}

size_t sl_arena_used(const sl_arena *a, sl_mem tag) { return a->used[tag]; }

const char *sl_mem_name(sl_mem tag) {
    static const char *const names[] = {
#define X(name, text) text,
        SL_MEM_MAP(X)
#undef X
    };
    return tag < SL_MEM_COUNT ? names[tag] : "unknown";
}
