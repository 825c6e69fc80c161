#include "fixture.h"
#include "text/internal.h"
#include "text/scanner.h"

#include <time.h>

#include "../quiet.h"

/* A tokenizer that has nothing but splitters, and its encoder. */
typedef struct bench {
    sl_tokenizer t;
    sl__encoder en;
    sl_error e;
} bench;

static void bench_open(bench *b) {
    *b = (bench){.t.arena = sl_arena_new()};
    b->en = (sl__encoder){.t = &b->t, .e = &b->e, .match = pcre2_match_data_create(1, NULL), .limits = pcre2_match_context_create(NULL)};
    pcre2_set_match_limit(b->en.limits, 100000000);
}

static void bench_add(bench *b, const char *pattern) {
    sl__splitter *sp = &b->t.splitter[b->t.splitters++];
    ck_assert_msg(sl__splitter_compile(b->t.arena, pattern, strlen(pattern), false, "test", sp, &b->e) == SL_OK, "%s", b->e.message);
}

static void bench_close(bench *b) {
    for (int i = 0; i < b->t.splitters; i++) sl__splitter_done(&b->t.splitter[i]);
    for (int i = 0; i < 2; i++) sl_free(b->en.words[i].word);
    pcre2_match_data_free(b->en.match);
    pcre2_match_context_free(b->en.limits);
    sl_arena_free(b->t.arena);
}

static const sl__words *words_of(bench *b, const char *text, size_t len) {
    const sl__words *words;
    ck_assert_msg(sl__split_words(&b->en, &text, len, true, &words) == SL_OK, "%s", b->e.message);
    return words;
}

static void add_name(bench *b, const char *name) {
    const sl__pre *pre = sl__pre_find(name);
    ck_assert_msg(pre != NULL, "%s", name);
    for (size_t i = 0; i < sizeof pre->pattern / sizeof *pre->pattern && pre->pattern[i]; i++) bench_add(b, pre->pattern[i]);
}

static void same_splits(bench *b, json_t *strings, json_t *want, const char *name) {
    size_t i;
    json_t *string;
    json_array_foreach(strings, i, string) {
        json_t *lengths = json_array_get(want, i);
        const sl__words *words = words_of(b, json_string_value(string), json_string_length(string));
        bool same = words->count == json_array_size(lengths);
        for (size_t k = 0; same && k < words->count; k++) same = words->word[k].len == json_integer_value(json_array_get(lengths, k));
        ck_assert_msg(same, "%s splits string %zu otherwise than the reference", name, i);
    }
}

/* Promise 2 */
/* Every name's patterns give the words of the tokenizers package, letters that came after Unicode 14 among them, and none
 * of them needs PCRE2, whose tables depend on what is installed. */
START_TEST(test_names) {
    json_t *file = reference_json("../unicode/splits.json"), *want;
    const char *name;
    json_object_foreach(json_object_get(file, "names"), name, want) {
        bench b;
        bench_open(&b);
        add_name(&b, name);
        for (int i = 0; i < b.t.splitters; i++) ck_assert_msg(b.t.splitter[i].scanner != NULL, "%s, pattern %d", name, i);
        same_splits(&b, json_object_get(file, "strings"), want, name);
        bench_close(&b);
    }
    json_decref(file);
}
END_TEST

/* Promise 2 */
/* Small patterns: how the language itself is read. */
START_TEST(test_patterns) {
    json_t *file = reference_json("../unicode/splits.json"), *want;
    const char *pattern;
    json_object_foreach(json_object_get(file, "patterns"), pattern, want) {
        bench b;
        bench_open(&b);
        bench_add(&b, pattern);
        ck_assert_msg(b.t.splitter[0].scanner != NULL, "%s", pattern);
        same_splits(&b, json_object_get(file, "strings"), want, pattern);
        bench_close(&b);
    }
    json_decref(file);
}
END_TEST

/* As the tokenizers package (0.23.3) splits "a²b½ c": superscripts and fractions of Latin-1 are word characters to \w alone and
 * are none to \w in a class. */
START_TEST(test_word_in_class) {
    static const struct { const char *pattern; size_t words; } cases[] = {
        {"\\w+", 3}, {"[\\w]+", 5}, {"[^\\W]+", 5}, {"\\W", 3}, {"[\\W]+", 5}, {"[^\\w]+", 5},
    };
    static const char text[] = "a²b½ c";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        bench_open(&b);
        bench_add(&b, cases[i].pattern);
        ck_assert_msg(words_of(&b, text, strlen(text))->count == cases[i].words, "%s", cases[i].pattern);
        bench_close(&b);
    }
}
END_TEST

/* What PCRE2 would read otherwise than the reference is refused: there (?i:ss) is ß too, and . in (?m:.) a line feed too. */
START_TEST(test_other_dialect) {
    static const char *const patterns[] = {"(?i:ss)", "(?i:x|FI)", "(?i:é)", "(?i)st", "(?m:a.b)"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        bench b;
        bench_open(&b);
        ck_assert_msg(sl__splitter_compile(b.t.arena, patterns[i], strlen(patterns[i]), false, "test", &b.t.splitter[0], &b.e) ==
                          SL_UNSUPPORTED, "%s", patterns[i]);
        bench_close(&b);
    }
}
END_TEST

/* The names that llama.cpp's converters write for byte-level vocabularies. */
START_TEST(test_known) {
    static const char *const names[] = {
        "default", "llama-bpe", "llama3", "llama-v3", "lfm2", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "dbrx", "smaug-bpe",
        "glm4", "chatglm-bpe", "qwen2", "deepseek-r1-qwen", "megrez", "kormo", "f2llmv2", "openpangu", "hunyuan", "grok-2",
        "solar-open", "stablelm2", "qwen35", "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "gigachat",
        "modern-bert", "granite-docling", "roberta-bpe", "a.x-4.0", "mellum", "refact", "starcoder", "smollm", "codeshell",
        "exaone", "minerva-7b", "command-r", "mellum2", "deepseek-llm", "deepseek-coder", "deepseek-v3", "hunyuan-dense",
        "joyai-llm", "hy_v4", "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2", "tekken", "bailingmoe", "bailingmoe2",
        "llada-moe", "exaone-moe", "afmoe", "seed-coder", "kimi-k2", "superbpe", "youtu", "tiny_aya", "cohere2moe", "cohere2_moe",
        "minicpm5",
        "laguna", "granite-embed-multi-97m", "jais-2", "viking", "poro-chat", "bloom", "gpt3-finnish", "chameleon", "falcon",
        "spark2_5", "ufakzeka", "",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) ck_assert_msg(sl__pre_find(names[i]) != NULL, "%s", names[i]);
    ck_assert(sl__pre_find("no-such") == NULL && sl__pre_find("llama") == NULL && sl__pre_find("llama-bpe llama3") == NULL);
    ck_assert(sl__pre_find("tekken")->ignore_merges && sl__pre_find("tekken")->add_bos && !sl__pre_find("gpt-4o")->add_bos);
}
END_TEST

static uint32_t draw(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* A text of few different characters, so that runs are common; all were there before Unicode 12, so that any PCRE2 in use
 * knows them. */
static size_t random_text(uint64_t *seed, char *to) {
    static const char *const alphabet[] = {
        "a", "s", "S", "t", "Z", "'", "'ll", "'RE", ".", "/", "-", "_", "$", "|", "<", "0", "1", "23", "456", " ", "  ", "\t", "\n",
        "\r", "\r\n", "\v", "\xC2\x85", "\u00a0", "\u2028", "\u3000", "\u200b", "\u180e", "é", "ß", "É", "ſ", "\u212a", "ǅ", "ʰ", "ª",
        "½", "Ⅳ", "²", "٣", "\u0301", "\u093c", "\u20dd", "你", "好", "の", "ー", "한", "ع", "।", "，", "“", "😀", "\u200d", "\ue000", "€",
        "IMGIMG", "AZ", "<sentinel:", ">",
    };
    const uint32_t count = sizeof alphabet / sizeof *alphabet;
    const char *few[5];
    size_t len = 0;
    for (int i = 0; i < 5; i++) few[i] = alphabet[draw(seed) % count];
    for (uint32_t n = draw(seed) % 24; n; n--) {
        const char *piece = draw(seed) % 4 ? few[draw(seed) % 5] : alphabet[draw(seed) % count];
        memcpy(to + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return len;
}

/* A scanner finds what PCRE2 finds, in characters that both know. Where PCRE2's dialect lacks something (&&), there is
 * nothing to compare. */
START_TEST(test_pcre) {
    sl_buffer names = {0};
    uint64_t seed = 1;
    int compared = 0;
    sl__pre_names(&names);
    for (char *name = strtok((char *)(uintptr_t)sl_buffer_text(&names), " "); name; name = strtok(NULL, " ")) {
        const sl__pre *pre = sl__pre_find(name);
        for (size_t i = 0; i < sizeof pre->pattern / sizeof *pre->pattern && pre->pattern[i]; i++) {
            const char *pattern = pre->pattern[i];
            bench own, other;
            bench_open(&own);
            bench_open(&other);
            bench_add(&own, pattern);
            sl__splitter *sp = &other.t.splitter[0];
            *sp = (sl__splitter){.kind = SL__SPLIT, .keep_gaps = true, .keep_matches = true, .pattern = pattern};
            if (own.t.splitter[0].cut == SL__CUT_MATCHES &&
                sl__pcre_compile(pattern, strlen(pattern), false, "test", &sp->code, &other.e) == SL_OK) {
                other.t.splitters = 1;
                compared++;
                for (int n = 0; n < 300; n++) {
                    char text[400];
                    size_t len = random_text(&seed, text);
                    const sl__words *a = words_of(&own, text, len), *b = words_of(&other, text, len);
                    ck_assert_msg(a->count == b->count && (!a->count || !memcmp(a->word, b->word, a->count * sizeof *a->word)),
                                  "%s, pattern %zu, \"%.*s\"", name, i, (int)len, text);
                }
            }
            bench_close(&own);
            bench_close(&other);
        }
    }
    ck_assert_int_gt(compared, 100);
    sl_buffer_done(&names);
}
END_TEST

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Four megabytes of what makes a matcher look far ahead or go back: time stays linear (coarsely: 0.1 s on an idle core). */
START_TEST(test_linear) {
    static const struct { const char *name, *thing, *end; } hard[] = {
        {"afmoe", "1", "x"}, {"tiny_aya", "1", "x"}, {"tiny_aya", "1", ""}, {"superbpe", "1", ""}, {"jais-2", " ", "x"}, {"jais-2", " \n", "x"},
        {"deepseek-llm", " ", "1"}, {"llama-bpe", " ", "x"}, {"gpt-4o", "A", "1"}, {"gpt-4o", "\u0301", "1"}, {"kimi-k2", "A", "你"},
        {"exaone-moe", "a ", "1"}, {"bailingmoe", "!", "x"}, {"chameleon", "<sentinel:", "x"}, {"chameleon", "1", "x"}, {"chameleon", "IMGIMG", "x"},
        {"deepseek-v3", "!", "x"}, {"bloom", " ", "x"}, {"laguna", "\n", "x"},
    };
    const size_t size = 4 << 20;
    char *text = malloc(size + 16);
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        bench b;
        size_t len = 0, n = strlen(hard[i].thing);
        bench_open(&b);
        add_name(&b, hard[i].name);
        for (; len + n <= size; len += n) memcpy(text + len, hard[i].thing, n);
        memcpy(text + len, hard[i].end, strlen(hard[i].end));
        len += strlen(hard[i].end);
        double start = cpu_seconds();
        words_of(&b, text, len);
        ck_assert_msg(cpu_seconds() - start < 10, "%s: %.1f s", hard[i].name, cpu_seconds() - start);
        bench_close(&b);
    }
    free(text);
}
END_TEST

/* What becomes of matches and gaps when a file asks for one of them only. */
START_TEST(test_removed) {
    static const struct { bool gaps, matches; const char *pattern; size_t words; } cases[] = {
        {true, true, "\\d+", 5}, {true, false, "\\d+", 3}, {false, true, "\\d+", 2}, {true, true, "(?=(\\d{3})+(?!\\d))", 2},
        {true, true, "\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))", 6}, {false, true, "\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))", 3},
        {true, false, "\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        bench_open(&b);
        bench_add(&b, cases[i].pattern);
        b.t.splitter[0].keep_gaps = cases[i].gaps;
        b.t.splitter[0].keep_matches = cases[i].matches;
        ck_assert_uint_eq(words_of(&b, "ab12cd3456e", 11)->count, cases[i].words);
        bench_close(&b);
    }
}
END_TEST

START_TEST(test_out_of_memory) {
    const char *pattern = sl__pre_find("jais-2")->pattern[0];
    sl_status s = SL_NOMEM;
    for (long n = 1; s != SL_OK; n++) {
        sl_arena *a = sl_arena_new();
        sl__splitter sp = {0};
        sl_error e = {0};
        sl_alloc_fail_at(n);
        s = sl__splitter_compile(a, pattern, strlen(pattern), false, "test", &sp, &e);
        sl_alloc_fail_at(0);
        ck_assert_msg(s == SL_OK || s == SL_NOMEM, "%ld: %s", n, e.message);
        ck_assert_int_lt(n, 1000);
        sl__splitter_done(&sp);
        sl_arena_free(a);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("pretokenize");
    TCase *c = tcase_create("pretokenize");
    tcase_set_timeout(c, 200);
    tcase_add_test(c, test_names);
    tcase_add_test(c, test_patterns);
    tcase_add_test(c, test_word_in_class);
    tcase_add_test(c, test_other_dialect);
    tcase_add_test(c, test_known);
    tcase_add_test(c, test_pcre);
    tcase_add_test(c, test_linear);
    tcase_add_test(c, test_removed);
    tcase_add_test(c, test_out_of_memory);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
