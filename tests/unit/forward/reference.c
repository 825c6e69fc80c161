/* Every checkpoint of tests/reference against what transformers computed from it. */
#include "base/json.h"
#include "driver.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { PROMPTS = 8, GREEDY = 24 };

static char *path_of(const char *name, const char *suffix) {
    static char path[512];
    const char *tests = getenv("SLUICE_TESTS");
    snprintf(path, sizeof path, "%s/reference/%s%s", tests ? tests : "tests", name, suffix);
    return path;
}

/* For what main needs too, where check cannot be asked. */
static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static char *slurp(const char *path, size_t *ret_len) {
    FILE *in = fopen(path, "rb");
    must(in != NULL, path);
    fseek(in, 0, SEEK_END);
    long n = ftell(in);
    rewind(in);
    char *text = malloc((size_t)n + 1);
    must(fread(text, 1, (size_t)n, in) == (size_t)n, path);
    fclose(in);
    *ret_len = (size_t)n;
    return text;
}

static sl_json parse(const char *path) {
    size_t n;
    sl_json top;
    sl_error e;
    char *text = slurp(path, &n);
    must(sl_json_parse(text, n, path, &top, &e) == SL_OK, e.message);
    free(text);
    return top;
}

static int integer(const sl_json *object, const char *key) {
    int64_t x = 0;
    sl_error e;
    ck_assert_msg(sl_json_opt_int(object, key, INT32_MIN, INT32_MAX, &x, &e) == SL_OK, "%s", e.message);
    return (int)x;
}

/* A member that is a list of numbers; *ret_n its length. */
static double *numbers(const sl_json *object, const char *key, int *ret_n) {
    sl_json list, at;
    sl_error e;
    *ret_n = 0;
    if (!sl_json_get(object, key, &list)) return NULL;
    *ret_n = (int)sl_json_size(&list);
    double *x = calloc((size_t)*ret_n + 1, sizeof *x);
    for (int i = 0; i < *ret_n; i++) {
        ck_assert(sl_json_at(&list, (size_t)i, &at));
        ck_assert_msg(sl_json_float(&at, -DBL_MAX, DBL_MAX, &x[i], &e) == SL_OK, "%s", e.message);
    }
    return x;
}

static void text_of(const sl_json *object, const char *key, char *ret, size_t size) {
    const char *s = "";
    sl_error e;
    ck_assert_msg(sl_json_opt_string(object, key, &s, NULL, &e) == SL_OK, "%s", e.message);
    snprintf(ret, size, "%s", s);
}

/* One prompt as the reference ran it. */
typedef struct prompt {
    int length, first_position, first_row, greedy_row;
    double *greedy, *greedy_margins, *experts, *weights, *margins;
    int32_t *token; /* ids, then the first 23 of greedy */
    int first;      /* its first row in the one step of all prompts */
} prompt;

/* What the hook saw, beside what is expected. */
typedef struct comparison {
    const char *name;
    const prompt *prompts;
    int count, used;
    int sparse[64], sparse_count;
    int compared;
    bool quantised;
} comparison;

static void compare_routes(void *arg, int layer, int rows, const int32_t *expert, const float *weight) {
    comparison *c = arg;
    (void)rows;
    int at = 0;
    while (at < c->sparse_count && c->sparse[at] != layer) at++;
    ck_assert_msg(at < c->sparse_count, "%s: layer %d routes", c->name, layer);
    for (int i = 0; i < c->count; i++) {
        const prompt *p = &c->prompts[i];
        for (int r = 0; r < p->length; r++) {
            size_t want = (size_t)(at * p->length + r), got = (size_t)(p->first + r);
            if (c->quantised || p->margins[want] <= 1e-5) continue; /* Promise 2 */
            for (int k = 0; k < c->used; k++) {
                size_t w = want * (size_t)c->used + (size_t)k, g = got * (size_t)c->used + (size_t)k;
                ck_assert_msg((int)p->experts[w] == expert[g], "%s: layer %d, prompt %d, row %d: expert %d, not %d", c->name,
                              layer, i, r, (int)expert[g], (int)p->experts[w]);
                ck_assert_msg(fabs(p->weights[w] - (double)weight[g]) < 1e-4, "%s: weight %g, not %g", c->name,
                              (double)weight[g], p->weights[w]);
                c->compared++;
            }
        }
    }
}

static void read_prompt(const sl_json *at, prompt *p) {
    int n, greedy;
    double *ids = numbers(at, "ids", &n);
    p->length = n;
    p->first_position = integer(at, "first_position");
    p->first_row = integer(at, "first_row");
    p->greedy_row = integer(at, "greedy_row");
    p->greedy = numbers(at, "greedy", &greedy);
    ck_assert_int_eq(greedy, GREEDY);
    p->greedy_margins = numbers(at, "greedy_margins", &greedy);
    p->experts = numbers(at, "experts", &greedy);
    p->weights = numbers(at, "weights", &greedy);
    p->margins = numbers(at, "margins", &greedy);
    p->token = calloc((size_t)n + GREEDY, sizeof *p->token);
    for (int i = 0; i < n; i++) p->token[i] = (int32_t)ids[i];
    for (int i = 0; i + 1 < GREEDY; i++) p->token[n + i] = (int32_t)p->greedy[i];
    free(ids);
}

static void free_prompt(prompt *p) {
    free(p->greedy);
    free(p->greedy_margins);
    free(p->experts);
    free(p->weights);
    free(p->margins);
    free(p->token);
}

/* How far rows are from the reference's. */
typedef struct distance {
    double worst;         /* over rows: largest difference over the row's largest magnitude */
    double error, square; /* summed: squares of the differences, of the reference's logits */
} distance;

static void measure(const float *got, const float *want, int vocab, distance *d) {
    double worst = 0, largest = 0;
    for (int i = 0; i < vocab; i++) {
        double difference = fabs((double)got[i] - (double)want[i]), w = fabs((double)want[i]);
        if (!(difference <= worst)) worst = difference;
        if (w > largest) largest = w;
        d->error += difference * difference;
        d->square += w * w;
    }
    if (!(worst / largest <= d->worst)) d->worst = worst / largest;
}

static int best_of(const float *x, int n) {
    int best = 0;
    for (int i = 1; i < n; i++) {
        if (x[i] > x[best]) best = i;
    }
    return best;
}

/* All rows of one prompt that the reference kept. */
static void compare_logits(const prompt *p, const driven *s, const float *expected, int vocab, distance *d) {
    for (int r = p->first_position; r <= p->length; r++) {
        int position = r < p->length ? r : p->length + GREEDY - 2; /* the last comparison is the row after greedy */
        int row = r < p->length ? p->first_row + r - p->first_position : p->greedy_row;
        measure(s->logits + (size_t)position * (size_t)vocab, expected + (size_t)row * (size_t)vocab, vocab, d);
    }
}

static void compare_greedy(const char *name, const prompt *p, const driven *s, int vocab) {
    for (int i = 0; i < GREEDY; i++) {
        int best = best_of(s->logits + (size_t)(p->length - 1 + i) * (size_t)vocab, vocab);
        if (p->greedy_margins[i] <= 1e-5) continue;
        ck_assert_msg(best == (int)p->greedy[i], "%s: greedy token %d is %d, not %d", name, i, best, (int)p->greedy[i]);
    }
}

static float *logits_of(const char *expected, const char *suffix) {
    char file[160];
    size_t bytes;
    snprintf(file, sizeof file, "expected/%s", expected);
    return (float *)(void *)slurp(path_of(file, suffix), &bytes);
}

static int read_prompts(const sl_json *top, int vocab, prompt *prompts, driven *sequences, int *ret_longest) {
    sl_json prompt_list, at;
    ck_assert(sl_json_get(top, "prompts", &prompt_list));
    int count = (int)sl_json_size(&prompt_list), rows = 0;
    ck_assert(count <= PROMPTS);
    *ret_longest = 0;
    for (int i = 0; i < count; i++) {
        ck_assert(sl_json_at(&prompt_list, (size_t)i, &at));
        read_prompt(&at, &prompts[i]);
        int length = prompts[i].length + GREEDY - 1;
        prompts[i].first = rows;
        rows += length;
        *ret_longest = length > *ret_longest ? length : *ret_longest;
        sequences[i] = (driven){prompts[i].token, length, calloc((size_t)length * (size_t)vocab, sizeof(float))};
    }
    return count;
}

/* Unquantised: every logit, every greedy token, every expert. */
static void compare_exact(comparison *c, const driven *sequences, const char *expected, int vocab) {
    float *logits = logits_of(expected, ".logits.f32");
    distance d = {0};
    for (int i = 0; i < c->count; i++) {
        compare_logits(&c->prompts[i], &sequences[i], logits, vocab, &d);
        compare_greedy(c->name, &c->prompts[i], &sequences[i], vocab);
    }
    if (getenv("SLUICE_TEST_VERBOSE")) fprintf(stderr, "%-44s %.3g, %d experts\n", c->name, d.worst, c->compared);
    ck_assert_msg(d.worst < 1e-3, "%s: logits differ by %g", c->name, d.worst); /* Promise 2 */
    ck_assert_msg(!c->used || c->compared > 0, "%s: no expert compared", c->name);
    free(logits);
}

/* Quantised: what rounding the activations costs, and not more; and close to the reference with them rounded. */
static void compare_rounded(comparison *c, const driven *sequences, const char *expected, int vocab, double rounding) {
    float *logits = logits_of(expected, ".logits.f32"), *rounded = logits_of(expected, ".rounded.f32");
    distance whole = {0}, close = {0};
    for (int i = 0; i < c->count; i++) {
        compare_logits(&c->prompts[i], &sequences[i], logits, vocab, &whole);
        compare_logits(&c->prompts[i], &sequences[i], rounded, vocab, &close);
    }
    double cost = sqrt(whole.error / whole.square), off = sqrt(close.error / close.square);
    if (getenv("SLUICE_TEST_VERBOSE")) {
        fprintf(stderr, "%-44s %.3g where rounding costs %.3g; %.3g from rounded\n", c->name, cost, rounding, off);
    }
    ck_assert_msg(cost < 1.25 * rounding, "%s: off by %g where rounding costs %g", c->name, cost, rounding); /* Promise 2 */
    ck_assert_msg(off < rounding, "%s: %g from the reference with rounded activations", c->name, off);
    free(logits);
    free(rounded);
}

static void compare_model(const char *model, const char *expected, bool quantised) {
    char file[160];
    sl_error e = {0};
    sl_model *m;
    ck_assert_msg(sl_model_open(path_of(model, ""), &m, &e) == SL_OK, "%s", e.message);
    snprintf(file, sizeof file, "expected/%s", expected);
    sl_json top = parse(path_of(file, ".json")), rounding;
    ck_assert_int_eq(integer(&top, "vocab"), m->hp.vocab);
    ck_assert_int_eq(integer(&top, "experts"), m->hp.experts);

    prompt prompts[PROMPTS] = {0};
    driven sequences[PROMPTS] = {0};
    comparison c = {.name = model, .prompts = prompts, .used = integer(&top, "experts_used"), .quantised = quantised};
    double *sparse = numbers(&top, "sparse_layers", &c.sparse_count), cost = 0;
    for (int i = 0; i < c.sparse_count; i++) c.sparse[i] = (int)sparse[i];
    int longest;
    c.count = read_prompts(&top, m->hp.vocab, prompts, sequences, &longest);
    /* One step has all prompts, whole, so that the hook sees rows where `first` says. */
    driver d = {m, 2, longest, SL_KV_F32, 1, NULL, compare_routes, &c};
    drive(&d, sequences, c.count);
    if (!quantised) compare_exact(&c, sequences, expected, m->hp.vocab);
    else {
        ck_assert(sl_json_get(&top, "rounding", &rounding));
        ck_assert_msg(sl_json_opt_float(&rounding, "rms", 0, 1, &cost, &e) == SL_OK, "%s", e.message);
        compare_rounded(&c, sequences, expected, m->hp.vocab, cost);
    }
    for (int i = 0; i < c.count; i++) {
        free_prompt(&prompts[i]);
        free(sequences[i].logits);
    }
    free(sparse);
    json_decref(top.v);
    sl_model_close(m);
}

static sl_json list;

START_TEST(checkpoint) { /* Promise 2 */
    sl_json at;
    sl_error e;
    char model[128], expected[128];
    bool quantised = false;
    ck_assert(sl_json_at(&list, (size_t)_i, &at));
    text_of(&at, "model", model, sizeof model);
    text_of(&at, "expected", expected, sizeof expected);
    ck_assert(sl_json_opt_bool(&at, "quantised", &quantised, &e) == SL_OK);
    compare_model(model, expected, quantised);
}
END_TEST

/* The same weights from both containers: in two planes and in GGUF's blocks, and with what GGUF says otherwise. Promise 1 */
START_TEST(containers_agree) {
    static const char *const model[][2] = {{"checkpoints/gptoss-mxfp4", "checkpoints/gptoss-mxfp4.gguf"},
                                           {"checkpoints/gemma4-keyed", "checkpoints/gemma4-keyed.gguf"},
                                           {"checkpoints/gemma4-dense", "checkpoints/gemma4-dense.gguf"}};
    enum { LENGTH = 60 };
    int32_t token[LENGTH];
    float *logits[2];
    size_t size = 0;
    for (int i = 0; i < LENGTH; i++) token[i] = i * 37 % 250;
    for (int i = 0; i < 2; i++) {
        sl_error e;
        sl_model *m;
        ck_assert_msg(sl_model_open(path_of(model[_i][i], ""), &m, &e) == SL_OK, "%s", e.message);
        size = (size_t)LENGTH * (size_t)m->hp.vocab * sizeof(float);
        logits[i] = malloc(size);
        driver d = {m, 2, 7 + 16 * i, SL_KV_I16, 1, NULL, NULL, NULL};
        drive(&d, &(driven){token, LENGTH, logits[i]}, 1);
        sl_model_close(m);
    }
    ck_assert_int_eq(memcmp(logits[0], logits[1], size), 0);
    free(logits[0]);
    free(logits[1]);
}
END_TEST

/* Layers with a window keep its positions alone, in pages that are written again and again: the same logits as with all positions
 * kept. Promise 1 */
START_TEST(windows_alone_are_enough) {
    static const char *const model[] = {"gptoss-yarn", "gptoss-mixed", "gemma3-linear", "gemma3-cap", "cohere2moe-softmax",
                                        "mistral-window", "exaonemoe-windows",
                                        "afmoe-mup"};
    static const struct { int chunk, threads; } ways[] = {{1, 1}, {7, 2}, {33, 3}, {100, 1}};
    enum { LENGTH = 230, SHORT = 140 };
    int32_t token[LENGTH];
    char file[128];
    sl_error e;
    sl_model *m;
    for (int i = 0; i < LENGTH; i++) token[i] = i * 37 % 250;
    for (size_t k = 0; k < sizeof model / sizeof *model; k++) {
        snprintf(file, sizeof file, "checkpoints/%s", model[k]);
        ck_assert_msg(sl_model_open(path_of(file, ""), &m, &e) == SL_OK, "%s", e.message);
        ck_assert_int_gt(sl_kv_window_of(&m->hp, LENGTH).positions, 0);
        size_t vocab = (size_t)m->hp.vocab;
        float *want = malloc(LENGTH * vocab * sizeof *want), *got[2];
        driver all = {.model = m, .threads = 1, .chunk = LENGTH, .kv = SL_KV_I16};
        drive_kinds(&all, &(driven){token, LENGTH, want}, 1, true);
        for (int i = 0; i < 2; i++) got[i] = malloc(LENGTH * vocab * sizeof *got[i]);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            driver d = {.model = m, .threads = ways[w].threads, .chunk = ways[w].chunk, .kv = SL_KV_I16, .page_stride = 5};
            drive(&d, (driven[]){{token, LENGTH, got[0]}, {token, SHORT, got[1]}}, 2);
            ck_assert_msg(!memcmp(got[0], want, LENGTH * vocab * sizeof *want), "%s in chunks of %d", model[k], ways[w].chunk);
            ck_assert(!memcmp(got[1], want, SHORT * vocab * sizeof *want));
        }
        for (int i = 0; i < 2; i++) free(got[i]);
        free(want);
        sl_model_close(m);
    }
}
END_TEST

int main(void) {
    sl_error e;
    if (sl_kernels_choose(getenv("SLUICE_TIER"), &e) != SL_OK) return 1;
    list = parse(path_of("list", ".json"));
    Suite *s = suite_create("reference");
    TCase *t = tcase_create("reference");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, checkpoint, 0, (int)sl_json_size(&list));
    tcase_add_test(t, windows_alone_are_enough);
    tcase_add_loop_test(t, containers_agree, 0, 3);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    json_decref(list.v);
    return failed != 0;
}
