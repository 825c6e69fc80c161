/* Against PyTorch: tests/reference/sampling.json, made by make_sampling.py. */
#include "base/json.h"
#include "kernels/kernels.h"
#include "sampling/sampling.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *cases;

static void setup(void) {
    sl_error e;
    ck_assert_int_eq(sl_kernels_choose(getenv("SLUICE_TIER"), &e), SL_OK);
    const char *tests = getenv("SLUICE_TESTS");
    ck_assert_ptr_nonnull(tests);
    char path[512];
    snprintf(path, sizeof path, "%s/reference/sampling.json", tests);
    json_error_t je;
    cases = json_load_file(path, 0, &je);
    ck_assert_msg(cases != NULL, "%s: %s", path, je.text);
}

static void teardown(void) { json_decref(cases); }

#define MOST 5000

typedef struct loaded {
    const char *name;
    sl_sampling_params p;
    sl_history h;
    int vocab, banned_count;
    int32_t banned[64];
    sl_logit_bias bias[64];
    float logits[MOST];
    uint16_t generated[MOST];
    uint8_t seen[MOST / 8 + 1];
} loaded;

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static void load(const json_t *o, loaded *c) {
    memset(c, 0, sizeof *c);
    c->name = json_string_value(json_object_get(o, "name"));
    c->vocab = (int)number(o, "vocab");
    const json_t *logits = json_object_get(o, "logits");
    for (int i = 0; i < c->vocab; i++) {
        const json_t *v = json_array_get(logits, (size_t)i);
        if (!logits) c->logits[i] = (float)((uint32_t)i * 2654435761u >> 12) / 65536.0f - 8.0f;
        else c->logits[i] = json_is_null(v) ? -INFINITY : (float)json_number_value(v);
    }
    c->p = (sl_sampling_params){.temperature = (float)number(o, "temperature"), .top_p = (float)number(o, "top_p"),
                                .min_p = (float)number(o, "min_p"), .top_k = (int32_t)number(o, "top_k"),
                                .presence = (float)number(o, "presence"), .frequency = (float)number(o, "frequency"),
                                .repetition = (float)number(o, "repetition"), .seed = 4711, .logprobs = 5};
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(o, "bias"), i, v) {
        c->bias[i] = (sl_logit_bias){(int32_t)json_integer_value(json_array_get(v, 0)),
                                     (float)json_number_value(json_array_get(v, 1))};
        c->p.bias_count = (int)i + 1;
    }
    c->p.bias = c->bias;
    json_array_foreach(json_object_get(o, "banned"), i, v) c->banned[c->banned_count++] = (int32_t)json_integer_value(v);
    json_array_foreach(json_object_get(o, "prompt"), i, v) {
        int t = (int)json_integer_value(v);
        c->seen[t / 8] |= (uint8_t)(1 << t % 8);
    }
    json_array_foreach(json_object_get(o, "generated"), i, v) {
        int t = (int)json_integer_value(v);
        c->seen[t / 8] |= (uint8_t)(1 << t % 8);
        c->generated[t]++;
    }
    c->h = (sl_history){c->generated, c->seen};
}

START_TEST(as_the_reference) {
    static loaded c;
    static float x[MOST];
    size_t i;
    json_t *o;
    json_array_foreach(cases, i, o) {
        load(o, &c);
        void *scratch = malloc(sl_sample_scratch(c.vocab));
        int draws = 20000, *count = calloc((size_t)c.vocab, sizeof *count);
        sl_sampled r;
        const json_t *kept = json_object_get(o, "kept"), *probs = json_object_get(o, "probs");
        if (c.vocab > 1000) draws = 3000;
        if (!kept) draws = 3;
        for (int n = 0; n < draws; n++) {
            memcpy(x, c.logits, sizeof x);
            sl_sample(&c.p, &c.h, x, c.vocab, c.banned, c.banned_count, (uint64_t)n, scratch, &r);
            ck_assert_int_ge(r.token, 0);
            count[r.token]++;
            if (n > 0) continue;
            const json_t *top = json_object_get(o, "top");
            ck_assert_int_eq(r.top_count, (int)json_array_size(top));
            for (int k = 0; k < r.top_count; k++) {
                const json_t *t = json_array_get(top, (size_t)k), *lp = json_array_get(t, 1);
                ck_assert_msg(r.top[k].token == json_integer_value(json_array_get(t, 0)), "%s: top %d", c.name, k);
                double want = json_is_null(lp) ? -9999 : json_number_value(lp);
                ck_assert_msg(fabs((double)r.top[k].logprob - want) < 2e-5, "%s: %g %g", c.name, (double)r.top[k].logprob, want);
            }
            sl_sampled s;
            sl_score(c.logits, c.vocab, r.token, 3, &s);
            ck_assert_float_eq(s.logprob, r.logprob);
            ck_assert_int_eq(memcmp(s.top, r.top, 3 * sizeof *s.top), 0);
        }
        if (!kept) ck_assert_msg(count[json_integer_value(json_object_get(o, "greedy"))] == draws, "%s", c.name);
        size_t k, most = json_array_size(kept);
        json_t *id;
        double chi = 0, bins = 0;
        int inside = 0;
        json_array_foreach(kept, k, id) {
            int n = count[json_integer_value(id)];
            inside += n;
            double want = probs ? draws * json_number_value(json_array_get(probs, k)) : 0;
            if (want > 20) ck_assert_msg(n > 0, "%s: %d never came", c.name, (int)json_integer_value(id));
            if (want >= 5) chi += (n - want) * (n - want) / want, bins += 1;
        }
        if (kept) ck_assert_msg(inside == draws, "%s: %d of %d outside the kept", c.name, draws - inside, draws);
        if (bins > 1)
            ck_assert_msg(chi < bins - 1 + 4.5 * sqrt(2 * (bins - 1)), "%s: chi square %g with %g bins", c.name, chi, bins);
        if (kept && most == 1) ck_assert_msg(count[json_integer_value(json_array_get(kept, 0))] == draws, "%s", c.name);
        free(count);
        free(scratch);
    }
}
END_TEST

/* Promise 1 */
START_TEST(depends_on_seed_and_position_alone) {
    enum { N = 300 };
    float logits[N], x[N];
    for (int i = 0; i < N; i++) logits[i] = (float)((i * 37) % 101) / 25.0f;
    sl_sampling_params p = {.temperature = 1, .top_p = 0.95f, .repetition = 1, .seed = 5, .logprobs = -1};
    sl_history h = {0};
    void *scratch = malloc(sl_sample_scratch(N));
    int32_t first[50], same = 0, other = 0;
    for (int round = 0; round < 3; round++)
        for (int n = 49; n >= 0; n--) {
            sl_sampled r;
            memset(scratch, 0x55 * round, sl_sample_scratch(N));
            memcpy(x, logits, sizeof x);
            p.seed = round == 2 ? 6 : 5;
            sl_sample(&p, &h, x, N, NULL, 0, (uint64_t)n, scratch, &r);
            if (round == 0) first[n] = r.token;
            else if (round == 1) same += first[n] == r.token;
            else other += first[n] == r.token;
        }
    ck_assert_int_eq(same, 50);
    ck_assert_int_lt(other, 20);
    free(scratch);
}
END_TEST

START_TEST(what_is_not_finite_gives_no_token) {
    enum { N = 70 };
    static const struct { int at; float value; bool all; } bad[] = {
        {0, NAN, false}, {37, NAN, false}, {N - 1, -NAN, false}, {0, INFINITY, false}, {N - 1, INFINITY, false},
        {0, -INFINITY, true}, {0, NAN, true}, {0, INFINITY, true}};
    sl_history h = {0};
    void *scratch = malloc(sl_sample_scratch(N));
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        for (int way = 0; way < 4; way++) {
            float x[N];
            for (int i = 0; i < N; i++) x[i] = bad[k].all || i == bad[k].at ? bad[k].value : (float)(i * 37 % 11);
            sl_sampling_params p = {.temperature = (float)(way % 2), .top_p = 1, .repetition = 1, .logprobs = way / 2 ? 3 : -1};
            int32_t banned[1] = {bad[k].at}; /* that the token may not come does not make the logits sound */
            sl_sampled r = {.token = 5, .top_count = 7}, s = r;
            sl_score(x, N, 1, 3, &s);
            sl_sample(&p, &h, x, N, banned, 1, 0, scratch, &r);
            ck_assert(r.token == -1 && r.not_finite && r.top_count == 0);
            ck_assert(s.token == -1 && s.not_finite && s.top_count == 0);
        }
    free(scratch);
}
END_TEST

START_TEST(minus_infinity_forbids_a_token) {
    float logits[6] = {-INFINITY, 1, -INFINITY, -INFINITY, 0.5f, -INFINITY}, x[6];
    sl_sampling_params p = {.temperature = 0, .top_p = 1, .repetition = 1, .logprobs = 3};
    sl_history h = {0};
    void *scratch = malloc(sl_sample_scratch(6));
    sl_sampled r;
    memcpy(x, logits, sizeof x);
    sl_sample(&p, &h, x, 6, NULL, 0, 0, scratch, &r);
    ck_assert(r.token == 1 && !r.not_finite);
    ck_assert(fabsf(r.logprob + 0.474077f) < 1e-5f);
    ck_assert_float_eq(r.top[2].logprob, -9999);
    sl_score(logits, 6, 0, 3, &r);
    ck_assert(r.token == 0 && !r.not_finite);
    ck_assert_float_eq(r.logprob, -9999);
    memcpy(x, logits, sizeof x);
    sl_sample(&p, &h, x, 6, (int32_t[]){1, 4}, 2, 0, scratch, &r); /* what is left is forbidden: nothing to draw, but sound */
    ck_assert(r.token == -1 && !r.not_finite);
    float largest[3] = {FLT_MAX, 1, -FLT_MAX};
    p.temperature = 1;
    sl_sample(&p, &h, largest, 3, NULL, 0, 0, scratch, &r);
    ck_assert(r.token == 0 && !isnan(r.logprob));
    free(scratch);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sampling");
    TCase *t = tcase_create("sampling");
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, as_the_reference);
    tcase_add_test(t, depends_on_seed_and_position_alone);
    tcase_add_test(t, what_is_not_finite_gives_no_token);
    tcase_add_test(t, minus_infinity_forbids_a_token);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
