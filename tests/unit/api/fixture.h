/* fixture.h: a completion without a server: an api of a tokenizer and limits, the body parsed, events fed by hand. */
#ifndef SL_TESTS_API_FIXTURE_H
#define SL_TESTS_API_FIXTURE_H

#include "../text/fixture.h"
#include "api/completion.h"

#include "../run.h"

typedef struct made {
    sl_api api;
    sl_tokenizer *tokenizer;
    sl__completion c;
} made;

static inline void make(made *m, const char *body) {
    if (!m->tokenizer) m->tokenizer = open_hf("gpt2");
    m->api = (sl_api){.config = {.model = {.vocab = sl_tokenizer_count(m->tokenizer)}, .tokenizer = m->tokenizer},
                      .name = {"model", "alias"}, .name_count = 2, .ctx = 64};
    m->c = (sl__completion){.api = &m->api, .arena = sl_arena_new(), .body = sl_strdup(body), .body_len = strlen(body), .id = "cmpl-1",
                            .created = 7};
    ck_assert(m->c.arena && m->c.body);
    sl__completion_parse(&m->c);
    sl__completion_tokenize(&m->c);
    ck_assert_ptr_null(m->c.doc.v); /* not kept for the life of the request */
}

static inline void unmake(made *m) {
    for (int i = 0; i < m->c.prompts; i++) sl_free(m->c.prompt[i].id);
    sl__answer_done(&m->c);
    sl_free(m->c.body);
    sl_arena_free(m->c.arena);
    m->c = (sl__completion){0};
}

static inline void drop(made *m) { m->tokenizer = sl_tokenizer_free(m->tokenizer); }

#endif
