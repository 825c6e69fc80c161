/* Where characters come from, through everything that templates do with strings (Promise 6). */
#include "template/fixture.h"

/* The output with [ ] around what is content. */
static char *marked(const char *source, const char *messages, const char *tools) {
    sl_template *t = parsed(source);
    json_t *m = json(messages), *k = tools ? json(tools) : NULL, *bos = json_string("<s>");
    sl_template_variable v[] = {{"messages", m, SL_TEMPLATE_MESSAGES}, {"bos_token", bos, SL_TEMPLATE_MARKUP}, {"tools", k, SL_TEMPLATE_CONTENT}};
    sl_template_text text;
    sl_error e = {0};
    ck_assert_msg(sl_template_render(t, &(sl_template_input){.variable = v, .variables = 3}, &text, &e) == SL_OK, "%s: %s", source, e.message);
    char *out = calloc(1, text.len + 2 * text.segments + 1), *to = out;
    size_t at = 0;
    for (size_t i = 0; i < text.segments; i++) {
        const sl_template_segment *s = &text.segment[i];
        ck_assert(s->start == at && s->len > 0 && (!i || s->content != s[-1].content));
        if (s->content) *to++ = '[';
        memcpy(to, text.text + s->start, s->len);
        to += s->len;
        if (s->content) *to++ = ']';
        at += s->len;
    }
    ck_assert(at == text.len);
    sl_template_text_done(&text);
    sl_template_free(t);
    json_decref(m);
    json_decref(k);
    json_decref(bos);
    return out;
}

/* Promise 6 */
START_TEST(every_operation_keeps_the_origin) {
    static const char *const one = "[{'role': 'user', 'content': 'a <s>b,c ', 'n': 42, 'name': 'x', 'list': ['p', 'q'], 'yes': true}]";
    static const struct {
        const char *source, *want;
    } table[] = {
        {"{{ bos_token }}{{ m.content }}|", "<s>[a <s>b,c ]|"}, {"{{ '<' + m.role + '>' }}", "<user>"},
        {"{{ m.content + '<s>' + m.content }}", "[a <s>b,c ]<s>[a <s>b,c ]"},
        {"{{ m.content[2:5] }}{{ m.content[::-1] }}", "[<s> c,b>s< a]"}, {"{{ m.content | trim }}!{{ m.content | upper }}", "[a <s>b,c]![A <S>B,C ]"},
        {"{{ m.content.split(',') }}", "['[a <s>b]', '[c ]']"}, {"{{ m.content.split(',')[1].strip() ~ '.' }}", "[c]."},
        {"{{ m.content | replace('b', 'BB') }}", "[a <s>]BB[,c ]"},
        {"{{ 'xbx' | replace('b', m.name) }}", "x[x]x"}, {"{{ ['<', m.name, '>'] | join('-') }}", "<-[x]->"},
        {"{{ m.list | join(bos_token) }}", "[p]<s>[q]"}, {"{{ m.content | tojson }}", "\"[a <s>b,c ]\""},
        {"{{ m.list }}", "['[p]', '[q]']"}, {"{{ m.n }}{{ m.n + 1 }}{{ m.n | string }}{{ m.yes }}{{ 42 }}", "[424342True]42"},
        {"{{ '%s:%d' % (m.name, m.n) }}", "[x]:[42]"}, {"{{ '{}<{}>'.format(m.name, 1) }}", "[x]<1>"},
        {"{{ m.name * 3 }}{{ m.name.center(5, '*') }}", "[xxx]**[x]**"},
        {"{{ m.name | indent }}{{ (m.name ~ '\\n' ~ m.name) | indent(2) }}", "[xx]\n  [x]"},
        {"{% set x = m.content %}{{ x }}", "[a <s>b,c ]"},
        {"{% set x %}<{{ m.name }}>{% endset %}{{ x | upper }}", "<[X]>"},
        {"{% macro f(v) %}<{{ v }}>{% endmacro %}{{ f(m.name) }}", "<[x]>"},
        {"{% filter upper %}a{{ m.name }}{% endfilter %}", "A[X]"},
        {"{{ m.content == 'a <s>b,c ' }}{{ m.name in ['x'] }}{{ {'x': 'y'}[m.name] }}", "TrueTruey"},
        {"{% for k, v in m.items() %}{{ k }};{% endfor %}", "[role];[content];[n];[name];[list];[yes];"},
        {"{{ m.content | e }}", "[a &lt;s&gt;b,c ]"},
        {"{{ m.name | list | first }}{{ m.content | first }}{{ m.content | last }}", "[xa ]"},
        {"{{ m.list | map('upper') | join }}{{ m.content.title() }}", "[PQA <S>B,C ]"},
        {"{{ [m.name, 'a'] | sort | join }}", "a[x]"}, {"{{ (m.name, '<s>') | string }}", "('[x]', '<s>')"},
        {"{{ m.content.partition('<s>') | join('|') }}", "[a ]|[<s>]|[b,c ]"}, {"{{ m.content | length }}", "9"},
        {"{{ m.content | truncate(4, true, '..', 0) }}", "[a ].."},
        {"{{ m.name.zfill(3) }}{{ m.content.removeprefix('a ') }}", "00[x<s>b,c ]"},
        {"{{ m.content.expandtabs() | capitalize }}", "[A <s>b,c ]"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char source[256];
        snprintf(source, sizeof source, "{%% set m = messages[0] %%}%s", table[i].source);
        char *got = marked(source, one, NULL);
        ck_assert_msg(strcmp(got, table[i].want) == 0, "%s: %s, not %s", table[i].source, got, table[i].want);
        free(got);
    }
}
END_TEST

/* Promise 6: a role that is none of the known ones, names of members and tools are the client's. */
START_TEST(roles_and_tools) {
    char *got = marked("{% for m in messages %}<|{{ m.role }}|>{% endfor %}",
                       "[{'role': 'user'}, {'role': 'im_end'}, {'role': 'User'}, {'role': 'developer'}, {'role': ['user']}]",
                       NULL);
    ck_assert_str_eq(got, "<|user|><|[im_end]|><|[User]|><|developer|><|['[user]']|>");
    free(got);
}
END_TEST

START_TEST(tools_are_content) {
    char *got = marked("{{ tools | tojson }}{% for t in tools %}{{ t.f }}{{ t | dictsort }}{% endfor %}", "[]",
                       "[{'f': '<s>', 'k<s>': {'a': [1, null]}}]");
    ck_assert_str_eq(got, "[{\"[f]\": \"[<s>]\", \"[k<s>]\": {\"[a]\": [[1], [null]]}}][<s>][('[f]', '[<s>]'), ('[k<s>]', {'[a]': [[1], [None]]})]");
    free(got);
}
END_TEST

START_TEST(messages_as_transformers_prepares_them) {
    char *got = marked("{% for m in messages %}{{ m.keys() | list | join(' ') }}/{{ m.content is defined }}/{{ m.thinking }};{% endfor %}",
                       "[{'role': 'assistant', 'content': null, 'reasoning': 'why'}, {'role': 'user', 'content': 'x', 'thinking': null}]", NULL);
    ck_assert_str_eq(got, "thinking [role] [reasoning] reasoning_content/False/[why];[role] [content]/True/;");
    free(got);
}
END_TEST

#include "run.h"
int main(void) {
    return RUN_TESTS("segments", 60, every_operation_keeps_the_origin, roles_and_tools, tools_are_content, messages_as_transformers_prepares_them);
}
