/* From a program to a table, as in a lexer generator, but with the choice of a backtracking matcher: the first way wins.
 *
 * A state is the list of instructions that a backtracking matcher would still try, in its order. One step, for a class of
 * code points, walks the list: a TAKE whose set has the class adds what follows it to the next state; a LOOK that holds
 * goes on in the same step; MATCH says that what was taken so far is a match, and whatever comes after it in the list is
 * dropped, as the matcher would never come back to it. What came before may still find another match, which then wins.
 * So a single pass over the text, one step a character, finds what backtracking finds.
 *
 * Classes: two code points that are in the same of the program's sets are never told apart. */
#include "text/scanner.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define MOST_CLASSES 254
#define MOST_STATES 4096
#define SLOTS (4 * MOST_STATES) /* of the table of states, by hash */
#define MOST_WORK (1u << 25)    /* instructions looked at while building: a tenth of a second or two; known patterns need less than 1/500 of it */

/* Sets that each class is in, as a mask */
typedef struct partition {
    uint64_t sets[MOST_CLASSES];
    uint32_t count;
} partition;

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void add_bounds(sl_buffer *bounds, const sl__range *r, size_t count) {
    for (size_t i = 0; i < count; i++) {
        sl_buffer_append(bounds, &r[i].lo, sizeof r[i].lo);
        if (r[i].hi + 1 < SL__POINT_END) sl_buffer_append(bounds, &(uint32_t){r[i].hi + 1}, sizeof(uint32_t));
    }
}

/* All code points at which some set may begin or end, ascending, each one once, the first is 0. */
static sl_status collect_bounds(const sl__program *p, sl_buffer *bounds) {
    const sl__set_item *item = (const sl__set_item *)(const void *)p->items.data;
    for (size_t i = 0; i < sl__category_run_count; i++)
        sl_buffer_append(bounds, &(uint32_t){sl__category_runs[i] >> 5}, sizeof(uint32_t));
    add_bounds(bounds, sl__spaces, sl__space_count);
    add_bounds(bounds, sl__han, sl__han_count);
    add_bounds(bounds, sl__words_beyond, sl__words_beyond_count);
    for (size_t i = 0; i < p->items.len / sizeof *item; i++)
        if (item[i].kind == SL__ITEM_RANGE) add_bounds(bounds, &(sl__range){item[i].lo, item[i].hi}, 1);
    if (bounds->failed) return SL_NOMEM;
    uint32_t *b = (uint32_t *)(void *)bounds->data;
    size_t n = 0;
    qsort(b, bounds->len / sizeof *b, sizeof *b, by_value);
    for (size_t i = 0; i < bounds->len / sizeof *b; i++)
        if (!n || b[n - 1] != b[i]) b[n++] = b[i];
    bounds->len = n * sizeof *b;
    return SL_OK;
}

static uint64_t sets_of(const sl__program *p, uint32_t point, sl__category category) {
    uint64_t mask = 0;
    for (size_t s = 0; s < p->sets.len / sizeof(sl__set); s++)
        mask |= (uint64_t)sl__program_has(p, (int)s, point, category) << s;
    return mask;
}

static sl_status classify(sl_arena *a, const sl__program *p, partition *classes, const sl__points **ret) {
    sl_buffer bounds = {0}, value = {0};
    sl_status s = collect_bounds(p, &bounds);
    size_t count = bounds.len / sizeof(uint32_t), run = 0;
    const uint32_t *b = (const uint32_t *)(const void *)bounds.data;
    for (size_t i = 0; i < count && s == SL_OK; i++) {
        while (run + 1 < sl__category_run_count && sl__category_runs[run + 1] >> 5 <= b[i]) run++;
        uint64_t sets = sets_of(p, b[i], (sl__category)(sl__category_runs[run] & 31));
        uint32_t c = 0;
        while (c < classes->count && classes->sets[c] != sets) c++;
        if (c == MOST_CLASSES) s = SL_UNSUPPORTED;
        else if (c == classes->count) classes->sets[classes->count++] = sets;
        sl_buffer_append(&value, &(uint8_t){(uint8_t)c}, 1);
    }
    if (s == SL_OK && value.failed) s = SL_NOMEM;
    if (s == SL_OK && !(*ret = sl__points_make(a, b, (const uint8_t *)value.data, count))) s = SL_NOMEM;
    sl_buffer_done(&bounds);
    sl_buffer_done(&value);
    return s;
}

/* A list of instructions, each one at most once. */
typedef struct list {
    uint16_t at[SL__MOST_INSTRUCTIONS];
    uint32_t count;
    bool matched;                               /* a MATCH is in it: what would come after it is never tried */
    uint32_t seen[SL__MOST_INSTRUCTIONS], turn; /* seen[i] == turn: i was there already */
    uint32_t work;                              /* instructions looked at, ever */
    uint16_t stack[2 * SL__MOST_INSTRUCTIONS];
} list;

typedef struct state {
    uint32_t at, count; /* in lists */
    uint32_t hash;
} state;

typedef struct builder {
    const sl__program *p;
    partition classes;
    list now, after; /* `now` only to see what a step went through */
    sl_buffer lists, states, next;
    uint16_t slots[SLOTS]; /* a state's number + 1, behind its hash; 0: free */
} builder;

static void clear(list *l) {
    l->count = 0;
    l->matched = false;
    l->turn++;
}

static bool first_time(list *l, uint16_t i) {
    l->work++;
    if (l->seen[i] == l->turn) return false;
    l->seen[i] = l->turn;
    return true;
}

/* Adds the instruction, or what it forks to, in order. */
static void add(const sl__instruction *code, list *l, uint16_t i) {
    size_t n = 0;
    l->stack[n++] = i;
    while (n && !l->matched) {
        i = l->stack[--n];
        if (!first_time(l, i)) continue;
        if (code[i].op != SL__FORK) {
            l->at[l->count++] = i;
            l->matched = code[i].op == SL__MATCH;
            continue;
        }
        l->stack[n++] = code[i].other;
        l->stack[n++] = code[i].to;
    }
}

/* The number of the state that b->after is, which is made if there is none. 0 is the empty list. */
static sl_status state_of(builder *b, uint32_t *ret) {
    const list *l = &b->after;
    if (b->now.work + b->after.work > MOST_WORK) return SL_UNSUPPORTED;
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < l->count; i++) hash = (hash ^ l->at[i]) * 16777619u;
    const state *s = (const state *)(const void *)b->states.data;
    uint32_t count = (uint32_t)(b->states.len / sizeof *s), slot = hash % SLOTS;
    for (; b->slots[slot]; slot = (slot + 1) % SLOTS) {
        uint32_t i = b->slots[slot] - 1u;
        if (s[i].hash == hash && s[i].count == l->count &&
            (!l->count || !memcmp(b->lists.data + s[i].at * sizeof *l->at, l->at, l->count * sizeof *l->at))) {
            *ret = i;
            return SL_OK;
        }
    }
    if (count == MOST_STATES) return SL_UNSUPPORTED;
    b->slots[slot] = (uint16_t)(count + 1);
    sl_buffer_append(&b->states, &(state){(uint32_t)(b->lists.len / sizeof *l->at), l->count, hash}, sizeof *s);
    sl_buffer_append(&b->lists, l->at, l->count * sizeof *l->at);
    *ret = count;
    return b->states.failed || b->lists.failed ? SL_NOMEM : SL_OK;
}

/* One step of a state. sets: those that the next code point is in; end: there is none. The next state is in b->after;
 * true: the pattern matches here. */
static bool step(builder *b, const uint16_t *at, uint32_t count, uint64_t sets, bool end) {
    const sl__instruction *code = sl__program_code(b->p);
    list *now = &b->now;
    clear(&b->after);
    clear(now);
    for (uint32_t k = 0; k < count; k++) {
        size_t n = 0;
        now->stack[n++] = at[k];
        while (n) {
            uint16_t i = now->stack[--n];
            const sl__instruction *in = &code[i];
            if (!first_time(now, i)) continue;
            bool has = !end && sets >> in->set & 1;
            switch (in->op) {
            case SL__TAKE:
                if (has) add(code, &b->after, in->to);
                break;
            case SL__LOOK:
                if (end ? in->end : has) now->stack[n++] = in->to;
                break;
            case SL__FORK:
                now->stack[n++] = in->other;
                now->stack[n++] = in->to;
                break;
            case SL__MATCH: return true;
            }
        }
    }
    return false;
}

static sl_status build(builder *b) {
    const uint32_t stride = b->classes.count + 1;
    uint32_t number;
    clear(&b->after);
    sl_status s = state_of(b, &number);
    clear(&b->after);
    add(sl__program_code(b->p), &b->after, 0);
    if (s == SL_OK) s = state_of(b, &number);
    sl_buffer row = {0};
    for (uint32_t i = 0; s == SL_OK && i < b->states.len / sizeof(state); i++) {
        state from = ((const state *)(const void *)b->states.data)[i];
        sl_buffer_clear(&row); /* a copy, as lists grows meanwhile */
        sl_buffer_append(&row, b->lists.data + from.at * sizeof(uint16_t), from.count * sizeof(uint16_t));
        if (row.failed) s = SL_NOMEM;
        for (uint32_t c = 0; c < stride && s == SL_OK; c++) {
            bool end = c == b->classes.count;
            bool found = step(b, (const uint16_t *)(const void *)row.data, from.count, end ? 0 : b->classes.sets[c], end);
            s = state_of(b, &number);
            uint16_t entry = (uint16_t)(number | (found ? SL__FOUND : 0));
            sl_buffer_append(&b->next, &entry, sizeof entry);
        }
        if (s == SL_OK && b->next.failed) s = SL_NOMEM;
    }
    sl_buffer_done(&row);
    return s;
}

sl_status sl__scanner_make(sl_arena *a, const sl__program *p, const sl__scanner **ret) {
    builder *b = sl_realloc(NULL, 1, sizeof *b);
    sl__scanner *s = sl_arena_alloc(a, SL_MEM_VOCABULARY, sizeof *s);
    sl_status status = SL_NOMEM;
    if (!b || !s) goto fail;
    memset(b, 0, sizeof *b);
    b->p = p;
    if ((status = classify(a, p, &b->classes, &s->classes)) != SL_OK) goto fail;
    if ((status = build(b)) != SL_OK) goto fail;
    s->stride = b->classes.count + 1;
    s->states = (uint32_t)(b->states.len / sizeof(state));
    uint16_t *next = sl_arena_alloc(a, SL_MEM_VOCABULARY, b->next.len);
    if (!next) {
        status = SL_NOMEM;
        goto fail;
    }
    memcpy(next, b->next.data, b->next.len);
    s->next = next;
    *ret = s;
fail:
    if (b) {
        sl_buffer_done(&b->lists);
        sl_buffer_done(&b->states);
        sl_buffer_done(&b->next);
    }
    sl_free(b);
    return status;
}
