"""Makes src/text/unicode_data.c: what the tokenizers package believes about every code point. Needs tokenizers 0.22 or 0.23.

    python3 tests/reference/unicode/make.py src/text/unicode_data.c

Nothing is taken from a Unicode table: each property is asked of the package, for each of the 1,112,064 code points that
are no surrogates. Its parts have different Unicode versions: patterns (Oniguruma) 16.0, Digits (Rust's library) 17.0,
normalisation (unicode-normalization-alignments) 9.0. What this script asserts on the way is what src/text/ relies on.
"""
import string
import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, POINTS))


def members(pattern):
    """The code points that the pattern matches, one at a time."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    kept = set()
    for i in range(0, len(TEXT), 4096):
        kept.update(*(word for word, _ in split.pre_tokenize_str(TEXT[i:i + 4096])))
    return {c for c in POINTS if chr(c) not in kept}


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def check_properties(category):
    of = {c: name for name, points in category.items() for c in points}
    assert sum(map(len, category.values())) == len(of) == len(POINTS)
    for letter in "LMNPSZC":
        assert members(r"\p{%s}" % letter) == {c for c in POINTS if of[c][0] == letter}
    assert members(r"\d") == category["Nd"]
    # Letters without regard to case: their other case, and two more.
    for letter in string.ascii_lowercase:
        more = {"s": {0x17F}, "k": {0x212A}}.get(letter, set())
        for pattern in (f"(?i:{letter})", f"(?i:[{letter}])"):
            assert members(pattern) == {ord(letter), ord(letter.upper())} | more, pattern
    # Two letters that are one character elsewhere: regex.c leaves patterns with these pairs alone.
    ligatures = set()
    wide = "\x01".join(chr(c) for c in POINTS if len(chr(c).casefold()) > 1)
    for pair in (a + b for a in string.ascii_lowercase + "'" for b in string.ascii_lowercase):
        if len(pre_tokenizers.Split(Regex(f"(?i:{pair})"), "removed").pre_tokenize_str(wide)) > 1:
            ligatures.add(pair)
    assert ligatures == {"ff", "fi", "fl", "ss", "st"}, ligatures
    return of


def digits(of):
    """Digits of the pre-tokenizer of that name that are no \\p{N}: patterns.c spells them out."""
    split = pre_tokenizers.Digits(True)
    return {c for c in POINTS if of[c] in ("Cn", "Nd", "Nl", "No") and
            (len(split.pre_tokenize_str("a" + chr(c) + "b")) == 3) != (of[c][0] == "N")}


def normalize(form, texts):
    """The form of each text, many at a time: U+0001 neither changes nor joins anything."""
    step, out = getattr(normalizers, form)(), []
    for i in range(0, len(texts), 4096):
        part = step.normalize_str("\x01".join(texts[i:i + 4096])).split("\x01")
        assert len(part) == len(texts[i:i + 4096])
        out += part
    return out


def unmoved():
    """What a newer Unicode version moves, combines or decomposes and the package leaves where it is. unicodedata2 18.0
    says what is newer."""
    import unicodedata2
    points = [c for c in POINTS if c > 1]
    moved = {c for c in points if unicodedata2.combining(chr(c)) or unicodedata2.decomposition(chr(c))}
    kept = set(moved)
    for form in ("NFD", "NFKD"):
        one = [chr(c) for c in sorted(moved)]
        kept -= {ord(a) for a, b in zip(one, normalize(form, one)) if a != b}
    # Marks of old, one of each class, before and after: who changes places with one has a class.
    old = {unicodedata.ucd_3_2_0.combining(chr(c)): chr(c) for c in reversed(points)}
    old.pop(0)
    for mark in old.values():
        for form in ("a%s" + mark, "a" + mark + "%s"):
            texts = [form % chr(c) for c in sorted(kept)]
            kept -= {ord(t.replace("a", "", 1).replace(mark, "", 1) or mark) for t, n in zip(texts, normalize("NFD", texts)) if t != n}
    # A pair that newer versions join: the newer one of the two (they were never allowed to join two old ones) stands alone.
    for c in points:
        pair = unicodedata2.normalize("NFD", chr(c))
        if len(pair) == 2 and unicodedata2.normalize("NFC", pair) == chr(c) and normalize("NFC", [pair])[0] != chr(c):
            new = [p for p in pair if unicodedata.ucd_3_2_0.category(p) == "Cn"]
            kept.add(ord(new[0]))
    return kept


def check_forms(kept, of):
    """Where the package and Unicode 18 agree: everything that is not in `kept`, alone and beside old marks."""
    import unicodedata2
    rest = [c for c in POINTS if c > 1 and c not in kept and of[c] != "Cn"]
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        for pattern in ("%s", "a%s\u0301", "%s\u0327\u0301", "a\u0316%s", "\u0915%s\u093c", "\u1100%s", "%s\u11a8"):
            texts = [pattern % chr(c) for c in rest]
            for t, n in zip(texts, normalize(form, texts)):
                assert n == unicodedata2.normalize(form, t), (form, t.encode("unicode_escape"))


def table(rows, each, form):
    out = []
    for i in range(0, len(rows), each):
        out.append("    " + " ".join(form(r) + "," for r in rows[i:i + each]))
    return "\n".join(out)


def of_ranges(name, points, comment):
    rows = ranges(points)
    body = table(rows, 6, lambda r: "{0x%X, 0x%X}" % tuple(r))
    count = name.rstrip("s") + "_count" if name == "spaces" else name + "_count"
    return f"/* {comment} */\nconst sl__range sl__{name}[] = {{\n{body}\n}};\nconst size_t sl__{count} = {len(rows)};\n"


def main():
    category = {name: members(r"\p{%s}" % name) for name in CATEGORIES}
    of = check_properties(category)
    assert ranges(digits(of)) == [[0x11DE0, 0x11DE9], [0x16FF4, 0x16FF6]], "patterns.c has these"
    runs = [(c, of.get(c, "Cs")) for c in range(0x110000) if c == 0 or of.get(c, "Cs") != of.get(c - 1, "Cs")]
    word = members(r"\w")
    plain = {c for c in POINTS if of[c][0] in "LM" or of[c] in ("Nd", "Nl", "Pc")}
    assert plain <= word
    kept = unmoved()
    check_forms(kept, of)
    print(len(runs), "runs,", len(kept), "unmoved", file=sys.stderr)
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write(f"""/* What the tokenizers package {tokenizers.__version__} believes about code points. Made by tests/reference/unicode/make.py, which
 * says what was asked; not to be edited. Its patterns know Unicode 16.0, its normalisation 9.0. */
#include "text/scanner.h"

const uint32_t sl__category_runs[] = {{
{table([c << 5 | CATEGORIES.index(name) for c, name in runs], 12, lambda r: "0x%x" % r)}
}};
const size_t sl__category_run_count = {len(runs)};

""")
        f.write(of_ranges("spaces", members(r"\s"), r"\s") + "\n")
        f.write(of_ranges("han", members(r"\p{Han}"), r"\p{Han}") + "\n")
        f.write(of_ranges("words_beyond", word - plain, r"\w that is no letter, mark, Nd, Nl or Pc") + "\n")
        f.write(of_ranges("unmoved", kept | category["Cn"], "Of no Unicode version that the package normalises by: those that newer versions move, join or take apart, and all\n * that no version up to 16.0 assigns"))


main()
