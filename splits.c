/* How fast text is cut into words: scanners beside PCRE2 (with its JIT) for the same patterns, in one process.
 *
 *   meson test --benchmark splits        or the program itself, with a file of text as argument
 *
 * Rounds alternate; each figure is the median of its rounds, MB/s of text; the last column is the median of the rounds'
 * ratios. */
#include "base/alloc.h"
#include "base/clock.h"
#include "text/internal.h"
#include "text/scanner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 15
#define SIZE (1u << 20)

static const struct { const char *name, *text; } texts[] = {
    {"English", "The quick brown fox jumps over the lazy dog; it's what we've always done, they'll say I'm wrong. In 1984 there were "
                "12,345 of them.\n"},
    {"code", "int main(int argc, char **argv) {\n\tfor (int i = 0; i < argc; i++) {\n\t\tprintf(\"%d: %s\\n\", i, argv[i]);\n\t}\n"
             "    return snake_case_name(camelCaseName, 0x1F600);\n}\n"},
    {"Russian", "Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний даст толчок.\n"},
    {"Chinese", "天地玄黃,宇宙洪荒。日月盈昃,辰宿列張。你好,世界!我喜欢学习语言模型。今天天气很好,我们去公园吧。\n"},
};
static const char *const names[] = {"gpt-2", "llama-bpe", "qwen2", "gpt-4o", "deepseek-v3"};

typedef struct side {
    sl_tokenizer t;
    sl__encoder en;
} side;

static void open_side(side *s, const sl__pre *pre, bool scanner) {
    sl_error e = {0};
    *s = (side){.t.arena = sl_arena_new()};
    s->en = (sl__encoder){.t = &s->t, .match = pcre2_match_data_create(1, NULL), .limits = pcre2_match_context_create(NULL)};
    for (size_t i = 0; i < sizeof pre->pattern / sizeof *pre->pattern && pre->pattern[i]; i++) {
        const char *p = pre->pattern[i];
        sl__splitter *sp = &s->t.splitter[s->t.splitters++];
        *sp = (sl__splitter){.kind = SL__SPLIT, .keep_gaps = true, .keep_matches = true, .pattern = p};
        sl_status status = scanner ? sl__splitter_compile(s->t.arena, p, strlen(p), false, "bench", sp, &e)
                                   : sl__pcre_compile(p, strlen(p), false, "bench", &sp->code, &e);
        if (status == SL_OK) continue;
        fprintf(stderr, "%s\n", e.message);
        exit(1);
    }
}

static void close_side(side *s) {
    for (int i = 0; i < s->t.splitters; i++) sl__splitter_done(&s->t.splitter[i]);
    for (int i = 0; i < 2; i++) sl_free(s->en.words[i].word);
    pcre2_match_data_free(s->en.match);
    pcre2_match_context_free(s->en.limits);
    sl_arena_free(s->t.arena);
}

/* MB/s */
static double run(side *s, const char *text, size_t len, size_t *ret_words) {
    const sl__words *words;
    double start = (double)sl_clock_ns();
    if (sl__split_words(&s->en, &text, len, true, &words) != SL_OK) exit(1);
    *ret_words = words->count;
    return (double)len * 1e3 / ((double)sl_clock_ns() - start);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v) {
    qsort(v, ROUNDS, sizeof *v, by_size);
    return v[ROUNDS / 2];
}

static void compare(const char *name, const char *of, const char *text, size_t len) {
    side own, pcre;
    double a[ROUNDS], b[ROUNDS], ratio[ROUNDS];
    size_t own_words = 0, pcre_words = 0;
    open_side(&own, sl__pre_find(name), true);
    open_side(&pcre, sl__pre_find(name), false);
    for (int i = 0; i < ROUNDS; i++) {
        a[i] = run(&own, text, len, &own_words);
        b[i] = run(&pcre, text, len, &pcre_words);
        ratio[i] = a[i] / b[i];
    }
    printf("%-12s %-8s %8.0f %8.0f %6.2f%s\n", name, of, median(a), median(b), median(ratio), own_words == pcre_words ? "" : "  other words");
    close_side(&own);
    close_side(&pcre);
}

int main(int argc, char **argv) {
    char *text = malloc(SIZE);
    if (!text) return 1;
    printf("%-12s %-8s %8s %8s %6s\n", "pattern", "text", "scanner", "PCRE2", "ratio");
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        if (argc > 1) {
            FILE *f = fopen(argv[1], "rb");
            if (!f) return 1;
            size_t len = fread(text, 1, SIZE, f);
            fclose(f);
            compare(names[n], "file", text, sl__utf8_valid(text, len));
            continue;
        }
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            size_t len = 0, part = strlen(texts[i].text);
            for (; len + part <= SIZE; len += part) memcpy(text + len, texts[i].text, part);
            compare(names[n], texts[i].name, text, len);
        }
    }
    free(text);
    return 0;
}
