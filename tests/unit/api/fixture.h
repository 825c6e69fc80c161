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
    sl__completion_tokenize(&m->c, NULL, NULL);
    ck_assert_ptr_null(m->c.body); /* not kept for the life of the request */
}

static inline void unmake(made *m) {
    sl__completion_drop_prompts(&m->c, true);
    sl__answer_free(&m->c);
    sl_free(m->c.body);
    sl_arena_free(m->c.arena);
    m->c = (sl__completion){0};
}

/* The whole answer at once. */
static inline void answer_whole(sl__completion *c, sl_buffer *out) {
    if (sl__answer_failed(c)) out->failed = true;
    while (!out->failed && sl__answer_more(c, out)) continue;
}

static inline void drop(made *m) { m->tokenizer = sl_tokenizer_free(m->tokenizer); }

#endif
