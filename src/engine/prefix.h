/* prefix.h: finds KV pages by the tokens that they hold.
 * Engine thread. It knows no holders: pages.c says what is known, and forgets it here before a page gets other contents.
 *
 * The known pages are a tree. A page hangs below the page with the SL_PAGE positions before its own; the first page of a
 * sequence hangs below the root of its salt. It is looked up below a page, by its tokens; so whoever walks down from a root
 * has compared every token of the prefix, one page at a time, and the pages found stand at the positions where they were
 * computed. Requests with different salts have different roots, and nothing in common.
 *
 *     root ── [The sun is …] ── [… warm, and] ── [the sea …]     a conversation of three pages
 *                                            └── [the moon …]    another one that goes on otherwise after 64 tokens
 *
 * Invariants
 *   1. Pages below the same page (or root) hold different tokens.
 *   2. A page is removed only when none hangs below it.
 *   3. The hash says where in the table a page is looked for, no more: a page is found if its tokens are the same. It is keyed
 *      by a secret of the process (base/hash.h), so that nobody can write prompts whose pages collide. Salts are compared as
 *      64-bit hashes of the same kind: two of them meet once in 2^64 pairs, and tokens are compared even then. */
#ifndef SL_ENGINE_PREFIX_H
#define SL_ENGINE_PREFIX_H

#include "base/arena.h"
#include "base/error.h"
#include "forward/kv.h"

#include <stdbool.h>
#include <stdint.h>

#define SL__ROOT (-1) /* in place of the page above */

typedef struct sl__known {
    int32_t token[SL_PAGE];
    uint64_t hash, salt;  /* salt: of a page below a root; else 0 */
    int32_t above;        /* SL__ROOT: it is the first of a sequence */
    int32_t below;        /* the newest page that hangs below it; -1: none */
    int32_t newer, older; /* others below the same page; -1: none */
    int32_t next;         /* in its slot of the table; -1: it is the last */
    bool known;
} sl__known;

typedef struct sl__prefix {
    sl__known *page;      /* [total] by the page's number */
    int32_t *slot;        /* [slots] the first page of each; -1: none */
    size_t slots;         /* a power of two, at least twice the pages */
    int32_t first;        /* the newest page below any root; -1: none */
    uint64_t (*hash)(const void *data, size_t len); /* sl_hash_bytes; tests have worse ones */
} sl__prefix;

size_t sl__prefix_bytes(int total); /* what init takes */
sl_status sl__prefix_init(sl__prefix *x, int total, sl_arena *a, sl_error *e);

/* The page with these tokens [SL_PAGE] below `above`; -1: none is known. The salt counts below a root only. */
int32_t sl__prefix_find(const sl__prefix *x, int32_t above, uint64_t salt, const int32_t *token);
void sl__prefix_add(sl__prefix *x, int32_t page, int32_t above, uint64_t salt, const int32_t *token); /* find gave -1 */
void sl__prefix_remove(sl__prefix *x, int32_t page);

static inline bool sl__prefix_knows(const sl__prefix *x, int32_t page) { return x->page[page].known; }

/* How many of `count` tokens (at most SL_PAGE) a page below `above` begins with: the most that one of the SL__LOOKED newest
 * has in common. -1: none hangs there. For the log: why a prefix was not found further. */
#define SL__LOOKED 64
int sl__prefix_common(const sl__prefix *x, int32_t above, uint64_t salt, const int32_t *token, int count);

#endif
