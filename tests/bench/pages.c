/* What it costs to look for pages that are not there, to make pages known, and to give them up again: the whole work of
 * prefix reuse for requests that share nothing, without the tokens' computing.
 *
 *   meson test --benchmark pages -v        or the program itself
 *
 * Requests of 4,096 random tokens that nobody has asked before follow one another in a memory of 4,096 pages, eight of them
 * at a time; every page that one takes is another one's that was kept. The rounds with reuse and without alternate; printed
 * is the median of the rounds, nanoseconds a token, beside the share of a token's time at 10,000 tokens/s. */
#include "base/clock.h"
#include "engine/pages.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 31
#define REQUESTS 64
#define AT_ONCE 8
#define TOTAL 4096
#define PAGES (4096 / SL_PAGE) /* of a request */

typedef struct side {
    sl_arena *arena;
    sl__pages pages;
    int32_t held[AT_ONCE][PAGES];
    int requests; /* so far */
} side;

static int32_t number(void) {
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int32_t)(state >> 40);
}

/* One request in place of the one that came eight before. */
static void ask(side *s, const int32_t *token) {
    int32_t *held = s->held[s->requests % AT_ONCE];
    if (s->requests++ >= AT_ONCE)
        for (int k = PAGES - 1; k >= 0; k--) sl__pages_drop(&s->pages, held[k]);
    if (sl__pages_find(&s->pages, SL__ROOT, 0, token) >= 0) abort();
    for (int k = 0; k < PAGES; k++) {
        held[k] = sl__pages_take(&s->pages);
        held[k] = sl__pages_publish(&s->pages, held[k], k ? held[k - 1] : SL__ROOT, 0, token + k * SL_PAGE);
    }
}

static int by_size(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int main(void) {
    static int32_t token[REQUESTS][PAGES * SL_PAGE];
    double ns[2][ROUNDS];
    side sides[2] = {{0}, {0}};
    sl_error e = {0};
    for (int i = 0; i < 2; i++) {
        sides[i].arena = sl_arena_new();
        if (sl__pages_init(&sides[i].pages, TOTAL, i == 1, sides[i].arena, &e) != SL_OK) {
            fprintf(stderr, "%s\n", e.message);
            return 1;
        }
    }
    for (int round = -1; round < ROUNDS; round++) { /* the first one fills the memory */
        for (int i = 0; i < REQUESTS; i++)
            for (int k = 0; k < PAGES * SL_PAGE; k++) token[i][k] = number();
        for (int n = 0; n < 2; n++) {
            int i = (round & 1) ^ n;
            uint64_t began = sl_clock_ns();
            for (int k = 0; k < REQUESTS; k++) ask(&sides[i], token[k]);
            if (round >= 0) ns[i][round] = (double)(sl_clock_ns() - began) / (REQUESTS * PAGES * SL_PAGE);
        }
    }
    for (int i = 0; i < 2; i++) qsort(ns[i], ROUNDS, sizeof(double), by_size);
    double off = ns[0][ROUNDS / 2], on = ns[1][ROUNDS / 2];
    printf("without reuse %.2f ns a token, with %.2f (%d pages given up): %.4f %% of a token's time at 10,000 tokens/s\n", off, on,
           sides[1].pages.kept.evicted, (on - off) / 1e5 * 100);
    for (int i = 0; i < 2; i++) sl_arena_free(sides[i].arena);
}
