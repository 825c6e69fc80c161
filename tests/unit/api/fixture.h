/* fixture.h: a completion without a server: an api of a tokenizer and limits, the body read, events fed by hand. */
#ifndef SL_TESTS_API_FIXTURE_H
#define SL_TESTS_API_FIXTURE_H

#include "../text/fixture.h"
#include "api/completion.h"

#include "../run.h"

typedef struct made {
    sl_api api;
    sl_tokenizer *tokenizer;
    sl__ask q;
    sl__answer a;
} made;

static inline void make_as(made *m, const char *body, const sl__reader *reader, const sl__writer *writer) {
    sl_error e;
    if (!m->tokenizer) m->tokenizer = open_hf("gpt2");
    m->api = (sl_api){.config = {.model = {.vocab = sl_tokenizer_count(m->tokenizer)}, .tokenizer = m->tokenizer},
                      .name = {"model", "alias"}, .name_count = 2, .ctx = 64};
    m->a = (sl__answer){.created = 7};
    ck_assert_int_eq(sl__ask_begin(&m->q, &m->api, reader, sl_strdup(body), strlen(body)), SL_OK);
    sl__ask_read(&m->q);
    sl__ask_tokenize(&m->q);
    ck_assert_ptr_null(m->q.body); /* not kept for the life of the request */
    if (!m->q.status) ck_assert_int_eq(sl__answer_begin(&m->a, &m->q, writer, "cmpl-1", &e), SL_OK);
}

static inline void make(made *m, const char *body) { make_as(m, body, &sl__completion_reader, &sl__completion_writer); }

static inline void unmake(made *m) {
    sl__answer_free(&m->a);
    sl__ask_done(&m->q);
    m->a = (sl__answer){0};
}

/* The whole answer at once. */
static inline void answer_whole(sl__answer *a, sl_buffer *out) {
    if (sl__answer_failed(a)) out->failed = true;
    while (!out->failed && a->writer->whole(a, out)) continue;
}

static inline void drop(made *m) { m->tokenizer = sl_tokenizer_free(m->tokenizer); }

#endif
