/* pool.c: what a rendering may use: memory, steps, nesting; and how it fails. */
#include "template/internal.h"

#include <stdarg.h>
#include <stdio.h>

enum { CHUNK = 32 * 1024, ALIGN = 16, PAUSE_EVERY = 4096 };

bool sl__fail(sl__render *r, sl_status code, const char *fmt, ...) {
    char what[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    sl_fail(r->error, code, "line %d: %s", r->line, what);
    r->final = code == SL_TOO_MUCH || code == SL_NOMEM || code == SL_CANCELLED;
    return false;
}

bool sl__may_take(sl__render *r, size_t size) {
    if (size > r->memory || r->taken > r->memory - size)
        return sl__fail(r, SL_TOO_MUCH, "the template needs more than %zu bytes of memory for these messages", r->memory);
    r->taken += size;
    return true;
}

void *sl__take(sl__render *r, size_t size) {
    if (size > r->memory && !sl__may_take(r, size)) return NULL; /* nor can it be rounded up then */
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    bool own = size > CHUNK / 4;
    if (own || size > r->left) {
        size_t block = own ? size : CHUNK;
        if (!sl__may_take(r, block)) return NULL;
        char *p = sl_arena_alloc(r->arena, SL_MEM_REQUEST, block);
        if (!p) sl__fail(r, SL_NOMEM, "out of memory");
        if (own || !p) return p;
        r->free = p;
        r->left = CHUNK;
    }
    char *p = r->free;
    r->free += size;
    r->left -= size;
    return p;
}

static bool count(sl__render *r, uint64_t steps) {
    if (r->steps < steps) return sl__fail(r, SL_TOO_MUCH, "the template takes too many steps");
    r->steps -= steps;
    if (r->until_pause > steps) {
        r->until_pause -= steps;
        return true;
    }
    r->until_pause = PAUSE_EVERY;
    if (r->in->pause && !r->in->pause(r->in->arg)) return sl__fail(r, SL_CANCELLED, "cancelled");
    return true;
}

bool sl__step(sl__render *r) { return count(r, 1); }

bool sl__charge(sl__render *r, size_t bytes) { return bytes < 64 || count(r, bytes / 64); }

bool sl__enter(sl__render *r) {
    if (r->depth >= r->nesting) return sl__fail(r, SL_TOO_MUCH, "the template nests deeper than %d", r->nesting);
    r->depth++;
    return true;
}
