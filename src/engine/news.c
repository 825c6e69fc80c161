#include "engine/internal.h"

#include "base/thread.h"

/* What the engine has to tell, on its way to the loop.
 *
 * During a step the engine collects the requests that have news in a list of its own. At the end of the step each of them is
 * put on the ready list, unless it is still there, and the loop is woken once. The loop takes the whole ready list at a time
 * and asks every request on it for its events, until there is none: so one entry stands for any number of events, and the
 * list can never be full.
 *
 * Nobody waits for the other: the ready list is a stack that is pushed by compare-and-swap and taken by one exchange, and
 * a request's `news` word says where it stands:
 *
 *     NONE ──publish: push──► READY ──take──► NONE
 *     NONE, READY ──publish, its last choice has ended──► LAST ──take: `over`, the loop may free it──► NONE
 *
 * Whoever changes NONE into another value pushes; so it is pushed once. LAST is written only after the last event, and
 * after that exchange the engine touches the request only to push it, which makes it visible to the loop: no entry can be
 * freed while the engine still uses it. */

void sl__news(sl_engine *g, sl_request *r) {
    if (r->in_news) return;
    r->in_news = true;
    r->news_next = g->news;
    g->news = r;
}

static void push(sl_engine *g, sl_request *r) {
    sl_request *first = atomic_load_explicit(&g->ready, memory_order_relaxed);
    do r->ready_next = first;
    while (!atomic_compare_exchange_weak_explicit(&g->ready, &first, r, memory_order_release, memory_order_relaxed));
}

void sl__news_publish(sl_engine *g) {
    SL_ON_THREAD(ENGINE);
    if (!g->news) return;
    for (sl_request *r = g->news, *next; r; r = next) {
        next = r->news_next;
        r->in_news = false;
        int was = atomic_exchange(&r->news, r->open ? SL__NEWS_READY : SL__NEWS_LAST);
        if (was == SL__NEWS_NONE) push(g, r);
    }
    g->news = NULL;
    if (g->config.wake) g->config.wake(g->config.wake_arg);
}

sl_request *sl_engine_take_ready(sl_engine *g) {
    SL_ON_THREAD(LOOP);
    sl_request *list = NULL;
    for (sl_request *r = atomic_exchange(&g->ready, NULL), *next; r; r = next) { /* newest first: turned round */
        next = r->ready_next; /* before the word changes: from then on the engine may push it again */
        r->taken_next = list;
        list = r;
        r->over = atomic_exchange(&r->news, SL__NEWS_NONE) == SL__NEWS_LAST;
    }
    return list;
}

sl_request *sl_request_ready_next(sl_request *r) { return r->taken_next; }
