#!/usr/bin/env python3
"""Random expressions and statements, evaluated here and by Jinja2: the same text, or an error in both.

usage: fuzz.py RENDER [COUNT [SEED]]
RENDER is the built template-render. What is known not to be supported (docs/templates.md) is passed over when this side
says SL_UNSUPPORTED or runs into a limit. Prints each difference with its template; exits 1 if there is one."""
import os, random, re, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare, jinja

VARIABLES = {
    "s": "Hello, W\u00f6rld \u4f60\u597d!", "t": "  a,b,,c\n\tD \r\n", "e": "", "n": 7, "z": 0, "neg": -13, "f": 2.5, "g": 1e21, "h": 0.1,
    "yes": True, "no": False, "nil": None, "xs": [3, 1, 2], "ys": ["b", "A", "c", "a"], "mixed": [1, "x", None, True, 2.0, [1]],
    "d": {"a": 1, "B": "two", "c": None, "items": "i"}, "people": [{"name": "Zo\u00eb", "age": 3, "tags": ["x"]}, {"name": "bob", "age": 20, "tags": []}, {"name": "Al", "age": 3}],
    "nested": {"p": {"q": [1, {"r": "deep"}]}}, "digits": "42", "quote": "it's \"q\" \\ \u00e9\u0007", "long": "The quick brown fox jumps over the lazy dog. " * 3,
}
NAMES = 2 * list(VARIABLES) + ["undefined_thing"]
R = random.Random()


def pick(*options):
    return R.choice(options)


def name():
    return R.choice(NAMES)


def literal():
    return pick("0", "1", "2", "-1", "3", "10", "1.5", "0.0", "1e3", "''", "'a'", "'b c'", "'-'", "'%s|%d'", "'{}:{}'", "','", "'\\n'", "true", "false", "none", "[]", "[1, 2]",
                "{}", "{'a': 1}", "(1, 'x')", "'\u00df'", "'\u0130I'", "\"q'q\"", "'name'", "'age'", "'a'", "'x y z'")


def arguments(depth, most=3, named=()):
    parts = [expression(depth - 1) for _ in range(R.randrange(most + 1))]
    if named and R.random() < 0.4:
        parts.append("%s=%s" % (R.choice(named), expression(depth - 1)))
    return "(" + ", ".join(parts) + ")" if parts or R.random() < 0.5 else ""


METHODS = ("upper lower title capitalize swapcase strip lstrip rstrip split rsplit splitlines startswith endswith replace join find rfind count index "
           "isdigit isalpha isupper islower isspace isalnum istitle partition rpartition removeprefix removesuffix center ljust rjust zfill format get keys values items copy "
           "append pop update expandtabs casefold rindex isnumeric isdecimal isascii isidentifier bit_length is_integer real").split()
FILTERS = ("default d length count string int float abs round items dictsort trim upper lower title capitalize replace indent truncate center wordcount "
           "format safe escape e join first last list reverse sort unique min max sum batch slice groupby map select reject selectattr rejectattr tojson attr").split()
TESTS = ("defined undefined none boolean true false integer float number string mapping sequence iterable callable escaped odd even divisibleby lower upper in eq ne gt ge lt le equalto sameas filter test").split()
FILTER_ARGUMENTS = {
    "map": ["('upper')", "(attribute='name')", "(attribute='age', default='?')", "('string')", "('length')", "('int')", "('default', 'x')", "('nope')", "()", "('replace', 'a', 'b')", "(attribute='tags.0')"],
    "select": ["", "('string')", "('odd')", "('gt', 1)", "('defined')", "('equalto', 'A')", "('in', [1, 'A'])"], "reject": ["", "('none')", "('number')", "('lt', 2)"],
    "selectattr": ["('name')", "('age', 'equalto', 3)", "('tags', 'defined')", "('name', 'in', ['bob'])", "()", "('age', '>', 3)"], "rejectattr": ["('tags')", "('tags', 'undefined')", "('age', 'eq', 20)"],
    "tojson": ["", "(indent=2)", "(indent=4)", "(ensure_ascii=true)", "(separators=(',', ':'))", "(sort_keys=true)", "(indent=1, sort_keys=true)", "(true)"],
    "sort": ["", "(true)", "(reverse=true)", "(case_sensitive=true)", "(attribute='name')", "(attribute='age,name')", "(attribute='age')"], "join": ["", "(', ')", "(', ', attribute='name')", "(1)"],
    "groupby": ["('age')", "('name')", "('tags', default='none')"], "unique": ["", "(attribute='age')", "(true)"], "min": ["", "(attribute='age')"], "max": ["", "(attribute='name')"],
    "sum": ["", "(attribute='age')", "(start=5)"], "batch": ["(2)", "(2, 'z')", "(3)"], "slice": ["(2)", "(2, 'z')", "(3)"], "round": ["", "(1)", "(2, 'floor')", "(0, 'ceil')", "(-1)", "(1, 'bad')"],
    "indent": ["", "(2)", "('> ')", "(2, true)", "(2, first=true, blank=true)"], "truncate": ["(9)", "(9, true)", "(11, false, '..')", "(5, true, '', 0)", "(20)"], "replace": ["('a', 'b')", "('', '-')", "('l', 'L', 1)", "('o')"],
    "default": ["", "('d')", "('d', true)", "(boolean=true)"], "d": ["('x')", "(default_value='y', boolean=true)"], "int": ["", "(5)", "(base=16)", "('x', 2)"], "float": ["", "(1.5)"],
    "dictsort": ["", "(true)", "(by='value')", "(reverse=true)", "(false, 'key', true)"], "trim": ["", "('ad')", "(' ')", "(chars='!')"], "center": ["(20)", "()", "(5)"], "attr": ["('a')", "('items')", "('upper')"],
    "format": ["(1)", "('a', 2)", "(n=1)", "(s)", "()"], "first": [""], "last": [""], "list": [""], "length": [""], "items": [""],
}


def filtered(depth):
    f = R.choice(FILTERS)
    options = FILTER_ARGUMENTS.get(f)
    return "%s|%s%s" % (operand(depth - 1), f, R.choice(options) if options and R.random() < 0.85 else arguments(depth, 2) if R.random() < 0.2 else "" if not options else options[0])


def method(depth):
    m = R.choice(METHODS)
    simple = {"split": ["()", "(',')", "(' ', 1)", "('l')", "(none, 1)", "(maxsplit=1)", "('')"], "rsplit": ["()", "(',', 1)", "(none, 1)", "('o')"], "replace": ["('l', 'L')", "('', '.')", "('o', '', 1)"],
              "join": ["(ys)", "(xs)", "(['a', 'b'])", "(s)", "(d)"], "startswith": ["('H')", "(('a', '  a'))", "(s)", "('e', 1)"], "endswith": ["('!')", "(('c', '\\n'))"], "center": ["(9)", "(9, '*')", "(20, 'ab')"],
              "format": ["(1, 2)", "(s, n)", "(*xs)", "()"], "get": ["('a')", "('zz')", "('zz', 5)", "(n)"], "find": ["('l')", "('')", "('zz')", "('l', 3)", "('o', -5, -1)"], "count": ["('l')", "('')", "(1)"], "zfill": ["(9)", "(3)"]}
    args = R.choice(simple[m]) if m in simple and R.random() < 0.9 else "(%s)" % ", ".join(expression(1) for _ in range(R.randrange(3))) if R.random() < 0.3 else "()"
    return "%s.%s%s" % (operand(depth - 1), m, args)


def operand(depth):
    e = expression(depth)
    return e if re.fullmatch(r"\w+|'[^']*'|\[.*\]", e) and e.count("[") < 2 else "(%s)" % e


def bound():
    return pick("", "0", "1", "-1", "2", "-2", "5", "-100", "100", "n", "none")


def expression(depth):
    if depth <= 0:
        return name() if R.random() < 0.6 else literal()
    kind = R.randrange(15)
    sub = lambda: expression(depth - 1)
    if kind < 3:
        return filtered(depth)
    if kind < 5:
        return method(depth)
    if kind == 5:
        return "%s %s %s" % (operand(depth - 1), pick("+", "-", "*", "/", "//", "%", "**", "~"), operand(depth - 1))
    if kind == 6:
        return "%s %s %s" % (operand(depth - 1), pick("==", "!=", "<", "<=", ">", ">=", "in", "not in"), operand(depth - 1))
    if kind == 7:
        return "%s %s %s" % (operand(depth - 1), pick("and", "or"), operand(depth - 1))
    if kind == 8:
        t = R.choice(TESTS)
        arg = {"divisibleby": "(3)", "in": "(ys)", "sameas": "(none)"}.get(t, "(%s)" % sub() if t in "eq ne gt ge lt le equalto".split() else "")
        return "%s is %s%s%s" % (operand(depth - 1), pick("", "not "), t, arg)
    if kind == 9:
        return "%s[%s:%s%s]" % (operand(depth - 1), bound(), bound(), pick("", "", ":", ":-1", ":2", ":-2"))
    if kind == 10:
        return "%s[%s]" % (operand(depth - 1), pick("0", "-1", "1", "'a'", "'name'", "'items'", "5", "n", sub()))
    if kind == 11:
        return "%s.%s" % (operand(depth - 1), pick("a", "B", "p.q", "name", "items", "x", "0", "real", "p.q[1].r"))
    if kind == 12:
        return pick("%s if %s else %s" % (operand(depth - 1), operand(depth - 1), operand(depth - 1)), "%s if %s" % (operand(depth - 1), operand(depth - 1)), "not %s" % operand(depth - 1), "-%s" % operand(0), "- n ** 2")
    if kind == 13:
        return pick("[%s, %s]" % (sub(), sub()), "{%s: %s}" % (pick("'k'", "1", sub()), sub()), "(%s,)" % sub(), "range(%s)|list" % pick("3", "1, 4", "9, 0, -3", "n"), "dict(a=%s)" % sub(), "namespace(a=%s).a" % sub())
    return "%s < %s <= %s" % (operand(depth - 1), operand(depth - 1), operand(depth - 1))


def statement(depth):
    kind = R.randrange(14)
    body = lambda: block(depth - 1)
    sign = lambda: pick("", "", "", "-", "+")
    o = lambda: "{%" + sign()
    c = lambda: pick("", "", "-", "+") + "%}"
    if depth <= 0 or kind < 4:
        return pick("text ", "\n", "  \n\t", "x\n  ", "{{%s %s }}" % (pick("", "-"), expression(2)), "{{ %s %s}}" % (expression(1), pick("", "-")), "{# note %s #}" % pick("", "\n "), "  ")
    if kind == 4:
        return "%s if %s %s%s%s else %s%s%s endif %s" % (o(), expression(2), c(), body(), o(), c(), body(), o(), c())
    if kind == 5:
        return "%s if %s %s%s%s elif %s %s%s%s endif %s" % (o(), expression(1), c(), body(), o(), expression(1), c(), body(), o(), c())
    if kind in (6, 7):
        target = pick("v", "v", "a, b", "n", "k")
        over = pick("xs", "ys", "people", "d", "d.items()", "d|items", "d|dictsort", "s", "mixed", "range(3)", "undefined_thing", "xs|reverse", "ys|map('upper')", expression(2))
        test = pick("", "", " if v", " if loop is defined", " if n > 1", " if v != 1")
        inside = pick("", "{{ loop.index }}", "{{ loop.last }}{{ loop.first }}", "{{ loop.length }}", "{{ loop.previtem }}|{{ loop.nextitem }}", "{{ loop.cycle('p', 'q') }}", "{% if loop.index > 1 %}{% break %}{% endif %}",
                      "{% if loop.first %}{% continue %}{% endif %}", "{{ loop.revindex }}/{{ loop.revindex0 }}", "{{ loop.changed(v) }}", "{{ v }}", "{% set n = v %}{{ n }}", "{{ a }}={{ b }}", "{% set ns.x = loop.index0 %}")
        other = "%s else %s%s" % (o(), c(), body()) if R.random() < 0.3 else ""
        return "%s for %s in %s%s %s%s%s%s%s endfor %s" % (o(), target, over, test, c(), inside, body(), other, o(), c())
    if kind == 8:
        return "%s set %s = %s %s" % (o(), pick("v", "n", "s", "xs", "new", "a, b", "ns.x"), expression(2), c())
    if kind == 9:
        return "%s set %s%s %s%s%s endset %s" % (o(), pick("v", "new", "s"), pick("", "|upper", "|trim|length"), c(), body(), o(), c())
    if kind == 10:
        return "%s macro m(%s) %s%s%s endmacro %s" % (o(), pick("", "a", "a, b=2", "a='x', b=a", "v, n=none"), c(), pick("{{ a }}{{ b }}", "{{ varargs }}{{ kwargs }}", "{{ caller() }}", "{{ v }}{{ n }}", "{{ x }}") + body(), o(), c())
    if kind == 11:
        return pick("{{ m(1) }}", "{{ m() }}", "{{ m(1, b=3) }}", "{{ m(1, 2, 3) }}", "{{ m(z=1) }}", "{% call m() %}in{% endcall %}", "{% call(u) m(1) %}{{ u }}{% endcall %}", "{{ m }}")
    if kind == 12:
        return pick("%s filter %s %s%s%s endfilter %s" % (o(), pick("upper", "trim", "replace('a', 'b')|upper", "length"), c(), body(), o(), c()), "%s with v = %s %s%s%s endwith %s" % (o(), expression(1), c(), body(), o(), c()),
                    "{% generation %}" + body() + "{% endgeneration %}", "{% raw %}{{ x }}{% endraw %}", "{%- raw -%} {% if %} {%- endraw +%}\n")
    return "{% for v in nested.p.q recursive %}{{ v }}{% if v is mapping %}{{ loop(v.values()) }}{% endif %}{{ loop.depth }}{% endfor %}" if R.random() < 0.3 else "{{ ns.x }}"


def block(depth):
    return "".join(statement(depth) for _ in range(R.randrange(1, 4)))


ADDRESS = re.compile(r"0x[0-9a-f]{6,}|<generator|<built-in method|<Macro|bound method|<function|<class|object at")


def main():
    renderer = compare.Renderer(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    wrong = passed = both = 0
    for i in range(count):
        R.seed(seed * 1000003 + i)
        template = "{{ %s }}" % expression(R.choice((1, 1, 1, 2, 2, 3))) if i % 4 else "{% set ns = namespace(x=0) %}" + block(3)
        want, raised = jinja.render(template, VARIABLES)
        if want is not None and ADDRESS.search(want) or raised and re.search(r"surrogates|0x[0-9a-f]{6}|Exceeds the limit|MemoryError", raised):
            continue
        got = renderer.render(template, VARIABLES)
        folded = re.search(r"not subscriptable|'slice'", got.get("message", ""))  # Jinja computes such slices of literals itself
        if folded or got.get("error") in ("not supported", "asks for too much"):
            passed += 1
        elif "error" in got and raised is not None:
            both += 1
        elif got.get("text") != want:
            wrong += 1
            print("%r\n  here   %s\n  Jinja2 %s" % (template, got.get("message", repr(got.get("text"))), raised or repr(want)))
    print("%d cases, %d differ, %d fail in both, %d not supported" % (count, wrong, both, passed))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
