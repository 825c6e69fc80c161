#include "experts/residency.h"

#include <sys/mman.h>
#include <unistd.h>

enum { PAGES_AT_ONCE = 4096 };

/* Resident bytes of [begin, end). Memory of which the kernel won't tell counts as absent. */
static uint64_t resident(uintptr_t begin, uintptr_t end) {
    unsigned char in_core[PAGES_AT_ONCE];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uint64_t sum = 0;
    for (uintptr_t from = begin - begin % page; from < end; from += page * PAGES_AT_ONCE) {
        uintptr_t left = end - from, most = page * PAGES_AT_ONCE, length = left < most ? left : most;
        if (mincore((void *)from, length, in_core) != 0) continue;
        for (uintptr_t i = 0; i * page < length; i++) {
            if (!(in_core[i] & 1)) continue;
            uintptr_t lo = from + i * page, hi = lo + page;
            sum += (hi < end ? hi : end) - (lo > begin ? lo : begin);
        }
    }
    return sum;
}

static uintptr_t begin_of(const sl_matrix *w) { return (uintptr_t)w->data; }
static uintptr_t end_of(const sl_matrix *w) { return (uintptr_t)w->data + w->stride * (size_t)w->rows; }

sl_residency sl_residency_layer(const sl_model *m, int layer) {
    const sl_ffn_weights *experts = m->layer[layer].experts;
    sl_residency r = {0};
    if (!experts) return r;
    for (int part = 0; part < 3; part++) {
        uintptr_t begin = 0, end = 0; /* neighbours in the file are asked for together */
        for (int e = 0; e < m->hp.experts; e++) {
            const sl_matrix *w = part == 0 ? &experts[e].gate : part == 1 ? &experts[e].up : &experts[e].down;
            r.total += end_of(w) - begin_of(w);
            if (begin_of(w) != end) {
                r.resident += resident(begin, end);
                begin = begin_of(w);
            }
            end = end_of(w);
        }
        r.resident += resident(begin, end);
    }
    return r;
}
