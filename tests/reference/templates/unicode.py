#!/usr/bin/env python3
"""Writes src/template/unicode_data.c: what Python's str knows about code points.

usage: unicode.py > src/template/unicode_data.c
Needs Python 3 alone; the file says with which Unicode it was made."""
import unicodedata

POINTS = [chr(p) for p in range(0x110000) if not 0xD800 <= p < 0xE000]
# Case-ignorable, as str.lower() decides about a final sigma: asked of str itself.
CLASSES = [
    ("alpha", str.isalpha), ("decimal", str.isdecimal), ("digit", str.isdigit), ("numeric", str.isnumeric),
    ("printable", str.isprintable),
    ("cased", lambda c: (c + "\u03a3").lower()[-1] == "\u03c2"),
    ("ignorable", lambda c: ("a" + c + "\u03a3").lower()[-1] == "\u03c2" and ("." + c + "\u03a3").lower()[-1] != "\u03c2"
     and ("1" + c + "\u03a3").lower()[-1] != "\u03c2"),
    ("upper", str.isupper), ("lower", str.islower),
]
CASES = {0: str.upper, 1: str.lower, 2: str.title, 5: str.casefold}
# Of these the tables have what is not in another one's.
OTHERWISE = {0: lambda c: c, 1: lambda c: c, 2: str.upper, 5: str.lower}


def spans(holds):
    found = []
    for c in POINTS:
        p = ord(c)
        if not holds(c):
            continue
        if found and found[-1][1] == p - 1:
            found[-1][1] = p
        else:
            found.append([p, p])
    return found


def shifts(change, otherwise):
    found = []
    for c in POINTS:
        to = change(c)
        if len(to) != 1 or to == otherwise(c):
            continue
        p, by = ord(c), ord(to) - ord(c)
        last = found[-1] if found else None
        if last and last[2] == by and (p - last[1] == last[3] or (last[0] == last[1] and p - last[1] == 2)):
            last[3] = p - last[1]
            last[1] = p
        else:
            found.append([p, p, by, 1])
    return found


def rows(name, kind, items):
    print("%sconst %s %s[] = {" % ("" if name.startswith("sl__") else "static ", kind, name))
    line = "   "
    for item in items:
        text = " {%s}," % ", ".join(item)
        if len(line) + len(text) > 124:
            print(line)
            line = "   "
        line += text
    print(line + "\n};\n")


def main():
    print("/* What Python's str knows about code points, from 0x80 on. Made by tests/reference/templates/unicode.py with Unicode "
          "%s;\n * not to be edited. */" % unicodedata.unidata_version)
    print('#include "template/unicode.h"\n')
    for name, holds in CLASSES:
        rows("class_" + name, "sl__span", [("0x%x" % a, "0x%x" % b) for a, b in spans(holds) if b >= 0x80])
    for how, change in CASES.items():
        rows("case_%d" % how, "sl__shift", [("0x%x" % a, "0x%x" % b, "%d" % by, "%d" % step) for a, b, by, step in shifts(change, OTHERWISE[how]) if b >= 0x80])
    print("const sl__span *const sl__class_spans[] = {%s};" % ", ".join("class_" + n for n, _ in CLASSES))
    print("const size_t sl__class_counts[] = {%s};" % ",\n    ".join("sizeof class_%s / sizeof *class_%s" % (n, n) for n, _ in CLASSES))
    print("const sl__shift *const sl__case_shifts[] = {case_0, case_1, case_2, NULL, NULL, case_5};")
    print("const size_t sl__case_counts[] = {%s};" % ",\n    ".join(
        "sizeof case_%d / sizeof *case_%d" % (n, n) if n in CASES else "0" for n in range(6)))
    special = [(ord(c), how, change(c)) for c in POINTS for how, change in CASES.items() if len(change(c)) > 1]
    print()
    rows("sl__specials", "sl__special", [("0x%x" % p, str(how), "{%s}" % ", ".join("0x%x" % ord(x) for x in to)) for p, how, to in sorted(special)])
    print("const size_t sl__special_count = sizeof sl__specials / sizeof *sl__specials;")


main()
