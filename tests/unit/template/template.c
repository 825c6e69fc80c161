/* The interpreter against Jinja2: tests/reference/templates/cases.json, which make_cases.py wrote. And its bounds. */
#include "template/fixture.h"

#include "base/alloc.h"

#include <pthread.h>
#include <time.h>

static json_t *cases;

static int64_t now_of(void *arg) { return (void)arg, json_integer_value(json_object_get(cases, "now")); }

static size_t fill(const json_t *variables, sl_template_variable *v) {
    const char *name;
    json_t *value;
    size_t count = 0;
    json_object_foreach((json_t *)(uintptr_t)variables, name, value) {
        bool messages = strcmp(name, "messages") == 0;
        v[count++] = (sl_template_variable){name, value, messages ? SL_TEMPLATE_MESSAGES : SL_TEMPLATE_CONTENT};
    }
    return count;
}

static sl_status render_case(const json_t *c, sl_template_text *ret, sl_error *e) {
    const json_t *source = json_object_get(c, "template");
    sl_template_variable v[32];
    const json_t *variables = json_object_get(json_object_get(cases, "variables"), json_string_value(json_object_get(c, "variables")));
    sl_template_input in = {.variable = v, .variables = fill(variables, v), .now = now_of};
    sl_template *t;
    sl_status s = sl_template_parse(json_string_value(source), json_string_length(source), &t, e);
    if (s) return s;
    s = sl_template_render(t, &in, ret, e);
    sl_template_free(t);
    return s;
}

START_TEST(as_jinja2_does) {
    size_t i;
    json_t *c;
    setenv("TZ", "UTC", 1);
    tzset();
    json_array_foreach(json_object_get(cases, "cases"), i, c) {
        const char *name = json_string_value(json_object_get(c, "name"));
        const json_t *want = json_object_get(c, "text");
        sl_template_text text = {0};
        sl_error e = {0};
        sl_status s = render_case(c, &text, &e);
        if (!want) {
            ck_assert_msg(s == SL_INVALID || s == SL_FORMAT, "%s: Jinja2 raises %s; here %s: %s", name,
                          json_string_value(json_object_get(c, "error")), sl_status_text(s), s ? e.message : text.text);
            ck_assert_msg(strncmp(e.message, "line ", 5) == 0, "%s: %s", name, e.message);
        } else {
            ck_assert_msg(s == SL_OK, "%s: %s", name, e.message);
            ck_assert_msg(strcmp(text.text, json_string_value(want)) == 0, "%s:\n  here   %s\n  Jinja2 %s", name, text.text, json_string_value(want));
        }
        sl_template_text_done(&text);
    }
}
END_TEST

/* Without memory, wherever it runs out, there is an error and nothing is left behind (the sanitizers look). */
START_TEST(no_memory_anywhere) {
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(cases, "cases"), i, c) {
        if (i % 7) continue;
        for (long n = 1;; n++) {
            sl_template_text text = {0};
            sl_error e = {0};
            sl_alloc_fail_at(n);
            sl_status s = render_case(c, &text, &e);
            long made = sl_alloc_fail_at(0);
            sl_template_text_done(&text);
            if (made < n) break;
            ck_assert_msg(s != SL_OK && e.message[0], "allocation %ld of case %zu", n, i);
        }
    }
}
END_TEST

static sl_status run(const char *source, const char *messages, sl_template_limits limits, sl_template_text *ret, sl_error *e) {
    sl_template *t = parsed(source);
    json_t *m = json(messages);
    sl_template_variable v = {"messages", m, SL_TEMPLATE_MESSAGES};
    sl_status s = sl_template_render(t, &(sl_template_input){.variable = &v, .variables = 1, .limits = limits}, ret, e);
    json_decref(m);
    sl_template_free(t);
    return s;
}

START_TEST(bounds_are_errors) {
    static const struct {
        const char *source, *message;
    } endless[] = {
        {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "line 1: the template takes too many steps"},
        {"{% set ns = namespace(s='x') %}\n{% for a in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "line 2: "},
        {"{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}", "line 1: "},
        {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "line 1: the template nests deeper than 1000"},
        {"{% set ns = namespace(l=[]) %}{% for a in range(3000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
         "line 1: the template nests deeper than 1000"},
        {"{% set ns = namespace(l=[]) %}{% for a in range(3000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}",
         "line 1: the template nests deeper than 1000"},
        {"{{ 'x' * 999999999999 }}", "line 1: "}, {"{{ 'x'.center(999999999999) }}", "line 1: "}, {"{{ [1] * 999999999999 }}", "line 1: "},
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        sl_template_text text = {0};
        sl_error e = {0};
        ck_assert_msg(run(endless[i].source, "[]", (sl_template_limits){0}, &text, &e) == SL_TOO_MUCH, "%s: %s", endless[i].source, e.message);
        ck_assert_msg(strncmp(e.message, endless[i].message, strlen(endless[i].message)) == 0, "%s", e.message);
    }
    sl_template_text text = {0};
    sl_error e = {0};
    ck_assert_int_eq(run("{{ 'abcdef' }}", "[]", (sl_template_limits){.output = 5}, &text, &e), SL_TOO_MUCH);
    ck_assert_int_eq(run("{{ 'abcdef' }}", "[]", (sl_template_limits){.output = 6}, &text, &e), SL_OK);
    sl_template_text_done(&text);
    ck_assert_int_eq(run("{{ 'a' * 100000 }}", "[]", (sl_template_limits){.memory = 50000}, &text, &e), SL_TOO_MUCH);
}
END_TEST

START_TEST(deep_sources_are_refused) {
    static const char *const repeated[] = {"(", "[", "{% if x %}", "{{ not ", "{{ -", "{% for x in y %}", "{{ x|e|", "{{ x[",
                                           "{% macro m() %}", "{{ {1:", "{{ x.y", "{{ a if "};
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
        char *source = malloc(20000 * 20 + 8);
        strcpy(source, "{{");
        char *to = source + 2 * (repeated[i][0] != '{');
        for (int k = 0; k < 20000; k++) to = stpcpy(to, repeated[i]);
        sl_template *t;
        sl_error e = {0};
        ck_assert_int_ne(sl_template_parse(source, strlen(source), &t, &e), SL_OK);
        free(source);
    }
}
END_TEST

static bool stop(void *arg) { return --*(int *)arg > 0; }

START_TEST(can_be_cancelled) {
    sl_template *t = parsed("{% for a in range(99999) %}{{ a }}{% endfor %}");
    int left = 3;
    sl_template_text text = {0};
    sl_error e = {0};
    ck_assert_int_eq(sl_template_render(t, &(sl_template_input){.pause = stop, .arg = &left}, &text, &e), SL_CANCELLED);
    ck_assert_int_eq(left, 0);
    sl_template_free(t);
}
END_TEST

/* Work is counted in steps, so that linear can be told without a clock: eight times the text, about eight times the steps. */
static uint64_t steps_for(const char *source, int messages, size_t each) {
    sl_template *t = parsed(source);
    json_t *m = json_array();
    char *text = malloc(each + 1);
    for (size_t i = 0; i < each; i++) text[i] = "abc \n<"[i % 6];
    text[each] = 0;
    for (int i = 0; i < messages; i++) json_array_append_new(m, json_pack("{s:s, s:s}", "role", i % 2 ? "assistant" : "user", "content", text));
    sl_template_variable v = {"messages", m, SL_TEMPLATE_MESSAGES};
    uint64_t low = 0, high = 100 * 1000 * 1000;
    while (high - low > 1 + low / 50) {
        uint64_t mid = low + (high - low) / 2;
        sl_template_text out = {0};
        sl_error e = {0};
        sl_status s = sl_template_render(t, &(sl_template_input){.variable = &v, .variables = 1, .limits = {.steps = mid}}, &out, &e);
        ck_assert_msg(s == SL_OK || (s == SL_TOO_MUCH && strstr(e.message, "steps")), "%s", e.message);
        if (s) low = mid;
        else high = mid;
        sl_template_text_done(&out);
    }
    free(text);
    json_decref(m);
    sl_template_free(t);
    return high;
}

START_TEST(work_is_linear) {
    static const char *const sources[] = {
        "{% for m in messages %}{{ '<' + m.role + '>' + m.content + '</s>\\n' }}{% endfor %}",
        "{% set ns = namespace(s='') %}{% for m in messages %}{% set ns.s = ns.s + m.content + ',' %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(l=[]) %}{% for m in messages %}{% set ns.l = ns.l + [m.content | trim] %}{% endfor %}{{ ns.l | join }}",
        "{% for m in messages %}{{ m | tojson }}{{ m.content.split('\\n')[-1] }}{{ m.content | upper | replace('A', 'xx') }}{% endfor %}",
        "{% for m in messages %}{{ messages[loop.index0:][0].content }}{{ loop.last }}{% endfor %}",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        uint64_t few = steps_for(sources[i], 20, 5000), many = steps_for(sources[i], 160, 5000);
        ck_assert_msg(many < few * 9, "%s: %llu and %llu steps", sources[i], (unsigned long long)few, (unsigned long long)many);
        ck_assert_msg(many < 3 * 1000 * 1000, "%s: %llu steps", sources[i], (unsigned long long)many);
    }
}
END_TEST

static void *render_often(void *arg) {
    for (int i = 0; i < 200; i++) {
        sl_template_text text = {0};
        sl_error e = {0};
        json_t *m = json("[{'role': 'user', 'content': 'x'}]");
        sl_template_variable v = {"messages", m, SL_TEMPLATE_MESSAGES};
        ck_assert_int_eq(sl_template_render(arg, &(sl_template_input){.variable = &v, .variables = 1}, &text, &e), SL_OK);
        ck_assert_str_eq(text.text, "a<user>x2");
        sl_template_text_done(&text);
        json_decref(m);
    }
    return NULL;
}

START_TEST(one_template_many_threads) {
    sl_template *t = parsed("{% macro f(x) %}<{{ x }}>{% endmacro %}{% set y = 'a' %}{{ y }}{% for m in messages %}{{ f(m.role) "
                            "+ m.content }}{% endfor %}{{ 'ab' | length }}");
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) pthread_create(&thread[i], NULL, render_often, t);
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    sl_template_free(t);
}
END_TEST

START_TEST(what_it_reads) {
    sl_template *t = parsed("{% if enable_thinking is defined %}{{ m.tool_calls }}{{ '<think>\\n' }}{% endif %}{% set own = 1 "
                            "%}{{ own }}{% for x in y %}{{ inner }}{% endfor %}");
    ck_assert(sl_template_reads(t, "enable_thinking") && sl_template_reads(t, "inner") && sl_template_reads(t, "y"));
    ck_assert(!sl_template_reads(t, "own") && !sl_template_reads(t, "x") && !sl_template_reads(t, "tool_calls"));
    ck_assert(sl_template_mentions(t, "tool_calls") && sl_template_mentions(t, "<think>") && !sl_template_mentions(t, "</think>"));
    sl_template_free(t);
}
END_TEST

START_TEST(not_done_here) {
    static const char *const sources[] = {"a\n{% include 'x' %}", "a\n{% block b %}{% endblock %}", "a\n{% import 'x' as y %}",
                                          "a\n{% extends 'x' %}",
                                          "a\n{{ 99999999999999999999 }}", "a\n{% autoescape true %}{% endautoescape %}"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        sl_template *t;
        sl_error e = {0};
        ck_assert_int_eq(sl_template_parse(sources[i], strlen(sources[i]), &t, &e), SL_UNSUPPORTED);
        ck_assert_msg(strncmp(e.message, "line 2: ", 8) == 0, "%s", e.message);
    }
    sl_template_text text = {0};
    sl_error e = {0};
    ck_assert_int_eq(run("{{ 2 ** 64 }}", "[]", (sl_template_limits){0}, &text, &e), SL_UNSUPPORTED);
}
END_TEST

#include "run.h"
int main(void) {
    char path[1024];
    snprintf(path, sizeof path, "%s/reference/templates/cases.json", getenv("SLUICE_TESTS"));
    cases = json_load_file(path, 0, NULL);
    if (!cases) return 1;
    int result = RUN_TESTS("template", 120, as_jinja2_does, no_memory_anywhere, bounds_are_errors, deep_sources_are_refused, can_be_cancelled,
                           work_is_linear, one_template_many_threads, what_it_reads, not_done_here);
    json_decref(cases);
    return result;
}
