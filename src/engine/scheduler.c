#include "engine/scheduler.h"

#include "engine/internal.h"

#include <assert.h>

/* Of the target, for what the model of the cost does not see. */
#define MARGIN 0.85
/* Weight of a new measurement in the moving averages. */
#define FRESH 0.3
/* Of the steps before, when a new one is learned from. */
#define REMEMBERED 0.6

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

/* Least squares over the last steps with prompt rows, older ones forgotten: seconds = fixed + unit * units. The fixed part
 * is real: a few rows touch nearly as many experts as many do. As long as all steps had the same size, only their sum is
 * known, and the fixed part stays as it was. */
static void learn_prompts(sl__cost *p, double units, double seconds) {
    p->n = p->n * REMEMBERED + 1;
    p->u = p->u * REMEMBERED + units;
    p->uu = p->uu * REMEMBERED + units * units;
    p->s = p->s * REMEMBERED + seconds;
    p->us = p->us * REMEMBERED + units * seconds;
    double spread = p->n * p->uu - p->u * p->u;
    if (spread > 0.01 * p->n * p->uu) {
        double unit = (p->n * p->us - p->u * p->s) / spread, most = p->s / p->u;
        p->unit = unit > most ? most : unit < most / 16 ? most / 16 : unit;
        p->fixed = (p->s - p->unit * p->u) / p->n;
    } else {
        if (p->fixed > 0.9 * p->s / p->n) p->fixed = 0.9 * p->s / p->n;
        p->unit = (p->s - p->fixed * p->n) / p->u;
    }
}

void sl__scheduler_learn(sl__scheduler *c, double seconds) {
    if (c->units <= 0) {
        if (c->decoding) average(&c->cost.base[c->decoding], seconds);
        return;
    }
    double base = sl__scheduler_base(c, c->decoding), rest = seconds - base;
    if (rest < 0) average(&c->cost.base[c->decoding], seconds); /* out of date: without prompt rows it would be less still */
    learn_prompts(&c->cost, c->units, rest > seconds / 16 ? rest : seconds / 16);
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
    sl__sequence *youngest = k->c->batch.last;
    if (youngest == s) return false;
    if (youngest->state == SL__DECODE) k->c->decoding--;
    sl__scheduler_remove(youngest);
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

/* Rows that the target leaves for a prompt that goes on at position `from`, of at most so many. */
static int affordable(const making *k, int from, int most) {
    if (k->units < 0) return most;
    int least = SL__LEAST_CHUNK - k->prompt_rows, n = k->c->cost.unit > 0 ? most : 0;
    while (n > 0 && units_of(k->c, from, n) > k->units) n = n > 16 ? n - n / 16 : n - 1;
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

/* --- who enters --- */

typedef enum entry { ENTERED, LATER, BLOCKED } entry; /* LATER: others may pass; BLOCKED: nobody may */

static bool siblings(const sl__sequence *a, const sl__sequence *b) { return a->request == b->request && a->prompt == b->prompt; }

/* The first of its siblings (choices of the same prompt) in the batch. */
static const sl__sequence *sibling(const sl__scheduler *c, const sl__sequence *s) {
    const sl__sequence *b = c->batch.first;
    while (b && !siblings(b, s)) b = b->next;
    return b;
}

static bool may_share(const sl__sequence *s) { return s->scored >= s->prompt_len && sl__sequence_shareable(s) > 0; }

static entry admit(making *k, sl__sequence *s) {
    sl__scheduler *c = k->c;
    const sl__sequence *from = may_share(s) ? sibling(c, s) : NULL;
    if (from && from->computed < sl__sequence_shareable(s)) return LATER; /* so that the prompt is computed once */
    int shared = from ? sl__sequence_shareable(s) / SL_PAGE : 0, need = sl__sequence_tokens(s) / SL_PAGE + 1 - shared;
    if (c->batch.count && k->pages->free_count < need + c->batch.count / 4) return BLOCKED;
    sl__scheduler_remove(s);
    if (from) sl__sequence_share(s, from, k->pages);
    s->state = SL__PREFILL;
    insert(&c->batch, s);
    k->admitted(k->arg, s);
    return ENTERED;
}

static bool spent(const making *k) {
    return k->rows <= 0 || k->logits <= 0 || (k->units >= 0 && k->units < 1 && k->prompt_rows >= SL__LEAST_CHUNK);
}

static void admit_waiting(making *k) {
    sl__scheduler *c = k->c;
    for (sl__sequence *s = c->waiting.first, *next; s && c->batch.count < c->max_sequences && !spent(k); s = next) {
        next = s->next;
        entry what = admit(k, s);
        if (what == BLOCKED) return;
        if (what == ENTERED) give_prompt_rows(k, s);
        else while (next && siblings(next, s)) next = next->next;
    }
}

/* --- the step --- */

/* What the target leaves for prompts. */
static double units_left(const sl__scheduler *c) {
    if (c->decoding == 0) return -1;
    if (c->cost.unit <= 0) return 0; /* nothing is known: the least */
    double left = c->target * MARGIN - sl__scheduler_base(c, c->decoding) - c->cost.fixed;
    return left > 0 ? left / c->cost.unit : 0;
}

int sl__scheduler_step(sl__scheduler *c, sl__pages *p, void (*preempted)(void *arg, sl__sequence *s),
                       void (*admitted)(void *arg, sl__sequence *s), void *arg) {
    making k = {.c = c, .pages = p, .preempted = preempted, .admitted = admitted, .arg = arg};
    c->decoding = 0;
    c->units = 0;
    for (sl__sequence *s = c->batch.first; s; s = s->next) {
        s->rows = 0;
        c->decoding += s->state == SL__DECODE;
    }
    k.units = units_left(c);
    k.rows = c->max_rows - c->decoding;
    k.logits = c->max_logit_rows - c->decoding;
    for (sl__sequence *s = c->batch.first; s; s = s->next) {
        if (s->state == SL__DECODE) give_decode_row(&k, s);
        else if (k.rows > 0 && k.logits > 0) give_prompt_rows(&k, s);
    }
    admit_waiting(&k);
    int rows = 0;
    for (sl__sequence *s = c->batch.first; s; s = s->next) rows += s->rows;
    assert(rows > 0 || !(c->batch.first || c->waiting.first)); /* else the engine would spin */
    return rows;
}
