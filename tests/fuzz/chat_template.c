/* A chat template, rendered with a conversation of its own; what follows a line "---" is JSON that is rendered instead. */
#include "template/template.h"

#include "must.h"

#include <string.h>

static const char conversation[] =
    "[{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"\\u00e9 <|im_end|>\"}]}, "
    "{\"role\": \"assistant\", \"content\": \"<think>x</think> y\", \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": "
    "[1, 2.5, true, null]}}}]}, {\"role\": \"user\", \"content\": \"z\", \"items\": 7}]";

static void render(const sl_template *t, const char *text, size_t len) {
    json_t *messages = json_loadb(text, len, JSON_DECODE_ANY, NULL), *token = json_string("<s>");
    sl_template_variable v[] = {{"messages", messages, SL_TEMPLATE_MESSAGES}, {"tools", messages, SL_TEMPLATE_CONTENT},
                                {"bos_token", token, SL_TEMPLATE_MARKUP}, {"add_generation_prompt", json_true(), SL_TEMPLATE_MARKUP}};
    sl_template_input in = {.variable = v, .variables = 4, .limits = {.steps = 100 * 1000, .memory = 8 << 20, .output = 1 << 20}};
    sl_template_text out = {0};
    sl_error e = {0};
    if (sl_template_render(t, &in, &out, &e) == SL_OK) {
        size_t at = 0;
        for (size_t i = 0; i < out.segments; i++) {
            must(out.segment[i].start == at && out.segment[i].len > 0 && (!i || out.segment[i].content != out.segment[i - 1].content));
            at += out.segment[i].len;
        }
        must(at == out.len && strlen(out.text) <= out.len);
    } else {
        must(e.message[0] != 0 && !out.text);
    }
    sl_template_text_done(&out);
    json_decref(messages);
    json_decref(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *cut = size ? memmem(text, size, "\n---\n", 5) : NULL;
    size_t len = cut ? (size_t)(cut - text) : size;
    sl_template *t = NULL;
    sl_error e = {0};
    if (sl_template_parse(text, len, &t, &e) != SL_OK) {
        must(!t && strncmp(e.message, "line ", 5) == 0);
        return 0;
    }
    render(t, conversation, sizeof conversation - 1);
    if (cut) render(t, cut + 5, size - len - 5);
    sl_template_free(t);
    return 0;
}
