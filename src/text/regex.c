/* Reads the part of Oniguruma's language (Ruby's syntax) that splitting patterns use:
 *
 *   a|b  (…)  (?:…)  (?i:…)  (?=X)  (?!X)  $  x? x* x+ x{n} x{n,} x{n,m}  X?+ X*+ X++
 *   sets X: any character, \- and its like, \r \n \t, ., [a-z], [^…], [[…]…], […&&…], \s \S \d \D \w \W, \p{L} \P{Lu}
 *   \p{^Nd} \p{Han}
 *
 * The rest is SL_UNSUPPORTED: PCRE2 has a try at it. What looks as elsewhere and is not: {n,m}+ is no possessive repetition
 * in Ruby's syntax, and $ is also the place before any line feed.
 *
 * Two steps: descent into a tree (bounded in depth), the tree into instructions. Possessive repetitions are of sets only,
 * where X++ is X+(?!X). */
#include "text/scanner.h"

#include "base/utf8.h"

#include <string.h>

#define DEEPEST 12
#define LONGEST_REPEAT 1024
#define NO_LIMIT (-1)

typedef struct node {
    enum { EMPTY, SET, LOOK, CHAIN, CHOICE, REPEAT } kind;
    int set;           /* SET, LOOK */
    bool end;          /* LOOK: the end of the text will do too */
    int child, sibling; /* CHAIN, CHOICE, REPEAT: the first part; the next part of the parent; -1: none */
    int least, most;   /* REPEAT; most: NO_LIMIT */
} node;

typedef struct reader {
    sl__program *p;
    const char *at, *end;
    sl_buffer nodes;
    sl_buffer pending; /* items of the sets that are being read, the inner one's last */
    int depth;
    bool fold;       /* inside (?i:…) */
    char before;     /* the letter just read under (?i:…), lower case; 0: none */
    sl_status failed;
} reader;

static int fail(reader *r, sl_status s) {
    if (r->failed == SL_OK) r->failed = s;
    return -1;
}

static int unsupported(reader *r) { return fail(r, SL_UNSUPPORTED); }

static node *node_at(const reader *r, int n) { return (node *)(void *)r->nodes.data + n; }

static int new_node(reader *r, node n) {
    n.sibling = -1;
    size_t count = r->nodes.len / sizeof n;
    if (count >= SL__MOST_INSTRUCTIONS) return unsupported(r);
    sl_buffer_append(&r->nodes, &n, sizeof n);
    return r->nodes.failed ? fail(r, SL_NOMEM) : (int)count;
}

/* Sets */

static const sl__set_item *item_at(const sl__program *p, size_t i) { return (const sl__set_item *)(const void *)p->items.data + i; }
static size_t pending(const reader *r) { return r->pending.len / sizeof(sl__set_item); }

static void add_item(reader *r, sl__set_item item) {
    sl_buffer_append(&r->pending, &item, sizeof item);
    if (r->pending.failed) fail(r, SL_NOMEM);
}

static void add_range(reader *r, uint32_t lo, uint32_t hi) { add_item(r, (sl__set_item){.kind = SL__ITEM_RANGE, .lo = lo, .hi = hi}); }

static bool same_item(const sl__set_item *a, const sl__set_item *b) {
    return a->kind == b->kind && a->negated == b->negated && a->lo == b->lo && a->hi == b->hi;
}

/* Makes a set of the pending items from `first` on; an equal one that is there already is used again. */
static int close_set(reader *r, size_t first, bool negated, int also) {
    if (r->failed != SL_OK) return -1;
    const sl__set_item *own = (const sl__set_item *)(const void *)r->pending.data + first;
    size_t sets = r->p->sets.len / sizeof(sl__set);
    sl__set set = {.first = (uint32_t)(r->p->items.len / sizeof *own), .count = (uint32_t)(pending(r) - first), .also = also,
                   .negated = negated};
    r->pending.len = first * sizeof *own;
    for (size_t i = 0; i < sets; i++) {
        const sl__set *old = &sl__program_sets(r->p)[i];
        bool same = old->count == set.count && old->also == also && old->negated == negated;
        for (size_t k = 0; same && k < set.count; k++) same = same_item(item_at(r->p, old->first + k), own + k);
        if (same) return (int)i;
    }
    if (sets == SL__MOST_SETS) return unsupported(r);
    sl_buffer_append(&r->p->items, own, set.count * sizeof *own);
    sl_buffer_append(&r->p->sets, &set, sizeof set);
    return r->p->items.failed || r->p->sets.failed ? fail(r, SL_NOMEM) : (int)sets;
}

static bool item_has(const sl__program *p, const sl__set_item *item, uint32_t point, sl__category category) {
    bool in = false;
    switch (item->kind) {
    case SL__ITEM_RANGE: in = item->lo <= point && point <= item->hi; break;
    case SL__ITEM_CATEGORIES: in = item->lo >> category & 1; break;
    case SL__ITEM_SPACE: in = sl__is_space(point); break;
    case SL__ITEM_WORD:
        in = SL__WORD_CATEGORIES >> category & 1 || sl__in_ranges(sl__words_beyond, sl__words_beyond_count, point);
        if (item->lo && point < 0x100 && category == SL__No) in = false;
        break;
    case SL__ITEM_HAN: in = sl__in_ranges(sl__han, sl__han_count, point); break;
    case SL__ITEM_SET: in = sl__program_has(p, (int)item->lo, point, category); break;
    }
    return in != item->negated;
}

bool sl__program_has(const sl__program *p, int set, uint32_t point, sl__category category) {
    bool negated = sl__program_sets(p)[set].negated;
    for (int part = set; part >= 0; part = sl__program_sets(p)[part].also) {
        const sl__set *s = &sl__program_sets(p)[part];
        bool in = false;
        for (uint32_t i = 0; !in && i < s->count; i++) in = item_has(p, item_at(p, s->first + i), point, category);
        if (!in) return negated;
    }
    return !negated;
}

/* A letter or sign that stands for itself; without regard to case ASCII letters stand for their other case too, and for
 * ſ and the Kelvin sign. Two letters that some character stands for as one (ß, ﬁ) are not read. */
static void add_literal(reader *r, uint32_t c) {
    char letter = (char)(c < 0x80 ? c | 0x20 : 0), before = r->before;
    r->before = 0;
    if (!r->fold) {
        add_range(r, c, c);
        return;
    }
    if (c >= 0x80) unsupported(r);
    if (letter < 'a' || letter > 'z') {
        add_range(r, c, c);
        return;
    }
    if ((before == 's' && (letter == 's' || letter == 't')) || (before == 'f' && strchr("fil", letter))) unsupported(r);
    r->before = letter;
    add_range(r, (uint32_t)letter - 0x20, (uint32_t)letter - 0x20);
    add_range(r, (uint32_t)letter, (uint32_t)letter);
    if (letter == 's') add_range(r, 0x17F, 0x17F);
    if (letter == 'k') add_range(r, 0x212A, 0x212A);
}

static uint32_t take_point(reader *r) {
    uint32_t c = sl_utf8_point(r->at);
    int step;
    sl_utf8_next(r->at, (size_t)(r->end - r->at), &step);
    r->at += step;
    return c;
}

static bool looking_at(const reader *r, const char *text) {
    size_t n = strlen(text);
    return (size_t)(r->end - r->at) >= n && memcmp(r->at, text, n) == 0;
}

static bool take(reader *r, const char *text) {
    bool there = looking_at(r, text);
    if (there) r->at += strlen(text);
    return there;
}

/* {L} or {^Lu} after \p */
static void read_property(reader *r, bool negated) {
    const char *stop = take(r, "{") ? memchr(r->at, '}', (size_t)(r->end - r->at)) : NULL;
    if (!stop) {
        unsupported(r);
        return;
    }
    if (take(r, "^")) negated = !negated;
    size_t len = (size_t)(stop - r->at);
    uint32_t mask = sl__category_mask(r->at, len);
    if (mask) add_item(r, (sl__set_item){.kind = SL__ITEM_CATEGORIES, .negated = negated, .lo = mask});
    else if (len == 3 && memcmp(r->at, "Han", 3) == 0) add_item(r, (sl__set_item){.kind = SL__ITEM_HAN, .negated = negated});
    else unsupported(r);
    r->at = stop + 1;
}

/* After a backslash. Gives the character that it stands for, or -1 when it is a set, which is added. Oniguruma takes ² ³ ¹ ¼
 * ½ ¾ for word characters where \w stands alone and not where it stands in a class. */
static int64_t read_escape(reader *r, bool in_class) {
    if (r->at == r->end) return unsupported(r);
    uint32_t c = take_point(r);
    switch (c) {
    case 'r': return '\r';
    case 'n': return '\n';
    case 't': return '\t';
    case 's': case 'S': add_item(r, (sl__set_item){.kind = SL__ITEM_SPACE, .negated = c == 'S'}); return -1;
    case 'd': case 'D':
        add_item(r, (sl__set_item){.kind = SL__ITEM_CATEGORIES, .negated = c == 'D', .lo = 1u << SL__Nd});
        return -1;
    case 'w': case 'W': add_item(r, (sl__set_item){.kind = SL__ITEM_WORD, .negated = c == 'W', .lo = in_class}); return -1;
    case 'p': case 'P': read_property(r, c == 'P'); return -1;
    default:
        if (c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) return unsupported(r);
        return c;
    }
}

static int read_class(reader *r);

/* One character, range, set or class of a class. */
static void read_member(reader *r, bool first) {
    int64_t lo, hi;
    if (looking_at(r, "[")) {
        int set = looking_at(r, "[:") ? unsupported(r) : read_class(r);
        if (set >= 0) add_item(r, (sl__set_item){.kind = SL__ITEM_SET, .lo = (uint32_t)set});
        return;
    }
    bool dash = looking_at(r, "-");
    lo = take(r, "\\") ? read_escape(r, true) : (int64_t)take_point(r);
    bool range = looking_at(r, "-") && !looking_at(r, "-]");
    if (dash && !first && !looking_at(r, "]")) unsupported(r); /* [a-c-e], [\s-x] */
    if (lo < 0) {
        if (range) unsupported(r);
        return;
    }
    if (!range) {
        r->before = 0;
        add_literal(r, (uint32_t)lo);
        return;
    }
    r->at++;
    if (r->at == r->end || looking_at(r, "[") || r->fold) {
        unsupported(r);
        return;
    }
    hi = take(r, "\\") ? read_escape(r, true) : (int64_t)take_point(r);
    if (hi < lo) unsupported(r);
    else add_range(r, (uint32_t)lo, (uint32_t)hi);
}

/* The parts of a class up to its ]: sets between && that all must hold, each one chained to the next. */
static int read_parts(reader *r, bool negated) {
    size_t first = pending(r);
    int also = -1;
    if (++r->depth > DEEPEST) return unsupported(r);
    for (bool start = true; r->failed == SL_OK && !looking_at(r, "]") && !looking_at(r, "&&"); start = false) {
        if (r->at == r->end) return unsupported(r);
        read_member(r, start);
    }
    if (pending(r) == first) return unsupported(r); /* [], [a&&] */
    if (take(r, "&&") && (also = read_parts(r, false)) < 0) return -1;
    r->depth--;
    return close_set(r, first, negated, also);
}

static int read_class(reader *r) {
    r->at++; /* [ */
    bool negated = take(r, "^");
    int set = read_parts(r, negated);
    if (set >= 0 && !take(r, "]")) return unsupported(r);
    return set;
}

/* The tree */

static int read_choice(reader *r);

/* A set outside of a class: one, an escape, . or a literal. */
static int read_set(reader *r) {
    size_t first = pending(r);
    if (looking_at(r, "[")) return read_class(r);
    if (take(r, ".")) {
        add_range(r, '\n', '\n');
        return close_set(r, first, true, -1);
    }
    int64_t c = take(r, "\\") ? read_escape(r, false) : (int64_t)take_point(r);
    if (c >= 0) add_literal(r, (uint32_t)c);
    return close_set(r, first, false, -1);
}

/* (?=X) and (?!X), after the bracket and its mark. (?!X) is: the end, or something that is not in X. */
static int read_look(reader *r, bool negated) {
    size_t first = pending(r);
    if (r->at == r->end || strchr("()|*+?{}^$", *r->at)) return unsupported(r);
    int set = read_set(r);
    if (negated && set >= 0) {
        add_item(r, (sl__set_item){.kind = SL__ITEM_SET, .lo = (uint32_t)set});
        set = close_set(r, first, true, -1);
    }
    if (set < 0 || !take(r, ")")) return unsupported(r);
    return new_node(r, (node){.kind = LOOK, .set = set, .end = negated, .child = -1});
}

static int read_group(reader *r) {
    bool fold = r->fold;
    if (take(r, "?=")) return read_look(r, false);
    if (take(r, "?!")) return read_look(r, true);
    if (take(r, "?i:")) r->fold = true;
    else if (!take(r, "?:") && looking_at(r, "?")) return unsupported(r);
    int inside = read_choice(r);
    r->fold = fold;
    if (inside >= 0 && !take(r, ")")) return unsupported(r);
    return inside;
}

static int read_atom(reader *r) {
    if (take(r, "(")) return read_group(r);
    if (take(r, "$")) {
        size_t first = pending(r);
        add_range(r, '\n', '\n');
        int set = close_set(r, first, false, -1);
        return set < 0 ? -1 : new_node(r, (node){.kind = LOOK, .set = set, .end = true, .child = -1});
    }
    if (strchr("*+?{}^", *r->at)) return unsupported(r);
    int set = read_set(r);
    return set < 0 ? -1 : new_node(r, (node){.kind = SET, .set = set, .child = -1});
}

/* {n}, {n,} or {n,m}; false: something else stands here. */
static bool read_number(reader *r, int *ret) {
    const char *start = r->at;
    int n = 0;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9' && n <= LONGEST_REPEAT) n = n * 10 + (*r->at++ - '0');
    *ret = n;
    return r->at > start && n <= LONGEST_REPEAT;
}

static bool read_braces(reader *r, int *ret_least, int *ret_most) {
    if (!read_number(r, ret_least)) return false;
    *ret_most = *ret_least;
    if (take(r, ",") && !looking_at(r, "}") && !read_number(r, ret_most)) return false;
    if (r->at[-1] == ',') *ret_most = NO_LIMIT;
    return take(r, "}") && *ret_most && (*ret_most == NO_LIMIT || *ret_least <= *ret_most);
}

/* X++ is X+(?!X): after the repetition stands a look that X does not go on. X?+ is X or, where X is not, nothing. */
static int possessive(reader *r, int repeat, int set) {
    size_t first = pending(r);
    add_item(r, (sl__set_item){.kind = SL__ITEM_SET, .lo = (uint32_t)set});
    int other = close_set(r, first, true, -1);
    int look = other < 0 ? -1 : new_node(r, (node){.kind = LOOK, .set = other, .end = true, .child = -1});
    if (look < 0) return -1;
    bool once = node_at(r, repeat)->most == 1;
    int head = once ? node_at(r, repeat)->child : repeat;
    node_at(r, head)->sibling = look;
    return new_node(r, (node){.kind = once ? CHOICE : CHAIN, .child = head});
}

static int read_repeated(reader *r) {
    int atom = read_atom(r), least = 1, most = 1;
    if (atom < 0 || r->at == r->end || !strchr("?*+{", *r->at)) return atom;
    char sign = *r->at++;
    if (sign == '{' ? !read_braces(r, &least, &most) : false) return unsupported(r);
    if (sign != '{') {
        least = sign == '+';
        most = sign == '?' ? 1 : NO_LIMIT;
    }
    bool is_set = node_at(r, atom)->kind == SET;
    int set = node_at(r, atom)->set;
    int repeat = new_node(r, (node){.kind = REPEAT, .child = atom, .least = least, .most = most});
    bool own = sign != '{' && take(r, "+");
    if (r->at < r->end && strchr("?*+{", *r->at)) return unsupported(r); /* lazy, or repeated again */
    if (repeat < 0 || (own && !is_set)) return unsupported(r);
    return own ? possessive(r, repeat, set) : repeat;
}

static int read_chain(reader *r) {
    int head = -1, tail = -1;
    r->before = 0;
    while (r->failed == SL_OK && r->at < r->end && !looking_at(r, "|") && !looking_at(r, ")")) {
        int next = read_repeated(r);
        if (next < 0) return unsupported(r);
        if (tail < 0) head = next;
        else node_at(r, tail)->sibling = next;
        tail = next;
    }
    if (head < 0) return new_node(r, (node){.kind = EMPTY, .child = -1});
    return new_node(r, (node){.kind = CHAIN, .child = head});
}

static int read_choice(reader *r) {
    if (++r->depth > DEEPEST) return unsupported(r);
    int head = read_chain(r), tail = head;
    while (tail >= 0 && take(r, "|")) {
        int next = read_chain(r);
        if (next < 0) return -1;
        node_at(r, tail)->sibling = next;
        tail = next;
    }
    r->depth--;
    if (tail < 0) return -1;
    return head == tail ? head : new_node(r, (node){.kind = CHOICE, .child = head});
}

/* Whether the part may match nothing. */
static bool empty(const reader *r, int n) {
    const node *at = node_at(r, n);
    bool all = at->kind != SET, some = false;
    if (at->kind == EMPTY || at->kind == LOOK) return true;
    if (at->kind == REPEAT) return at->least == 0 || empty(r, at->child);
    for (int c = at->child; c >= 0; c = node_at(r, c)->sibling) {
        bool e = empty(r, c);
        all = all && e;
        some = some || e;
    }
    return at->kind == CHOICE ? some : all;
}

/* Instructions */

static sl__instruction *code_at(reader *r, int i) { return (sl__instruction *)(void *)r->p->code.data + i; }
static int code_count(const reader *r) { return (int)(r->p->code.len / sizeof(sl__instruction)); }

/* An instruction that goes on to the one after it. */
static int emit(reader *r, sl__instruction in) {
    int at = code_count(r);
    if (at == SL__MOST_INSTRUCTIONS) return unsupported(r);
    in.to = (uint16_t)(at + 1);
    sl_buffer_append(&r->p->code, &in, sizeof in);
    return r->p->code.failed ? fail(r, SL_NOMEM) : at;
}

static void compile(reader *r, int n);

/* FORK a, b; a …; FORK end; b: … (a FORK with one way only is a jump) */
static void compile_choice(reader *r, int child) {
    int jump = -1; /* the last way's jump to the end; those before are chained by `other` until then */
    for (; child >= 0 && r->failed == SL_OK; child = node_at(r, child)->sibling) {
        bool last = node_at(r, child)->sibling < 0;
        int fork = last ? -1 : emit(r, (sl__instruction){.op = SL__FORK});
        compile(r, child);
        if (last || r->failed != SL_OK) break;
        int leave = emit(r, (sl__instruction){.op = SL__FORK, .other = (uint16_t)(jump + 1)});
        if (leave < 0) return;
        jump = leave;
        code_at(r, fork)->other = (uint16_t)code_count(r);
    }
    while (jump >= 0 && r->failed == SL_OK) {
        int next = (int)code_at(r, jump)->other - 1;
        code_at(r, jump)->to = code_at(r, jump)->other = (uint16_t)code_count(r);
        jump = next;
    }
}

static void compile_repeat(reader *r, const node *n) {
    for (int i = 0; i < n->least && r->failed == SL_OK; i++) compile(r, n->child);
    if (n->most == NO_LIMIT) { /* loop: FORK a, end; a: …; back to loop; end: */
        int loop = emit(r, (sl__instruction){.op = SL__FORK});
        compile(r, n->child);
        int back = emit(r, (sl__instruction){.op = SL__FORK});
        if (loop < 0 || back < 0) return;
        code_at(r, back)->to = code_at(r, back)->other = (uint16_t)loop;
        code_at(r, loop)->other = (uint16_t)code_count(r);
        return;
    }
    int forks = 0, step = 0; /* each FORK's second way is the end; they stand `step` instructions apart */
    for (int i = n->least; i < n->most && r->failed == SL_OK; i++, forks++) {
        int fork = emit(r, (sl__instruction){.op = SL__FORK});
        compile(r, n->child);
        step = code_count(r) - fork;
    }
    for (int i = 1; i <= forks && r->failed == SL_OK; i++) code_at(r, code_count(r) - i * step)->other = (uint16_t)code_count(r);
}

static void compile(reader *r, int n) {
    node at = *node_at(r, n);
    switch (at.kind) {
    case EMPTY: break;
    case SET: emit(r, (sl__instruction){.op = SL__TAKE, .set = (uint8_t)at.set}); break;
    case LOOK: emit(r, (sl__instruction){.op = SL__LOOK, .set = (uint8_t)at.set, .end = at.end}); break;
    case CHAIN:
        for (int c = at.child; c >= 0 && r->failed == SL_OK; c = node_at(r, c)->sibling) compile(r, c);
        break;
    case CHOICE: compile_choice(r, at.child); break;
    case REPEAT:
        if (at.most == NO_LIMIT && empty(r, at.child)) unsupported(r); /* (a*)*: dialects differ */
        else compile_repeat(r, &at);
        break;
    }
}

sl_status sl__program_read(sl__program *p, const char *pattern, size_t len) {
    reader r = {.p = p, .at = pattern, .end = pattern + len};
    if (sl_utf8_prefix(pattern, len) < len || memchr(pattern, 0, len)) return SL_UNSUPPORTED;
    int root = read_choice(&r);
    if (root >= 0 && (r.at < r.end || empty(&r, root))) unsupported(&r);
    if (r.failed == SL_OK) compile(&r, root);
    if (r.failed == SL_OK) emit(&r, (sl__instruction){.op = SL__MATCH});
    sl_buffer_done(&r.nodes);
    sl_buffer_done(&r.pending);
    return r.failed;
}

void sl__program_done(sl__program *p) {
    sl_buffer_done(&p->items);
    sl_buffer_done(&p->sets);
    sl_buffer_done(&p->code);
}
