#include "engine/scheduler.h"

#include "engine/internal.h"

#include <assert.h>
#include <limits.h>

/* Of the target, for what the model of the cost does not see. */
#define MARGIN 0.85
/* Targets that a step may take while nobody decodes: who comes meanwhile waits for its end. */
#define ALONE 5
/* Of the rows for prompts, for those that are shorter than the oldest. */
#define SHARE 4

/* --- lists --- */

static void insert(sl__list *list, sl__sequence *s) {
    sl__sequence *after = NULL, *before = list->first; /* s goes between the two */
    if (list->last && list->last->born < s->born) after = list->last, before = NULL; /* new ones, many at once */
    for (; before && before->born < s->born; before = before->next) after = before;
    s->prev = after;
    s->next = before;
    *(after ? &after->next : &list->first) = s;
    *(before ? &before->prev : &list->last) = s;
    s->list = list;
    list->count++;
}

void sl__scheduler_wait(sl__scheduler *c, sl__sequence *s) { insert(&c->waiting, s); }

void sl__scheduler_remove(sl__sequence *s) {
    sl__list *list = s->list;
    if (!list) return;
    *(s->prev ? &s->prev->next : &list->first) = s->next;
    *(s->next ? &s->next->prev : &list->last) = s->prev;
    s->prev = s->next = NULL;
    s->list = NULL;
    list->count--;
}

/* --- a step in the making --- */

typedef struct making {
    sl__scheduler *c;
    sl__pages *pages;
    const sl__scheduler_events *tell;
    sl__sequence *leading;      /* prompts that get rows, and the oldest, which will */
    const sl__sequence *oldest; /* of the prompts; NULL: not known yet */
    int window_pages;           /* that a sequence needs at once; 0: no layer has a window */
    int decoding;               /* rows of the work that decode */
    double seconds;             /* that the step may take */
} making;

/* Rows of logits that `rows` rows from s->computed on want. */
static int logits_of(const sl__sequence *s, int rows) {
    int first = s->computed > s->scored - 1 ? s->computed : s->scored - 1; /* row p scores token p + 1 */
    int end = s->computed + rows < s->prompt_len - 1 ? s->computed + rows : s->prompt_len - 1;
    int scores = end > first ? end - first : 0;
    return scores + (rows > 0 && s->computed + rows == sl__sequence_tokens(s));
}

/* The work with so many rows of s in it, or without them (sign -1). */
static sl__work with(const making *k, sl__work w, const sl__sequence *s, int rows, int sign) {
    return sl__cost_with(&k->c->cost, w, s->computed, rows, logits_of(s, rows), sign);
}

static void count_work(making *k) {
    sl__scheduler *c = k->c;
    c->work = (sl__work){0};
    k->decoding = 0;
    for (const sl__sequence *s = c->batch.first; s; s = s->next) {
        c->work = with(k, c->work, s, s->rows, 1);
        if (s->state == SL__DECODE) k->decoding += s->rows;
    }
}

/* --- known pages --- */

/* After s took over known pages. */
static void tell_reused(making *k, sl__sequence *s) {
    int tokens = s->computed - s->peak;
    if (tokens <= 0) return; /* none, or what it had computed before it lost its pages */
    s->peak = s->computed;
    k->tell->reused(k->tell->arg, s, tokens);
}

/* s gets rows in this step, so that others may wait for the page it computes next. Not if its prompt is scored: that gets few
 * rows a step, as each of them wants logits. */
static void lead(making *k, sl__sequence *s) {
    if (s->leads || s->scored < s->prompt_len) return;
    s->leads = true;
    s->next_leading = k->leading;
    k->leading = s;
}

static void lead_no_more(making *k, sl__sequence *s) {
    sl__sequence **at = &k->leading;
    if (!s->leads) return;
    while (*at != s) at = &(*at)->next_leading;
    *at = s->next_leading;
    s->leads = false;
}

/* Does somebody else compute the page that s wants next? */
static bool must_wait(const making *k, const sl__sequence *s) {
    const sl__sequence *first = k->leading;
    if (s == k->oldest || s->rows > 0) return false;
    while (first && !(k->pages->states.kept.total ? sl__sequence_wants_state_of(s, first) : sl__sequence_wants_page_of(s, first)))
        first = first->next_leading;
    return first != NULL;
}

/* --- rows --- */

/* Takes the pages of the youngest in the batch; false: that is s itself. */
static bool steal(making *k, const sl__sequence *s) {
    sl__sequence *youngest = k->c->batch.last;
    if (youngest == s) return false;
    sl__scheduler_remove(youngest);
    sl__sequence_preempt(youngest, k->pages);
    lead_no_more(k, youngest);
    count_work(k);
    k->tell->preempted(k->tell->arg, youngest);
    sl__scheduler_wait(k->c, youngest);
    return true;
}

/* It lacks window pages alone, and goes on with fewer rows. */
static bool enough(const making *k, const sl__sequence *s) {
    return sl__kept_available(&k->pages->kept) > 0 && s->page_count * SL_PAGE - s->computed >= SL__LEAST_CHUNK;
}

/* Pages for so many positions, from younger sequences if it must be; returns the positions there is room for. */
static int make_room(making *k, sl__sequence *s, int positions) {
    while (!sl__sequence_grow(s, k->pages, positions))
        if (enough(k, s) || !steal(k, s)) break;
    int room = s->page_count * SL_PAGE;
    return room < positions ? room : positions;
}

/* Rows that s may have, up to `most`, beside the work that is given: by time, rows and rows of logits. */
static int affordable(const making *k, const sl__work *given, const sl__sequence *s, int most, int logits) {
    const sl__scheduler *c = k->c;
    if (most > c->max_rows - given->rows) most = c->max_rows - given->rows;
    while (most > 0 && logits_of(s, most) > logits) most--;
    int least = SL__LEAST_CHUNK - (given->rows - k->decoding), fits = 0;
    for (int low = 0, high = most; low < high; low = fits) { /* the step's seconds grow with the rows */
        int middle = (low + high + 1) / 2;
        sl__work w = with(k, *given, s, middle, 1);
        if (sl__cost_seconds(&c->cost, &w) <= k->seconds) fits = middle;
        else high = middle - 1;
    }
    if (fits < least) fits = least;
    return fits < most ? fits : most;
}

/* A prompt's rows of this step: at most so many. */
static void give_prompt_rows(making *k, sl__sequence *s, int most, int logits) {
    sl__work others = with(k, k->c->work, s, s->rows, -1);
    int left = sl__sequence_tokens(s) - s->computed;
    int rows = affordable(k, &others, s, left < most ? left : most, logits - others.logits);
    if (rows <= s->rows) return;
    s->follows = must_wait(k, s);
    if (s->follows) return;
    int room = make_room(k, s, s->computed + rows) - s->computed; /* others may lose theirs */
    if (room <= s->rows) return;
    s->rows = room;
    lead(k, s);
    count_work(k);
}

static void give_decode_row(making *k, sl__sequence *s) {
    if (make_room(k, s, s->computed + 1) <= s->computed) return; /* the youngest, and no page is free: it goes on when one is */
    s->rows = 1;
    k->c->work = with(k, k->c->work, s, 1, 1);
    k->decoding++;
}

/* The prompt with the fewest tokens left that neither has rows nor follows yet, fewer than `most`; the oldest of several. */
static sl__sequence *shortest(const sl__scheduler *c, int most) {
    sl__sequence *found = NULL;
    for (sl__sequence *s = c->batch.first; s; s = s->next) {
        int left = sl__sequence_tokens(s) - s->computed;
        if (s->state == SL__DECODE || s->rows > 0 || s->follows || left >= most) continue;
        found = s;
        most = left;
    }
    return found;
}

static void give_prompts(making *k) {
    sl__scheduler *c = k->c;
    sl__sequence *oldest = c->batch.first, *s;
    while (oldest && oldest->state == SL__DECODE) oldest = oldest->next;
    if (!oldest) return;
    k->oldest = oldest;
    lead(k, oldest);
    int share = affordable(k, &c->work, oldest, c->max_rows, INT_MAX) / SHARE;
    int spare = c->max_logit_rows - c->work.logits; /* one is left for the oldest */
    int logits = c->work.logits + (spare >= 2 && spare < SHARE ? 1 : spare / SHARE);
    int left = sl__sequence_tokens(oldest) - oldest->computed;
    for (int looks = share; looks > 0 && share > 0 && oldest->rows == 0 && (s = shortest(c, left)); looks--, share -= s->rows) {
        give_prompt_rows(k, s, share, logits);
        if (s->rows == 0 && !s->follows) break;
    }
    for (s = oldest; s; s = s->next)
        if (s->state != SL__DECODE) give_prompt_rows(k, s, INT_MAX, c->max_logit_rows);
}

/* --- who enters --- */

/* Pages and window pages. */
typedef struct stock {
    int pages, windows;
} stock;

static stock available(const sl__pages *p) { return (stock){sl__kept_available(&p->kept), sl__kept_available(&p->windows.kept)}; }

/* What s needs beside what it holds, for the tokens that it has. */
static stock needed(const making *k, const sl__sequence *s) {
    int all = sl__sequence_tokens(s) / SL_PAGE + 1, windows = all - s->first_window;
    if (windows > k->window_pages) windows = k->window_pages;
    stock r = {all - s->page_count, windows - (s->page_count - s->first_window)};
    return (stock){r.pages > 0 ? r.pages : 0, k->window_pages && r.windows > 0 ? r.windows : 0};
}

/* Lets s enter. false: pages, or a slot of state, are missing, and nobody may pass. */
static bool admit(making *k, sl__sequence *s, stock *free) {
    sl__scheduler *c = k->c;
    int spare = c->batch.count / 4; /* those in the batch grow */
    stock before = available(k->pages);
    sl__sequence_adopt(s, k->pages); /* pages that were kept are not available any more */
    stock after = available(k->pages), need = needed(k, s);
    free->pages -= before.pages - after.pages;
    free->windows -= before.windows - after.windows;
    bool fits = free->pages >= need.pages + spare && (!k->window_pages || free->windows >= need.windows + spare);
    if ((c->batch.count && !fits) || !sl__sequence_enter(s, k->pages)) {
        sl__sequence_release(s, k->pages);
        return false;
    }
    free->pages -= need.pages;
    free->windows -= need.windows;
    sl__scheduler_remove(s);
    s->state = SL__PREFILL;
    s->rows = 0;
    s->leads = s->follows = false;
    insert(&c->batch, s);
    k->tell->admitted(k->tell->arg, s);
    tell_reused(k, s);
    return true;
}

/* What can be taken and nobody in the batch needs for the tokens it has. */
static stock unpromised(const making *k) {
    stock free = available(k->pages);
    for (const sl__sequence *s = k->c->batch.first; s; s = s->next) {
        stock need = needed(k, s);
        free.pages -= need.pages;
        free.windows -= need.windows;
    }
    return free;
}

static void admit_waiting(making *k) {
    sl__scheduler *c = k->c;
    if (!c->waiting.first) return;
    stock free = unpromised(k);
    int places = c->max_sequences - c->batch.count;
    for (sl__sequence *s = c->waiting.first, *next; s && places > 0; s = next, places--) {
        next = s->next;
        if (!admit(k, s, &free)) return;
    }
}

/* --- the step --- */

int sl__scheduler_step(sl__scheduler *c, sl__pages *p, const sl__scheduler_events *tell) {
    making k = {.c = c, .pages = p, .tell = tell};
    if (p->windows.kept.total) k.window_pages = sl_kv_window_pages(p->widest, p->ctx, SL__LEAST_CHUNK);
    c->work = (sl__work){0};
    for (sl__sequence *s = c->batch.first; s; s = s->next) {
        s->rows = 0;
        s->leads = s->follows = false;
        if (s->state == SL__PREFILL && sl__sequence_adopt(s, p)) tell_reused(&k, s);
    }
    for (sl__sequence *s = c->batch.first; s; s = s->next)
        if (s->state == SL__DECODE) give_decode_row(&k, s);
    k.seconds = c->target * (k.decoding ? MARGIN : ALONE);
    admit_waiting(&k);
    give_prompts(&k);
    assert(c->work.rows > 0 || !(c->batch.first || c->waiting.first)); /* else the engine would spin */
    return c->work.rows;
}

void sl__scheduler_learn(sl__scheduler *c, double seconds) { sl__cost_learn(&c->cost, &c->work, seconds); }
