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

void *sl__take(sl__render *r, size_t size) {
    if (size > r->memory || r->taken > r->memory - size) {
        sl__fail(r, SL_TOO_MUCH, "the template needs more than %zu bytes of memory", r->memory);
        return NULL;
    }
    r->taken += size;
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    char *p;
    if (size > CHUNK / 4) {
        p = sl_arena_alloc(r->arena, SL_MEM_REQUEST, size);
    } else {
        if (size > r->left) {
            r->free = sl_arena_alloc(r->arena, SL_MEM_REQUEST, CHUNK);
            r->left = r->free ? CHUNK : 0;
        }
        p = r->free;
        if (p) {
            r->free += size;
            r->left -= size;
        }
    }
    if (!p) sl__fail(r, SL_NOMEM, "out of memory");
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
