/* The body of a completion request, and of a chat's, twice: unknown fields ignored and refused. */
#include "api/chat.h"
#include "api/completion.h"

#include "base/alloc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A chat's messages, up to the text that its template makes of them. */
static void parse_chat(const uint8_t *data, size_t size, bool strict) {
    static const char text[] = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ m.name }}{{ m.tool_calls }}{% endfor %}"
                               "{% if add_generation_prompt %}<|assistant|><think>{% endif %}{{ enable_thinking }}{{ reasoning_effort }}";
    static const sl_marks marks = {"<think>", "</think>", NULL};
    sl_api api = {.config = {.strict = strict, .model = {.vocab = 300}}, .name = {"model"}, .name_count = 1, .ctx = 256};
    sl_template *t;
    sl__ask q;
    if (sl_template_parse(text, sizeof text - 1, &t, NULL) != SL_OK) abort();
    api.chat = (sl_chat){.template = t, .variables = json_object(), .why = "", .marks = &marks, .open_token = -1,
                         .close_token = -1, .end = {7}, .ends = 1};
    if (sl__ask_begin(&q, &api, &sl__chat_reader, sl_strndup((const char *)data, size), size) != SL_OK) abort();
    sl__ask_read(&q);
    if (q.status == SL_OK && (q.prompts != 1 || !q.prompt[0].text || q.prompt[0].len != q.text_bytes)) abort();
    if (q.status != SL_OK && !q.error.message[0]) abort();
    sl__ask_done(&q);
    sl_chat_done(&api.chat);
    sl_template_free(t);
}

static void parse(const uint8_t *data, size_t size, bool strict) {
    sl_api api = {.config = {.strict = strict, .model = {.vocab = 300}}, .name = {"model"}, .name_count = 1, .ctx = 256};
    sl__ask q;
    if (sl__ask_begin(&q, &api, &sl__completion_reader, sl_strndup((const char *)data, size), size) != SL_OK) abort();
    sl__ask_read(&q);
    const sl__fields *f = &q.fields;
    if (q.status == SL_OK) {
        if (q.prompts < 1 || q.choices != q.prompts * (int)f->n || q.choices > SL_MAX_CHOICES) abort();
        if (f->stops > SL_MAX_STOPS || f->stop_tokens > SL_MAX_STOP_TOKENS || f->max_tokens < -1 || f->min_tokens < 0) abort();
        for (int i = 0; i < q.prompts; i++)
            for (size_t k = 0; k < q.prompt[i].ids.count; k++)
                if (q.prompt[i].ids.id[k] < 0 || q.prompt[i].ids.id[k] >= 300) abort();
        for (int i = 0; i < f->bias_count; i++)
            if (f->bias[i].token < 0 || f->bias[i].token >= 300 || !(f->bias[i].bias >= -100 && f->bias[i].bias <= 100)) abort();
    } else if (!q.error.message[0]) {
        abort();
    }
    for (int i = 0; i < q.prompts; i++) {
        if (!q.prompt[i].tokens || f->echo) q.status = SL_INVALID; /* there is no tokenizer here */
    }
    sl__ask_tokenize(&q);
    if (q.status == SL_OK && f->max_tokens > 256) abort();
    sl__ask_done(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    parse(data, size, false);
    parse(data, size, true);
    parse_chat(data, size, false);
    parse_chat(data, size, true);
    return 0;
}
