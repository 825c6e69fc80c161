/* A step as a whole, through all files of forward/: what its bits may not depend on. Those of block.c, mixer.c,
 * feed_forward.c and stream.c have no other test than this and reference.c. */
#include "base/alloc.h"
#include "driver.h"
#include "random_model.h"

#include <stdio.h>

#include "../run.h"

enum { SEQUENCES = 5 };
static const int lengths[SEQUENCES] = {300, 1, 70, 33, 5};

/* Tokens of test sequence i. */
static int32_t *tokens(int i, int length, int vocab) {
    random_model r = {.seed = 1000 + (uint64_t)i};
    int32_t *t = calloc((size_t)length, sizeof *t);
    for (int k = 0; k < length; k++) t[k] = (int32_t)(random_bits(&r) % (uint32_t)vocab);
    return t;
}

typedef struct batch {
    driven sequence[SEQUENCES];
    int count;
} batch;

static batch batch_new(const sl_model *m, int first, int count, int shortened) {
    batch b = {.count = count};
    for (int i = 0; i < count; i++) {
        int n = lengths[first + i] < shortened ? lengths[first + i] : shortened;
        b.sequence[i] = (driven){tokens(first + i, n, m->hp.vocab), n,
                                 calloc((size_t)n * (size_t)m->hp.vocab, sizeof(float))};
    }
    return b;
}

static void batch_free(batch *b) {
    for (int i = 0; i < b->count; i++) {
        free((void *)b->sequence[i].token);
        free(b->sequence[i].logits);
    }
}

static void same(const sl_model *m, const driven *a, const driven *b, const char *what) {
    size_t vocab = (size_t)m->hp.vocab;
    for (int r = 0; r < a->length; r++) {
        const float *x = a->logits + (size_t)r * vocab, *y = b->logits + (size_t)r * vocab;
        if (!memcmp(x, y, vocab * sizeof(float))) continue;
        for (size_t i = 0; i < vocab; i++) {
            ck_assert_msg(x[i] == y[i], "%s: row %d, logit %zu: %.9g is not %.9g", what, r, i, (double)x[i], (double)y[i]);
        }
        ck_abort_msg("%s: row %d differs in a sign or NaN", what, r);
    }
    for (size_t i = 0; i < vocab; i++) ck_assert_msg(isfinite(a->logits[i]), "%s: not finite", what);
}

/* The same sequences alone one row a step, and all together in many ways. */
static void one_answer(const sl_model *m, int shortened) {
    batch alone = batch_new(m, 0, SEQUENCES, shortened);
    for (int i = 0; i < SEQUENCES; i++) drive(&(driver){m, 1, 1, SL_KV_I16, 1, NULL, NULL, NULL}, &alone.sequence[i], 1);
    static const struct { int threads, chunk, stride; } ways[] = {{1, 1, 1}, {2, 7, 5}, {3, 64, 7}, {2, 300, 1}};
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        batch together = batch_new(m, 0, SEQUENCES, shortened);
        drive(&(driver){m, ways[way].threads, ways[way].chunk, SL_KV_I16, ways[way].stride, NULL, NULL, NULL}, together.sequence,
              SEQUENCES);
        char what[80];
        snprintf(what, sizeof what, "%d threads, chunks of %d", ways[way].threads, ways[way].chunk);
        for (int i = 0; i < SEQUENCES; i++) same(m, &alone.sequence[i], &together.sequence[i], what);
        batch_free(&together);
    }
    batch_free(&alone);
}

START_TEST(any_batch_chunk_thread_and_page) { /* Promise 1 */
    sl_hparams hp = random_hparams();
    random_model *r = random_model_new(&hp, (sl_type)_i, 7);
    /* Long enough for two spans of attention in the cheapest types, shorter where the scalar kernels would take long. */
    one_answer(&r->m, _i == SL_TYPE_Q8_0 ? 300 : 40);
    random_model_free(r);
}
END_TEST

/* Two of three layers are gated delta nets. The size of all value heads must be whole blocks of weights. */
static void random_delta(sl_hparams *hp, int key_dim, int value_dim, int key_heads, int value_heads) {
    hp->mixer[0] = hp->mixer[2] = SL_MIXER_DELTA;
    hp->delta_key_dim = key_dim, hp->delta_value_dim = value_dim;
    hp->delta_key_heads = key_heads, hp->delta_value_heads = value_heads;
    hp->delta_taps = 4;
}

START_TEST(any_structure) { /* Promise 1 */
    sl_hparams hp = random_hparams();
    switch (_i) {
    case 0: sl_hparams_heads(&hp, 4, 4, 64), hp.qk_norm = SL_QK_NORM_FULL, hp.shared_gate = SL_SHARED_NONE, hp.shared_ff = 0; break;
    case 1: sl_hparams_heads(&hp, 4, 1, 64), hp.qk_norm = SL_QK_NORM_NONE, hp.rope_style = SL_ROPE_INTERLEAVED, hp.rope_dims = 32; break;
    case 2: hp.experts = hp.experts_used = hp.expert_ff = hp.shared_ff = 0, hp.tied = true; break;
    case 3: hp.experts_used = 8, hp.router_norm = SL_ROUTER_KEEP, hp.expert_ff = 96; break;
    case 4: hp.router_score = SL_ROUTER_SIGMOID, hp.router_scale = 2.5f, hp.router_groups = 4, hp.router_groups_used = 2,
            hp.shared_gate = SL_SHARED_PLAIN; break;
    case 5: random_delta(&hp, 8, 20, 2, 4), hp.delta_tiled = true; break;
    case 6: random_delta(&hp, 32, 96, 3, 6), hp.query_gated = true; break;
    case 7: random_delta(&hp, 64, 64, 1, 2), hp.mixer[2] = SL_MIXER_ATTENTION, hp.delta_taps = 2; break;
    case 8: hp.activation = SL_ACTIVATION_CLAMPED, hp.activation_alpha = 1.702f, hp.activation_limit = 0.5f,
            hp.router_score = SL_ROUTER_LOGIT, hp.router_norm = SL_ROUTER_SHARE, hp.window[0] = hp.window[2] = 9; break;
    case 9: hp.heads[1] = 8, hp.kv_heads[1] = 1, hp.head_dim[1] = 32, hp.window[1] = 9, hp.window_rope_theta = 100, hp.window_rope_dims = 24,
            hp.window_rope_factor = 4, hp.heads[2] = 2, hp.head_dim[2] = 160; break; /* every layer has other heads */
    case 10: hp.wiring = SL_WIRING_SANDWICH, hp.dense_beside = true, hp.value_norm = true, hp.keyed_values[0] = hp.keyed_values[2] = true,
             hp.head_dim[2] = 96, hp.window[1] = 9, hp.attention_scale = 1, hp.qkv_clip = 0, hp.shared_ff = 0,
             hp.shared_gate = SL_SHARED_NONE; break;
    case 11: hp.layer_input = 32, hp.keys_of[2] = 1, hp.window[1] = 9, hp.ff_doubled[1] = true; break; /* layer 2 reads layer 0's keys */
    }
    random_model *r = random_model_new(&hp, SL_TYPE_Q8_0, 8);
    one_answer(&r->m, _i < 5 ? 40 : 100);
    random_model_free(r);
}
END_TEST

/* A long context: one row's spans become items of their own, and are merged in the same order. */
START_TEST(split_spans) { /* Promise 1 */
    sl_hparams hp = random_hparams();
    hp.layers = 1, hp.width = 64, sl_hparams_heads(&hp, 2, 1, 32), hp.rope_dims = 32, hp.expert_ff = 32;
    hp.shared_ff = 32, hp.vocab = 40;
    if (_i) hp.activation = SL_ACTIVATION_CLAMPED, hp.activation_alpha = 1, hp.activation_limit = 7; /* with sinks */
    random_model *r = random_model_new(&hp, SL_TYPE_Q8_0, 9);
    enum { LENGTH = 1500 };
    int32_t *t = tokens(1, LENGTH, hp.vocab);
    driven whole = {t, LENGTH, calloc(LENGTH * 40, sizeof(float))}, pieces = {t, LENGTH, calloc(LENGTH * 40, sizeof(float))};
    drive(&(driver){&r->m, 1, LENGTH, SL_KV_F32, 1, NULL, NULL, NULL}, &whole, 1);
    drive(&(driver){&r->m, 3, 1, SL_KV_F32, 1, NULL, NULL, NULL}, &pieces, 1);
    same(&r->m, &whole, &pieces, "one row a step");
    drive(&(driver){&r->m, 3, 50, SL_KV_F32, 5, NULL, NULL, NULL}, &pieces, 1);
    same(&r->m, &whole, &pieces, "50 rows a step");
    free(t);
    free(whole.logits);
    free(pieces.logits);
    random_model_free(r);
}
END_TEST

START_TEST(any_tier) { /* Promise 1 */
    if (_i % FEWER) return;
    sl_hparams hp = random_hparams();
    random_model *r = random_model_new(&hp, (sl_type)_i, 10);
    sl_error e;
    ck_assert(sl_kernels_choose("scalar", &e) == SL_OK);
    batch scalar = batch_new(&r->m, 0, SEQUENCES, 20);
    drive(&(driver){&r->m, 1, 20, SL_KV_I16, 1, NULL, NULL, NULL}, scalar.sequence, SEQUENCES);
    int runs;
    for (int tier = 1; sl_kernels_tier(tier, &runs); tier++) {
        const char *name = sl_kernels_tier(tier, &runs)->tier;
        if (!runs) {
            fprintf(stderr, "SKIPPED: this CPU cannot run the %s kernels\n", name);
            continue;
        }
        ck_assert_msg(sl_kernels_choose(name, &e) == SL_OK, "%s", e.message);
        for (int chunk = 1; chunk <= 20; chunk += 19) {
            batch other = batch_new(&r->m, 0, SEQUENCES, 20);
            drive(&(driver){&r->m, 2, chunk, SL_KV_I16, 1, NULL, NULL, NULL}, other.sequence, SEQUENCES);
            for (int i = 0; i < SEQUENCES; i++) same(&r->m, &scalar.sequence[i], &other.sequence[i], name);
            batch_free(&other);
        }
    }
    batch_free(&scalar);
    random_model_free(r);
}
END_TEST

/* A hybrid model's state too: the scalar kernels alone row by row, every tier in one piece and in pieces. */
START_TEST(any_tier_with_state) { /* Promise 1 */
    sl_hparams hp = random_hparams();
    sl_error e;
    random_delta(&hp, 40, 48, 2, 4);
    random_model *r = random_model_new(&hp, SL_TYPE_Q8_0, 12);
    ck_assert(sl_kernels_choose("scalar", &e) == SL_OK);
    batch scalar = batch_new(&r->m, 0, SEQUENCES, 30);
    drive(&(driver){&r->m, 1, 1, SL_KV_I16, 1, NULL, NULL, NULL}, scalar.sequence, SEQUENCES);
    int runs;
    for (int tier = 1; sl_kernels_tier(tier, &runs); tier++) {
        if (!runs) continue; /* any_tier says so */
        const char *name = sl_kernels_tier(tier, &runs)->tier;
        ck_assert_msg(sl_kernels_choose(name, &e) == SL_OK, "%s", e.message);
        for (int chunk = 3; chunk <= 30; chunk += 27) {
            batch other = batch_new(&r->m, 0, SEQUENCES, 30);
            drive(&(driver){&r->m, 2, chunk, SL_KV_I16, 1, NULL, NULL, NULL}, other.sequence, SEQUENCES);
            for (int i = 0; i < SEQUENCES; i++) same(&r->m, &scalar.sequence[i], &other.sequence[i], name);
            batch_free(&other);
        }
    }
    batch_free(&scalar);
    random_model_free(r);
}
END_TEST

/* In every layer that routes, the experts' rows sum to experts per token times the rows. */
START_TEST(every_row_is_counted) {
    sl_hparams hp = random_hparams();
    random_model *r = random_model_new(&hp, SL_TYPE_Q8_0, 11);
    sl_expert_stats *stats;
    sl_error e;
    ck_assert(sl_expert_stats_new(hp.layers, hp.experts, 2, NULL, &stats, &e) == SL_OK);
    batch b = batch_new(&r->m, 0, SEQUENCES, 40);
    drive(&(driver){&r->m, 2, 16, SL_KV_I16, 1, stats, NULL, NULL}, b.sequence, SEQUENCES);
    uint64_t rows = 0;
    for (int i = 0; i < SEQUENCES; i++) rows += (uint64_t)b.sequence[i].length;
    for (int l = 0; l < hp.layers; l++) {
        uint64_t tokens = 0;
        for (int x = 0; x < hp.experts; x++) {
            sl_expert_totals t = sl_expert_stats_get(stats, l, x);
            tokens += t.tokens;
            ck_assert_int_le((int)t.groups, 3); /* steps: 40 rows, 16 at a time */
            ck_assert((t.tokens > 0) == (t.compute > 0) && (t.tokens > 0) == (t.latency > 0));
        }
        ck_assert_uint_eq(tokens, hp.sparse[l] ? rows * (uint64_t)hp.experts_used : 0);
    }
    batch_free(&b);
    sl_expert_stats_free(stats);
    random_model_free(r);
}
END_TEST

START_TEST(out_of_memory) {
    sl_hparams hp = random_hparams();
    random_model *r = random_model_new(&hp, SL_TYPE_F16, 1);
    sl_workers *w;
    sl_error e = {0};
    ck_assert(sl_workers_new(1, 0, &w, &e) == SL_OK);
    sl_forward_config c = {.model = &r->m, .workers = w, .threads = 1, .max_rows = 4, .max_logit_rows = 4, .max_sequences = 1,
                           .ctx = 32, .kv_pages = 1};
    sl_forward *f = NULL;
    sl_alloc_fail_at(0);
    ck_assert(sl_forward_new(&c, &f, &e) == SL_OK);
    long sites = sl_alloc_fail_at(0);
    f = sl_forward_free(f);
    ck_assert_int_ge(sites, 2);
    for (long n = 1; n <= sites; n++) {
        sl_alloc_fail_at(n);
        ck_assert_int_eq(sl_forward_new(&c, &f, &e), SL_NOMEM);
        ck_assert_ptr_null(f);
    }
    sl_alloc_fail_at(0);
    sl_workers_free(w);
    random_model_free(r);
}
END_TEST

static void bad_config(int max_rows, int max_logit_rows) {
    sl_hparams hp = random_hparams();
    random_model *r = random_model_new(&hp, SL_TYPE_Q8_0, 1);
    sl_workers *w;
    sl_error e = {0};
    ck_assert(sl_workers_new(1, 0, &w, &e) == SL_OK);
    sl_forward_config c = {.model = &r->m, .workers = w, .threads = 1, .max_rows = max_rows,
                           .max_logit_rows = max_logit_rows, .max_sequences = 1, .ctx = 32, .kv_pages = 1};
    sl_forward *f = NULL;
    ck_assert_int_eq(sl_forward_new(&c, &f, &e), SL_INVALID);
    ck_assert_ptr_null(f);
    sl_workers_free(w);
    random_model_free(r);
}

START_TEST(limits_are_checked) {
    bad_config(0, 1);
    bad_config(4, 5);
    bad_config(4, 0);
}
END_TEST

int main(void) {
    sl_error e;
    if (sl_kernels_choose(getenv("SLUICE_TIER"), &e) != SL_OK) return 1;
    Suite *s = suite_create("forward");
    TCase *t = tcase_create("forward");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, any_batch_chunk_thread_and_page, 0, SL_TYPE_COUNT);
    tcase_add_loop_test(t, any_structure, 0, 12);
    tcase_add_loop_test(t, split_spans, 0, 2);
    tcase_add_loop_test(t, any_tier, 0, SL_TYPE_COUNT);
    tcase_add_test(t, any_tier_with_state);
    tcase_add_test(t, every_row_is_counted);
    tcase_add_test(t, out_of_memory);
    tcase_add_test(t, limits_are_checked);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
