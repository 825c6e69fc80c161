/* scanner.h: what regex.c, automaton.c, scan.c, unicode.c and their users in text/ share.
 * Everything is const after opening, any thread; making it belongs to one thread.
 *
 *   regex.c      reads a splitting pattern: sets of code points and instructions over them
 *   automaton.c  turns them into a table: state, class of the next code point → next state
 *   scan.c       walks a text with it
 *   unicode.c    what a code point is (the tables of unicode_data.c, which Unicode version those have is said there)
 *
 * A pattern that regex.c cannot read is no error here: pretokenize.c gives it to PCRE2. */
#ifndef SL_TEXT_SCANNER_H
#define SL_TEXT_SCANNER_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* unicode.c, unicode_data.c */

#define SL__POINT_END 0x110000u /* code points are below it */

#define SL__CATEGORY_MAP(X)                                                                                              \
    X(Lu) X(Ll) X(Lt) X(Lm) X(Lo) X(Mn) X(Mc) X(Me) X(Nd) X(Nl) X(No) X(Pc) X(Pd) X(Ps) X(Pe) X(Pi) X(Pf) X(Po) X(Sm)    \
    X(Sc) X(Sk) X(So) X(Zs) X(Zl) X(Zp) X(Cc) X(Cf) X(Cs) X(Co) X(Cn)
typedef enum sl__category {
#define X(name) SL__##name,
    SL__CATEGORY_MAP(X)
#undef X
        SL__CATEGORIES
} sl__category;

typedef struct sl__range {
    uint32_t lo, hi; /* both belong to it */
} sl__range;

/* [count] ascending: the first code point of a run << 5 | its category. */
extern const uint32_t sl__category_runs[];
extern const size_t sl__category_run_count;
extern const sl__range sl__spaces[], sl__han[];
extern const sl__range sl__words_beyond[]; /* \w that are no letters, marks, Nd, Nl or Pc */
extern const sl__range sl__unmoved[];      /* what normalising leaves where it is, without looking at its neighbours */
extern const size_t sl__space_count, sl__han_count, sl__words_beyond_count, sl__unmoved_count;

/* The categories that a name of \p{…} stands for, as a mask of 1 << category: "L", "Lu", …; 0: no such name. */
uint32_t sl__category_mask(const char *name, size_t len);
bool sl__in_ranges(const sl__range *r, size_t count, uint32_t point); /* r ascending */
sl__category sl__category_of(uint32_t point);
bool sl__is_space(uint32_t point);
/* A letter of a word as added tokens see it (single_word): \w without ², ³, ¹, ¼, ½ and ¾, which Oniguruma counts in, but
 * with the joiners U+200C and U+200D. */
bool sl__is_word(uint32_t point);
#define SL__WORD_CATEGORIES /* of \w, beside sl__words_beyond */                                                         \
    (1u << SL__Lu | 1u << SL__Ll | 1u << SL__Lt | 1u << SL__Lm | 1u << SL__Lo | 1u << SL__Mn | 1u << SL__Mc |           \
     1u << SL__Me | 1u << SL__Nd | 1u << SL__Nl | 1u << SL__Pc)

/* A byte for every code point, in pages of 256: value[page[c >> 8] << 8 | (c & 255)]. */
typedef struct sl__points {
    uint16_t page[SL__POINT_END >> 8];
    uint8_t *value;
} sl__points;
/* run i goes from start[i] to start[i + 1] (the last to the end) and has the byte value[i]; start[0] is 0. NULL: no memory. */
const sl__points *sl__points_make(sl_arena *a, const uint32_t *start, const uint8_t *value, size_t runs);

static inline uint8_t sl__points_at(const sl__points *p, uint32_t c) { return p->value[(size_t)p->page[c >> 8] << 8 | (c & 255)]; }

/* regex.c: a pattern as a program over one code point at a time, which tries the first way of a FORK before the other */

typedef struct sl__set_item {
    enum { SL__ITEM_RANGE, SL__ITEM_CATEGORIES, SL__ITEM_SPACE, SL__ITEM_WORD, SL__ITEM_HAN, SL__ITEM_SET } kind;
    bool negated;
    uint32_t lo, hi; /* RANGE: both belong to it; CATEGORIES: lo is the mask; SET: lo is the set; WORD: lo is 1 in a class */
} sl__set_item;

/* A code point belongs to the set when it is in some item (in none, if negated) of each part: [a-z&&[^x]] has two. */
typedef struct sl__set {
    uint32_t first, count; /* items */
    int also;              /* the set of the next part; -1: none */
    bool negated;          /* the whole, with all its parts */
} sl__set;

typedef struct sl__instruction {
    enum { SL__TAKE, SL__LOOK, SL__FORK, SL__MATCH } op;
    uint8_t set;    /* TAKE: the next code point must be in it; LOOK: likewise, without taking it */
    bool end;       /* LOOK: the end of the text will do too */
    uint16_t to;    /* where it goes on */
    uint16_t other; /* FORK: the second way */
} sl__instruction;

#define SL__MOST_SETS 64
#define SL__MOST_INSTRUCTIONS 4096

/* Zero-initialise; sl__program_done frees. */
typedef struct sl__program {
    sl_buffer items, sets, code; /* of sl__set_item, sl__set, sl__instruction; it begins at instruction 0 */
} sl__program;
/* SL_OK; SL_UNSUPPORTED: the pattern says something that is not read here, or may match nothing; SL_NOMEM. */
sl_status sl__program_read(sl__program *p, const char *pattern, size_t len);
void sl__program_done(sl__program *p);
static inline const sl__set *sl__program_sets(const sl__program *p) { return (const sl__set *)(const void *)p->sets.data; }
static inline const sl__instruction *sl__program_code(const sl__program *p) {
    return (const sl__instruction *)(const void *)p->code.data;
}
bool sl__program_has(const sl__program *p, int set, uint32_t point, sl__category category);

/* automaton.c */

#define SL__FOUND 0x8000u /* in a step: the pattern matches what was taken so far */

/* next[state * stride + class] is the next state, 0: no way on; the class of the text's end is stride - 1. */
typedef struct sl__scanner {
    const sl__points *classes;
    const uint16_t *next;
    uint32_t stride, states;
} sl__scanner;
/* SL_OK; SL_UNSUPPORTED: the automaton would be too large; SL_NOMEM. */
sl_status sl__scanner_make(sl_arena *a, const sl__program *p, const sl__scanner **ret);

/* scan.c */

/* What a search learned about the text that later searches in it need not read again: in that state, from any place of
 * [from, to], nothing is found. Zero-initialise for each text. */
typedef struct sl__dead_end {
    uint32_t state;
    size_t from, to;
} sl__dead_end;
/* The first match in text[at … len), which is well-formed UTF-8; false: none. */
bool sl__scanner_find(const sl__scanner *s, const char *text, size_t len, size_t at, sl__dead_end *dead, size_t *ret_start,
                      size_t *ret_stop);

#endif
