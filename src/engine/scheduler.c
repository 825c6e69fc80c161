#include "engine/scheduler.h"

#include "engine/internal.h"

/* Of the target, for what the model of the cost does not see. */
#define MARGIN 0.85
/* Weight of a new measurement in the moving averages. */
#define FRESH 0.3

/* --- lists --- */

static void insert(sl__sequence **list, sl__sequence *s) {
    while (*list && (*list)->born < s->born) list = &(*list)->next;
    s->next = *list;
    *list = s;
}

static bool take_out(sl__sequence **list, sl__sequence *s) {
    for (; *list; list = &(*list)->next) {
        if (*list != s) continue;
        *list = s->next;
        s->next = NULL;
        return true;
    }
    return false;
}

void sl__scheduler_wait(sl__scheduler *c, sl__sequence *s) { insert(&c->waiting, s); }

void sl__scheduler_remove(sl__scheduler *c, sl__sequence *s) {
    if (take_out(&c->batch, s)) c->batched--;
    else take_out(&c->waiting, s);
}

/* --- cost --- */

double sl__scheduler_base(const sl__scheduler *c, int decoding) {
    if (decoding == 0) return 0;
    const double *base = c->cost.base;
    if (base[decoding] > 0) return base[decoding];
    for (int n = decoding - 1; n > 0; n--)
        if (base[n] > 0) return base[n] * decoding / n; /* at most linear */
    for (int n = decoding + 1; n <= c->max_sequences; n++)
        if (base[n] > 0) return base[n];
    return 0;
}

static void average(double *mean, double x) { *mean = *mean > 0 ? *mean + FRESH * (x - *mean) : x; }

void sl__scheduler_learn(sl__scheduler *c, double seconds) {
    if (c->units <= 0) {
        if (c->decoding) average(&c->cost.base[c->decoding], seconds);
        return;
    }
    double rest = seconds - sl__scheduler_base(c, c->decoding);
    average(&c->cost.unit, (rest > seconds / 16 ? rest : seconds / 16) / c->units);
}

static double units_of(const sl__scheduler *c, int from, int rows) {
    return rows * (1 + (from + (rows - 1) / 2.0) / c->cost.reach);
}

/* --- a step in the making --- */

typedef struct making {
    sl__scheduler *c;
    sl__pages *pages;
    void (*preempted)(void *arg, sl__sequence *s);
    void (*admitted)(void *arg, sl__sequence *s);
    void *arg;
    int rows, logits; /* that are left */
    double units;     /* that the target leaves; negative: no limit */
    int prompt_rows;  /* given so far */
} making;

/* Takes the pages of the youngest in the batch; false: that is s itself. */
static bool steal(making *k, const sl__sequence *s) {
    sl__sequence *youngest = k->c->batch;
    while (youngest->next) youngest = youngest->next;
    if (youngest == s) return false;
    if (youngest->state == SL__DECODE) k->c->decoding--;
    sl__scheduler_remove(k->c, youngest);
    sl__sequence_preempt(youngest, k->pages);
    k->preempted(k->arg, youngest);
    sl__scheduler_wait(k->c, youngest);
    return true;
}

/* Pages for so many positions, from younger sequences if it must be; returns the positions there is room for. */
static int make_room(making *k, sl__sequence *s, int positions) {
    while (!sl__sequence_grow(s, k->pages, positions))
        if (!steal(k, s)) break;
    int room = s->page_count * SL_PAGE;
    return room < positions ? room : positions;
}

/* Rows that the units allow from position `from` on. */
static int affordable(const making *k, int from, int most) {
    if (k->units < 0 || k->c->cost.unit <= 0) return k->units < 0 ? most : most < SL__LEAST_CHUNK * 2 ? most : SL__LEAST_CHUNK * 2;
    int least = SL__LEAST_CHUNK - k->prompt_rows, n = most;
    while (n > 0 && units_of(k->c, from, n) > k->units) n = n > 16 ? n - n / 8 : n - 1;
    if (n < least) n = least;
    return n < most ? n : most;
}

/* Rows of logits that `rows` rows from s->computed on want. */
static int logits_of(const sl__sequence *s, int rows) {
    int first = s->computed > s->scored - 1 ? s->computed : s->scored - 1; /* row p scores token p + 1 */
    int end = s->computed + rows < s->prompt_len - 1 ? s->computed + rows : s->prompt_len - 1;
    int scores = end > first ? end - first : 0;
    return scores + (s->computed + rows == sl__sequence_tokens(s));
}

static void give_prompt_rows(making *k, sl__sequence *s) {
    int rows = sl__sequence_tokens(s) - s->computed;
    if (rows > k->rows) rows = k->rows;
    rows = affordable(k, s->computed, rows);
    while (rows > 0 && logits_of(s, rows) > k->logits) rows--;
    if (rows > 0) rows = make_room(k, s, s->computed + rows) - s->computed;
    if (rows <= 0) return;
    double units = units_of(k->c, s->computed, rows);
    s->rows = rows;
    k->rows -= rows;
    k->logits -= logits_of(s, rows);
    k->prompt_rows += rows;
    k->c->units += units;
    if (k->units >= 0) k->units = k->units > units ? k->units - units : 0;
}

static void give_decode_row(making *k, sl__sequence *s) {
    if (make_room(k, s, s->computed + 1) > s->computed) s->rows = 1;
    else k->c->decoding--; /* the youngest, and no page is free: it keeps what it has and goes on when one is */
}

/* The first of its siblings (choices of the same prompt) in the batch that computed or computes the prompt's whole pages. */
static const sl__sequence *sibling(const sl__scheduler *c, const sl__sequence *s) {
    for (const sl__sequence *b = c->batch; b; b = b->next)
        if (b->request == s->request && b->prompt == s->prompt) return b;
    return NULL;
}

static bool may_share(const sl__sequence *s) { return s->scored >= s->prompt_len && sl__sequence_shareable(s) > 0; }

static bool admit(making *k, sl__sequence *s) {
    sl__scheduler *c = k->c;
    const sl__sequence *from = may_share(s) ? sibling(c, s) : NULL;
    bool ready = from && from->computed >= sl__sequence_shareable(s);
    if (from && !ready) return false; /* it will be: then the prompt is computed once */
    int need = (sl__sequence_tokens(s) + SL_PAGE) / SL_PAGE - (ready ? sl__sequence_shareable(s) / SL_PAGE : 0);
    if (c->batched && k->pages->free_count < need + c->batched / 4) return false;
    sl__scheduler_remove(c, s);
    if (ready) sl__sequence_share(s, from, k->pages);
    s->state = SL__PREFILL;
    insert(&c->batch, s);
    c->batched++;
    k->admitted(k->arg, s);
    return true;
}

int sl__scheduler_step(sl__scheduler *c, sl__pages *p, void (*preempted)(void *arg, sl__sequence *s),
                       void (*admitted)(void *arg, sl__sequence *s), void *arg) {
    making k = {.c = c, .pages = p, .preempted = preempted, .admitted = admitted, .arg = arg, .units = -1};
    c->decoding = 0;
    c->units = 0;
    for (sl__sequence *s = c->batch; s; s = s->next) {
        s->rows = 0;
        c->decoding += s->state == SL__DECODE;
    }
    if (c->decoding && c->cost.unit > 0) {
        double left = c->target * MARGIN - sl__scheduler_base(c, c->decoding);
        k.units = left > 0 ? left / c->cost.unit : 0;
    } else if (c->decoding) {
        k.units = 0; /* nothing is known: the least */
    }
    k.rows = c->max_rows - c->decoding;
    k.logits = c->max_logit_rows - c->decoding;
    for (sl__sequence *s = c->batch; s; s = s->next) {
        if (s->state == SL__DECODE) give_decode_row(&k, s);
        else if (k.rows > 0 && k.logits > 0) give_prompt_rows(&k, s);
    }
    bool blocked = false; /* an older one waits for pages or a place: nobody overtakes it */
    for (sl__sequence *s = c->waiting, *next; s && !blocked; s = next) {
        next = s->next;
        bool spent = k.rows <= 0 || k.logits <= 0 || (k.units >= 0 && k.units <= 0 && k.prompt_rows >= SL__LEAST_CHUNK);
        if (c->batched >= c->max_sequences || spent) break;
        const sl__sequence *from = may_share(s) ? sibling(c, s) : NULL;
        if (admit(&k, s)) give_prompt_rows(&k, s);
        else blocked = !from;
    }
    int rows = 0;
    for (sl__sequence *s = c->batch; s; s = s->next) rows += s->rows;
    return rows;
}
