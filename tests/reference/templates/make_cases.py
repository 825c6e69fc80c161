#!/usr/bin/env python3
"""Writes cases.json: templates that together use every construct of chat templates, and what Jinja2 renders of them.

usage: make_cases.py > cases.json
Needs jinja2 3.1.6. A case is {"name", "template", "variables", and "text" or "error": what was raised}."""
import json, os, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import jinja
from conversations import CONVERSATIONS

MESSAGES = {"messages": [{"role": "system", "content": " Sys\u00e9 "}, {"role": "user", "content": "Hi <b>"}, {"role": "assistant", "content": "<think>x</think>\n\nYo"},
                         {"role": "user", "content": "Bye\n"}], "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
V = {"xs": [3, 1, 2], "s": "H\u00ebllo, W\u00f6rld", "d": {"b": 1, "A": [1, {"x": None}], "items": "key"}, "n": 7, "f": 0.1, "t": True, "nil": None,
     "people": [{"name": "Zo\u00eb", "age": 3}, {"name": "bob", "age": 20}, {"name": "Al", "age": 3}], "tool": {"name": "f", "parameters": {"type": "object", "properties": {"p": {"type": "string"}}}}}

# name: template; its variables are V unless it speaks of messages.
TEMPLATES = {
    "chatml": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "default system": "{% if messages[0]['role'] != 'system' %}{{ 'none' }}{% else %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] | trim %}{% endif %}{{ system_message }}:{{ loop_messages | length }}",
    "alternate": "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% endfor %}",
    "think": "{%- for m in messages %}{%- if '</think>' in m.content %}{%- set c = m.content.split('</think>')[-1].lstrip('\\n') %}{%- else %}{%- set c = m.content %}{%- endif %}[{{ c }}]{%- endfor %}",
    "namespace": "{% set ns = namespace(found=false, n=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.found = true %}{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}{{ ns.found }} {{ ns.n }} {{ ns }}",
    "reversed": "{% for m in messages[::-1] %}{{ loop.index0 }}{{ m.role }}{% if not loop.last %},{% endif %}{% endfor %} {{ messages[-1].role }} {{ messages[-2:][0].role }}",
    "neighbours": "{% for m in messages %}{{ loop.previtem.role if not loop.first else '-' }}<{{ m.role }}>{{ loop.nextitem.role if loop.nextitem is defined }} {{ loop.revindex }}/{{ loop.length }}\n{% endfor %}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% set x = 1 %}{% endgeneration %}{{ x }}{% endif %}{% endfor %}",
    "macro": "{% macro turn(role, text='?', end=eos_token) %}<{{ role }}>{{ text | trim }}{{ end }}{% endmacro %}{% for m in messages %}{{ turn(m.role, text=m.content) }}{% endfor %}{{ turn('x') }}{{ turn('y', end='') }}",
    "macro sees": "{% macro show() %}{{ late }}{{ loop }}{{ bos_token }}{% endmacro %}{% set late = 1 %}{% for m in messages %}{{ show() }}{% endfor %}",
    "recursive macro": "{% macro walk(v, depth) %}{% if v is mapping %}{{ '{' }}{% for k, x in v.items() %}{{ k }}:{{ walk(x, depth + 1) }};{% endfor %}{{ '}' }}{% elif v is iterable and v is not string %}[{% for x in v %}{{ walk(x, depth + 1) }}{% endfor %}]{% else %}{{ v }}@{{ depth }}{% endif %}{% endmacro %}{{ walk(d, 0) }}",
    "rest arguments": "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}{{ m(*xs) }}{{ m(**{'a': 5, 'b': 6}) }}",
    "too many": "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "unknown keyword": "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "not provided": "{% macro m(a) %}{{ a }}|{{ a is defined }}{% endmacro %}{{ m() }}",
    "call block": "{% macro box(title) %}[{{ title }}:{{ caller('u') }}]{% endmacro %}{% call(x) box('T') %}{{ x }}{{ n }}{% endcall %}",
    "set block": "{% set a %}  in {{ n }}  {% endset %}<{{ a }}>{% set b | trim | upper %}  in {{ s }} {% endset %}<{{ b }}>", "filter block": "{% filter upper | replace('L', '1') %}{{ s }} x{% endfilter %}",
    "with": "{% with a = 1, b = n %}{{ a + b }}{% set n = 2 %}{{ n }}{% endwith %}{{ n }}{{ a }}", "raw": "{% raw %}{{ x }} {% if %}{% endraw %}{%- raw -%}  {# y #}  {%- endraw -%}  z",
    "comments": "a{# x #}b{#- y -#}  c\n  {# line #}\nd", "white space": "  {% if true %}\n  x\n  {%- if true -%}\n  y\n  {%+ endif +%}\n{% endif %}\nz  {{- ' q ' -}}  w\n\n",
    "line starts": "a\n    {% set x = 1 %}\n\t{% if x %}\n  {{ x }}\n   {#- c #}\n  {%+ if x %}+{% endif %}\nb {% if x %}c{% endif %} {% endif %}\n", "carriage returns": "a\r\n{% if true %}\r\nb\r{% endif %}c\r\n",
    "break": "{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% if x == 2 %}{% break %}{% endif %}{% else %}none{% endfor %}{% for x in [] %}{% else %}none{% endfor %}{% for x in xs %}{% continue %}{% else %}all skipped{% endfor %}",
    "filtered loop": "{% for x in xs if x > 1 %}{{ loop.index }}:{{ x }}{% if loop.last %}!{% endif %}/{{ loop.length }} {% endfor %}", "recursive loop": "{% for k in [1, [2, [3]]] recursive %}{% if k is iterable %}({{ loop(k) }}){% else %}{{ k }}@{{ loop.depth }}{% endif %}{% endfor %}",
    "scopes": "{% set x = 1 %}{% for i in xs %}{{ x }}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}", "set later": "{{ n }}{% set n = 8 %}{{ n }}{% for i in [1] %}{{ m }}{% endfor %}{% set m = 2 %}{{ m }}",
    "unpack": "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in d | dictsort %}{{ k }},{% endfor %}{% set a, b = xs[:2] %}{{ a }}{{ b }}", "unpack wrong": "{% set a, b = xs %}",
    "methods": "{{ s.upper() }}{{ s.split(', ') }}{{ s.split(',', 1)[1].lstrip() }}{{ s.startswith('H') }}{{ s.endswith(('x', 'ld')) }}{{ s.replace('l', 'L', 2) }}{{ '-'.join(['a', 'b']) }}{{ s.find('W') }}{{ s.count('l') }}{{ s.title() }}{{ '  x '.rstrip() }}|{{ '\u00df\u0130\u03a3 \u03a3'.lower() }}{{ '\u00df\ufb01'.upper() }}",
    "dict methods": "{{ d.get('b') }}{{ d.get('zz') }}{{ d.get('zz', 4) }}{{ d.keys() | list }}{{ d.values() | list }}{{ d.items() }}{{ d['items'] }}{{ 'b' in d }}{{ d.keys() }}{{ d.A[1].x }}",
    "append is unsafe": "{{ xs.append(1) }}", "pop is unsafe": "{% set y = d.pop('b') %}", "underscore": "{{ s.__class__ }}", "underscore used": "{{ s.__class__.__name__ }}",
    "slices": "{{ s[1:4] }}{{ s[::-1] }}{{ s[-3:] }}{{ s[::2] }}{{ s[10:2:-3] }}{{ xs[1:] }}{{ xs[:-1] }}{{ xs[5:] }}{{ (1, 2, 3)[::-1] }}{{ s[-1] }}{{ range(9)[2:8:3] }}", "index": "{{ xs[0] }}{{ xs[-1] }}{{ xs[9] }}{{ xs['x'] }}{{ d['zz'] }}{{ s[99] }}{{ nil.x }}",
    "undefined": "[{{ u }}]{{ u is defined }}{{ u | default('d') }}{{ '' | default('e', true) }}{{ not u }}{{ u == v }}{% for x in u %}{% endfor %}{{ u | length }}{{ u ~ 'x' }}", "attribute of undefined": "{{ u.x }}", "undefined plus": "{{ u + 'x' }}", "undefined called": "{{ u() }}",
    "item of undefined": "{{ xs[9].name }}", "inline if": "{{ 'a' if n > 3 else 'b' }}[{{ 'a' if n > 30 }}]{{ ('x' if t) ~ 'y' }}", "chains": "{{ 1 < n <= 7 < 8 }}{{ 3 > n }}{{ 1 == 1.0 == true }}{{ 'a' < 'b' }}{{ 1 in xs and 9 not in xs }}{{ 'ell' in s }}{{ not n == 7 }}",
    "arithmetic": "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 1e16 }} {{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e-5 }} {{ 123456789012345680.0 }} {{ 5 % -3 }} {{ -n }} {{ 'ab' * 3 }} {{ [1] * 2 }} {{ 1 + t }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}",
    "by zero": "{{ n / 0 }}", "str plus int": "{{ s + n }}", "str plus none": "{{ 'a' + nil }}", "concat": "{{ s ~ n ~ nil ~ t ~ f ~ xs }}",
    "printing": "{{ xs }}{{ d }}{{ (1,) }}{{ () }}{{ nil }}{{ t }}{{ f }}{{ [nil, true, 1.5, 'q\"', \"it's\", '\\n\\t\\\\', '\u00e9\u4f60\\x07\u200b'] }}{{ {'a': (1, 2)} }}{{ range(3) }}",
    "tojson": "{{ d | tojson }}{{ d | tojson(indent=2) }}{{ d | tojson(sort_keys=true) }}{{ d | tojson(separators=(',', ':')) }}{{ '<\u00e9\"\\n\\x01\u2028>' | tojson }}{{ '\u00e9\U0001f600' | tojson(ensure_ascii=true) }}{{ [] | tojson(indent=4) }}{{ xs | tojson(indent=1) }}{{ 1.0 | tojson }}{{ nil | tojson }}{{ t | tojson }}{{ tool | tojson(indent=4) }}",
    "tojson undefined": "{{ u | tojson }}", "tojson generator": "{{ xs | map('string') | tojson }}",
    "text filters": "{{ s | upper }}{{ s | lower }}{{ 'hello wORLD-foo' | title }}{{ 'hELLO' | capitalize }}{{ '  x ' | trim }}{{ 'xxaxx' | trim('x') }}{{ s | replace('l', 'LL') }}{{ 'a\\nb\\n\\nc' | indent(2) }}{{ 'a\\nb' | indent(2, true) }}{{ 'a\\n' | indent }}|{{ n | string + '!' }}{{ 'a b c' | wordcount }}{{ 'x' | center(5) }}|{{ 'one two three four' | truncate(10) }}{{ '%s-%d' | format('a', 3) }}",
    "list filters": "{{ xs | sort }}{{ xs | sort(reverse=true) }}{{ ['b', 'A', 'c'] | sort }}{{ xs | join(',') }}{{ xs | first }}{{ xs | last }}{{ xs | sum }}{{ xs | min }}{{ xs | max }}{{ xs | reverse | list }}{{ 'abc' | reverse }}{{ [1, 1, 2] | unique | list }}{{ 'abc' | list }}{{ xs | length }}{{ xs | batch(2) | list }}{{ xs | batch(2, 0) | list }}{{ range(7) | slice(3) | list }}{{ [] | first }}",
    "attribute filters": "{{ people | map(attribute='name') | join(', ') }}{{ people | selectattr('age', 'equalto', 3) | map(attribute='name') | list }}{{ people | rejectattr('age', 'gt', 5) | list | length }}{{ people | sort(attribute='age,name') | map(attribute='name') | list }}{{ people | groupby('age') }}{% for g in people | groupby('age') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}{{ people | sum(attribute='age') }}{{ xs | select('gt', 1) | list }}{{ xs | map('string') | list }}{{ people | map(attribute='zz', default='-') | list }}",
    "generators": "{% if xs | select('gt', 99) %}true{% endif %}{% set g = xs | map('string') %}{{ g | list }}{{ g | list }}{{ (xs | map('string'))[0] is defined }}", "generator length": "{{ xs | map('string') | length }}", "generator fails late": "{% set g = [1, 'x'] | map('abs') %}{{ g | first }}",
    "number filters": "{{ '42' | int }}{{ '4.9' | int }}{{ 'x' | int }}{{ 'x' | int(5) }}{{ '1f' | int(base=16) }}{{ '1.5' | float }}{{ 'x' | float }}{{ -3 | abs }}{{ (-3) | abs }}{{ 2.5 | round }}{{ 3.5 | round }}{{ 2.675 | round(2) }}{{ 42 | round }}{{ 42.55 | round(1, 'floor') }}{{ 1.1 | round(0, 'ceil') }}{{ 1234 | round(-2) }}{{ nil | int }}",
    "tests": "{{ nil is none }}{{ s is string }}{{ d is mapping }}{{ xs is sequence }}{{ d is sequence }}{{ xs is iterable }}{{ n is number }}{{ t is number }}{{ n is integer }}{{ t is integer }}{{ f is float }}{{ t is boolean }}{{ t is true }}{{ n is odd }}{{ n is even }}{{ n is divisibleby 7 }}{{ n is divisibleby(2) }}{{ 'a' is lower }}{{ 'A' is upper }}{{ s is not none }}{{ n is eq 7 }}{{ n is in [7] }}{{ d.items is callable }}{{ 'upper' is filter }}{{ 'nope' is test }}{{ nil is sameas none }}{{ u is undefined and n is defined }}",
    "safe and escape": "{{ s | safe }}{{ '<a href=\"x\">' | e }}{{ ('<' | safe) + '<' }}{{ '<' + ('>' | e) }}{{ ('<' | safe) ~ '<' }}{{ [('<' | e)] }}{{ '<' | e | e }}{{ '<' | e | forceescape }}", "percent": "{{ '%s|%5d|%-5s|%05.1f|%x|%r|%%' % ('a', 3, 'b', 2.55, 255, 'q') }}{{ '%(a)s' % {'a': 1} }}{{ '%.2f' % 1.005 }}", "percent wrong": "{{ '%d' % 'x' }}",
    "format method": "{{ '{} {}'.format(1, 'a') }}{{ '{1}{0}{x}'.format(1, 2, x=3) }}{{ '{:>5}|{:<4}|{:^5}|{:05d}|{:.2f}|{:,}|{!r}'.format('a', 'b', 'c', 42, 3.14159, 1234567, 'q') }}{{ '{0.name}{0[age]}'.format(people[0]) }}{{ '{{}}'.format() }}",
    "strftime": "{{ strftime_now('%Y-%m-%d %H:%M %B %d %A %j') }}", "raise": "{{ raise_exception('No ' ~ n) }}", "unknown filter": "{{ n | nope }}", "unknown filter not reached": "{% if false %}{{ n | nope }}{% endif %}ok", "unknown test": "{% if n is nope %}x{% endif %}",
    "globals": "{{ range(3) | list }}{{ range(1, 9, 4) | list }}{{ dict(a=1, **{'b': 2}) }}{{ dict([('x', 1)]) }}{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('; ') %}{{ j() }}x{{ j() }}y", "range too large": "{{ range(100001) }}", "namespace underscore": "{% set ns = namespace(_x=1) %}", "assign to no namespace": "{% set d.x = 1 %}",
    "literals": "{{ 1_000 }}{{ 0x1F }}{{ 0b101 }}{{ 0o17 }}{{ 1.5e3 }}{{ 'a' 'b' }}{{ \"x\\u00e9\\x41\\101\\q\" }}{{ [1, 2,] }}{{ {'a': 1,} }}{{ (1) }}{{ (1,) }}{{ true and True and not False }}{{ none }}{{ 1, 2 }}",
    "print": "{% print n, s %}", "colon": "{% if n: %}x{% endif %}{% for x in xs: %}{{ x }}{% endfor %}", "unclosed": "{% if n %}x", "unknown tag": "{% frob %}", "bad end": "{% for x in xs %}{% endif %}", "not closed brace": "{{ n }", "missing expression": "{{ }}", "bad operator": "{{ n ! 2 }}", "break outside": "{% break %}",
    "loop target": "{% for loop in xs %}{% endfor %}", "assign constant": "{% set true = 1 %}", "unclosed comment": "a {# b", "unclosed raw": "{% raw %}x", "string that does not end": "{{ 'a }}", "keyword twice": "{{ dict(a=1, a=2) }}", "default before": "{% macro m(a=1, b) %}{% endmacro %}",
    "loop attributes": "{% for x in xs %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x // 2) }}{{ loop.depth0 }}{{ loop.revindex0 }}{{ loop.nope }}{% endfor %}", "loop over text": "{% for c in s %}{{ c }}.{% endfor %}", "loop over number": "{% for x in n %}{% endfor %}", "loop over none": "{% for x in nil %}{% endfor %}",
    "splitlines": "{{ 'a\\nb\\r\\nc\\x0bd\\u2028e'.splitlines() }}{{ 'a\\n'.splitlines(true) }}{{ ' a  b '.split() }}{{ 'a b c'.rsplit(' ', 1) }}{{ 'a.b.c'.partition('.') }}{{ 'a.b.c'.rpartition('.') }}{{ 'a'.center(4, '*') }}{{ '-5'.zfill(4) }}{{ 'x'.ljust(3) }}|{{ 'prefix-x'.removeprefix('prefix-') }}", "empty separator": "{{ s.split('') }}",
    "filters in odd places": "{{ -1 | abs }}{{ 'a' ~ 'b' | upper }}{{ 1 + 2 | string | length }}{{ not 1 | string }}{{ xs | map('string') | map('length') | sum }}{{ n is odd | string }}",
}


def main():
    cases = []
    for name, template in TEMPLATES.items():
        variables = MESSAGES if "messages" in template else V
        cases.append((name, template, variables))
    from more_cases import TEMPLATES as more  # what the fuzzer found odd
    cases += [("odd %d" % (i + 1), template, V) for i, template in enumerate(more)]
    result = []
    for name, template, variables in cases:
        text, raised = jinja.render(template, variables)
        result.append({"name": name, "template": template, "variables": "messages" if variables is MESSAGES else "values", **({"text": text} if raised is None else {"error": raised})})
    json.dump({"now": jinja.NOW, "variables": {"messages": MESSAGES, "values": V}, "cases": result}, sys.stdout, indent=1)
    print()


main()
