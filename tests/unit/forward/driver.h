/* driver.h: runs sequences through a forward pass in a stated way, and keeps every row's logits. */
#ifndef SL_TEST_DRIVER_H
#define SL_TEST_DRIVER_H

#include "forward/forward.h"
#include "forward/kv.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct driven {
    const int32_t *token; /* [length] */
    int length;
    float *logits; /* [length][vocab], filled */
} driven;

typedef struct driver {
    const sl_model *model;
    int threads;
    int chunk;        /* rows of a sequence a step */
    sl_kv_type kv;
    int page_stride;  /* pages are dealt as i * page_stride mod their number: 1 in order */
    sl_expert_stats *stats;
    void (*routed)(void *, int, int, const int32_t *, const float *);
    void *routed_arg;
} driver;

/* A sequence's window pages are as few as it can do with: page k lies in window page k % each, which had page k - each before. Those that
 * no row of the step sees are not to be read. */
static inline void drive_windows(const sl_hparams *hp, int ctx, int32_t *window, int pages, int first, int each, int at) {
    int seen = sl_kv_first_in(sl_kv_window_of(hp, ctx), at) / SL_PAGE;
    for (int k = 0; k < pages; k++) window[k] = k < seen || k >= seen + each ? -1 : first + k % each;
}

/* A sequence has three slots of state: where it was read, where it is written, and where it is saved at some row of the step.
 * After the step it goes on from what was written, or from the save where that was after the last row. */
typedef struct driven_state {
    int slot[3]; /* before, after, saved */
    sl_step_save save;
} driven_state;

static inline void drive_state(driven_state *t, sl_step_sequence *s, int at, int rows) {
    t->save = (sl_step_save){at + at * 7 % rows, t->slot[2]};
    s->state_before = t->slot[0];
    s->state_after = t->slot[1];
    s->save = &t->save;
    s->saves = 1;
    int next = t->save.position == at + rows - 1 ? 2 : 1, before = t->slot[0];
    t->slot[0] = t->slot[next];
    t->slot[next] = before;
}

/* All sequences at once, each `chunk` rows a step until it is through. one_kind: layers with a window have the same pages as the
 * others, for all positions. */
static inline void drive_kinds(const driver *d, driven *sequence, int count, bool one_kind) {
    sl_error e = {0};
    int longest = 0, most_pages;
    for (int i = 0; i < count; i++) longest = sequence[i].length > longest ? sequence[i].length : longest;
    most_pages = (longest + SL_PAGE - 1) / SL_PAGE;
    sl_workers *w;
    ck_assert_msg(sl_workers_new(d->threads, 0, &w, &e) == SL_OK, "%s", e.message);
    int rows = count * d->chunk, pages = count * most_pages;
    while (pages % 7 == 0 || pages % 5 == 0) pages++; /* so that strides 5 and 7 reach every page */
    int each = one_kind ? 0 : sl_kv_window_pages(sl_kv_window_of(&d->model->hp, longest), longest, d->chunk); /* window pages of a sequence */
    sl_forward_config c = {.model = d->model, .workers = w, .threads = d->threads, .max_rows = rows, .max_logit_rows = rows,
                           .max_sequences = count, .ctx = longest, .kv_type = d->kv, .kv_pages = pages,
                           .kv_window_pages = each * count, .states = 3 * count, .stats = d->stats,
                           .routed = d->routed, .routed_arg = d->routed_arg};
    sl_forward *f;
    ck_assert_msg(sl_forward_new(&c, &f, &e) == SL_OK, "%s", e.message);
    int32_t *page = calloc((size_t)pages, sizeof *page);
    for (int i = 0; i < pages; i++) page[i] = (int32_t)((long)i * (d->page_stride ? d->page_stride : 1) % pages);
    int32_t *window = calloc((size_t)count * (size_t)most_pages, sizeof *window);
    sl_step_sequence *s = calloc((size_t)count, sizeof *s);
    driven_state *state = calloc((size_t)count, sizeof *state);
    for (int i = 0; i < count; i++) {
        s[i].page = page + i * most_pages;
        s[i].window = window + i * most_pages;
        state[i] = (driven_state){.slot = {3 * i, 3 * i + 1, 3 * i + 2}};
    }
    sl_step_row *row = calloc((size_t)rows, sizeof *row);
    size_t vocab = (size_t)d->model->hp.vocab;
    for (int at = 0; at < longest; at += d->chunk) {
        int n = 0;
        for (int i = 0; i < count; i++) {
            int left = sequence[i].length - at;
            if (each) drive_windows(&d->model->hp, longest, window + i * most_pages, most_pages, i * each, each, at);
            if (left > 0) drive_state(&state[i], &s[i], at, left < d->chunk ? left : d->chunk);
            for (int p = at; p < at + d->chunk && p < sequence[i].length; p++) {
                row[n++] = (sl_step_row){sequence[i].token[p], p, i, true};
            }
        }
        sl_step step = {row, n, s, count};
        const float *logits = sl_forward_run(f, &step);
        if (d->stats) sl_expert_stats_fold(d->stats);
        for (int i = 0; i < n; i++) {
            memcpy(sequence[row[i].sequence].logits + (size_t)row[i].position * vocab, logits + (size_t)i * vocab,
                   vocab * sizeof(float));
        }
    }
    free(row);
    free(state);
    free(s);
    free(page);
    free(window);
    sl_forward_free(f);
    sl_workers_free(w);
}

static inline void drive(const driver *d, driven *sequence, int count) { drive_kinds(d, sequence, count, false); }

#endif
