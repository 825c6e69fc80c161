/* sim.h: the scheduler without a model: steps cost what `truth` says, every draw gives a token, every step is checked. With windows,
 * pages have contents too: what a row writes there says which tokens it has seen, and whoever reads it must find just that. */
#ifndef SL_TEST_SIM_H
#define SL_TEST_SIM_H

#include "engine/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../quiet.h"

enum { MOST_SEQUENCES = 4096, MOST_PAGES = 2000 };

/* A mixture of 128 experts, 8 a token, and a machine that reads 40 G weights a second. */
static const sl__shape shape = {.dense = 0.3e9, .experts = 7e9, .used = 1.0 / 16, .output = 0.1e9, .attention = 1e5};

/* What a page has at each of its positions. */
typedef struct contents {
    uint64_t at[MOST_PAGES][SL_PAGE];
} contents;

typedef struct sim {
    sl_hparams hp; /* its window, if it has one */
    contents *full, *windowed; /* NULL: no windows */
    sl__scheduler c;
    sl__pages p;
    sl_arena *arena;
    sl__sequence *all[MOST_SEQUENCES]; /* in order of age */
    int max_tokens[MOST_SEQUENCES], count, over;
    int preempted, admitted, reused; /* reused: positions */
    const sl__sequence *oldest; /* of the batch, when the step was decided */
    double read, multiply, attend; /* what a step truly costs: seconds of each weight, product, product of attention */
    double noise;   /* of a step's seconds: up to this share more or less */
    double seconds, without_noise; /* of the last step */
    int prompt_rows, decode_rows, oracle; /* oracle: prompt rows that would have fitted, had the costs been known */
    uint64_t prompt_total;
    int32_t token; /* the next one that nobody has */
} sim;

static inline sim *make(int pages, int max_sequences, int max_rows, int max_logit_rows) {
    sim *m = calloc(1, sizeof *m);
    sl_error e;
    m->arena = sl_arena_new();
    ck_assert_int_eq(sl__pages_init(&m->p, pages, true, m->arena, &e), SL_OK);
    m->c = (sl__scheduler){.max_sequences = max_sequences, .max_rows = max_rows, .max_logit_rows = max_logit_rows, .target = 0.5};
    sl__cost_init(&m->c.cost, &shape);
    m->read = 1 / 40e9;
    m->multiply = 1 / 400e9;
    m->attend = 4 / 400e9;
    return m;
}

/* One layer sees everything, one the newest `window` positions, or the chunk of so many that a row is in; `pages` window pages. */
static inline void with_windows(sim *m, int window, bool chunked, int pages) {
    sl_error e;
    m->hp = (sl_hparams){.layers = 2, .window = {0, window}, .chunked = chunked};
    ck_assert_int_eq(sl__pages_windows(&m->p, pages, &m->hp, m->p.kept.total * SL_PAGE, m->arena, &e), SL_OK);
    m->c.cost.shape.window = m->p.widest;
    m->full = calloc(1, sizeof *m->full);
    m->windowed = calloc(1, sizeof *m->windowed);
}

/* A prompt that nobody else has, but for its first `common` tokens, which are the same in all. */
static const int32_t *prompt_of(sim *m, int len, int common) {
    int32_t *prompt = sl_arena_array(m->arena, SL_MEM_OTHER, (size_t)len, sizeof *prompt);
    for (int i = 0; i < len; i++) prompt[i] = i < common ? 1 + i : 100000 + m->token++;
    return prompt;
}

static inline sl__sequence *add(sim *m, sl_request *r, const int32_t *prompt, int prompt_len, int max_tokens, bool scored) {
    ck_assert_int_lt(m->count, MOST_SEQUENCES);
    sl__sequence *s = calloc(1, sizeof *s);
    *s = (sl__sequence){.request = r, .prompt = prompt, .prompt_len = prompt_len, .scored = scored ? 0 : prompt_len,
                        .born = (uint64_t)m->count};
    s->page = calloc((size_t)(prompt_len + max_tokens + SL_PAGE - 1) / SL_PAGE, sizeof *s->page);
    if (m->full) s->window = calloc((size_t)(prompt_len + max_tokens + SL_PAGE - 1) / SL_PAGE, sizeof *s->window);
    s->generated = calloc((size_t)max_tokens + 1, sizeof *s->generated);
    m->max_tokens[m->count] = max_tokens;
    m->all[m->count++] = s;
    sl__scheduler_wait(&m->c, s);
    return s;
}

static inline sl_request *request(sim *m) { return sl_arena_alloc(m->arena, SL_MEM_OTHER, sizeof(sl_request)); }

/* A request of its own. */
static inline sl__sequence *add_one(sim *m, int prompt_len, int max_tokens) {
    return add(m, request(m), prompt_of(m, prompt_len, 0), prompt_len, max_tokens, false);
}

static inline void end(sim *m, sl__sequence *s) {
    if (s->state == SL__ENDED) return;
    sl__scheduler_remove(s);
    sl__sequence_release(s, &m->p);
    s->state = SL__ENDED;
    m->over++;
}

static inline void unmake(sim *m) {
    for (int i = 0; i < m->count; i++) {
        end(m, m->all[i]);
        free(m->all[i]->page);
        free(m->all[i]->window);
        free(m->all[i]->generated);
        free(m->all[i]);
    }
    ck_assert_int_eq(sl__kept_available(&m->p.kept), m->p.kept.total);
    ck_assert_int_eq(sl__kept_available(&m->p.windows.kept), m->p.windows.kept.total);
    free(m->full);
    free(m->windowed);
    ck_assert(!m->c.batch.first && !m->c.batch.last && !m->c.waiting.first && !m->c.waiting.last);
    sl_arena_free(m->arena);
    free(m);
}

static inline void on_preempted(void *arg, sl__sequence *s) {
    sim *m = arg;
    m->preempted++;
    ck_assert_int_eq(s->page_count, 0);
    if (m->c.batch.last) ck_assert_uint_lt(m->c.batch.last->born, s->born);
}

static inline void on_admitted(void *arg, sl__sequence *s) {
    sim *m = arg;
    m->admitted++;
    ck_assert_int_eq(s->state, SL__PREFILL);
}

static inline void on_reused(void *arg, sl__sequence *s, int tokens) {
    sim *m = arg;
    m->reused += tokens;
    ck_assert(tokens > 0 && s->computed % SL_PAGE == 0 && s->computed == s->known * SL_PAGE && s->rows == 0);
}

/* The asserts of check write to a file each: what is asked very often is put together first. */
static inline void check_list(const sl__list *l) {
    int n = 0;
    bool right = true;
    const sl__sequence *last = NULL;
    for (const sl__sequence *s = l->first; s; last = s, s = s->next, n++)
        right = right && s->prev == last && s->list == l && (!last || last->born < s->born);
    ck_assert(right && l->last == last && l->count == n);
}

static inline void check_pages(const sim *m) {
    int holders[MOST_PAGES] = {0}, held = 0;
    bool right = true;
    for (int i = 0; i < m->count; i++) {
        const sl__sequence *s = m->all[i];
        right = right && (s->page_count == 0 || s->state == SL__PREFILL || s->state == SL__DECODE);
        for (int k = 0; k < s->page_count; k++) holders[s->page[k]]++;
    }
    for (int i = 0; i < m->p.kept.total; i++) {
        right = right && m->p.kept.holders[i] == holders[i];
        held += holders[i] > 0;
    }
    ck_assert(right);
    ck_assert_int_eq(sl__kept_available(&m->p.kept), m->p.kept.total - held);
}

/* The first position that a row at `position` sees in the layer with a window. */
static inline int first_seen(const sim *m, int position) {
    int window = m->hp.window[1];
    if (m->hp.chunked) return position / window * window;
    return position < window ? 0 : position + 1 - window;
}

/* Every window page has as many holders as there are sequences that say so, is attached to the page that says so, and is
 * free, held or kept. Who is in the batch holds those that its next row sees, and none before them. */
static inline void check_windows(const sim *m) {
    const sl__attached *x = &m->p.windows;
    const sl__kept *all = &x->kept;
    int holders[MOST_PAGES] = {0}, kept = 0, held = 0, listed = 0;
    bool right = true;
    if (!all->total) return;
    for (int i = 0; i < m->count; i++) {
        const sl__sequence *s = m->all[i];
        right = right && (s->page_count == 0 || s->first_window == first_seen(m, s->computed) / SL_PAGE);
        for (int k = s->first_window; k < s->page_count; k++) {
            holders[s->window[k]]++;
            right = right && (k < s->known ? sl__attached_of(x, s->page[k]) == s->window[k] : x->page[s->window[k]] < 0);
        }
    }
    for (int i = 0; i < all->total; i++) {
        right = right && all->holders[i] == holders[i] && (x->page[i] < 0 || x->of_page[x->page[i]] == i);
        held += holders[i] > 0;
        kept += holders[i] == 0 && x->page[i] >= 0;
    }
    for (int i = 0; i < m->p.kept.total; i++)
        right = right && (x->of_page[i] < 0 || (x->page[x->of_page[i]] == i && sl__prefix_knows(&m->p.prefix, i)));
    for (sl__place place = SL__KEPT; place < SL__PLACES; place++)
        for (int32_t i = all->link[all->total + (int)place].after; i < all->total; i = all->link[i].after) listed++;
    ck_assert(right);
    ck_assert_int_eq(kept, all->kept_count);
    ck_assert_int_eq(listed, all->kept_count);
    ck_assert_int_eq(all->free_count + kept + held, all->total);
}

/* What the row at `position` leaves: a hash of the tokens up to it. */
static inline uint64_t *seen_by(const sl__sequence *s) {
    int n = s->computed + s->rows;
    uint64_t *seen = calloc((size_t)n + 1, sizeof *seen), x = s->salt + 1;
    for (int p = 0; p < n; p++) seen[p] = x = (x ^ (uint64_t)sl__sequence_token(s, p)) * UINT64_C(0x9e3779b97f4a7c15) + (x >> 29);
    return seen;
}

/* The step on the pages: all rows are written, then each reads what it sees, as every layer does. */
static inline void run_pages(sim *m) {
    uint64_t *seen[MOST_SEQUENCES] = {0};
    bool right = true;
    for (int i = 0; i < m->count; i++) {
        const sl__sequence *s = m->all[i];
        if (!s->rows) continue;
        seen[i] = seen_by(s);
        for (int p = s->computed; p < s->computed + s->rows; p++) {
            m->full->at[s->page[p / SL_PAGE]][p % SL_PAGE] = seen[i][p];
            m->windowed->at[s->window[p / SL_PAGE]][p % SL_PAGE] = seen[i][p];
        }
    }
    for (int i = 0; i < m->count; i++) {
        const sl__sequence *s = m->all[i];
        if (!s->rows) continue;
        int last = s->computed + s->rows - 1;
        for (int p = 0; p <= last; p++) right = right && m->full->at[s->page[p / SL_PAGE]][p % SL_PAGE] == seen[i][p];
        for (int p = first_seen(m, s->computed); p <= last; p++)
            right = right && p / SL_PAGE >= s->first_window && m->windowed->at[s->window[p / SL_PAGE]][p % SL_PAGE] == seen[i][p];
        free(seen[i]);
    }
    ck_assert_msg(right, "a row sees what it is to see");
}

static inline int logits_of(const sl__sequence *s, int max_tokens) {
    int n = 0;
    for (int p = s->computed; p < s->computed + s->rows; p++)
        n += (p + 1 < s->prompt_len && p + 1 >= s->scored) || (p + 1 == sl__sequence_tokens(s) && max_tokens > 0);
    return n;
}

static inline void check_step(const sim *m, int rows) {
    int sum = 0, logits = 0;
    check_list(&m->c.batch);
    check_list(&m->c.waiting);
    check_pages(m);
    check_windows(m);
    ck_assert_int_le(m->c.batch.count, m->c.max_sequences);
    bool listed = true, within = true, decoded = true;
    for (int i = 0; i < m->count; i++) {
        const sl__sequence *s = m->all[i];
        bool batched = s->state == SL__PREFILL || s->state == SL__DECODE;
        listed = listed && s->list == (batched ? &m->c.batch : s->state == SL__WAITING ? &m->c.waiting : NULL);
        if (!batched) continue;
        sum += s->rows;
        logits += logits_of(s, m->max_tokens[i]);
        within = within && s->computed + s->rows <= sl__sequence_tokens(s) && s->page_count * SL_PAGE >= s->computed + s->rows &&
                 s->known == s->computed / SL_PAGE;
        decoded = decoded && (s->state != SL__DECODE || s->rows == 1 || (s == m->c.batch.last && !sl__pages_left(&m->p)));
    }
    ck_assert_msg(listed, "a sequence stands where its state says");
    ck_assert_msg(within, "rows are of known tokens and have pages");
    ck_assert_msg(decoded, "only the youngest may go without its row, when no page is free");
    ck_assert_int_eq(sum, rows);
    ck_assert_int_le(sum, m->c.max_rows);
    ck_assert_int_le(logits, m->c.max_logit_rows);
    if (m->c.batch.first) ck_assert_int_ge(m->c.batch.first->rows, 1);
    ck_assert_msg(rows > 0 || m->over == m->count, "somebody is there and nothing is done");
}

static inline void accept(sim *m, int i) {
    sl__sequence *s = m->all[i];
    bool decode = s->state == SL__DECODE;
    if (decode) m->decode_rows += s->rows;
    else m->prompt_rows += s->rows;
    if (s->computed < s->prompt_len) m->prompt_total += (uint64_t)s->rows;
    s->computed += s->rows;
    if (s->peak < s->computed) s->peak = s->computed;
    if (s->scored < s->prompt_len) s->scored = s->computed + 1 < s->prompt_len ? s->computed + 1 : s->prompt_len;
    s->rows = 0;
    sl__sequence_publish(s, &m->p);
    if (s->computed < sl__sequence_tokens(s)) return;
    s->state = SL__DECODE;
    if (s->generated_count < m->max_tokens[i]) s->generated[s->generated_count++] = 50000 + i % 7;
    if (s->generated_count == m->max_tokens[i]) end(m, s);
}

/* What a step truly costs. The model of the scheduler does not know that small groups of rows are dearer. */
static inline double truth(const sim *m, int rows, int logits, double positions) {
    double touched = shape.experts * (1 - pow(1 - shape.used, rows)), small = 1 + 0.3 * exp(-rows / 60.0);
    return m->read * (shape.dense + touched + (logits ? shape.output : 0)) +
           m->multiply * small * (rows * (shape.dense + shape.experts * shape.used) + logits * shape.output) +
           m->attend * shape.attention * positions;
}

/* A step; returns its rows. */
static inline int step(sim *m) {
    int rows = sl__scheduler_step(&m->c, &m->p, &(sl__scheduler_events){on_preempted, on_admitted, on_reused, m});
    check_step(m, rows);
    m->prompt_rows = m->decode_rows = m->oracle = 0;
    int decoding = 0, logits = 0;
    double positions = 0, decode_positions = 0, windowed = 0;
    const sl__sequence *prompt = NULL;
    for (const sl__sequence *s = m->c.batch.first; s; s = s->next) {
        if (s->state == SL__DECODE) decoding += s->rows, decode_positions += (s->computed + 1) * s->rows;
        else if (!prompt) prompt = s;
        for (int p = s->computed; p < s->computed + s->rows; p++)
            positions += p + 1, windowed += p + 1 - (m->full ? first_seen(m, p) : 0);
    }
    for (int i = 0; i < m->count; i++)
        if (m->all[i]->rows) logits += logits_of(m->all[i], m->max_tokens[i]);
    ck_assert_int_eq(rows, m->c.work.rows);
    ck_assert_int_le(logits, m->c.work.logits);
    ck_assert_double_eq_tol(positions, m->c.work.positions, 0.5);
    ck_assert_double_eq_tol(windowed, m->c.work.windowed, 0.5);
    m->without_noise = truth(m, rows, logits, positions);
    m->seconds = m->without_noise * (1 + m->noise * (rand() % 2001 - 1000) / 1000);
    for (int n = 1; prompt && n <= m->c.max_rows - decoding && n <= sl__sequence_tokens(prompt) - prompt->computed; n++) {
        if (truth(m, decoding + n, decoding, decode_positions + n * (prompt->computed + (n + 1) / 2.0)) > m->c.target * 0.85) break;
        m->oracle = n;
    }
    if (m->full) run_pages(m);
    for (int i = 0; i < m->count; i++)
        if (m->all[i]->rows) accept(m, i);
    if (rows) sl__scheduler_learn(&m->c, m->seconds);
    return rows;
}

static inline void add_choices(sim *m, int n, int prompt_len, int max_tokens, bool scored) {
    sl_request *r = request(m);
    const int32_t *prompt = prompt_of(m, prompt_len, 0);
    for (int i = 0; i < n; i++) add(m, r, prompt, prompt_len, max_tokens, scored);
}

static inline void run_out(sim *m, int most) {
    for (int i = 0; m->over < m->count; i++) {
        step(m);
        ck_assert_int_lt(i, most);
    }
}

#endif
