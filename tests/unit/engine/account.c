/* What the engine counts, at times that the test says: no thread, no model. */
#include "base/clock.h"
#include "engine/internal.h"

#include <math.h>
#include <string.h>

#include "../run.h"

static sl_engine g;
static const sl_metrics_config mc = {.layers = 1, .experts = 1, .finish = sl_finish_names, .finish_count = SL_FINISH_COUNT};

static void open_engine(int max_sequences) {
    sl_error e;
    memset(&g, 0, sizeof g);
    g.config.max_sequences = max_sequences;
    g.pages.kept.total = g.pages.kept.free_count = 4;
    ck_assert_int_eq(sl_metrics_new(&mc, &g.config.metrics, &e), SL_OK);
}

static void close_engine(void) { g.config.metrics = sl_metrics_free(g.config.metrics); }

static uint64_t at(double seconds) { return (uint64_t)((1000 + seconds) * (double)SL_SECOND); }

static void arrive(sl_request *r, double when) {
    memset(r, 0, sizeof *r);
    r->arrived = at(when);
    r->finish = -1;
    atomic_fetch_add(&g.waiting, 1);
    atomic_fetch_add(&g.live, 1);
}

static void enter(sl_request *r, double when) {
    sl_metrics_begin(g.config.metrics);
    g.scheduler.batch.count++;
    sl__account_enter(&g, r, at(when));
    sl_metrics_end(g.config.metrics);
}

static void end(sl_request *r, double when, int finish) {
    sl_metrics_begin(g.config.metrics);
    if (r->started) g.scheduler.batch.count--;
    r->finish = finish;
    sl__account_end(&g, r, at(when));
    sl_metrics_end(g.config.metrics);
}

/* The wait that is expected at a time, while somebody waits or nobody does. */
static double expected(double when, bool somebody_waits) {
    static sl__sequence one;
    g.scheduler.waiting.first = somebody_waits ? &one : NULL;
    sl_metrics_begin(g.config.metrics);
    sl__account_wait(&g, at(when));
    sl_metrics_end(g.config.metrics);
    return sl_metrics_get(g.config.metrics, SL_METRIC_EXPECTED_WAIT, 0);
}

static double mean(sl_metric id) {
    double sum, count = sl_metrics_observed(g.config.metrics, id, 0, &sum);
    return sum / count;
}

static bool near(double x, double y) { return fabs(x - y) < 1e-6 * (1 + fabs(y)); }

START_TEST(latencies_begin_at_arrival) {
    static sl_request r;
    static sl__sequence s;
    open_engine(4);
    arrive(&r, 0);
    s.request = &r;
    enter(&r, 3);
    sl_metrics_begin(g.config.metrics);
    sl__account_token(&g, &s, at(5));
    sl__account_token(&g, &s, at(5.5));
    sl_metrics_end(g.config.metrics);
    end(&r, 7, SL_FINISH_STOP);
    ck_assert(near(mean(SL_METRIC_QUEUE_TIME), 3));
    ck_assert(near(mean(SL_METRIC_TTFT), 5));
    ck_assert(near(mean(SL_METRIC_ITL), 0.5));
    ck_assert(near(mean(SL_METRIC_E2E), 7));
    sl_usage u = sl_request_usage(&r);
    ck_assert(near(u.queue_seconds, 3) && near(u.first_token_seconds, 5) && near(u.total_seconds, 7));
    ck_assert_int_eq(atomic_load(&g.live), 0);
    ck_assert_int_eq(atomic_load(&g.waiting), 0);
    close_engine();
}
END_TEST

static sl__sequence sequence(sl_request *r, int choice) {
    return (sl__sequence){.request = r, .choice = choice, .prompt_len = 100, .scored = r->prompt_logprobs < 0 ? 100 : 0};
}

static double value(sl_metric id, int slot) { return sl_metrics_get(g.config.metrics, id, slot); }

/* Queries and hits of all choices; a prompt's tokens once, whichever of them were computed. */
START_TEST(what_is_reused_is_counted_once) {
    static sl_request r;
    open_engine(4);
    g.config.prefix_cache = true;
    arrive(&r, 0);
    r.n = 2;
    r.prompt_logprobs = -1;
    sl__sequence s[2] = {sequence(&r, 0), sequence(&r, 1)};
    g.pages.kept = (sl__kept){.total = 4, .free_count = 1, .kept_count = 2, .evicted = 5};
    g.pages.windows.kept = (sl__kept){.total = 10, .free_count = 4, .kept_count = 1, .evicted = 3};
    sl_metrics_begin(g.config.metrics);
    for (int i = 0; i < 2; i++) {
        sl__account_lookup(&g, &s[i]);
        sl__account_lookup(&g, &s[i]); /* it was preempted and enters again */
    }
    sl__account_reused(&g, &s[0], 32);
    sl__account_reused(&g, &s[1], 64);
    sl__account_reused(&g, &s[1], 32);
    g.rows = 1;
    g.count.rows[SL_ROWS_PREFILL] = 1;
    g.count.prompt_tokens = 68;
    sl__account_step(&g, 0.1);
    sl__account_step(&g, 0.1); /* nothing of it twice */
    sl_metrics_end(g.config.metrics);
    ck_assert(value(SL_METRIC_PREFIX_QUERIES, 0) == 200 && value(SL_METRIC_PREFIX_HITS, 0) == 128);
    ck_assert(value(SL_METRIC_PROMPT_TOKENS, SL_SOURCE_COMPUTED) == 68 && value(SL_METRIC_PROMPT_TOKENS, SL_SOURCE_CACHED) == 32);
    ck_assert(value(SL_METRIC_PREFIX_PAGES, 0) == 2 && value(SL_METRIC_PREFIX_EVICTED, 0) == 5);
    ck_assert(value(SL_METRIC_WINDOW_PAGES, 0) == 1 && value(SL_METRIC_WINDOW_EVICTED, 0) == 3);
    ck_assert(near(value(SL_METRIC_KV_PAGES_USAGE, SL_PAGES_FULL), 0.25)); /* one of four is held */
    ck_assert(near(value(SL_METRIC_KV_PAGES_USAGE, SL_PAGES_WINDOW), 0.5) && near(value(SL_METRIC_KV_USAGE, 0), 0.5)); /* five of ten */
    ck_assert_int_eq(sl_request_usage(&r).cached_tokens, 32);
    close_engine();
}
END_TEST

START_TEST(what_is_not_looked_up_is_not_counted) {
    for (int i = 0; i < 2; i++) { /* the cache is off; its prompt is scored */
        static sl_request r;
        open_engine(4);
        g.config.prefix_cache = i == 1;
        arrive(&r, 0);
        r.n = 1;
        r.prompt_logprobs = i == 1 ? 0 : -1;
        sl__sequence s = sequence(&r, 0);
        sl_metrics_begin(g.config.metrics);
        sl__account_lookup(&g, &s);
        s.scored = s.prompt_len; /* later, preempted and in again */
        sl__account_lookup(&g, &s);
        sl__account_reused(&g, &s, 32);
        sl__account_step(&g, 0.1);
        sl_metrics_end(g.config.metrics);
        ck_assert(value(SL_METRIC_PREFIX_QUERIES, 0) == 0 && value(SL_METRIC_PREFIX_HITS, 0) == 0);
        ck_assert_int_eq(sl_request_usage(&r).cached_tokens, 0);
        close_engine();
    }
}
END_TEST

START_TEST(nobody_waits_for_a_place_that_is_free) {
    open_engine(2);
    static sl_request r;
    ck_assert(near(expected(0, false), 0));
    ck_assert_int_eq(sl_engine_retry_after(&g), 1);
    arrive(&r, 10);
    enter(&r, 10);
    ck_assert(near(expected(11, false), 0)); /* one of two places */
    end(&r, 500, SL_FINISH_LENGTH);
    ck_assert(near(expected(9000, false), 0));
    ck_assert_int_eq(sl_engine_retry_after(&g), 1);
    close_engine();
}
END_TEST

/* What a request must have gone through to be in the histograms, and the only reason that is counted. */
START_TEST(only_what_ran_is_observed) {
    static const struct { int finish; bool ran, observed; } cases[] = {
        {SL_FINISH_STOP, true, true}, {SL_FINISH_LENGTH, true, true}, {SL_FINISH_ERROR, true, true}, {SL_FINISH_ERROR, false, false},
        {SL_FINISH_SLOW_CLIENT, true, false}, {SL_FINISH_CANCELLED_QUEUE, false, false}, {SL_FINISH_CANCELLED_PREFILL, true, false},
        {SL_FINISH_CANCELLED_DECODE, true, false}, {SL_FINISH_TIMEOUT_QUEUE, false, false}, {SL_FINISH_TIMEOUT_PREFILL, true, true},
        {SL_FINISH_TIMEOUT_DECODE, true, true}, {SL_FINISH_SHUTDOWN, true, false}, {SL_FINISH_SHUTDOWN, false, false}};
    static const sl_metric ids[] = {SL_METRIC_E2E, SL_METRIC_REQUEST_PROMPT, SL_METRIC_REQUEST_GENERATION};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static sl_request r;
        double sum;
        open_engine(1);
        arrive(&r, 0);
        if (cases[i].ran) enter(&r, 1);
        end(&r, 2, cases[i].finish);
        for (size_t k = 0; k < sizeof ids / sizeof *ids; k++)
            ck_assert(sl_metrics_observed(g.config.metrics, ids[k], 0, &sum) == cases[i].observed);
        ck_assert(sl_metrics_observed(g.config.metrics, SL_METRIC_QUEUE_TIME, 0, &sum) == cases[i].ran);
        ck_assert(sl_metrics_observed(g.config.metrics, SL_METRIC_TTFT, 0, &sum) == 0);
        for (int k = 0; k < SL_FINISH_COUNT; k++)
            ck_assert(sl_metrics_get(g.config.metrics, SL_METRIC_FINISHED, k) == (k == cases[i].finish));
        ck_assert_int_eq(atomic_load(&g.waiting), 0);
        close_engine();
    }
}
END_TEST

enum { PLACES = 64 };
static sl_request running[PLACES], other;

/* All places taken, a request of `held` seconds ends every held / PLACES and the next enters, whatever its time in the queue. */
static double steady(double from, double held, double queued, int ends) {
    double now = from, gap = held / PLACES;
    for (int i = 0; i < ends; i++, now += gap) {
        sl_request *r = &running[i % PLACES];
        if (r->started) end(r, now, i % 2 ? SL_FINISH_STOP : SL_FINISH_LENGTH);
        arrive(r, now - queued);
        enter(r, now);
    }
    return now;
}

START_TEST(a_full_queue_moves_as_fast_as_places_are_freed) {
    open_engine(PLACES);
    memset(running, 0, sizeof running);
    double now = steady(0, 10.24, 300, 400); /* a place every 0.16 s; five minutes in the queue */
    double wait = expected(now, true);
    ck_assert_msg(wait > 0.1 && wait < 0.3, "%f", wait);
    ck_assert_int_eq(sl_engine_retry_after(&g), 1);
    close_engine();
}
END_TEST

START_TEST(a_storm_of_hang_ups_changes_nothing) {
    open_engine(PLACES);
    memset(running, 0, sizeof running);
    double now = steady(0, 640, 0, 400); /* a place every 10 s */
    double before = expected(now, true);
    ck_assert_msg(before > 9 && before < 11, "%f", before);
    for (int i = 0; i < 1000; i++) { /* in the queue, after nothing or after an hour there */
        arrive(&other, now - (i % 2 ? 3600 : 0.001));
        end(&other, now, SL_FINISH_CANCELLED_QUEUE);
    }
    ck_assert(near(expected(now, true), before));
    for (int i = 0; i < 1000; i++) { /* in the batch */
        sl_request *r = &running[i % PLACES];
        end(r, now, i % 2 ? SL_FINISH_CANCELLED_DECODE : SL_FINISH_ERROR);
        arrive(r, now);
        enter(r, now);
    }
    ck_assert(near(expected(now, true), before));
    ck_assert_int_eq(sl_engine_retry_after(&g), (int)ceil(before));
    close_engine();
}
END_TEST

START_TEST(long_ones_after_short_ones) {
    open_engine(PLACES);
    memset(running, 0, sizeof running);
    double now = steady(0, 0.64, 0, 400);
    ck_assert(expected(now, true) < 0.1);
    /* From now on nobody ends for 40 s. */
    double last = 0;
    for (int i = 1; i <= 40; i++) {
        double wait = expected(now + i, true);
        ck_assert(wait >= last && wait <= i + 1);
        last = wait;
    }
    ck_assert(last > 30);
    now = steady(now + 40, 640, 0, 400); /* then they do, one every 10 s */
    double wait = expected(now, true);
    ck_assert_msg(wait > 9 && wait < 11, "%f", wait);
    close_engine();
}
END_TEST

START_TEST(long_ones_first_of_all) {
    open_engine(PLACES);
    memset(running, 0, sizeof running);
    for (int i = 0; i < PLACES; i++) {
        ck_assert(near(expected(0, false), 0));
        arrive(&running[i], 0);
        enter(&running[i], 0);
    }
    ck_assert(expected(0.1, true) < 0.2); /* nothing is known yet */
    ck_assert(expected(30, true) >= 29);
    ck_assert(expected(3000, true) > 60);
    ck_assert_int_eq(sl_engine_retry_after(&g), 60);
    double now = steady(3001, 0.64, 0, PLACES); /* they end, short ones follow */
    now = steady(now, 0.64, 0, 400);
    ck_assert(expected(now, true) < 0.1);
    close_engine();
}
END_TEST

int main(void) {
    return RUN_TESTS("engine/account", 20, what_is_reused_is_counted_once, what_is_not_looked_up_is_not_counted,
                     latencies_begin_at_arrival, only_what_ran_is_observed, nobody_waits_for_a_place_that_is_free,
                     a_full_queue_moves_as_fast_as_places_are_freed, a_storm_of_hang_ups_changes_nothing, long_ones_after_short_ones,
                     long_ones_first_of_all);
}
