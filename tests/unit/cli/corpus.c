#include "cli/corpus.h"

#include "cli/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../run.h"

/* With a byte-level tokenizer of the reference's checkpoints. */

static sl_loaded loaded;
static sl_error e;
static char path[32];
static bool more_to_come;

static bool always(void) { return true; }
static bool until_now(void) { return more_to_come; }

static void open_all(void) {
    char model[512];
    snprintf(model, sizeof model, "%s/reference/checkpoints/qwen3moe-gqa", getenv("SLUICE_TESTS"));
    ck_assert_msg(sl_load(model, &loaded, &e) == SL_OK, "%s", e.message);
    snprintf(path, sizeof path, "/tmp/sl-corpus-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void close_all(void) {
    sl_unload(&loaded);
    unlink(path);
}

static void write_text(const char *text, size_t len, int times) {
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < times; i++) fwrite(text, 1, len, f);
    fclose(f);
}

static sl_corpus *read_it(uint64_t most) {
    const char *argument = path;
    sl_corpus *c = NULL;
    ck_assert_msg(sl_corpus_read(&argument, 1, loaded.tokenizer, most, always, &c, &e) == SL_OK, "%s", e.message);
    return c;
}

/* Pieces are cut where they change nothing: the ids are those of the text at once. */
START_TEST(pieces_are_the_whole) {
    open_all();
    static const char *const texts[] = {"in the beginning\nwas the word,\n\n  and more \xc3\xa9\n", "one line of words without an end ",
                                        "\xe4\xb8\xad\xe6\x96\x87\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t len = strlen(texts[i]);
        int times = 600000 / (int)len;
        write_text(texts[i], len, times);
        sl_buffer all = {0};
        for (int k = 0; k < times; k++) sl_buffer_append(&all, texts[i], len);
        sl_ids ids = {0};
        ck_assert_int_eq(sl_tokenizer_encode(loaded.tokenizer, all.data, all.len, SL_CONTENT, false, all.len, &ids, &e), SL_OK);
        sl_corpus *c = read_it(0);
        ck_assert_uint_eq(c->domain[0].ids.count, ids.count);
        ck_assert(!memcmp(c->domain[0].ids.id, ids.id, ids.count * sizeof *ids.id));
        ck_assert_uint_eq(c->domain[0].documents, 1);
        ck_assert(!c->domain[0].more && c->tokens == ids.count);
        sl_corpus_free(c);
        free(ids.id);
        sl_buffer_done(&all);
    }
    close_all();
}
END_TEST

START_TEST(documents_and_caps) {
    open_all();
    static const char text[] = "The first document, which is so long that a NUL after it, and another one at once, are few among its bytes.\0\0"
                               "The second document, which is so long that a NUL after it is not much among its bytes.\0";
    write_text(text, sizeof text - 1, 1);
    sl_corpus *c = read_it(0);
    sl_domain *d = &c->domain[0];
    ck_assert_uint_eq(d->documents, 2); /* an empty one is none */
    ck_assert_uint_eq(d->end[1], d->ids.count);
    ck_assert(d->end[0] > 0 && d->end[0] < d->end[1]);
    size_t first = d->end[0], all = d->ids.count;
    sl_corpus_free(c);
    for (size_t most = first - 1; most <= first + 1; most++) {
        c = read_it(most);
        d = &c->domain[0];
        ck_assert_uint_eq(d->ids.count, most);
        ck_assert_uint_eq(d->end[d->documents - 1], most);
        ck_assert_uint_eq(d->documents, most > first ? 2 : 1);
        ck_assert(d->more);
        sl_corpus_free(c);
    }
    c = read_it(all);
    ck_assert(!c->domain[0].more);
    sl_corpus_free(c);
    write_text("words\n", 6, 100000);
    c = read_it(1000);
    ck_assert(c->domain[0].more && c->domain[0].ids.count == 1000 && c->domain[0].documents == 1);
    sl_corpus_free(c);
    close_all();
}
END_TEST

START_TEST(stops_when_told) {
    open_all();
    write_text("words\n", 6, 1000);
    const char *argument = path;
    sl_corpus *c;
    ck_assert_int_eq(sl_corpus_read(&argument, 1, loaded.tokenizer, 0, until_now, &c, &e), SL_CANCELLED);
    close_all();
}
END_TEST

int main(void) { return RUN_TESTS("cli/corpus", 60, pieces_are_the_whole, documents_and_caps, stops_when_told); }
