/* The whole engine on the reference checkpoints: bits, ends, bounds. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "forward/kv.h"
#include "rig.h"

#include <malloc.h>
#include <math.h>

#include "../run.h"

enum { CLIENTS = 64 };

static rig g;
static sl_error e;
static asked a[CLIENTS];

/* Those of tests/reference/checkpoints that differ in structure, container and weight type. */
static const char *const checkpoints[] = {"mixtral-gqa", "olmoe-mha.gguf", "qwen2moe-mixed", "qwen3moe-q4_k.gguf", "mixtral-q8_0.gguf",
                                          "llama-gqa-llama3.gguf", "qwen3-mha-00001-of-00003.gguf", "qwen3moe-mixed-yarn", "glm4moe-groups",
                                          "exaonemoe-windows", "afmoe-mixed", "cohere2moe-softmax.gguf", "phimoe-mixed"};
enum { CHECKPOINTS = sizeof checkpoints / sizeof *checkpoints };

static void same(const client *x, const client *y, const char *what) {
    ck_assert_int_eq(x->choices, y->choices);
    for (int i = 0; i < x->choices; i++) {
        const told *p = &x->choice[i], *q = &y->choice[i];
        bool equal = p->log_len == q->log_len && (p->log_len == 0 || !memcmp(p->log, q->log, p->log_len)) && p->finish == q->finish;
        ck_assert_msg(equal, "%s: choice %d of %d is another answer (%d and %d tokens)", what, i, x->choices, p->tokens, q->tokens);
    }
}

static void check_utf8(const client *c) {
    for (int i = 0; i < c->choices; i++) {
        json_t *v = json_stringn(c->choice[i].text ? c->choice[i].text : "", c->choice[i].text_len);
        ck_assert_msg(v != NULL, "text that is no UTF-8");
        json_decref(v);
    }
}

/* All at once, in batches as the config has them. */
static void ask_all(client **c, int count) {
    for (int i = 0; i < count; i++) c[i] = client_new(&g, a[i].spec);
    for (int i = 0; i < count; i++) ck_assert_int_eq(client_submit(&g, c[i]), SL_OK);
    rig_wait(&g, count);
}

/* Promise 1: alone, among 64 others, one thread or two, in chunks, preempted. */
START_TEST(one_answer) {
    rig_load(&g, checkpoints[_i]);
    int count = _i == 0 ? CLIENTS : 16, vocab = sl_tokenizer_count(g.l.tokenizer);
    sl_metrics_config mc = {.layers = g.l.model->hp.layers, .experts = g.l.model->hp.experts, .finish = sl_finish_names,
                            .finish_count = SL_FINISH_COUNT};
    client *alone[CLIENTS], *c[CLIENTS];
    g.config.max_sequences = 1;
    g.config.prefix_cache = false;
    rig_start(&g);
    g.config.prefix_cache = true;
    for (int i = 0; i < count; i++) {
        ask_any(&a[i], (unsigned)(i + 100 * _i), vocab);
        alone[i] = rig_ask(&g, &a[i].spec);
        check_utf8(alone[i]);
    }
    rig_stop(&g);
    static const struct { int threads, sequences, pages, rows; } ways[] = {{1, 64, 600, 0}, {2, 64, 600, 0}, {2, 8, 9, 0}, {1, 12, 30, 24}};
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        ck_assert_int_eq(sl_metrics_new(&mc, &g.config.metrics, &e), SL_OK);
        g.config.threads = ways[w].threads;
        g.config.max_sequences = ways[w].sequences;
        g.config.kv_pages = ways[w].pages;
        g.config.max_step_rows = ways[w].rows;
        rig_start(&g);
        ask_all(c, count);
        rig_stop(&g);
        char what[64];
        snprintf(what, sizeof what, "%s, way %zu", checkpoints[_i], w);
        for (int i = 0; i < count; i++) {
            same(alone[i], c[i], what);
            client_free(c[i]);
        }
        sl_metrics *m = g.config.metrics;
        if (ways[w].pages < 20 && count == CLIENTS) ck_assert(sl_metrics_get(m, SL_METRIC_PREEMPTIONS, 0) > 0);
        ck_assert(sl_metrics_get(m, SL_METRIC_RUNNING, 0) == 0 && sl_metrics_get(m, SL_METRIC_WAITING, 0) == 0);
        ck_assert(sl_metrics_get(m, SL_METRIC_KV_USAGE, 0) == 0);
        g.config.metrics = sl_metrics_free(m);
    }
    for (int i = 0; i < count; i++) client_free(alone[i]);
    rig_unload(&g);
}
END_TEST

/* Promise 2: the greedy tokens are those of transformers. */
START_TEST(greedy_as_the_reference) {
    rig_load(&g, checkpoints[_i]);
    char path[512], name[64];
    snprintf(name, sizeof name, "%s", checkpoints[_i]);
    if (strstr(name, "-00001")) *strstr(name, "-00001") = 0;
    if (strstr(name, ".gguf")) *strstr(name, ".gguf") = 0;
    snprintf(path, sizeof path, "%s/reference/expected/%s.json", getenv("SLUICE_TESTS"), name);
    json_t *doc = json_load_file(path, 0, NULL);
    ck_assert_msg(doc != NULL, "%s", path);
    g.config.kv_type = SL_KV_F32;
    const sl_hparams *hp = &g.l.model->hp;
    if (hp->rope_long) g.config.ctx = hp->rope_original; /* where the reference turns by the short divisors too */
    rig_start(&g);
    bool rounded = json_object_get(doc, "rounding") != NULL;
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(doc, "prompts"), i, p) {
        const json_t *ids = json_object_get(p, "ids"), *greedy = json_object_get(p, "greedy"), *margins = json_object_get(p, "greedy_margins");
        ask(&a[0], (int)json_array_size(ids), (int)json_array_size(greedy));
        for (size_t k = 0; k < json_array_size(ids); k++) a[0].id[k] = (int32_t)json_integer_value(json_array_get(ids, k));
        client *c = rig_ask(&g, &a[0].spec);
        ck_assert_int_eq(c->choice[0].tokens, a[0].spec.max_tokens);
        for (int k = 0; k < c->choice[0].tokens; k++) {
            if (rounded && json_number_value(json_array_get(margins, (size_t)k)) < 0.1) break;
            ck_assert_int_eq(c->choice[0].id[k], (int)json_integer_value(json_array_get(greedy, (size_t)k)));
        }
        client_free(c);
    }
    json_decref(doc);
    rig_stop(&g);
    rig_unload(&g);
}
END_TEST

static void open_rig(void) {
    rig_load(&g, "qwen3moe-gqa");
    rig_start(&g);
}

static void close_rig(void) {
    rig_stop(&g);
    rig_unload(&g);
}

/* Promise 1: choice i of n is the request with seed + i, prompts do not touch each other. */
START_TEST(choices_are_requests_with_the_next_seeds) {
    rig_load(&g, "qwen3moe-gqa");
    int tokens = _i < 2 ? 30 : 1; /* of one token: all choices share the prompt in the step that computes it */
    g.config.kv_pages = _i % 2 ? 12 : 128;
    rig_start(&g);
    static asked b;
    const int32_t *prompts[2] = {a[0].id, a[1].id};
    size_t len[2] = {100, 40};
    ask(&a[1], 40, 0);
    ask(&a[0], 100, tokens);
    for (int i = 0; i < 40; i++) a[1].id[i] = 5 + i;
    a[0].spec.sampling.temperature = 1;
    a[0].spec.sampling.seed = 77;
    a[0].spec.sampling.logprobs = 3;
    a[0].spec.n = 5;
    a[0].spec.prompts = 2;
    a[0].spec.prompt = prompts;
    a[0].spec.prompt_len = len;
    client *c = rig_ask(&g, &a[0].spec);
    ck_assert_int_eq(c->usage.prompt_tokens, 140);
    for (int i = 0; i < 10; i++) {
        ask(&b, (int)len[i / 5], tokens);
        memcpy(b.id, prompts[i / 5], len[i / 5] * sizeof *b.id);
        b.spec.sampling = a[0].spec.sampling;
        b.spec.sampling.seed = 77 + (uint64_t)i % 5;
        client *one = rig_ask(&g, &b.spec);
        ck_assert_uint_eq(one->choice[0].log_len, c->choice[i].log_len);
        ck_assert_int_eq(memcmp(one->choice[0].log, c->choice[i].log, one->choice[0].log_len), 0);
        client_free(one);
    }
    client_free(c);
    close_rig();
}
END_TEST

/* Promise 1 */
START_TEST(scores_of_a_prompt_are_those_of_its_generation) {
    open_rig();
    ask(&a[0], 50, 60);
    a[0].spec.sampling.logprobs = 0;
    client *c = rig_ask(&g, &a[0].spec);
    ask(&a[1], 50, 0);
    for (int i = 0; i < 60; i++) a[1].id[50 + i] = c->choice[0].id[i];
    a[1].len = 110;
    a[1].spec.prompt_logprobs = 0;
    client *echo = rig_ask(&g, &a[1].spec);
    ck_assert_int_eq(echo->finish, SL_FINISH_LENGTH);
    ck_assert_int_eq(echo->choice[0].tokens, 0);
    ck_assert_int_eq(echo->choice[0].scores, 110);
    ck_assert_int_eq(memcmp(&echo->choice[0].score[50], c->choice[0].logprob, 60 * sizeof(float)), 0);
    ck_assert_float_lt(c->choice[0].logprob[0], 0);
    client_free(c);
    client_free(echo);
    a[1].spec.prompt_logprobs = -1; /* neither scores nor tokens */
    c = rig_ask(&g, &a[1].spec);
    ck_assert_int_eq(c->choice[0].finish, SL_FINISH_LENGTH);
    ck_assert_int_eq(c->choice[0].scores + c->choice[0].tokens, 0);
    client_free(c);
    close_rig();
}
END_TEST

START_TEST(stop_strings_cut_the_text_wherever_tokens_end) {
    open_rig();
    ask(&a[0], 20, 60);
    a[0].spec.sampling.temperature = 0.9f;
    client *whole = rig_ask(&g, &a[0].spec);
    const told *w = &whole->choice[0];
    int across = 0;
    for (size_t at = 2; at + 5 < w->text_len; at++) {
        if ((w->text[at] & 0xC0) == 0x80 || (w->text[at + 5] & 0xC0) == 0x80) continue; /* inside a character */
        char stop[6] = "";
        memcpy(stop, w->text + at, 5);
        size_t first = (size_t)((char *)memmem(w->text, w->text_len, stop, 5) - w->text);
        ask(&a[1], 20, 60);
        a[1].spec.sampling.temperature = 0.9f;
        ask_stop(&a[1], "never said");
        ask_stop(&a[1], stop);
        a[1].spec.include_stop = at % 2;
        a[1].spec.stream = at % 3 == 0;
        client *c = rig_ask(&g, &a[1].spec);
        ck_assert_int_eq(c->choice[0].finish, SL_FINISH_STOP);
        ck_assert_int_eq(c->choice[0].stop, 1);
        ck_assert_uint_eq(c->choice[0].text_len, first + (a[1].spec.include_stop ? 5 : 0));
        ck_assert_int_eq(memcmp(c->choice[0].text, w->text, c->choice[0].text_len), 0);
        ck_assert_int_eq(memcmp(c->choice[0].id, w->id, (size_t)c->choice[0].tokens * sizeof *w->id), 0);
        across += c->choice[0].tokens > 3;
        client_free(c);
    }
    ck_assert_int_gt(across, 3);
    client_free(whole);
    close_rig();
}
END_TEST

static client *ask_eos(int token, int min_tokens, bool ignore, int stop_token) {
    ask(&a[0], 10, 20);
    a[0].bias[0] = (sl_logit_bias){token, 100};
    a[0].spec.sampling.bias_count = 1;
    a[0].spec.min_tokens = min_tokens;
    a[0].spec.ignore_eos = ignore;
    if (stop_token >= 0) a[0].stop_token[a[0].spec.stop_tokens++] = stop_token;
    return rig_ask(&g, &a[0].spec);
}

START_TEST(ends_and_stop_tokens) {
    open_rig();
    int eos = sl_tokenizer_eos(g.l.tokenizer);
    ck_assert_int_ge(eos, 0);
    static const struct { bool eos, ignore, stop; int min, tokens, finish; } cases[] = {
        {true, false, false, 0, 1, SL_FINISH_STOP},  {true, false, false, 6, 7, SL_FINISH_STOP}, {true, true, false, 0, 20, SL_FINISH_LENGTH},
        {false, false, true, 0, 1, SL_FINISH_STOP},  {false, true, true, 4, 5, SL_FINISH_STOP},  {true, true, true, 0, 1, SL_FINISH_STOP},
        {true, false, true, 20, 20, SL_FINISH_LENGTH}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int token = cases[i].eos ? eos : 40;
        client *c = ask_eos(token, cases[i].min, cases[i].ignore, cases[i].stop ? token : -1);
        const told *t = &c->choice[0];
        ck_assert_int_eq(t->tokens, cases[i].tokens);
        ck_assert_int_eq(t->finish, cases[i].finish);
        ck_assert_int_eq(t->stop, -1);
        bool by_token = cases[i].stop && cases[i].finish == SL_FINISH_STOP && (!cases[i].eos || cases[i].ignore);
        ck_assert_int_eq(t->stop_token, by_token ? token : -1);
        for (int k = 0; k < t->tokens && k < cases[i].min; k++) ck_assert_int_ne(t->id[k], token);
        if (cases[i].tokens == 1) ck_assert_uint_eq(t->text_len, 0); /* what ended it is not shown */
        client_free(c);
    }
    close_rig();
}
END_TEST

static client *ask_stopped(int token, const char *stop, int min_tokens, bool keep, bool skip) {
    ask(&a[0], 10, 20);
    a[0].bias[0] = (sl_logit_bias){token, 100};
    a[0].spec.sampling.bias_count = 1;
    a[0].spec.min_tokens = min_tokens;
    a[0].spec.ignore_eos = false;
    a[0].spec.include_stop = keep;
    a[0].spec.skip_special = skip;
    ask_stop(&a[0], "never said");
    ask_stop(&a[0], stop);
    return rig_ask(&g, &a[0].spec);
}

/* A stop string that spells a special token is that token, whether special tokens are shown or not, eos or not. */
START_TEST(special_tokens_stop) {
    open_rig();
    const char *const names[] = {"<|im_end|>", "<|endoftext|>"};
    for (int i = 0; i < 16; i++) {
        sl_ids ids = {0};
        const char *name = names[i / 8];
        ck_assert_int_eq(sl_tokenizer_encode(g.l.tokenizer, name, strlen(name), SL_MARKUP, false, 100, &ids, &e), SL_OK);
        ck_assert_uint_eq(ids.count, 1);
        bool keep = i & 1, skip = i & 2;
        int early = i & 4 ? 5 : 0;
        client *c = ask_stopped(ids.id[0], name, early, keep, skip);
        const told *t = &c->choice[0];
        ck_assert_int_eq(t->tokens, early + 1);
        ck_assert_int_eq(t->id[early], ids.id[0]);
        for (int k = 0; k < early; k++) ck_assert_int_ne(t->id[k], ids.id[0]);
        ck_assert_int_eq(t->finish, SL_FINISH_STOP);
        ck_assert_int_eq(t->stop, 1);
        ck_assert_int_eq(t->stop_token, -1);
        if (!early) ck_assert_str_eq(t->text_len ? t->text : "", keep ? name : "");
        sl_free(ids.id);
        client_free(c);
    }
    close_rig();
}
END_TEST

/* Promise 3: clients leave at any time; nobody else's tokens change; every page is free in the end (rig_stop). */
START_TEST(cancelled_at_any_time) {
    rig_load(&g, "mixtral-gqa");
    g.config.threads = 2;
    g.config.max_sequences = 8;
    g.config.kv_pages = 30;
    g.dawdle = 300;
    sl_metrics_config mc = {.layers = g.l.model->hp.layers, .experts = g.l.model->hp.experts, .finish = sl_finish_names,
                            .finish_count = SL_FINISH_COUNT};
    ck_assert_int_eq(sl_metrics_new(&mc, &g.config.metrics, &e), SL_OK);
    rig_start(&g);
    client *alone[CLIENTS], *c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        ask_any(&a[i], (unsigned)i + 5000, g.l.model->hp.vocab);
        alone[i] = rig_ask(&g, &a[i].spec);
    }
    srand(4);
    int cancelled = 0;
    for (int turn = 0; turn < 6; turn++) {
        bool left[CLIENTS] = {0};
        for (int i = 0; i < CLIENTS; i++) {
            c[i] = client_new(&g, a[i].spec);
            if (rand() % 16 == 0) sl_request_cancel(c[i]->r, SL_CANCEL_CLIENT), left[i] = true;
            ck_assert_int_eq(client_submit(&g, c[i]), SL_OK);
        }
        int ended = 0;
        while (ended < CLIENTS / 2) {
            ended += rig_take(&g);
            int k = rand() % CLIENTS;
            if (c[k]->r && k % 2) sl_request_cancel(c[k]->r, SL_CANCEL_CLIENT), left[k] = true;
            usleep((unsigned)rand() % 500);
        }
        rig_wait(&g, CLIENTS - ended);
        for (int i = 0; i < CLIENTS; i++) {
            ck_assert(c[i]->over);
            if (c[i]->finish <= SL_FINISH_LENGTH) same(alone[i], c[i], "among clients that leave");
            else ck_assert(left[i] && c[i]->finish >= SL_FINISH_CANCELLED_QUEUE);
            cancelled += c[i]->finish >= SL_FINISH_CANCELLED_QUEUE;
            client_free(c[i]);
        }
    }
    ck_assert_int_gt(cancelled, 20);
    sl_metrics *m = g.config.metrics;
    double finished = 0;
    for (int i = 0; i < SL_FINISH_COUNT; i++) finished += sl_metrics_get(m, SL_METRIC_FINISHED, i);
    ck_assert(finished == 7 * CLIENTS);
    ck_assert(sl_metrics_get(m, SL_METRIC_RUNNING, 0) == 0 && sl_metrics_get(m, SL_METRIC_WAITING, 0) == 0);
    for (int i = 0; i < CLIENTS; i++) client_free(alone[i]);
    rig_stop(&g);
    sl_metrics_free(m);
    rig_unload(&g);
}
END_TEST

/* Who ended a request, and in which phase. The first who cancels it gives the reason. */
START_TEST(a_cancelled_request_says_who_ended_it) {
    static const sl_cancel whys[] = {SL_CANCEL_CLIENT, SL_CANCEL_TIMEOUT, SL_CANCEL_SHUTDOWN};
    static const int in_queue[] = {SL_FINISH_CANCELLED_QUEUE, SL_FINISH_TIMEOUT_QUEUE, SL_FINISH_SHUTDOWN},
                     in_decode[] = {SL_FINISH_CANCELLED_DECODE, SL_FINISH_TIMEOUT_DECODE, SL_FINISH_SHUTDOWN};
    rig_load(&g, "mixtral-gqa");
    g.config.max_sequences = 1;
    for (int i = 0; i < 3; i++) {
        rig_start(&g);
        ask(&a[0], 10, 200);
        a[0].spec.stream = true;
        client *running = client_new(&g, a[0].spec), *queued = client_new(&g, a[0].spec);
        while (!sem_trywait(&g.news)) {}
        atomic_store(&g.hold, true);
        ck_assert_int_eq(client_submit(&g, running), SL_OK);
        sem_wait(&g.news); /* its first token */
        ck_assert_int_eq(client_submit(&g, queued), SL_OK);
        sl_request_cancel(queued->r, whys[i]);
        sl_request_cancel(queued->r, whys[(i + 1) % 3]);
        sl_request_cancel(running->r, whys[i]);
        sl_request_cancel(running->r, whys[(i + 2) % 3]);
        atomic_store(&g.hold, false);
        rig_wait(&g, 2);
        ck_assert_int_eq(queued->finish, in_queue[i]);
        ck_assert_int_eq(running->finish, in_decode[i]);
        client_free(queued);
        client_free(running);
        rig_stop(&g);
    }
    rig_unload(&g);
}
END_TEST

/* Promise 3: an entry of the ready list gets news again while the loop is still on its way to it. */
START_TEST(news_while_the_loop_is_slow) {
    rig_load(&g, "mixtral-gqa");
    g.config.max_sequences = 32;
    g.config.kv_pages = 300;
    g.dawdle = 400;
    rig_start(&g);
    client *c[32];
    for (int i = 0; i < 32; i++) {
        ask(&a[i], 5 + i, 150);
        a[i].spec.stream = true;
    }
    ask_all(c, 32);
    for (int i = 0; i < 32; i++) {
        ck_assert_int_eq(c[i]->choice[0].tokens, 150);
        client_free(c[i]);
    }
    close_rig();
}
END_TEST

/* Promise 3 */
START_TEST(a_slow_client_ends_and_costs_nobody_else) {
    rig_load(&g, "mixtral-gqa");
    g.config.max_sequences = 64;
    g.config.kv_pages = 600;
    rig_start(&g);
    ask(&a[0], 20, 230);
    a[0].spec.n = 256;
    a[0].spec.stream = true;
    a[0].spec.sampling.temperature = 1;
    a[0].spec.sampling.logprobs = SL_TOP_LOGPROBS;
    ask(&a[1], 30, 50);
    client *want = rig_ask(&g, &a[1].spec), *slow = client_new(&g, a[0].spec);
    ck_assert_int_eq(client_submit(&g, slow), SL_OK);
    client *other = client_new(&g, a[1].spec);
    ck_assert_int_eq(client_submit(&g, other), SL_OK);
    while (sl_engine_live(g.g) > 0) usleep(1000); /* nobody reads */
    rig_wait(&g, 2);
    ck_assert_int_eq(slow->finish, SL_FINISH_SLOW_CLIENT);
    ck_assert_int_gt(slow->choice[0].tokens, 30);
    same(want, other, "beside a slow client");
    client_free(slow);
    client_free(want);
    client_free(other);
    close_rig();
}
END_TEST

START_TEST(a_full_queue_and_a_drain_are_said_at_once) {
    rig_load(&g, "mixtral-gqa");
    g.config.max_sequences = 1;
    g.config.queue = 2;
    rig_start(&g);
    client *c[4];
    for (int i = 0; i < 4; i++) {
        ask(&a[i], 100, 150);
        c[i] = client_new(&g, a[i].spec);
    }
    atomic_store(&g.hold, true);
    ck_assert_int_eq(client_submit(&g, c[0]), SL_OK);
    sem_wait(&g.news); /* its first token */
    ck_assert_int_eq(sl_engine_waiting(g.g), 0);
    ck_assert_int_eq(client_submit(&g, c[1]), SL_OK);
    ck_assert_int_eq(client_submit(&g, c[2]), SL_OK);
    ck_assert_int_eq(client_submit(&g, c[3]), SL_FULL);
    int after = sl_engine_retry_after(g.g);
    ck_assert(after >= 1 && after <= 60);
    ck_assert_int_eq(sl_engine_live(g.g), 3);
    sl_engine_drain(g.g);
    ck_assert_int_eq(client_submit(&g, c[3]), SL_CANCELLED);
    atomic_store(&g.hold, false);
    rig_wait(&g, 3); /* what was accepted ends well */
    for (int i = 0; i < 3; i++) ck_assert_int_eq(c[i]->finish, SL_FINISH_LENGTH);
    for (int i = 0; i < 4; i++) client_free(c[i]);
    close_rig();
}
END_TEST

/* Promise 3: in a generation, and where only a prompt is scored. */
START_TEST(logits_that_are_not_finite_are_an_error) {
    static const float values[] = {NAN, INFINITY, -INFINITY};
    rig_load(&g, "mixtral-gqa");
    sl_model broken = *g.l.model;
    int width = broken.hp.width;
    float *norm = malloc((size_t)width * sizeof *norm);
    broken.output_norm = norm;
    g.config.model = &broken;
    rig_start(&g);
    for (int i = 0; i < 3; i++)
        for (int way = 0; way < 3; way++) { /* generated, scored and generated, scored alone; all channels or one */
            for (int k = 0; k < width; k++) norm[k] = way < 2 || k == 7 ? values[i] : 1;
            ask(&a[0], 20, way == 2 ? 0 : 10);
            a[0].spec.n = 2;
            a[0].spec.prompt_logprobs = way > 0 ? 2 : -1;
            a[0].spec.sampling.logprobs = 2;
            client *c = rig_ask(&g, &a[0].spec);
            ck_assert_int_eq(c->finish, SL_FINISH_ERROR);
            ck_assert_msg(strstr(c->failure, "finite"), "%s", c->failure);
            for (int k = 0; k < 2; k++) {
                ck_assert_int_eq(c->choice[k].finish, SL_FINISH_ERROR);
                ck_assert_int_eq(c->choice[k].tokens, 0);
                ck_assert_int_le(c->choice[k].scores, 1); /* the first token of the prompt, which has no score */
                ck_assert_uint_eq(c->choice[k].text_len, 0);
            }
            client_free(c);
        }
    close_rig();
    free(norm);
}
END_TEST

/* Promise 4: from taking a request to handing over its last token. */
START_TEST(the_hot_path_allocates_nothing) {
    rig_load(&g, "qwen3moe-q4_k.gguf");
    g.config.threads = 2;
    g.config.max_sequences = 8;
    g.config.kv_pages = 20;
    sl_metrics_config mc = {.layers = g.l.model->hp.layers, .experts = g.l.model->hp.experts, .finish = sl_finish_names,
                            .finish_count = SL_FINISH_COUNT};
    ck_assert_int_eq(sl_metrics_new(&mc, &g.config.metrics, &e), SL_OK);
    rig_start(&g);
    client *c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        ask_any(&a[i], (unsigned)i + 900, sl_tokenizer_count(g.l.tokenizer));
        c[i] = client_new(&g, a[i].spec);
    }
    sl_alloc_fail_at(0);
    for (int i = 0; i < CLIENTS; i++) sl_engine_submit(g.g, c[i]->r, &e);
    rig_wait(&g, CLIENTS);
    ck_assert_int_eq(sl_alloc_fail_at(0), 0);
    for (int i = 0; i < CLIENTS; i++) client_free(c[i]);
    rig_stop(&g);
    sl_metrics_free(g.config.metrics);
    rig_unload(&g);
}
END_TEST

/* Promise 4: what is planned is what is taken. */
START_TEST(the_plan_is_honest) {
    rig_load(&g, checkpoints[_i]);
    g.config.threads = 2;
    g.config.max_sequences = 64;
    g.config.kv_pages = 3000;
    sl_engine_plan p = sl_engine_plan_for(&g.config);
    const sl_hparams *hp = &g.l.model->hp;
    size_t windowed = sl_kv_page_bytes(hp, g.config.kv_type, g.config.ctx, SL_KV_WINDOWED), all = sl_kv_cost_of(hp, g.config.kv_type).page_bytes;
    ck_assert_uint_eq(p.kv_bytes, 3000 * (all - windowed) + 128 * windowed);
    struct mallinfo2 before = mallinfo2();
    rig_start(&g);
    struct mallinfo2 after = mallinfo2();
    size_t taken = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd, planned = p.workspace_bytes + p.sequence_bytes;
    if (after.uordblks) { /* a sanitizer's malloc does not say */
        ck_assert_uint_le(taken, planned);
        ck_assert_uint_ge(taken + (256 << 10), planned);
    }
    close_rig();
}
END_TEST

START_TEST(every_allocation_of_the_start_may_fail) {
    rig_load(&g, "mixtral-gqa");
    long n = 0;
    sl_status st;
    do {
        sl_alloc_fail_at(++n);
        st = sl_engine_new(&g.config, &g.g, &e);
        sl_alloc_fail_at(0);
        ck_assert(st == SL_OK || st == SL_NOMEM);
    } while (st != SL_OK);
    ck_assert_int_gt(n, 15);
    ask(&a[0], 10, 5);
    client_free(rig_ask(&g, &a[0].spec));
    close_rig();
}
END_TEST

/* However slow the machine: never for longer than there has been a request. */
START_TEST(an_idle_engine_is_not_stuck) {
    open_rig();
    ck_assert_uint_eq(sl_engine_stuck_ns(g.g), 0);
    usleep(100000); /* idle, and nobody asks */
    ask(&a[0], 200, 50);
    client *c = client_new(&g, a[0].spec);
    uint64_t begin = sl_clock_ns();
    ck_assert_int_eq(client_submit(&g, c), SL_OK);
    while (sl_engine_live(g.g) > 0) {
        uint64_t stuck = sl_engine_stuck_ns(g.g);
        ck_assert_uint_le(stuck, sl_clock_ns() - begin);
    }
    rig_wait(&g, 1);
    for (int i = 0; i < 10000 && sl_engine_stuck_ns(g.g) > 0; i++) usleep(1000); /* until its thread has gone to wait */
    ck_assert_uint_eq(sl_engine_stuck_ns(g.g), 0);
    client_free(c);
    close_rig();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/engine");
    TCase *t = tcase_create("engine/engine");
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, one_answer, 0, CHECKPOINTS);
    tcase_add_loop_test(t, greedy_as_the_reference, 0, CHECKPOINTS);
    tcase_add_loop_test(t, choices_are_requests_with_the_next_seeds, 0, 4);
    tcase_add_loop_test(t, the_plan_is_honest, 0, CHECKPOINTS);
    const TTest *const tests[] = {
        scores_of_a_prompt_are_those_of_its_generation, stop_strings_cut_the_text_wherever_tokens_end, ends_and_stop_tokens, special_tokens_stop,
        cancelled_at_any_time, a_cancelled_request_says_who_ended_it, news_while_the_loop_is_slow, a_slow_client_ends_and_costs_nobody_else,
        a_full_queue_and_a_drain_are_said_at_once, logits_that_are_not_finite_are_an_error, the_hot_path_allocates_nothing,
        every_allocation_of_the_start_may_fail, an_idle_engine_is_not_stuck};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(t, tests[i]);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
