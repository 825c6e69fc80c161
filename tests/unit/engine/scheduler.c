/* The scheduler without a model: steps cost what `seconds` says, every draw gives a token. */
#include "engine/internal.h"

#include <math.h>
#include <string.h>

#include "../run.h"

enum { MOST_SEQUENCES = 4096, MOST_PAGES = 2000 };

/* A mixture of 128 experts, 8 a token, and a machine that reads 40 G weights a second. */
static const sl__shape shape = {.dense = 0.3e9, .experts = 7e9, .used = 1.0 / 16, .output = 0.1e9, .attention = 1e5};

typedef struct sim {
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

static sim *make(int pages, int max_sequences, int max_rows, int max_logit_rows) {
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

/* A prompt that nobody else has, but for its first `common` tokens, which are the same in all. */
static const int32_t *prompt_of(sim *m, int len, int common) {
    int32_t *prompt = sl_arena_array(m->arena, SL_MEM_OTHER, (size_t)len, sizeof *prompt);
    for (int i = 0; i < len; i++) prompt[i] = i < common ? 1 + i : 100000 + m->token++;
    return prompt;
}

static sl__sequence *add(sim *m, sl_request *r, const int32_t *prompt, int prompt_len, int max_tokens, bool scored) {
    ck_assert_int_lt(m->count, MOST_SEQUENCES);
    sl__sequence *s = calloc(1, sizeof *s);
    *s = (sl__sequence){.request = r, .prompt = prompt, .prompt_len = prompt_len, .scored = scored ? 0 : prompt_len,
                        .born = (uint64_t)m->count};
    s->page = calloc((size_t)(prompt_len + max_tokens + SL_PAGE - 1) / SL_PAGE, sizeof *s->page);
    s->generated = calloc((size_t)max_tokens + 1, sizeof *s->generated);
    m->max_tokens[m->count] = max_tokens;
    m->all[m->count++] = s;
    sl__scheduler_wait(&m->c, s);
    return s;
}

static sl_request *request(sim *m) { return sl_arena_alloc(m->arena, SL_MEM_OTHER, sizeof(sl_request)); }

/* A request of its own. */
static sl__sequence *add_one(sim *m, int prompt_len, int max_tokens) {
    return add(m, request(m), prompt_of(m, prompt_len, 0), prompt_len, max_tokens, false);
}

static void end(sim *m, sl__sequence *s) {
    if (s->state == SL__ENDED) return;
    sl__scheduler_remove(s);
    sl__sequence_release(s, &m->p);
    s->state = SL__ENDED;
    m->over++;
}

static void unmake(sim *m) {
    for (int i = 0; i < m->count; i++) {
        end(m, m->all[i]);
        free(m->all[i]->page);
        free(m->all[i]->generated);
        free(m->all[i]);
    }
    ck_assert_int_eq(sl__pages_available(&m->p), m->p.total);
    ck_assert(!m->c.batch.first && !m->c.batch.last && !m->c.waiting.first && !m->c.waiting.last);
    sl_arena_free(m->arena);
    free(m);
}

static void on_preempted(void *arg, sl__sequence *s) {
    sim *m = arg;
    m->preempted++;
    ck_assert_int_eq(s->page_count, 0);
    if (m->c.batch.last) ck_assert_uint_lt(m->c.batch.last->born, s->born);
}

static void on_admitted(void *arg, sl__sequence *s) {
    sim *m = arg;
    m->admitted++;
    ck_assert_int_eq(s->state, SL__PREFILL);
}

static void on_reused(void *arg, sl__sequence *s, int tokens) {
    sim *m = arg;
    m->reused += tokens;
    ck_assert(tokens > 0 && s->computed % SL_PAGE == 0 && s->computed == s->known * SL_PAGE && s->rows == 0);
}

/* The asserts of check write to a file each: what is asked very often is put together first. */
static void check_list(const sl__list *l) {
    int n = 0;
    bool right = true;
    const sl__sequence *last = NULL;
    for (const sl__sequence *s = l->first; s; last = s, s = s->next, n++)
        right = right && s->prev == last && s->list == l && (!last || last->born < s->born);
    ck_assert(right && l->last == last && l->count == n);
}

static void check_pages(const sim *m) {
    int holders[MOST_PAGES] = {0}, held = 0;
    bool right = true;
    for (int i = 0; i < m->count; i++) {
        const sl__sequence *s = m->all[i];
        right = right && (s->page_count == 0 || s->state == SL__PREFILL || s->state == SL__DECODE);
        for (int k = 0; k < s->page_count; k++) holders[s->page[k]]++;
    }
    for (int i = 0; i < m->p.total; i++) {
        right = right && m->p.page[i].count == holders[i];
        held += holders[i] > 0;
    }
    ck_assert(right);
    ck_assert_int_eq(sl__pages_available(&m->p), m->p.total - held);
}

static int logits_of(const sl__sequence *s, int max_tokens) {
    int n = 0;
    for (int p = s->computed; p < s->computed + s->rows; p++)
        n += (p + 1 < s->prompt_len && p + 1 >= s->scored) || (p + 1 == sl__sequence_tokens(s) && max_tokens > 0);
    return n;
}

static void check_step(const sim *m, int rows) {
    int sum = 0, logits = 0;
    check_list(&m->c.batch);
    check_list(&m->c.waiting);
    check_pages(m);
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
        decoded = decoded && (s->state != SL__DECODE || s->rows == 1 || (s == m->c.batch.last && sl__pages_available(&m->p) == 0));
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

static void accept(sim *m, int i) {
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
static double truth(const sim *m, int rows, int logits, double positions) {
    double touched = shape.experts * (1 - pow(1 - shape.used, rows)), small = 1 + 0.3 * exp(-rows / 60.0);
    return m->read * (shape.dense + touched + (logits ? shape.output : 0)) +
           m->multiply * small * (rows * (shape.dense + shape.experts * shape.used) + logits * shape.output) +
           m->attend * shape.attention * positions;
}

/* A step; returns its rows. */
static int step(sim *m) {
    int rows = sl__scheduler_step(&m->c, &m->p, &(sl__scheduler_events){on_preempted, on_admitted, on_reused, m});
    check_step(m, rows);
    m->prompt_rows = m->decode_rows = m->oracle = 0;
    int decoding = 0, logits = 0;
    double positions = 0, decode_positions = 0;
    const sl__sequence *prompt = NULL;
    for (const sl__sequence *s = m->c.batch.first; s; s = s->next) {
        if (s->state == SL__DECODE) decoding += s->rows, decode_positions += (s->computed + 1) * s->rows;
        else if (!prompt) prompt = s;
        for (int p = s->computed; p < s->computed + s->rows; p++) positions += p + 1;
    }
    for (int i = 0; i < m->count; i++)
        if (m->all[i]->rows) logits += logits_of(m->all[i], m->max_tokens[i]);
    ck_assert_int_eq(rows, m->c.work.rows);
    ck_assert_int_le(logits, m->c.work.logits);
    ck_assert_double_eq_tol(positions, m->c.work.positions, 0.5);
    m->without_noise = truth(m, rows, logits, positions);
    m->seconds = m->without_noise * (1 + m->noise * (rand() % 2001 - 1000) / 1000);
    for (int n = 1; prompt && n <= m->c.max_rows - decoding && n <= sl__sequence_tokens(prompt) - prompt->computed; n++) {
        if (truth(m, decoding + n, decoding, decode_positions + n * (prompt->computed + (n + 1) / 2.0)) > m->c.target * 0.85) break;
        m->oracle = n;
    }
    for (int i = 0; i < m->count; i++)
        if (m->all[i]->rows) accept(m, i);
    if (rows) sl__scheduler_learn(&m->c, m->seconds);
    return rows;
}

START_TEST(alone_a_prompt_gets_the_largest_chunk) {
    sim *m = make(100, 4, 512, 32);
    add_one(m, 1200, 3);
    ck_assert_int_eq(step(m), 512);
    ck_assert_int_eq(step(m), 512);
    ck_assert_int_eq(step(m), 1200 - 1024);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(step(m), 1);
    ck_assert_int_eq(m->over, 1);
    ck_assert_int_eq(step(m), 0);
    unmake(m);
}
END_TEST

/* While nobody decodes, a step may take five targets. */
START_TEST(alone_a_prompt_on_a_slow_machine_is_cut) {
    sim *m = make(100, 4, 512, 32);
    m->multiply *= 20;
    add_one(m, 3000, 3);
    for (int i = 0; m->all[0]->state != SL__DECODE; i++) {
        step(m);
        if (i > 1) ck_assert_double_le(m->seconds, 5 * m->c.target * 1.1);
        if (i > 1 && m->all[0]->state != SL__DECODE) ck_assert_double_ge(m->seconds, 5 * m->c.target * 0.7);
    }
    unmake(m);
}
END_TEST

/* A target that decoding alone fills leaves the least chunk. */
START_TEST(nothing_left_gets_the_least_chunk) {
    sim *m = make(100, 4, 512, 32);
    sl__sequence *s = add_one(m, 5, 100);
    step(m);
    step(m);
    m->c.target = 0.001;
    ck_assert_int_eq(s->state, SL__DECODE);
    add_one(m, 100, 1);
    add_one(m, 100, 1);
    ck_assert_int_eq(step(m), 1 + SL__LEAST_CHUNK);
    unmake(m);
}
END_TEST

/* Whatever was served before, on whatever machine, with cold pages at first and a fifth of noise: beside decoders, a
 * prompt's chunks are near the oracle's, no step is far beyond the target, and the prompt needs few steps. */
START_TEST(after_any_history_chunks_are_right) {
    srand((unsigned)_i + 1);
    sim *m = make(2000, 40, 512, 48);
    double speed = exp((rand() % 2001 - 1000) / 1000.0 * 1.2); /* 0.3 to 3.3 times as slow */
    m->read *= speed * (1 + rand() % 3 / 2.0);
    m->multiply *= speed;
    m->attend *= speed * (1 + rand() % 3 / 2.0);
    m->c.target = 0.5 * speed;
    m->noise = 0.2;
    for (int turn = 0, cold = 3; turn < 6; turn++) {
        int what = rand() % 4, n = 1 + rand() % 30;
        for (int i = 0; i < (what == 0 ? 1 : n); i++)
            add_one(m, what == 0 ? 3000 + rand() % 3000 : what == 1 ? 5 + rand() % 200 : 8, what == 3 ? 200 : 3);
        while (m->over < m->count) {
            if (cold-- > 0) m->read *= 4, m->multiply *= 4, m->attend *= 4;
            step(m);
            if (cold >= 0) m->read /= 4, m->multiply /= 4, m->attend /= 4;
        }
    }
    for (int i = 0; i < 8; i++) add_one(m, 8, 400);
    for (int i = 0; i < 20; i++) step(m);
    for (int length = 512; length <= 4096; length *= 8) {
        sl__sequence *late = add_one(m, length, 100);
        double took = 0, least = 0;
        while (late->state != SL__DECODE) {
            int from = late->computed;
            step(m);
            ck_assert_int_eq(m->decode_rows, 8);
            ck_assert_double_le(m->without_noise, 1.15 * m->c.target);
            if (late->computed < length)
                ck_assert_msg(m->prompt_rows >= 0.6 * m->oracle, "%d of %d rows at %d", m->prompt_rows, m->oracle, from);
            took += m->seconds;
            if (m->oracle) least += m->seconds * fmin(1, (double)m->prompt_rows / m->oracle);
        }
        ck_assert_double_le(took, 1.5 * least);
        end(m, late);
    }
    unmake(m);
}
END_TEST

/* The chunks follow a machine that others use too, within a few steps. */
START_TEST(a_slower_machine_is_learned_in_a_few_steps) {
    sim *m = make(400, 16, 512, 40);
    for (int i = 0; i < 10; i++) add_one(m, 20, 900);
    while (m->c.batch.count < 10 || m->c.batch.last->state != SL__DECODE) step(m);
    for (int i = 0; i < 3; i++) add_one(m, 3000, 2);
    for (int i = 0; i < 60; i++) {
        if (i == 10) m->read *= 2, m->multiply *= 2, m->attend *= 2;
        if (i == 30) m->read /= 2, m->multiply /= 2, m->attend /= 2;
        step(m);
        ck_assert_int_ge(m->decode_rows, 10);
        if (i < 10 || i >= 20) ck_assert_double_le(m->seconds, m->c.target);
        if ((i >= 20 && i < 30) || i > 40) ck_assert_double_ge(m->prompt_rows, m->oracle * 0.75 - 2);
    }
    unmake(m);
}
END_TEST

/* Eight decode; a short prompt behind a long one gets its part of every step, and the long one three quarters. */
START_TEST(a_short_prompt_does_not_wait_for_a_long_one) {
    sim *m = make(2000, 16, 512, 40);
    if (_i)
        for (int i = 0; i < 8; i++) add_one(m, 8, 800);
    for (int i = 0; i < 10; i++) step(m);
    sl__sequence *big = add_one(m, 8000, 2);
    step(m);
    sl__sequence *small = add_one(m, 100, 2), *middle = add_one(m, 1000, 2);
    int steps = 0;
    for (; small->state == SL__WAITING || small->state == SL__PREFILL; steps++) {
        int before = big->computed;
        step(m);
        ck_assert_int_ge(big->computed - before, m->prompt_rows * 7 / 10);
        ck_assert(middle->computed < small->computed || small->computed == small->prompt_len);
    }
    ck_assert_int_le(steps, _i ? 6 : 1);
    while (big->state == SL__PREFILL) {
        int before = big->computed;
        step(m);
        if (big->state == SL__PREFILL) ck_assert_int_ge(big->computed - before, m->prompt_rows * 7 / 10);
    }
    ck_assert_msg(middle->state == SL__ENDED || middle->state == SL__DECODE, "the next shortest goes on");
    unmake(m);
}
END_TEST

/* So many decode that few rows of logits are left: a short prompt still gets one. */
START_TEST(a_short_prompt_gets_the_last_rows_of_logits) {
    sim *m = make(2000, 31, 512, 32);
    for (int i = 0; i < 29; i++) add_one(m, 8, 800);
    for (int i = 0; i < 20; i++) step(m);
    sl__sequence *big = add_one(m, 8000, 2);
    step(m);
    sl__sequence *small = add_one(m, 20, 2);
    for (int i = 0; small->state == SL__WAITING || small->state == SL__PREFILL; i++) {
        step(m);
        ck_assert_int_lt(i, 8);
    }
    ck_assert_int_eq(big->state, SL__PREFILL);
    unmake(m);
}
END_TEST

/* Short ones that keep coming cannot stop a long one, and prompts of one length are done one after the other. */
START_TEST(nobody_starves) {
    sim *m = make(2000, 16, 512, 40);
    sl__sequence *big = add_one(m, 8000, 2);
    for (int i = 0; big->state != SL__DECODE; i++) {
        if (m->c.batch.count + m->c.waiting.count < 12) add_one(m, 60, 2);
        int before = big->computed;
        step(m);
        ck_assert_int_ge(big->computed - before, big->state == SL__DECODE ? 1 : m->prompt_rows * 7 / 10);
        ck_assert_int_lt(i, 120);
    }
    for (int i = 0; i < m->count; i++) end(m, m->all[i]);
    sl__sequence *a = add_one(m, 1500, 2), *b = add_one(m, 1500, 2);
    while (a->state == SL__WAITING || a->state == SL__PREFILL) {
        step(m);
        ck_assert(a->state == SL__DECODE || b->computed == 0);
    }
    unmake(m);
}
END_TEST

START_TEST(the_oldest_goes_on_and_the_youngest_gives_way) {
    sim *m = make(12, 4, 512, 40);
    sl__sequence *a = add_one(m, 60, 200), *b = add_one(m, 60, 200), *c = add_one(m, 60, 200); /* each needs 9 of 12 in the end */
    int before, steps = 0;
    while (a->state != SL__ENDED) {
        before = a->computed;
        step(m);
        ck_assert(a->computed > before || a->state == SL__ENDED);
        ck_assert_msg(b->computed >= c->computed || c->state == SL__WAITING || b->state == SL__PREFILL, "the youngest gives way first");
        ck_assert_int_lt(++steps, 300);
    }
    ck_assert_int_gt(m->preempted, 1);
    add_one(m, 5, 5);
    while (b->state != SL__ENDED) {
        step(m);
        ck_assert_int_lt(++steps, 1000);
    }
    while (m->over < m->count) {
        step(m);
        ck_assert_int_lt(++steps, 2000);
    }
    unmake(m);
}
END_TEST

START_TEST(nobody_overtakes_one_that_waits_for_pages) {
    sim *m = make(20, 4, 512, 40);
    add_one(m, 300, 50); /* 11 pages */
    step(m);
    sl__sequence *big = add_one(m, 500, 50), *small = add_one(m, 5, 5); /* 16 and 1 */
    while (big->state == SL__WAITING) {
        step(m);
        ck_assert(big->state != SL__WAITING || small->state == SL__WAITING);
    }
    while (m->over < m->count) step(m);
    unmake(m);
}
END_TEST

static void add_choices(sim *m, int n, int prompt_len, int max_tokens, bool scored) {
    sl_request *r = request(m);
    const int32_t *prompt = prompt_of(m, prompt_len, 0);
    for (int i = 0; i < n; i++) add(m, r, prompt, prompt_len, max_tokens, scored);
}

static void run_out(sim *m, int most) {
    for (int i = 0; m->over < m->count; i++) {
        step(m);
        ck_assert_int_lt(i, most);
    }
}

START_TEST(choices_compute_their_prompt_once) {
    sim *m = make(100, 8, 150, 40);
    add_choices(m, 5, 200, 10, false);
    sl__sequence *other = add_one(m, 10, 3); /* the choices wait for their sibling, others need not */
    step(m);
    ck_assert_int_gt(other->computed, 0);
    for (int i = 1; i < 5; i++) ck_assert_int_eq(m->all[i]->computed, 0);
    run_out(m, 100);
    ck_assert_uint_eq(m->prompt_total, 200 + 4 * (200 - 192) + 10);
    ck_assert_int_eq(m->reused, 4 * 192);
    unmake(m);
}
END_TEST

/* Also when others want their places meanwhile. */
START_TEST(choices_keep_their_places) {
    sim *m = make(100, 4, 64, 40);
    add_choices(m, 4, 200, 1, false);
    for (int i = 0; i < 10; i++) add_one(m, 8, 40);
    run_out(m, 400);
    ck_assert_uint_eq(m->prompt_total, 192 + 4 * 8 + 10 * 8);
    unmake(m);
}
END_TEST

/* Also when it ends with the step that computes it, and when they find a place one after the other. */
START_TEST(choices_of_one_token_compute_their_prompt_once) {
    sim *m = make(100, _i ? 4 : 16, 150, 40);
    add_choices(m, 12, 200, 1, false);
    run_out(m, 100);
    ck_assert_uint_eq(m->prompt_total, 192 + 12 * 8);
    unmake(m);
}
END_TEST

START_TEST(when_the_computing_choice_goes_the_next_computes) {
    sim *m = make(100, 8, 64, 40);
    add_choices(m, 3, 200, 10, false);
    step(m);
    ck_assert_int_eq(m->all[0]->computed, 64);
    end(m, m->all[0]);
    step(m);
    ck_assert_int_eq(m->all[1]->computed, 128); /* the half of it that was known */
    ck_assert_int_eq(m->all[2]->computed, 64);
    run_out(m, 100);
    ck_assert_uint_eq(m->prompt_total, 192 + 2 * 8);
    unmake(m);
}
END_TEST

/* --- known pages --- */

START_TEST(what_begins_alike_is_computed_once) {
    sim *m = make(200, 8, _i ? 512 : 90, 40);
    for (int i = 0; i < 6; i++) add(m, request(m), prompt_of(m, 340, 320), 340, 5, false);
    run_out(m, 100);
    ck_assert_uint_eq(m->prompt_total, 320 + 6 * 20);
    ck_assert_int_eq(m->reused, 5 * 320);
    unmake(m);
}
END_TEST

/* Others wait for the oldest prompt, and it for nobody: not for a shorter one that begins as it does. */
START_TEST(the_oldest_waits_for_nobody) {
    sim *m = make(400, 16, 512, 40);
    for (int i = 0; i < 8; i++) add_one(m, 8, 400);
    for (int i = 0; i < 10; i++) step(m);
    sl__sequence *big = add(m, request(m), prompt_of(m, 4000, 400), 4000, 2, false);
    sl__sequence *small = add(m, request(m), prompt_of(m, 420, 400), 420, 2, false);
    uint64_t before = m->prompt_total;
    while (big->state != SL__DECODE) {
        int from = big->computed;
        step(m);
        ck_assert_int_ge(big->computed - from, big->state == SL__DECODE ? 1 : m->prompt_rows * 7 / 10);
    }
    ck_assert(small->state == SL__ENDED);
    ck_assert_uint_eq(m->prompt_total - before, 4000 + 420 - 384);
    unmake(m);
}
END_TEST

/* Not for one that is neither the oldest nor gets rows: a short prompt is served though a long one begins alike. */
START_TEST(nobody_waits_for_one_that_gets_nothing) {
    sim *m = make(2000, 16, 512, 40);
    for (int i = 0; i < 8; i++) add_one(m, 8, 800);
    for (int i = 0; i < 10; i++) step(m);
    add_one(m, 6000, 2);
    sl__sequence *second = add(m, request(m), prompt_of(m, 8000, 90), 8000, 2, false);
    sl__sequence *small = add(m, request(m), prompt_of(m, 100, 90), 100, 2, false);
    for (int i = 0; small->state != SL__DECODE && small->state != SL__ENDED; i++) {
        step(m);
        ck_assert_int_lt(i, 8);
    }
    ck_assert_int_eq(second->state, SL__PREFILL);
    unmake(m);
}
END_TEST

/* Nor for one whose rows all want logits, of which a step has few. */
START_TEST(nobody_waits_for_a_prompt_that_is_scored) {
    sim *m = make(200, 8, 512, 12);
    const int32_t *prompt = prompt_of(m, 400, 0);
    sl__sequence *scored = add(m, request(m), prompt, 400, 3, true), *other = add(m, request(m), prompt, 400, 3, false);
    for (int i = 0; other->state != SL__DECODE; i++) {
        step(m);
        ck_assert_int_lt(i, 4);
    }
    ck_assert_int_lt(scored->computed, 100);
    run_out(m, 100);
    unmake(m);
}
END_TEST

/* Pages that are kept are as good as free: for who comes, and for who runs. */
START_TEST(kept_pages_take_no_room) {
    sim *m = make(12, 4, 512, 40);
    add_one(m, 340, 10);
    run_out(m, 50);
    ck_assert_int_eq(m->p.kept_count, (340 + 9) / SL_PAGE);
    sl__sequence *a = add_one(m, 150, 60), *b = add_one(m, 100, 60); /* 7 and 5 pages: all */
    step(m);
    ck_assert(a->state != SL__WAITING && b->state != SL__WAITING);
    run_out(m, 200);
    ck_assert_int_eq(m->preempted, 0);
    ck_assert_int_gt(m->p.evicted, 0);
    unmake(m);
}
END_TEST

START_TEST(a_second_turn_computes_what_is_new) {
    sim *m = make(60, 4, 512, 40);
    const int32_t *prompt = prompt_of(m, 500, 0);
    add(m, request(m), prompt, 400, 3, false);
    run_out(m, 50);
    m->prompt_total = 0;
    add(m, request(m), prompt, 500, 3, false); /* the answer was other tokens than the second prompt has there */
    run_out(m, 50);
    ck_assert_uint_eq(m->prompt_total, 500 - 384);
    m->prompt_total = 0;
    add(m, request(m), prompt, 384, 3, false); /* all known: the last page is computed again, for its last row */
    run_out(m, 50);
    ck_assert_uint_eq(m->prompt_total, SL_PAGE);
    ck_assert_int_eq(m->reused, 384 + 352);
    unmake(m);
}
END_TEST

/* Who lost its pages finds those again that nobody else took meanwhile. That is not counted as reuse. */
START_TEST(a_preempted_sequence_finds_its_pages_again) {
    sim *m = make(12, 4, 512, 40);
    sl__sequence *a = add_one(m, 150, 100), *b = add_one(m, 120, 100);
    int computed = 0, rows = 0;
    for (int i = 0; m->over < m->count; i++) {
        step(m);
        rows += m->prompt_rows + m->decode_rows;
        if (b->state == SL__WAITING && b->peak > computed) computed = b->peak;
        ck_assert_int_lt(i, 400);
    }
    ck_assert_int_gt(m->preempted, 0);
    ck_assert_int_gt(computed, 120);
    ck_assert_int_lt(rows, 150 + 99 + 120 + 99 + computed);
    ck_assert_int_eq(m->reused, 0);
    ck_assert_int_eq(a->generated_count + b->generated_count, 200);
    unmake(m);
}
END_TEST

START_TEST(scores_keep_within_the_rows_of_logits) {
    sim *m = make(100, 4, 512, 12);
    add_choices(m, 3, 150, 4, true);
    run_out(m, 200); /* check_step counts */
    ck_assert_uint_eq(m->prompt_total, 3 * 150); /* every row of logits is wanted, so nothing is reused */
    ck_assert_int_eq(m->reused, 0);
    unmake(m);
}
END_TEST

/* Promise 3 */
START_TEST(whatever_comes_everything_ends) {
    int pages = 6 + (_i * 37) % 60, sequences = 1 + _i % 9, preempted = 0;
    srand((unsigned)_i + 1);
    sim *m = make(pages, sequences, sequences + SL__LEAST_CHUNK + rand() % 100, sequences < 32 ? 32 : sequences + 8);
    m->c.target = _i % 3 ? 0.05 : 1;
    int steps = 0, quiet = 0;
    while (m->count < 300 || m->over < m->count) {
        bool coming = m->count < 300;
        for (int k = rand() % 3; coming && k > 0 && m->c.waiting.count < 50; k--) {
            sl_request *r = request(m);
            int positions = pages * SL_PAGE, prompt = 1 + rand() % (rand() % 4 ? 50 : positions - 1);
            int most = rand() % 8 ? 1 + rand() % 60 : 0, n = rand() % 5 ? 1 : 1 + rand() % 6;
            if (prompt + most > positions) most = positions - prompt;
            bool scored = rand() % 6 == 0 || most == 0;
            const int32_t *tokens = prompt_of(m, prompt, rand() % 2 ? rand() % (prompt + 1) : 0);
            for (int i = 0; i < n; i++) add(m, r, tokens, prompt, most, scored);
        }
        if (rand() % 20 == 0 && m->count) { /* a client leaves */
            const sl_request *r = m->all[rand() % m->count]->request;
            for (int i = 0; i < m->count; i++)
                if (m->all[i]->request == r) end(m, m->all[i]);
        }
        m->multiply = (1 + rand() % 10) / 400e9;
        step(m);
        preempted += m->preempted;
        quiet += !coming;
        ck_assert_int_lt(++steps, 200000);
        ck_assert_int_lt(quiet, 60000);
    }
    if (pages < 20 && sequences > 3) ck_assert_int_gt(preempted, 0);
    unmake(m);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/scheduler");
    TCase *t = tcase_create("engine/scheduler");
    tcase_set_timeout(t, 120);
    const TTest *const tests[] = {
        alone_a_prompt_gets_the_largest_chunk, alone_a_prompt_on_a_slow_machine_is_cut, nothing_left_gets_the_least_chunk,
        a_slower_machine_is_learned_in_a_few_steps, nobody_starves,
        the_oldest_goes_on_and_the_youngest_gives_way, nobody_overtakes_one_that_waits_for_pages, choices_compute_their_prompt_once,
        choices_keep_their_places, a_short_prompt_gets_the_last_rows_of_logits, when_the_computing_choice_goes_the_next_computes,
        scores_keep_within_the_rows_of_logits, the_oldest_waits_for_nobody, nobody_waits_for_one_that_gets_nothing,
        nobody_waits_for_a_prompt_that_is_scored,
        kept_pages_take_no_room, a_second_turn_computes_what_is_new, a_preempted_sequence_finds_its_pages_again};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(t, tests[i]);
    tcase_add_loop_test(t, after_any_history_chunks_are_right, 0, 40);
    tcase_add_loop_test(t, a_short_prompt_does_not_wait_for_a_long_one, 0, 2);
    tcase_add_loop_test(t, choices_of_one_token_compute_their_prompt_once, 0, 2);
    tcase_add_loop_test(t, what_begins_alike_is_computed_once, 0, 2);
    tcase_add_loop_test(t, whatever_comes_everything_ends, 0, 24);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
