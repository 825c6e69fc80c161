/* Merging: of all neighbouring pairs that are a token together, the one with the lowest rank is joined first (of equal
 * ranks the leftmost), until none is left.
 *
 * The symbols are a doubly linked list in an array: a symbol knows the rank of the pair that it makes with its right
 * neighbour, and joining two changes at most two pairs. Short words look for the lowest rank by walking the list. Long
 * ones keep the candidates in a heap of (rank, position); a candidate is stale when the symbol's rank is another by then
 * (a joined symbol has none). Each join adds at most two candidates, so a word of n symbols costs O(n log n) whatever it
 * spells: a megabyte of one letter takes a fraction of a second. */
#include "text/internal.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <string.h>

#define SHORT_WORD 24 /* symbols; walking is faster up to about here */

static sl__pair *pair_find(const sl__merges *m, uint64_t ids) {
    uint32_t i = (uint32_t)sl_hash_number(ids) & m->mask;
    while (m->slots[i].ids != SL__NO_PAIR && m->slots[i].ids != ids) i = (i + 1) & m->mask;
    return &m->slots[i];
}

static uint64_t pair_of(int32_t left, int32_t right) { return (uint64_t)(uint32_t)left << 32 | (uint32_t)right; }

sl_status sl__merges_make(sl_arena *a, sl__merges *m, int count, sl_error *e) {
    uint32_t slots = 16;
    while (slots / 3 * 2 < (uint32_t)count) slots *= 2;
    m->slots = sl_arena_array(a, SL_MEM_VOCABULARY, slots, sizeof *m->slots);
    if (!m->slots) return sl_fail(e, SL_NOMEM, "no memory for %d merges", count);
    m->mask = slots - 1;
    memset(m->slots, 0xFF, slots * sizeof *m->slots);
    return SL_OK;
}

void sl__merges_add(sl__merges *m, int left, int right, uint32_t rank, int merged) {
    uint64_t ids = pair_of(left, right);
    *pair_find(m, ids) = (sl__pair){.ids = ids, .rank = rank, .merged = merged};
}

/* Looks up the pair that begins at symbol i. */
static void look_up(const sl_tokenizer *t, const char *word, sl__symbol *s, int32_t i) {
    sl__symbol *left = &s[i];
    left->rank = SL__NO_RANK;
    if (left->next < 0) return;
    const sl__symbol *right = &s[left->next];
    if (t->kind == SL__SCORES) {
        int id = sl__vocabulary_find(&t->vocabulary, word + left->at, left->len + right->len);
        if (id < 0) return;
        left->rank = t->order[id];
        left->merged = id;
    } else {
        const sl__pair *pair = pair_find(&t->merges, pair_of(left->id, right->id));
        if (pair->ids == SL__NO_PAIR) return;
        left->rank = pair->rank;
        left->merged = pair->merged;
    }
}

/* Joins symbol i with its right neighbour. */
static void join(const sl_tokenizer *t, const char *word, sl__symbol *s, int32_t i) {
    sl__symbol *left = &s[i], *right = &s[left->next];
    left->id = left->merged;
    left->len += right->len;
    left->next = right->next;
    right->rank = SL__NO_RANK;
    if (left->next >= 0) s[left->next].prev = i;
    look_up(t, word, s, i);
    if (left->prev >= 0) look_up(t, word, s, left->prev);
}

static void merge_short(const sl_tokenizer *t, const char *word, sl__symbol *s) {
    for (;;) {
        int32_t best = -1;
        uint32_t rank = SL__NO_RANK;
        for (int32_t i = 0; i >= 0; i = s[i].next) {
            if (s[i].rank >= rank) continue;
            rank = s[i].rank;
            best = i;
        }
        if (best < 0) return;
        join(t, word, s, best);
    }
}

/* A heap with four children a node: half the depth, and the children lie in one cache line. */
static void sift_down(uint64_t *heap, size_t n, size_t i) {
    uint64_t x = heap[i];
    for (;;) {
        size_t first = 4 * i + 1, least = first;
        if (first >= n) break;
        size_t end = first + 4 < n ? first + 4 : n;
        for (size_t c = first + 1; c < end; c++)
            if (heap[c] < heap[least]) least = c;
        if (heap[least] >= x) break;
        heap[i] = heap[least];
        i = least;
    }
    heap[i] = x;
}

static void push(uint64_t *heap, size_t *n, uint64_t x) {
    size_t i = (*n)++;
    while (i && heap[(i - 1) / 4] > x) {
        heap[i] = heap[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    heap[i] = x;
}

static void merge_long(const sl_tokenizer *t, const char *word, sl__symbol *s, size_t symbols, uint64_t *heap) {
    size_t n = 0;
    for (size_t i = 0; i < symbols; i++)
        if (s[i].rank != SL__NO_RANK) heap[n++] = (uint64_t)s[i].rank << 32 | i;
    for (size_t i = n / 4 + 1; i-- > 0;)
        if (i < n) sift_down(heap, n, i);
    while (n) {
        uint64_t top = heap[0];
        heap[0] = heap[--n];
        if (n) sift_down(heap, n, 0);
        int32_t i = (int32_t)(uint32_t)top;
        if (s[i].rank != (uint32_t)(top >> 32)) continue;
        join(t, word, s, i);
        if (s[i].rank != SL__NO_RANK) push(heap, &n, (uint64_t)s[i].rank << 32 | (uint32_t)i);
        int32_t prev = s[i].prev;
        if (prev >= 0 && s[prev].rank != SL__NO_RANK) push(heap, &n, (uint64_t)s[prev].rank << 32 | (uint32_t)prev);
    }
}

sl_status sl__merge(sl__encoder *en, const char *word, size_t n) {
    sl__symbol *s = en->symbols;
    for (size_t i = 0; i < n; i++) {
        s[i].prev = (int32_t)i - 1;
        s[i].next = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; i < n; i++) look_up(en->t, word, s, (int32_t)i);
    if (n <= SHORT_WORD) {
        merge_short(en->t, word, s);
        return SL_OK;
    }
    /* At most n - 1 candidates at first; each of at most n - 1 joins takes one out and puts two in. */
    if (en->heap_cap < 2 * n) {
        sl_free(en->heap);
        en->heap_cap = 0;
        en->heap = sl_malloc(2 * n * sizeof *en->heap);
        if (!en->heap) return sl_fail(en->e, SL_NOMEM, "no memory to tokenise a word of %zu symbols", n);
        en->heap_cap = 2 * n;
    }
    merge_long(en->t, word, s, n, en->heap);
    return SL_OK;
}
