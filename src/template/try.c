/* try.c: what a template makes of a few conversations, so that what it cannot do is known when it is loaded. */
#include "template/template.h"

#include <string.h>

#define U "{\"role\": \"user\", \"content\": \"Hello\"}"
#define A "{\"role\": \"assistant\", \"content\": \"Hi\"}"
#define S "{\"role\": \"system\", \"content\": \"Be brief\"}"
#define PARTS "{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Hello\"}]}"
#define CALL "{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"id\": \"call00001\", \"type\": \"function\", " \
             "\"function\": {\"name\": \"now\", \"arguments\": {\"zone\": \"UTC\"}}}]}"
#define RESULT "{\"role\": \"tool\", \"tool_call_id\": \"call00001\", \"name\": \"now\", \"content\": \"noon\"}"
#define TOOLS "[{\"type\": \"function\", \"function\": {\"name\": \"now\", \"description\": \"The time\", \"parameters\": {\"type\": " \
              "\"object\", \"properties\": {\"zone\": {\"type\": \"string\", \"description\": \"A zone\"}}, \"required\": [\"zone\"]}}}]"

static const struct {
    const char *what, *messages, *tools;
    bool matters; /* every chat may need it: also what the template itself refuses is worth a word */
} trials[] = {
    {"one message", "[" U "]", NULL, false},
    {"a system message", "[" S "," U "]", NULL, true},
    {"several turns", "[" U "," A "," U "]", NULL, true},
    {"text in parts", "[" PARTS "]", NULL, false},
    {"tools", "[" U "]", TOOLS, false},
    {"a tool's result", "[" U "," CALL "," RESULT "]", TOOLS, false},
};

static sl_status attempt(const sl_template *t, const sl_template_input *with, json_t *messages, json_t *tools, sl_error *e) {
    sl_template_variable own[64];
    size_t count = 0;
    own[count++] = (sl_template_variable){"messages", messages, SL_TEMPLATE_MESSAGES};
    own[count++] = (sl_template_variable){"add_generation_prompt", json_true(), SL_TEMPLATE_MARKUP};
    own[count++] = (sl_template_variable){"tools", tools, SL_TEMPLATE_CONTENT};
    for (size_t i = 0; i < with->variables && count < sizeof own / sizeof *own; i++) own[count++] = with->variable[i];
    sl_template_input in = *with;
    in.variable = own;
    in.variables = count;
    sl_template_text text = {0};
    sl_status s = sl_template_render(t, &in, &text, e);
    sl_template_text_done(&text);
    return s;
}

sl_status sl_template_try(const sl_template *t, const sl_template_input *with, sl_notes *notes, sl_error *e) {
    sl_error said = {0}; /* last: one word about a line is enough */
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        sl_error why = {0};
        if (trials[i].tools && !sl_template_mentions(t, "tools")) continue; /* it does not know of any, nor says so */
        json_t *messages = json_loads(trials[i].messages, 0, NULL), *tools = trials[i].tools ? json_loads(trials[i].tools, 0, NULL) : NULL;
        bool made = messages && (tools || !trials[i].tools);
        sl_status s = made ? attempt(t, with, messages, tools, &why) : SL_NOMEM;
        json_decref(messages);
        json_decref(tools);
        if (s == SL_NOMEM) return sl_fail(e, SL_NOMEM, "no memory to try the chat template");
        if (s == SL_CANCELLED) return sl_fail(e, s, "%s", why.message);
        if (!s || (!trials[i].matters && s == SL_INVALID) || strcmp(said.message, why.message) == 0) continue;
        sl_notes_add(notes, "the chat template fails at %s: %s", trials[i].what, why.message);
        said = why;
    }
    return SL_OK;
}
