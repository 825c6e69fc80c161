/* The body of a completion request, twice: unknown fields ignored and refused. */
#include "api/completion.h"

#include "base/alloc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const uint8_t *data, size_t size, bool strict) {
    sl_api api = {.config = {.strict = strict, .model = {.vocab = 300}}, .name = {"model"}, .name_count = 1, .ctx = 256};
    sl__completion c = {.api = &api, .arena = sl_arena_new(), .body = sl_strndup((const char *)data, size), .body_len = size};
    if (!c.arena || !c.body) abort();
    sl__completion_parse(&c);
    const sl__fields *f = &c.fields;
    if (c.status == SL_OK) {
        if (c.prompts < 1 || c.choices != c.prompts * (int)f->n || c.choices > SL_MAX_CHOICES) abort();
        if (f->stops > SL_MAX_STOPS || f->stop_tokens > SL_MAX_STOP_TOKENS || f->max_tokens < -1 || f->min_tokens < 0) abort();
        for (int i = 0; i < c.prompts; i++)
            for (size_t k = 0; k < c.prompt[i].ids.count; k++)
                if (c.prompt[i].ids.id[k] < 0 || c.prompt[i].ids.id[k] >= 300) abort();
        for (int i = 0; i < f->bias_count; i++)
            if (f->bias[i].token < 0 || f->bias[i].token >= 300 || !(f->bias[i].bias >= -100 && f->bias[i].bias <= 100)) abort();
    } else if (!c.error.message[0]) {
        abort();
    }
    for (int i = 0; i < c.prompts; i++) {
        if (!c.prompt[i].tokens || f->echo) c.status = SL_INVALID; /* there is no tokenizer here */
    }
    sl__completion_tokenize(&c, NULL, NULL);
    if (c.status == SL_OK && f->max_tokens > 256) abort();
    sl__completion_drop_prompts(&c, true);
    sl__answer_free(&c);
    sl_free(c.body);
    sl_arena_free(c.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    parse(data, size, false);
    parse(data, size, true);
    return 0;
}
