/* arena.h: memory of one lifetime (process, model, step, request), freed at once; every block says what it is for.
 * One thread at a time; the owner of the lifetime owns the arena.
 *
 * The tag of a block says what it is for; sl_arena_used tells how much of an arena serves a purpose. Nothing on the hot
 * path allocates. */
#ifndef SL_BASE_ARENA_H
#define SL_BASE_ARENA_H

#include <stddef.h>

#define SL_MEM_MAP(X)                                                                                         \
    X(METADATA, "metadata")   /* headers, tensor tables, hyperparameters, small converted vectors */          \
    X(VOCABULARY, "vocabulary")                                                                               \
    X(KV, "kv pages")                                                                                         \
    X(WORKSPACE, "workspace") /* activations, scratch of the workers */                                       \
    X(SEQUENCES, "sequences")                                                                                 \
    X(REQUEST, "requests")                                                                                    \
    X(METRICS, "metrics")                                                                                     \
    X(OTHER, "other")

typedef enum sl_mem {
#define X(name, text) SL_MEM_##name,
    SL_MEM_MAP(X)
#undef X
        SL_MEM_COUNT
} sl_mem;

typedef struct sl_arena sl_arena;

sl_arena *sl_arena_new(void);                                                  /* NULL: out of memory */
sl_arena *sl_arena_free(sl_arena *a);                                          /* NULL is fine; returns NULL */
void *sl_arena_alloc(sl_arena *a, sl_mem tag, size_t size);                    /* zeroed, 64-byte aligned; NULL: out of memory */
void *sl_arena_array(sl_arena *a, sl_mem tag, size_t count, size_t size);      /* checks count * size */
char *sl_arena_copy(sl_arena *a, sl_mem tag, const char *s, size_t n);         /* n bytes and a NUL */
size_t sl_arena_used(const sl_arena *a, sl_mem tag);                           /* bytes handed out for that purpose */
const char *sl_mem_name(sl_mem tag);

#endif
