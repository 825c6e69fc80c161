/* Reuse of keys and values, on the reference checkpoints: the same bits as computing anew, and what is said about it. */
#include "rig.h"

#include <math.h>

#include "../run.h"

enum { CLIENTS = 40, TALKS = 16, TURNS = 10, SYSTEM = 40, USER = 9, ANSWER = 8 };

static rig g;
static sl_error e;
static asked a[CLIENTS], one;

static const char *const checkpoints[] = {"mixtral-gqa", "olmoe-mha.gguf", "qwen3moe-q4_k.gguf", "qwen3moe-mixed-yarn", "llama-gqa-llama3.gguf",
                                          "exaonemoe-windows", "afmoe-mup.gguf", "qwen35moe-wrapped", "qwen3next-released.gguf",
                                          "qwen35-dense", "qwen3next-odd", "gptoss-mixed", "gptoss-yarn.gguf",
                                          "gemma3-linear.gguf", "gemma3-cap", "cohere2moe-softmax", "mistral-window",
                                          "gemma4-keyed", "gemma4-own", "llama4-layers", "llama4-maverick"};
enum { CHECKPOINTS = sizeof checkpoints / sizeof *checkpoints };

static void same(const client *x, const client *y, const char *what, int which) {
    for (int i = 0; i < x->choices; i++) {
        const told *p = &x->choice[i], *q = &y->choice[i];
        bool equal = p->log_len == q->log_len && (p->log_len == 0 || !memcmp(p->log, q->log, p->log_len)) && p->finish == q->finish;
        ck_assert_msg(equal, "%s: choice %d of request %d is another answer (%d and %d tokens)", what, i, which, p->tokens, q->tokens);
    }
}

static void start(bool prefix_cache) {
    sl_metrics_config mc = {.layers = g.l.model->hp.layers, .experts = g.l.model->hp.experts, .finish = sl_finish_names,
                            .finish_count = SL_FINISH_COUNT};
    ck_assert_int_eq(sl_metrics_new(&mc, &g.config.metrics, &e), SL_OK);
    g.config.prefix_cache = prefix_cache;
    rig_start(&g);
}

static void stop(void) {
    rig_stop(&g);
    g.config.metrics = sl_metrics_free(g.config.metrics);
}

static double value(sl_metric id, int slot) { return sl_metrics_get(g.config.metrics, id, slot); }

static double rows(void) {
    double sum = 0;
    for (int i = 0; i < SL_ROWS_COUNT; i++) sum += value(SL_METRIC_STEP_ROWS_TOTAL, i);
    return sum;
}

/* Experts count what was computed, and nothing else. */
static void check_experts(void) {
    const sl_hparams *hp = &g.l.model->hp;
    for (int l = 0; l < hp->layers && hp->experts; l++) {
        double sum = 0;
        if (!hp->sparse[l]) continue;
        for (int k = 0; k < hp->experts; k++) sum += value(SL_METRIC_EXPERT_TOKENS, l * hp->experts + k);
        ck_assert(sum == rows() * hp->experts_used);
    }
}

/* Prompts that begin alike, in several ways, and go on otherwise anywhere. */
static void ask_alike(asked *to, unsigned i, int vocab) {
    uint32_t x = i * 2654435761u + 99, base;
    ask_any(to, i, vocab);
    base = (uint32_t)pick(&x, 3) + 1;
    size_t common = (size_t)pick(&x, 190), len = common + 1 + (size_t)pick(&x, 10);
    if (to->spec.max_tokens > 50) to->spec.max_tokens = 50;
    to->len = len;
    for (size_t k = 0; k < len; k++) to->id[k] = pick(k < common ? &base : &x, vocab);
}

/* Promise 1: found again or computed, whatever else runs, with pages for all or so few that sequences lose theirs and what is
 * kept is given up all the time; and the second time, when most of it is known. */
START_TEST(reused_or_not_the_answer_is_the_same) {
    rig_load(&g, checkpoints[_i]);
    int vocab = sl_tokenizer_count(g.l.tokenizer), count = _i == 0 ? CLIENTS : 20;
    client *alone[CLIENTS], *c[CLIENTS];
    g.config.kv_type = _i % 2 ? SL_KV_F32 : SL_KV_I16;
    g.config.max_sequences = 1;
    start(false);
    for (int i = 0; i < count; i++) {
        ask_alike(&a[i], (unsigned)(i + 100 * _i), vocab);
        alone[i] = rig_ask(&g, &a[i].spec);
        ck_assert_int_eq(alone[i]->usage.cached_tokens, 0);
    }
    ck_assert(value(SL_METRIC_PREFIX_QUERIES, 0) == 0 && value(SL_METRIC_PREFIX_HITS, 0) == 0);
    stop();
    static const struct { int threads, sequences, pages, rows; } ways[] = {
        {1, 64, 700, 0}, {2, 64, 700, 100}, {2, 8, 9, 0}, {1, 12, 24, 30}, {2, 5, 60, 45}};
    for (size_t w = (size_t)_i % FEWER; w < sizeof ways / sizeof *ways; w += FEWER) {
        g.config.threads = ways[w].threads;
        g.config.max_sequences = ways[w].sequences;
        g.config.kv_pages = ways[w].pages;
        g.config.max_step_rows = ways[w].rows;
        bool few = w % 2; /* slots of state: fewer than sequences, so that some wait for one, and saved ones are given up; window pages likewise */
        g.config.states = few ? 3 : 2 * ways[w].sequences;
        g.config.kv_window_pages = few ? sl_engine_window_pages_for(&g.config).least : ways[w].pages;
        start(true);
        for (int round = 0; round < 2; round++) {
            char what[64];
            snprintf(what, sizeof what, "%s, way %zu, round %d", checkpoints[_i], w, round);
            for (int k = 0; k < count; k++) c[k] = client_new(&g, a[k].spec);
            for (int k = 0; k < count; k++) ck_assert_int_eq(client_submit(&g, c[round ? count - 1 - k : k]), SL_OK);
            rig_wait(&g, count);
            for (int k = 0; k < count; k++) {
                same(alone[k], c[k], what, k);
                client_free(c[k]);
            }
        }
        check_experts();
        ck_assert(few || value(SL_METRIC_PREFIX_HITS, 0) > 0);
        ck_assert(value(SL_METRIC_PREFIX_HITS, 0) <= value(SL_METRIC_PREFIX_QUERIES, 0));
        if (ways[w].pages < 30) ck_assert(value(SL_METRIC_PREFIX_EVICTED, 0) > 0);
        if (ways[w].pages < 10) ck_assert(value(SL_METRIC_PREEMPTIONS, 0) > 0);
        bool windows_run_out = few && sl_kv_window_of(&g.l.model->hp, g.config.ctx).positions;
        if (windows_run_out) ck_assert(value(SL_METRIC_WINDOW_EVICTED, 0) > 0); /* whether somebody loses its place is a matter of timing */
        else if (ways[w].pages > 600) ck_assert(value(SL_METRIC_PREFIX_EVICTED, 0) == 0 && value(SL_METRIC_PREEMPTIONS, 0) == 0);
        stop();
    }
    for (int i = 0; i < count; i++) client_free(alone[i]);
    rig_unload(&g);
}
END_TEST

/* --- conversations --- */

typedef struct talk {
    asked turn[TURNS];
    client *alone[TURNS];
} talk;

static talk talks[TALKS];

/* Every turn asked alone, with nothing kept: the answers, which the next turns' prompts have in them. All talks begin with
 * the same SYSTEM tokens. */
static void make_talks(int vocab) {
    for (int i = 0; i < TALKS; i++) {
        uint32_t x = (uint32_t)i + 1, same_for_all = 5;
        for (int t = 0; t < TURNS; t++) {
            asked *now = &talks[i].turn[t];
            ask(now, 0, ANSWER);
            now->spec.sampling.temperature = i % 3 ? 0.8f : 0;
            now->spec.sampling.seed = (uint64_t)(i * TURNS + t);
            now->spec.sampling.logprobs = i % 4;
            if (t == 0) {
                for (; now->len < SYSTEM; now->len++) now->id[now->len] = pick(&same_for_all, vocab);
            } else {
                const told *answer = &talks[i].alone[t - 1]->choice[0];
                now->len = talks[i].turn[t - 1].len + (size_t)answer->tokens;
                memcpy(now->id, talks[i].turn[t - 1].id, talks[i].turn[t - 1].len * sizeof *now->id);
                memcpy(now->id + talks[i].turn[t - 1].len, answer->id, (size_t)answer->tokens * sizeof *now->id);
            }
            for (int k = 0; k < USER; k++) now->id[now->len++] = pick(&x, vocab);
            talks[i].alone[t] = rig_ask(&g, &now->spec);
        }
    }
}

/* Positions of a turn that the turn before it left in full pages. */
static int known_of(const talk *k, int t) {
    int left = (int)k->turn[t - 1].len + k->alone[t - 1]->choice[0].tokens - 1, most = (int)k->turn[t].len - 1;
    return (left < most ? left : most) / SL_PAGE * SL_PAGE;
}

static void check_turn(const talk *k, int which, int t, const client *c, bool all_kept) {
    same(k->alone[t], c, "a turn", which * TURNS + t);
    ck_assert_int_le(c->usage.cached_tokens, c->usage.prompt_tokens - 1);
    if (!all_kept) return;
    if (t > 0) ck_assert_int_eq(c->usage.cached_tokens, known_of(k, t));
    else ck_assert(c->usage.cached_tokens == 0 || c->usage.cached_tokens == SYSTEM / SL_PAGE * SL_PAGE);
}

/* Promise 1: sixteen conversations at once, each turn as it is alone with an empty cache; with room for all of them, and
 * with so little that prefixes are given up in the middle of a conversation. What is counted adds up. */
START_TEST(turns_cost_what_is_new_in_them) {
    static const struct { int threads, sequences, pages; } ways[] = {{1, 16, 400}, {2, 6, 400}, {2, 6, 40}, {1, 3, 14}};
    rig_load(&g, (const char *const[]){"qwen3moe-gqa", "qwen35moe-wrapped", "gptoss-mixed", "mistral-window", "llama4-layers"}[_i]);
    start(false);
    make_talks(sl_tokenizer_count(g.l.tokenizer));
    stop();
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        bool all_kept = ways[w].pages == 400;
        double prompts = 0, cached = 0, answers = 0;
        g.config.threads = ways[w].threads;
        g.config.max_sequences = ways[w].sequences;
        g.config.kv_pages = ways[w].pages;
        g.config.states = all_kept ? 400 : ways[w].sequences + 2;
        g.config.kv_window_pages = all_kept ? 400 : sl_engine_window_pages_for(&g.config).least + 2;
        start(true);
        for (int t = 0; t < TURNS; t++) {
            client *c[TALKS];
            for (int i = 0; i < TALKS; i++) c[i] = client_new(&g, talks[i].turn[t].spec);
            for (int i = 0; i < TALKS; i++) ck_assert_int_eq(client_submit(&g, c[(i * 5 + t) % TALKS]), SL_OK);
            rig_wait(&g, TALKS);
            for (int i = 0; i < TALKS; i++) {
                check_turn(&talks[i], i, t, c[i], all_kept);
                prompts += (double)c[i]->usage.prompt_tokens;
                cached += (double)c[i]->usage.cached_tokens;
                answers += (double)c[i]->usage.generated_tokens;
                client_free(c[i]);
            }
        }
        ck_assert(value(SL_METRIC_PREFIX_QUERIES, 0) == prompts && value(SL_METRIC_PREFIX_HITS, 0) == cached);
        ck_assert(value(SL_METRIC_PROMPT_TOKENS, SL_SOURCE_CACHED) == cached);
        ck_assert(value(SL_METRIC_PROMPT_TOKENS, SL_SOURCE_COMPUTED) == prompts - cached);
        ck_assert(value(SL_METRIC_STEP_ROWS_TOTAL, SL_ROWS_PREFILL) == prompts - cached);
        ck_assert(value(SL_METRIC_STEP_ROWS_TOTAL, SL_ROWS_DECODE) == answers - TALKS * TURNS);
        ck_assert((value(SL_METRIC_PREFIX_EVICTED, 0) > 0) == !all_kept);
        check_experts();
        if (all_kept) ck_assert_msg(cached > 0.7 * prompts, "%.0f of %.0f", cached, prompts);
        stop();
    }
    for (int i = 0; i < TALKS; i++)
        for (int t = 0; t < TURNS; t++) client_free(talks[i].alone[t]);
    rig_unload(&g);
}
END_TEST

/* --- what is reused, and what is not --- */

static int64_t ask_cached(const sl_request_spec *spec) {
    client *c = rig_ask(&g, spec);
    ck_assert_int_eq(c->finish, SL_FINISH_LENGTH);
    int64_t cached = c->usage.cached_tokens;
    client_free(c);
    return cached;
}

START_TEST(salts_keep_requests_apart) {
    rig_load(&g, "mixtral-gqa");
    start(true);
    ask(&one, 100, 5);
    static const char *const salts[] = {NULL, "a", "b", "a longer one, of 64 characters or so, as a hash of a tenant has it"};
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 4; i++) {
            one.spec.cache_salt = salts[i];
            one.spec.cache_salt_len = salts[i] ? strlen(salts[i]) : 0;
            ck_assert_int_eq(ask_cached(&one.spec), round ? 96 : 0);
        }
    one.spec.cache_salt_len--; /* another salt */
    ck_assert_int_eq(ask_cached(&one.spec), 0);
    stop();
    start(false);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(ask_cached(&one.spec), 0);
    ck_assert_int_eq(g.g->pages.kept.kept_count, 0);
    stop();
    rig_unload(&g);
}
END_TEST

/* Choices compute their prompt once, with the cache or without; its tokens are counted once. */
START_TEST(choices_share_their_prompt) {
    rig_load(&g, (const char *const[]){"mixtral-gqa", "qwen3next-released", "gptoss-yarn"}[_i / 4]);
    g.config.max_sequences = _i & 1 ? 3 : 16; /* not all find a place at once */
    start((_i & 2) != 0);
    ask(&one, 100, 6);
    one.spec.n = 7;
    one.spec.sampling.temperature = 1;
    ck_assert_int_eq(ask_cached(&one.spec), 0);
    ck_assert(value(SL_METRIC_STEP_ROWS_TOTAL, SL_ROWS_PREFILL) == 96 + 7 * 4); /* who comes later finds others that hold it */
    ck_assert(value(SL_METRIC_PROMPT_TOKENS, SL_SOURCE_COMPUTED) == 100);
    ck_assert(value(SL_METRIC_PROMPT_TOKENS, SL_SOURCE_CACHED) == 0);
    ck_assert(value(SL_METRIC_PREFIX_QUERIES, 0) == (_i & 2 ? 700 : 0));
    ck_assert(value(SL_METRIC_PREFIX_HITS, 0) == (_i & 2 ? 6 * 96 : 0));
    check_experts();
    stop();
    rig_unload(&g);
}
END_TEST

/* A prompt whose log probabilities are wanted is computed whole; the pages are there for others then. */
START_TEST(a_scored_prompt_is_computed) {
    rig_load(&g, "mixtral-gqa");
    start(true);
    ask(&one, 100, 5);
    ck_assert_int_eq(ask_cached(&one.spec), 0);
    one.spec.prompt_logprobs = 2;
    client *again = rig_ask(&g, &one.spec);
    ck_assert_int_eq(again->usage.cached_tokens, 0);
    ck_assert_int_eq(again->choice[0].scores, 100);
    ck_assert(value(SL_METRIC_PREFIX_QUERIES, 0) == 100);
    for (int i = 0; i < 100; i++) one.id[i]++;
    client *other = rig_ask(&g, &one.spec);
    one.spec.prompt_logprobs = -1;
    ck_assert_int_eq(ask_cached(&one.spec), 96);
    client_free(again);
    client_free(other);
    stop();
    rig_unload(&g);
}
END_TEST

/* What a step computed is known when it succeeded. */
START_TEST(a_step_that_failed_leaves_nothing) {
    rig_load(&g, "mixtral-gqa");
    start(false);
    ask(&one, 100, 10);
    one.spec.sampling.logprobs = 1;
    client *want = rig_ask(&g, &one.spec);
    stop();
    sl_model broken = *g.l.model;
    size_t width = (size_t)broken.hp.width;
    float *norm = malloc(width * sizeof *norm);
    for (size_t i = 0; i < width; i++) norm[i] = NAN;
    broken.output_norm = norm;
    g.config.model = &broken;
    start(true);
    client *failed = rig_ask(&g, &one.spec);
    ck_assert_int_eq(failed->finish, SL_FINISH_ERROR);
    ck_assert_int_eq(g.g->pages.kept.kept_count, 0);
    memcpy(norm, g.l.model->output_norm, width * sizeof *norm);
    client *c = rig_ask(&g, &one.spec);
    ck_assert_int_eq(c->usage.cached_tokens, 0);
    same(want, c, "after a failure", 0);
    client_free(c);
    client_free(failed);
    client_free(want);
    stop();
    free(norm);
    rig_unload(&g);
}
END_TEST

/* A client leaves in the middle of its answer: what was computed for it is there for the next. */
START_TEST(a_client_that_leaves_leaves_its_pages) {
    rig_load(&g, "mixtral-gqa");
    start(true);
    ask(&one, 100, 150);
    one.spec.stream = true;
    client *gone = client_new(&g, one.spec);
    while (!sem_trywait(&g.news)) {}
    atomic_store(&g.hold, true);
    ck_assert_int_eq(client_submit(&g, gone), SL_OK);
    sem_wait(&g.news); /* its first token */
    sl_request_cancel(gone->r, SL_CANCEL_CLIENT);
    atomic_store(&g.hold, false);
    rig_wait(&g, 1);
    ck_assert_int_eq(gone->finish, SL_FINISH_CANCELLED_DECODE);
    client_free(gone);
    one.spec.max_tokens = 5;
    ck_assert_int_eq(ask_cached(&one.spec), 96);
    stop();
    rig_unload(&g);
}
END_TEST

START_TEST(it_is_said_where_a_prompt_goes_on_otherwise) {
    rig_load(&g, "mixtral-gqa");
    start(true);
    static const struct { int changed, len, cached, differs; } cases[] = {
        {-1, 100, 0, -1}, {-1, 100, 96, -1}, {70, 100, 64, 70}, {64, 100, 64, 64}, {20, 100, 0, 20}, {0, 100, 0, -1}, {-1, 60, 32, -1},
        {98, 100, 96, -1}}; /* the last page was not full: what stood there is not known */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask(&one, cases[i].len, 2);
        if (cases[i].changed >= 0) one.id[cases[i].changed] = 250;
        client *c = rig_ask(&g, &one.spec);
        ck_assert_int_eq(c->usage.cached_tokens, cases[i].cached);
        ck_assert_int_eq(c->usage.differs_at, cases[i].differs);
        client_free(c);
    }
    stop();
    rig_unload(&g);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/conversations");
    TCase *t = tcase_create("engine/conversations");
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, reused_or_not_the_answer_is_the_same, 0, CHECKPOINTS);
    tcase_add_loop_test(t, turns_cost_what_is_new_in_them, 0, 5);
    tcase_add_test(t, salts_keep_requests_apart);
    tcase_add_loop_test(t, choices_share_their_prompt, 0, 12);
    tcase_add_test(t, a_scored_prompt_is_computed);
    tcase_add_test(t, a_step_that_failed_leaves_nothing);
    tcase_add_test(t, a_client_that_leaves_leaves_its_pages);
    tcase_add_test(t, it_is_said_where_a_prompt_goes_on_otherwise);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
