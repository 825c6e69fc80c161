#include "text/scanner.h"

#include <string.h>

#define PAGES (SL__POINT_END >> 8)

uint32_t sl__category_mask(const char *name, size_t len) {
    static const char names[SL__CATEGORIES][3] = {
#define X(name) #name,
        SL__CATEGORY_MAP(X)
#undef X
    };
    uint32_t mask = 0;
    for (size_t i = 0; i < SL__CATEGORIES; i++)
        if ((len == 1 || len == 2) && memcmp(name, names[i], len) == 0) mask |= 1u << i;
    return mask;
}

bool sl__in_ranges(const sl__range *r, size_t count, uint32_t point) {
    size_t lo = 0, hi = count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r[mid].hi < point) lo = mid + 1;
        else hi = mid;
    }
    return lo < count && r[lo].lo <= point;
}

sl__category sl__category_of(uint32_t point) {
    size_t lo = 0, hi = sl__category_run_count; /* the run that it is in is one of [lo, hi) */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (sl__category_runs[mid] >> 5 <= point) lo = mid;
        else hi = mid;
    }
    return (sl__category)(sl__category_runs[lo] & 31);
}

bool sl__is_space(uint32_t point) { return sl__in_ranges(sl__spaces, sl__space_count, point); }

bool sl__is_word(uint32_t point) {
    if (point < 0x100 && sl__category_of(point) == SL__No) return false;
    return point == 0x200C || point == 0x200D || SL__WORD_CATEGORIES >> sl__category_of(point) & 1 ||
           sl__in_ranges(sl__words_beyond, sl__words_beyond_count, point);
}

/* Pages of one value each are shared; of the others there are about 150. */
const sl__points *sl__points_make(sl_arena *a, const uint32_t *start, const uint8_t *value, size_t runs) {
    int16_t plain[256]; /* the page whose bytes all have this value; -1: none yet */
    size_t most = 0, used = 0;
    bool seen[256] = {false};
    for (size_t page = 0, i = 0; page < PAGES; page++) {
        while (i + 1 < runs && start[i + 1] <= page << 8) i++;
        bool whole = i + 1 == runs || start[i + 1] >= (page + 1) << 8;
        if (!whole || !seen[value[i]]) most++;
        if (whole) seen[value[i]] = true;
    }
    sl__points *p = sl_arena_alloc(a, SL_MEM_VOCABULARY, sizeof *p);
    if (!p || !(p->value = sl_arena_array(a, SL_MEM_VOCABULARY, most, 256))) return NULL;
    memset(plain, 0xFF, sizeof plain);
    for (size_t page = 0, i = 0; page < PAGES; page++) {
        while (i + 1 < runs && start[i + 1] <= page << 8) i++;
        bool whole = i + 1 == runs || start[i + 1] >= (page + 1) << 8;
        if (whole && plain[value[i]] >= 0) {
            p->page[page] = (uint16_t)plain[value[i]];
            continue;
        }
        uint8_t *to = p->value + used * 256;
        for (size_t c = page << 8, k = i; c < (page + 1) << 8; c++) {
            while (k + 1 < runs && start[k + 1] <= c) k++;
            *to++ = value[k];
        }
        if (whole) plain[value[i]] = (int16_t)used;
        p->page[page] = (uint16_t)used++;
    }
    return p;
}
