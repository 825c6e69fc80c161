/* kv_plan.h: how memory for keys and values is divided between pages and window pages (forward/kv.h).
 * Any thread; pure. */
#ifndef SL_CLI_KV_PLAN_H
#define SL_CLI_KV_PLAN_H

#include <stdint.h>

#define SL_KV_TALK 128 /* pages of a conversation that is kept, as one is thought to be: 4096 positions */

typedef struct sl_kv_wish {
    uint64_t page_bytes;   /* of a page; 0: every layer has a window */
    uint64_t window_bytes; /* of a window page; 0: no layer has a window, and there are none */
    uint64_t one;          /* pages of the longest sequence */
    uint64_t least;        /* window pages with which it goes on, at most `one` */
    uint64_t running;      /* window pages that all sequences of the batch hold */
    uint64_t ends;         /* window pages that a conversation of SL_KV_TALK pages keeps, at most as many; 0: nothing is kept */
} sl_kv_wish;

typedef struct sl_kv_pages {
    uint64_t pages; /* UINT64_MAX: as many as one likes */
    uint64_t window_pages;
} sl_kv_pages;

/* What `bytes` are enough for. Rules, in this order:
 *   1. The longest sequence fits if it can: with `one` pages and `least` window pages.
 *   2. Window pages are for what runs, and for as many conversations as could be kept; what they leave goes to pages.
 *   3. There are no more of them than there would be of pages for all layers. So there are no fewer pages than those, and a
 *      sequence that is no longer than its window, which needs as many of one kind as of the other, loses nothing.
 * Where every layer has a window, all memory goes to window pages. */
sl_kv_pages sl_kv_divide(const sl_kv_wish *w, uint64_t bytes);

/* Window pages beside so many pages, by rules 2 and 3. */
uint64_t sl_kv_windows_beside(const sl_kv_wish *w, uint64_t pages);

#endif
