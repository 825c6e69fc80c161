#include "cli/default.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../run.h"

static char top[64]; /* a folder of the test's own */
static sl_arena *arena;
static sl_error e;

static const char *at(const char *name) {
    static char path[4][256];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", top, name);
    return p;
}

static void folder(const char *name) { ck_assert_int_eq(mkdir(at(name), 0755), 0); }

static void file(const char *name, const char *text) {
    FILE *f = fopen(at(name), "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void begin(void) {
    strcpy(top, "/tmp/sl-default-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    char *real = realpath(top, NULL);
    snprintf(top, sizeof top, "%s", real);
    free(real);
    arena = sl_arena_new();
    folder("usr");
    folder("usr/bin");
    file("usr/bin/sluice", "");
}

static void end(void) {
    char command[128];
    sl_arena_free(arena);
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}

static const char *found(const char *program) {
    const char *path = NULL;
    ck_assert_msg(sl_default_model(program, arena, &path, &e) == SL_OK, "%s", e.message);
    return path;
}

/* A build tree's link says where the sources are, and so which command makes it lead somewhere. */
START_TEST(the_one_that_talks) {
    const char *path;
    begin();
    ck_assert_int_eq(sl_talking_model(at("usr/bin/sluice"), arena, &path, &e), SL_MISUSE);
    ck_assert_msg(strstr(e.message, "sh models/fetch") && strstr(e.message, at("usr/bin/talking.gguf")), "%s", e.message);
    ck_assert_int_eq(symlink(at("source/models/cache/talks.gguf"), at("usr/bin/talking.gguf")), 0);
    ck_assert_int_eq(sl_talking_model(at("usr/bin/sluice"), arena, &path, &e), SL_MISUSE);
    ck_assert_ptr_null(strstr(e.message, at("source")));
    folder("source");
    folder("source/models");
    file("source/models/fetch", "");
    ck_assert_int_eq(sl_talking_model(at("usr/bin/sluice"), arena, &path, &e), SL_MISUSE);
    ck_assert_msg(strstr(e.message, at("source/models/fetch")), "%s", e.message);
    folder("source/models/cache");
    file("source/models/cache/talks.gguf", "GGUF");
    ck_assert_int_eq(sl_talking_model(at("usr/bin/sluice"), arena, &path, &e), SL_OK);
    ck_assert_str_eq(path, at("usr/bin/talking.gguf"));
    end();
}
END_TEST

START_TEST(beside_the_program_then_installed) {
    const char *path;
    begin();
    ck_assert_int_eq(sl_default_model(at("usr/bin/sluice"), arena, &path, &e), SL_MISUSE);
    ck_assert_msg(strstr(e.message, at("usr/bin/default.gguf")) &&
                      strstr(e.message, at("usr/share/sluice/default.gguf")),
                  "%s", e.message);
    folder("usr/share");
    folder("usr/share/sluice");
    file("usr/share/sluice/default.gguf", "GGUF");
    ck_assert_str_eq(found(at("usr/bin/sluice")), at("usr/share/sluice/default.gguf"));
    /* Through links to the program, and to the folder that it is in. */
    ck_assert_int_eq(symlink(at("usr/bin/sluice"), at("sluice")), 0);
    ck_assert_int_eq(symlink("usr", at("other")), 0);
    ck_assert_str_eq(found(at("sluice")), at("usr/share/sluice/default.gguf"));
    ck_assert_str_eq(found(at("other/bin/sluice")), at("usr/share/sluice/default.gguf"));
    /* A build tree's link that leads nowhere is none; one that leads somewhere is first. */
    ck_assert_int_eq(symlink("nowhere", at("usr/bin/default.gguf")), 0);
    ck_assert_str_eq(found(at("usr/bin/sluice")), at("usr/share/sluice/default.gguf"));
    file("usr/bin/nowhere", "GGUF");
    ck_assert_str_eq(found(at("usr/bin/sluice")), at("usr/bin/default.gguf"));
    end();
}
END_TEST

START_TEST(a_program_that_is_nowhere) {
    const char *path;
    begin();
    ck_assert_int_eq(sl_default_model(at("usr/bin/gone"), arena, &path, &e), SL_MISUSE);
    ck_assert_msg(strstr(e.message, "name a .gguf file"), "%s", e.message);
    end();
}
END_TEST

START_TEST(what_looks_like_a_model) {
    begin();
    file("blob", "GGUF\3");
    file("prompt", "GG");
    folder("checkpoint");
    folder("texts");
    file("checkpoint/config.json", "{}");
    ck_assert(sl_model_like(at("blob")));
    ck_assert(sl_model_like(at("checkpoint")));
    ck_assert(sl_model_like("not/there.gguf"));
    ck_assert(!sl_model_like(at("prompt")));
    ck_assert(!sl_model_like(at("texts")));
    ck_assert(!sl_model_like(at("nothing")));
    ck_assert(!sl_model_like(".gguf"));
    ck_assert(!sl_model_like("Once upon a time"));
    ck_assert(!sl_model_like(""));
    end();
}
END_TEST

/* ---- Arguments ---- */

static sl_settings s;
static char *nothing[] = {NULL};
static char *named[] = {(char *)"SLUICE_MODEL=named.gguf", NULL};
static char *empty[] = {(char *)"SLUICE_MODEL=", NULL};

static sl_status parse(unsigned command, char **environment, int argc, const char **argv) {
    bool help;
    return sl_options_parse(command, argc, (char **)argv, environment, &s, &help, &e);
}

#define ARGS(...)                                                                                                      \
    (int)(sizeof((const char *[]){"x", __VA_ARGS__}) / sizeof(char *)), (const char *[]) { "x", __VA_ARGS__ }
#define NO_ARGS                                                                                                        \
    1, (const char *[]) { "x" }

START_TEST(run_takes_a_prompt_alone) {
    ck_assert_int_eq(parse(SL_CMD_RUN, named, ARGS("Once upon")), SL_OK);
    ck_assert_str_eq(s.model, "named.gguf");
    ck_assert_str_eq(s.prompt, "Once upon");
    ck_assert(!s.default_model);
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_RUN, named, ARGS("other.gguf", "Once.gguf")),
                     SL_OK); /* two: the second is the prompt whatever it is */
    ck_assert_str_eq(s.model, "other.gguf");
    ck_assert_str_eq(s.prompt, "Once.gguf");
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_RUN, named, ARGS("--", "-5 + 3 =")), SL_OK);
    ck_assert_str_eq(s.prompt, "-5 + 3 =");
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_RUN, named, ARGS("other.gguf")), SL_MISUSE);
    ck_assert_msg(strstr(e.message, "\"other.gguf\" names a model"), "%s", e.message);
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_RUN, named, NO_ARGS), SL_MISUSE);
    ck_assert_msg(strstr(e.message, "no prompt given"), "%s", e.message);
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_RUN, named, ARGS("Once", "upon", "a")), SL_MISUSE);
    ck_assert_msg(strstr(e.message, "needs quotes"), "%s", e.message);
    sl_options_done(&s);
}
END_TEST

/* There is none beside a test. */
START_TEST(without_a_default_it_is_said) {
    static const unsigned commands[] = {SL_CMD_SERVE,   SL_CMD_BENCH,      SL_CMD_INSPECT,
                                        SL_CMD_CONVERT, SL_CMD_PERPLEXITY, SL_CMD_IMATRIX};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        ck_assert_int_eq(parse(commands[i], i % 2 ? nothing : empty, NO_ARGS), SL_MISUSE);
        ck_assert_msg(strstr(e.message, "no model given"), "%s", e.message);
        ck_assert_int_eq(commands[i] == SL_CMD_CONVERT, strstr(e.message, "default") == NULL);
        sl_options_done(&s);
    }
}
END_TEST

START_TEST(texts_with_and_without_a_model) {
    ck_assert_int_eq(parse(SL_CMD_PERPLEXITY, named, ARGS("a.txt", "b.gguf")), SL_OK);
    ck_assert_str_eq(s.model, "named.gguf");
    ck_assert_int_eq(s.corpus_count, 2);
    ck_assert_str_eq(s.corpus[1], "b.gguf");
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_IMATRIX, named, ARGS("m.gguf", "a.txt", "-o", "out", "--ctx", "64")), SL_OK);
    ck_assert_str_eq(s.model, "m.gguf");
    ck_assert_int_eq(s.corpus_count, 1);
    ck_assert_str_eq(s.corpus[0], "a.txt");
    ck_assert_str_eq(s.output, "out");
    ck_assert_int_eq(s.engine.ctx, 64);
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_PERPLEXITY, nothing, ARGS("m.gguf")), SL_OK);
    ck_assert_int_eq(s.corpus_count, 0);
    sl_options_done(&s);
    ck_assert_int_eq(parse(SL_CMD_SERVE, nothing, ARGS("-o", "x")), SL_MISUSE);
    sl_options_done(&s);
}
END_TEST

int main(void) {
    return RUN_TESTS("cli/default", 30, beside_the_program_then_installed, the_one_that_talks, a_program_that_is_nowhere,
                     what_looks_like_a_model, run_takes_a_prompt_alone, without_a_default_it_is_said,
                     texts_with_and_without_a_model);
}
