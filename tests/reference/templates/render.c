/* render: renders templates for the comparisons with Jinja2. Each line of the standard input is a JSON object
 *   {"template": TEXT, "variables": {NAME: VALUE, …}, "now": SECONDS}
 * and gives a line: {"text": TEXT, "segments": [[start, length, content], …]} or {"error": WORD, "message": TEXT}. Of the
 * variables "messages" are messages, "tools", "documents" and those that begin "content_" are content, the rest is markup. */
#include "template/template.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t now_of(void *arg) { return *(int64_t *)arg; }

static json_t *failed(const sl_error *e) {
    return json_pack("{s:s, s:s}", "error", sl_status_text(e->code), "message", e->message);
}

static json_t *answer(const json_t *job) {
    const json_t *source = json_object_get(job, "template");
    json_t *variables = json_object_get(job, "variables"), *value, *result;
    sl_template *t;
    sl_template_text text;
    sl_error e = {0};
    sl_template_variable v[64];
    size_t count = 0;
    const char *name;
    int64_t now = json_integer_value(json_object_get(job, "now"));
    if (sl_template_parse(json_string_value(source), json_string_length(source), &t, &e)) return failed(&e);
    json_object_foreach(variables, name, value) {
        bool content = !strcmp(name, "tools") || !strcmp(name, "documents") || !strncmp(name, "content_", 8);
        if (count == sizeof v / sizeof *v) abort();
        v[count++] = (sl_template_variable){name, value,
                                            !strcmp(name, "messages") ? SL_TEMPLATE_MESSAGES
                                            : content                 ? SL_TEMPLATE_CONTENT
                                                                      : SL_TEMPLATE_MARKUP};
    }
    sl_template_input in = {.variable = v, .variables = count, .now = now_of, .arg = &now};
    if (sl_template_render(t, &in, &text, &e)) {
        result = failed(&e);
    } else {
        json_t *segments = json_array();
        for (size_t i = 0; i < text.segments; i++)
            json_array_append_new(segments, json_pack("[I, I, b]", (json_int_t)text.segment[i].start,
                                                      (json_int_t)text.segment[i].len, text.segment[i].content));
        result = json_pack("{s:s%, s:o}", "text", text.text, text.len, "segments", segments);
        sl_template_text_done(&text);
    }
    sl_template_free(t);
    return result ? result : json_pack("{s:s, s:s}", "error", "text", "message", "the text is no UTF-8");
}

int main(void) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, stdin)) > 0) {
        json_t *job = json_loadb(line, (size_t)len, JSON_ALLOW_NUL, NULL);
        if (!job) return 2;
        json_t *result = answer(job);
        char *text = json_dumps(result, JSON_COMPACT);
        puts(text);
        fflush(stdout);
        free(text);
        json_decref(result);
        json_decref(job);
    }
    free(line);
    return 0;
}
