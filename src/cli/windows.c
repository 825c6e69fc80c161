#include "cli/windows.h"

#include "base/alloc.h"
#include "cli/plan.h"
#include "forward/forward.h"
#include "forward/kv.h"
#include "sampling/sampling.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

enum { WINDOW = 512, ROWS = 512, SCORED_ROWS = 128 }; /* a step's rows: every scored one has logits */

/* ---- Texts ---- */

sl_status sl_texts_open(const char *const *path, int files, sl_texts *ret, sl_error *e) {
    sl_texts t = {.map = sl_calloc((size_t)files + 1, sizeof *t.map)};
    sl_status s = t.map ? SL_OK : sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < files && s == SL_OK; i++) {
        s = sl_map_open(path[i], &t.map[i], e);
        if (s == SL_OK) t.bytes += t.map[i].size, t.files++;
    }
    if (s == SL_OK)
        *ret = t;
    else
        sl_texts_close(&t);
    return s;
}

void sl_texts_close(sl_texts *t) {
    for (int i = 0; i < t->files; i++) sl_map_close(&t->map[i]);
    sl_free(t->map);
    *t = (sl_texts){0};
}

bool sl_texts_next(const sl_texts *t, sl_document *d) {
    size_t at = d->text ? (size_t)(d->text - (const char *)t->map[d->file].data) + d->len : 0;
    while (d->file < t->files) {
        const sl_map *m = &t->map[d->file];
        while (at < m->size && !m->data[at]) at++;
        if (at == m->size) {
            d->file++;
            at = 0;
            continue;
        }
        const uint8_t *end = memchr(m->data + at, 0, m->size - at);
        d->text = (const char *)m->data + at;
        d->len = end ? (size_t)(end - m->data) - at : m->size - at;
        d->before = at;
        for (int i = 0; i < d->file; i++) d->before += t->map[i].size;
        return true;
    }
    return false;
}

/* ---- Windows ---- */

struct sl_windows {
    const sl_model *m;
    sl_workers *workers;
    sl_forward *f;
    int ctx, rows;    /* of a step at most */
    int bos;          /* -1: none */
    int32_t *page, *window; /* [pages of ctx] */
    int32_t *token;   /* [ctx + 1] */
    sl_step_row *row; /* [rows] */
    /* Of the step that is scored. */
    const float *logits;
    const int32_t *target; /* [scored] */
    float *logprob;        /* [scored] */
    int scored;
    atomic_bool not_finite;
};

static sl_status make(sl_windows *w, const sl_settings *s,
                      void (*multiplied)(void *, const sl_matrix *, const float *, const int32_t *, int), void *arg,
                      sl_error *e) {
    const sl_engine_config *g = &s->engine;
    int pages = (g->ctx + SL_PAGE - 1) / SL_PAGE, windows = sl_kv_window_pages(sl_kv_window_of(&w->m->hp, g->ctx), g->ctx, w->rows);
    w->page = sl_calloc((size_t)pages, sizeof *w->page);
    w->window = sl_calloc((size_t)pages, sizeof *w->window);
    w->token = sl_calloc((size_t)g->ctx + 1, sizeof *w->token);
    w->row = sl_calloc((size_t)w->rows, sizeof *w->row);
    if (!w->page || !w->window || !w->token || !w->row) return sl_fail(e, SL_NOMEM, "out of memory");
    for (int i = 0; i < pages; i++) w->page[i] = i;
    for (int i = 0; i < pages && windows; i++) w->window[i] = i % windows; /* the page before it there is seen no more */
    sl_status st = sl_workers_new(g->threads, g->worker_nice, &w->workers, e);
    if (st) return st;
    sl_forward_config c = {.model = w->m,
                           .workers = w->workers,
                           .threads = g->threads,
                           .max_rows = w->rows,
                           .max_logit_rows = multiplied ? 1 : w->rows,
                           .max_sequences = 1,
                           .ctx = g->ctx,
                           .kv_type = g->kv_type,
                           .kv_pages = pages,
                           .kv_window_pages = windows,
                           .states = 1,
                           .multiplied = multiplied,
                           .multiplied_arg = arg};
    return sl_forward_new(&c, &w->f, e);
}

sl_status sl_windows_new(sl_settings *s, const sl_loaded *l,
                         void (*multiplied)(void *arg, const sl_matrix *w, const float *x, const int32_t *row, int n),
                         void *arg, sl_windows **ret, sl_error *e) {
    sl_plan plan;
    int most = sl_plan_positions(l->model);
    s->engine.max_sequences = 1;
    s->engine.tokenizer = l->tokenizer;
    if (!s->engine.ctx) s->engine.ctx = most < WINDOW ? most : WINDOW;
    sl_status st = sl_plan_make(s, l->model, &plan, e);
    if (st) return st;
    sl_windows *w = sl_calloc(1, sizeof *w);
    if (!w) return sl_fail(e, SL_NOMEM, "out of memory");
    *w = (sl_windows){.m = l->model, .ctx = s->engine.ctx, .rows = multiplied ? ROWS : SCORED_ROWS, .bos = -1};
    if (sl_tokenizer_adds_bos(l->tokenizer)) w->bos = sl_tokenizer_bos(l->tokenizer);
    if (w->rows > w->ctx) w->rows = w->ctx;
    sl_kv_window widest = sl_kv_window_of(&w->m->hp, w->ctx);
    while (w->rows > 1 && sl_kv_window_pages(widest, w->ctx, w->rows) > s->engine.kv_window_pages) w->rows /= 2; /* what is planned */
    st = make(w, s, multiplied, arg, e);
    if (st)
        sl_windows_free(w);
    else
        *ret = w;
    return st;
}

sl_windows *sl_windows_free(sl_windows *w) {
    if (!w) return NULL;
    sl_forward_free(w->f);
    sl_workers_free(w->workers);
    sl_free(w->page);
    sl_free(w->window);
    sl_free(w->token);
    sl_free(w->row);
    sl_free(w);
    return NULL;
}

/* The tokens from position `at` on, as many as a step takes; those from `first` on have logits. Returns the first token
 * after them. */
static int step(sl_windows *w, int at, int count, int first, const float **ret_logits) {
    int n = count - at < w->rows ? count - at : w->rows;
    for (int i = 0; i < n; i++) w->row[i] = (sl_step_row){w->token[at + i], at + i, 0, at + i >= first};
    sl_step_sequence sequence = {.page = w->page, .window = w->window};
    *ret_logits = sl_forward_run(w->f, &(sl_step){w->row, n, &sequence, 1});
    return at + n;
}

static void take(sl_windows *w, const int32_t *token, int count) {
    memcpy(w->token, token, (size_t)count * sizeof *token);
    if (w->bos >= 0) w->token[0] = w->bos;
}

void sl_windows_run(sl_windows *w, const int32_t *token, int count) {
    const float *logits;
    assert(count >= 1 && count <= w->ctx);
    take(w, token, count);
    for (int at = 0; at < count;) at = step(w, at, count, count, &logits);
}

static void score_region(void *ctx, int self) {
    sl_windows *w = ctx;
    int vocab = w->m->hp.vocab;
    for (int i; (i = sl_workers_take(w->workers, self)) < w->scored;) {
        sl_sampled r;
        sl_score(w->logits + (size_t)i * (size_t)vocab, vocab, w->target[i], 0, &r);
        w->logprob[i] = r.logprob;
        if (r.not_finite) atomic_store(&w->not_finite, true);
    }
    sl_workers_barrier(w->workers, self);
}

sl_status sl_windows_score(sl_windows *w, const int32_t *token, int count, int first, float *logprob, sl_error *e) {
    assert(first >= 1 && first < count && count <= w->ctx + 1);
    take(w, token, count);
    for (int at = 0, next; at < count - 1; at = next) {
        next = step(w, at, count - 1, first - 1, &w->logits);
        int from = at < first - 1 ? first - 1 : at; /* the first row with logits */
        w->scored = next - from;
        w->target = w->token + from + 1;
        w->logprob = logprob + (from - (first - 1));
        if (w->scored > 0) sl_workers_run(w->workers, score_region, w);
    }
    return atomic_load(&w->not_finite) ? sl_fail(e, SL_INVALID, "the model computes something that is no number")
                                       : SL_OK;
}
