"""Makes this folder's JSON: what the tokenizers package makes of hard strings, pattern by pattern. Needs tokenizers 0.22 or
0.23.

    python3 tests/reference/unicode/make_cases.py

  splits.json   {"strings": [text], "names": {name: [lengths]}, "patterns": {pattern: [lengths]}}
                lengths: for each string the bytes of its words, in order. `names` are those of tokenizer.ggml.pre, with the
                patterns of the models' tokenizer.json (llama.cpp's where there is none to be had); `patterns` are small ones
                that show how the language is read
  forms.json    {"strings": [text], "NFC": [text], "NFD": …, "NFKC": …, "NFKD": …}
  classes.json  {"patterns": {construct: [code points, hash]}, "single_word": …, "lstrip": …}: which code points it matches,
                which keep an added token of that kind from being one when they stand before it, or are swallowed by it;
                the hash is FNV-1a over the numbers, ascending, each as four bytes, low byte first
"""
import json
import os
import random

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))

A = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = A + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + TAIL
QWEN2 = A + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL
U, L = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
UH, LH = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"


def cased(upper, lower, after, digits, signs):
    return (rf"[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{after}|[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{after}|{digits}"
            rf"| ?[^\s\p{{L}}\p{{N}}]+{signs}|\s*[\r\n]+|\s+(?!\S)|\s+")


O200K = cased(U, L, A + "?", r"\p{N}{1,3}", r"[\r\n/]*")
DS_WORD = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"""
DS_V3 = DS_WORD + r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CJK, CJK_OLD = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
DS_LETTERS = "".join(chr(lo) + ("" if lo == hi else "-" + chr(hi)) for lo, hi in (
    (0x41, 0x5A), (0x61, 0x7A), (0xB5, 0xB5), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x1BA), (0x1BC, 0x1BF), (0x1C4, 0x293),
    (0x295, 0x2AF), (0x370, 0x373), (0x376, 0x376), (0x377, 0x377), (0x37B, 0x37D), (0x37F, 0x37F), (0x386, 0x386),
    (0x388, 0x38A), (0x38C, 0x38C), (0x38E, 0x3A1), (0x3A3, 0x3F5), (0x3F7, 0x481), (0x48A, 0x52F), (0x531, 0x556),
    (0x10A0, 0x10C5), (0x13A0, 0x13F5), (0x13F8, 0x13FD), (0x1C90, 0x1CBA), (0x1CBD, 0x1CBF), (0x1D00, 0x1D2B),
    (0x1D6B, 0x1D77), (0x1D79, 0x1D9A), (0x1E00, 0x1F15), (0x1F18, 0x1F1D), (0x1F20, 0x1F45), (0x1F48, 0x1F4D),
    (0x1F50, 0x1F57), (0x1F59, 0x1F59), (0x1F5B, 0x1F5B), (0x1F5D, 0x1F5D), (0x1F5F, 0x1F7D), (0x1F80, 0x1FB4),
    (0x1FB6, 0x1FBC), (0x1FBE, 0x1FBE), (0x1FC2, 0x1FC4), (0x1FC6, 0x1FCC), (0x1FD0, 0x1FD3), (0x1FD6, 0x1FDB),
    (0x1FE0, 0x1FEC), (0x1FF2, 0x1FF4), (0x1FF6, 0x1FFC), (0x2102, 0x2102), (0x2107, 0x2107), (0x210A, 0x2113),
    (0x2115, 0x2115), (0x2119, 0x211D), (0x2124, 0x2124), (0x2126, 0x2126), (0x2128, 0x2128), (0x212A, 0x212D),
    (0x212F, 0x2134), (0x2139, 0x2139), (0x213C, 0x213F), (0x2145, 0x2149), (0x214E, 0x214E), (0x2183, 0x2184),
    (0x2C00, 0x2C7B), (0x2C7E, 0x2CE4), (0x2CEB, 0x2CEE), (0x2CF2, 0x2CF3), (0xA640, 0xA66D), (0xA680, 0xA69B),
    (0xA722, 0xA76F), (0xA771, 0xA787), (0xA78B, 0xA78E), (0xAB70, 0xABBF), (0xFB00, 0xFB06), (0xFB13, 0xFB17),
    (0xFF21, 0xFF3A), (0xFF41, 0xFF5A), (0x10400, 0x1044F), (0x104B0, 0x104D3), (0x104D8, 0x104FB), (0x10C80, 0x10CB2),
    (0x10CC0, 0x10CF2), (0x118A0, 0x118DF), (0x1E900, 0x1E943)))
ASIAN = ("[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f"
         "\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+")
BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"
DIGIT, DIGITS = pre_tokenizers.Digits(True), pre_tokenizers.Digits(False)
NAMES = {
    "llama-bpe": [LLAMA3],
    "qwen2": [QWEN2],
    "qwen35": [A + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)],
    "smollm": [DIGIT, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)],
    "gpt-4o": [O200K],
    "tekken": [cased(U, L, "", r"\p{N}", r"[\r\n/]*")],
    "youtu": ["[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + CJK, cased(U, L, A + "?", r"\p{N}", r"[\r\n/]*")],
    "kimi-k2": [r"[\p{Han}]+|" + cased(UH, LH, A + "?", r"\p{N}{1,3}", r"[\r\n]*")],
    "deepseek-llm": ["[\r\n]", r"\s?[" + DS_LETTERS + "]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", CJK_OLD, DIGIT],
    "deepseek-coder": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK_OLD, DIGIT],
    "deepseek-v3": [r"\p{N}{1,3}", CJK, DS_V3],
    "spark2_5": [r"\p{N}{1,3}", CJK, DS_WORD + r" ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+", DIGIT],
    "afmoe": [r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", ASIAN, DS_V3],
    "tiny_aya": [r"\d{1,3}(?=(?:\d{3})*\b)", O200K],
    "superbpe": [r"\p{N}+", r"(?=(\d{3})+(?!\d))"],
    "bailingmoe": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
    "exaone-moe": [A + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "seed-coder": [A + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "ufakzeka": [r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL],
    "minicpm5": [r"\p{N}{1,3}", A + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+|" + TAIL],
    "jais-2": [A + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)"
               r"|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}"],
    "laguna": [r"[^\n]+|[\n]+", QWEN2],
    "bloom": [BLOOM],
    "viking": [BLOOM, DIGIT],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, DIGITS, "[0-9][0-9][0-9]"],
    "chameleon": ["<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )", DIGIT,
                  r"[\p{P}!-/:-@\[-`{-~]", GPT2],
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
}
PATTERNS = [
    r"\s++$", r"\s+$", r"\n$", "a|ab", "x{2,3}", "x{3}", "x{2,}", "(?i:s)", "(?i:k)", r"(?i:'[sdmt])", r"[\p{L}&&[^\p{Han}]]+",
    r"[^\p{L}&&[a-z]]+", r"[^(\s|[.,!?…。，、।۔،])]+", r"\w+", r"\W+", r"\S+", r"\D+", r"[^\D]+", r"\P{L}+", r"\p{^L}+", r"[^\P{Nd}]+",
    "a(?=b)", "a(?!b)", "(?:ab|a)(?:c|bcd)", "(a|ab)(c|bcd)*", "[a-]+", "[-a]+", r"[\-a\]]+", r"[a\n-\r]+", ".+", r"[^a]?+b", "a*+b", "(?:a+b?)+c",
    r"(?:(?!\p{Han})\p{L})+", r"\p{Lt}|\p{Lm}+",
]
STRINGS = [
    "Hello, World! It's 2024; we've won, they'll see. DON'T CAN'T I'LL", "'ſ it'ſ 'ſs ’s we’ve 'S'T'RE 'ſt", "HTTPServer iPhone ABCdef XMLParser2Json ǅabc ʰA aʰB",
    "  leading  and   trailing   ", " \t\n \r\n\r\n  x\n\n\n y", "a\u0085b\u00a0\u00a0c\u180e d\u200b e\x1c\x1d\x1e\x1f f\u2028\u2029g\u3000h", "a\x0b\x0cb\ufeff c\u1680\u2000\u200a\u202f\u205f",
    "1234567 12 1 1234 123456a 12½ 1234½3 ½¼1234", "٣٤٥١٢٣٤ १२३४ 𝟗𝟘𝟗𝟘 Ⅳ① ²³ ㊿", "v1.2.3-rc4 3.14159e-10 0x1F600 1,000,000", "12345678901234567890abc 123\n4567",
    "cafe\u0301 \u0301x e\u0301\u0316\u0327 \u0915\u093c\u094d a\u20dd \u0e01\u0e33", "नमस्ते दुनिया ประโยค ព្រះរាជា မြန်မာ ລາວ", "مُحَمَّد ـــ، السلام۔ দুনিয়া।", "שלום Ελληνικά ΨΥΧΗ ς Привет Ё",
    "你好,世界!我喜欢。東京 タワー ｶﾅ 한국어 ㄱㄴ ㄅㄆ 々〇", "\u9fa5\u9fa6\u9fef\u9ffc\u9fff 㐀䶿 豈\ufa6d\ufaff", "\U00020000\U0002a6df\U0002ebe0 a\U0002ebf0\U0002ee5d b\U00030000\U0003134a c\U00031350\U000323af d\U000323b0 e",
    "新\U0002ebf0字\U00031350 漢\U0003134a\U0002a6de 1", "\u1c89\u1c8a \ua7cb\ua7cc \ua7da\ua7dc \U00010d50\U00010d70x \U000105c0\U00016d40 \U0001e5d0", "\U00010570\U0001df00 \u1c80 \u2c2f\u2c5f \ua7c0 \u0560\u0588", "\u0897x \U00016121 \U00011383y \U000113b8",
    "\U00011de0\U00011de5 \U00016ff4 \U0001d7ce\U0001ccf0 \U00010d40\U00011f50", "\u2427\u1b4e\u1b7f \U0001f8b2 \U0001fae9 \u20c0\u20c1 \U0001cc00", "\u0378\u0379 \uffff\U0010ffff \ue000\uf8ff \U000e0001\u00ad", "😀 👨‍👩‍👧‍👦 👍🏽🏳️‍🌈 ❤️ 🇩🇪a",
    "for (int i = 0; i < n; i++) {\n\t\ta[i] += b[i]; // add\n\t}\n", "def f(x):\n    return x_y.z/\n/\n\n//", "https://example.org/a/b?c=d&e=f#g_h user@example.com", "!!!???...---===+++***///\n\n$x = ~y ^ z | w && !v;``",
    "<sentinel:12><sentinel:> IMGIMGABCZ IMGIMGABCDEZ IMGIMGZ", "[a]{b}(c)<d>\"e\"'f' _g_ -h \\i |j", "，。！？、；：“”‘’—…《》（）　、。", "ｆｕｌｌｗｉｄｔｈ　ＡＢＣ１２３！／：～", "a b c  d\u0301 e f", "a \u0301 b\u0301\u0302 c",
    " \n", "\n ", "\r", "\r\n \r\n", "   \n   \n   x", "x   \n", "\t\tx", "x\t\ty", "   1", " \u3000\u3000 1", "\u3000a \u3000. \u3000", "x" + " " * 9, "x" + " " * 9 + "y", "x" + " " * 700 + "1",
    "'", "''s", "a'", "'ll've're", "'LL'VE'RE'D'M", "I'mx you'rex it'S", "\u212a 'K \u212b \u2126 \u1fbe\u1f7d\u2184ↄ", "ﬀ ﬁ ﬅ ß ẞ ŉ İ ı", "ⓐⒶ 🄰🅐 ª º µ", "\u0e40\u0e41 \u0eb0 \uaa60\ua9e0 가", "aabbcab abcd abbcd aab", "xxxxxxx a-]b-a",
    "\x00a\x00 \x7f\x1b[31m", "", "a", " ", "é", "\U0001f600",
]


def more(seed, count):
    r = random.Random(seed)
    alphabet = list("aAzS'.-/1 \n\r\t") + ["  ", "\u0301", "ſ", "ʰ", "ǅ", "½", "１", "你", "の", "한", "\u3000", "\u00a0", "\u0085", "\u200b", "😀", "\U00031350", "\u1c89", "$", "|", "_", "'ll", "'S"]
    return ["".join(r.choice(alphabet) for _ in range(r.randrange(3, 16))) for _ in range(count)]


def lengths(pre, strings):
    """A ByteLevel's words are in its alphabet of one character a byte."""
    bytewise = isinstance(pre[-1], pre_tokenizers.ByteLevel)
    steps = pre_tokenizers.Sequence([p if not isinstance(p, str) else pre_tokenizers.Split(Regex(p), "isolated") for p in pre])
    words = [[w for w, _ in steps.pre_tokenize_str(s)] for s in strings]
    return [[len(w) if bytewise else len(w.encode()) for w in one] for one in words]


FORM_STRINGS = [
    "cafe\u0301 \u1e9b\u0323 \u212b\u2126\u212a \u0340\u0343 \ufb01\u00bd\u2460", "a\u0300\u0323 a\u0323\u0300 \u0316\u0301\u0327\u0301", "\u1100\u1161\u11a8 \uac00\u11a8 \uac01 \u1161\u11a8", "\u0915\u093c \u0958 \u09c7\u09be \u0b47\u0b56",
    "a\u1df6\u0316 a\u0316\u1df6\u0301", "a\u0301\u0898\u0316 a\u0301\u0316\u0898", "a\u0d3b\u0301\u0316", "e\u07fd\u0301 e\u0301\u07fd\u0316", "\U000105d2\u0307 \U000105c9 \U000105da\u0307", "\U00011935\U00011930 \U00011938", "\U00011382\U000113c9 \U00011383", "\U0001611e\U0001611e \U00016121",
    "a\U00016ff0\u0301\u0316", "\u32ff \u32fe", "\uab69 \ua7f2 \U00010781 \U0001e030 \U0001ccd6 \U0001fbf0", "a\u0897\u0316 b\U00010efd\u0301", "x\U0001e08f\u0316y", "\u0378\u0301 a\u0378\u0301\u0316", "\U000323af\u0301 \U0002f800 \uf900\u0301", "x\u0301" * 5, "\u0316\u0301" * 6, "\u0344\u0385\u1fc1 \u0f73\u0f75\u0f81", "a\u0334\u0338\u20d8 \u302a\u3099か\u3099", "",
]


def members(pattern):
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    text = "".join(map(chr, points))
    kept = set()
    for i in range(0, len(text), 4096):
        kept.update(*(word for word, _ in split.pre_tokenize_str(text[i:i + 4096])))
    return [c for c in points if chr(c) not in kept]


def beside_token(keep, **flags):
    """The code points for which keep(encoding of that point and the token) holds."""
    t = Tokenizer(models.BPE(vocab={"x": 0}, merges=[]))
    t.add_tokens([AddedToken("[M]", normalized=False, **flags)])
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    out = []
    for i in range(0, len(points), 4096):
        part = points[i:i + 4096]
        out += [c for c, e in zip(part, t.encode_batch(["x" + chr(c) + "[M]" for c in part])) if keep(e)]
    return out


def fingerprint(points):
    h = 2166136261
    for c in points:
        for byte in c.to_bytes(4, "little"):
            h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return [len(points), h]


def dump(name, value):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=True, separators=(",", ":"))
        f.write("\n")


def main():
    print("tokenizers", tokenizers.__version__)
    strings = STRINGS + more(3, 60)
    dump("splits.json", {"strings": strings, "names": {n: lengths(p, strings) for n, p in NAMES.items()},
                         "patterns": {p: lengths([p], strings) for p in PATTERNS}})
    forms = {"strings": FORM_STRINGS + STRINGS[5:30]}
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        forms[form] = [getattr(normalizers, form)().normalize_str(s) for s in forms["strings"]]
    dump("forms.json", forms)
    categories = "L M N P S Z C Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn Han".split()
    constructs = [r"\p{%s}" % c for c in categories] + [r"\s", r"\S", r"\d", r"\w", r"\W", "(?i:s)", "(?i:k)", "(?i:a)", "."]
    dump("classes.json", {"patterns": {c: fingerprint(members(c)) for c in constructs},
                          "single_word": fingerprint(beside_token(lambda e: 1 not in e.ids, single_word=True)),
                          "lstrip": fingerprint(beside_token(lambda e: e.offsets[-1][0] < 2, lstrip=True))})


main()
