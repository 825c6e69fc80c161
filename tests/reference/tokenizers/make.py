"""Makes this folder's files: small tokenizers of every kind that Sluice reads, and what the reference makes of hard
strings. Needs tokenizers 0.22 and sentencepiece 0.2.

    python3 tests/reference/tokenizers/make.py

Each NAME.json is a tokenizer.json trained here on the corpus below, with the real family's pipeline. NAME.ids.json:
  markup    [string] ids of tokenizer.encode(text, add_special_tokens=False)
  content   {number: ids} the same with encode_special_tokens on, where that differs
  around    ids of strings[0] with add_special_tokens
  decoded   {number: text} decode(markup, skip_special_tokens=False), where it is not the string
  streams   [[ids, text, text without special tokens]] of random ids
strings.json: the strings as hexadecimal bytes, broken UTF-8 among them (the reference gets it by
bytes.decode(errors="replace")).
"""
import json
import os
import random

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB = 900

A = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = A + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + TAIL
QWEN2 = A + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL
UP, LOW = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UP}*{LOW}+{A}?|[^\r\n\p{{L}}\p{{N}}]?{UP}+{LOW}*{A}?|\p{{N}}{{1,3}}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

CORPUS = """
The quick brown fox jumps over the lazy dog. It's what we've always done; they'll say I'm wrong, don't they?
We hold these truths to be self-evident, that all men are created equal. The rain in Spain stays mainly in the plain.
def tokenize(text, *, limit=None):\n    for i, line in enumerate(text.split("\\n")):\n        if limit is not None and i >= limit:\n            return\n        yield line.strip()\n
int main(int argc, char **argv) {\n\tfor (int i = 0; i < argc; i++) {\n\t\tprintf("%d: %s\\n", i, argv[i]);\n\t}\n\treturn 0;\n}\n
<div class="note"><a href="https://example.org/path?query=1&amp;x=2">link</a></div> { "key": [1, 2.5, -3e10, null, true] }
In 1984 there were 12345 of them, 3.14159 on 2024-11-24 at 12:34:56; 100,000 dollars, 50%. 1 22 333 4444 55555.
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Falsches Üben von Xylophonmusik quält jeden Zwerg.
Portez ce vieux whisky au juge blond qui fume. Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis.
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío; añoraba a su querido cachorro.
Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний.
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Příliš žluťoučký kůň úpěl ďábelské ódy. Pchnąć w tę łódź jeża lub ośm skrzyń fig.
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ومغلف بجلد أزرق. السلام عليكم ورحمة الله وبركاته
דג סקרן שט בים מאוכזב ולפתע מצא חברה. ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले।
いろはにほへと ちりぬるを わかよたれそ つねならむ。 東京都の天気は晴れです。カタカナとひらがなと漢字。
天地玄黃,宇宙洪荒。日月盈昃,辰宿列張。你好,世界!我喜欢学习语言模型。今天天气很好,我们去公园吧。
키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 안녕하세요 세계. เป็นมนุษย์สุดประเสริฐเลิศคุณค่า
😀 😃 😄 👨‍👩‍👧‍👦 👍🏽 🇩🇪 🏳️‍🌈 emoji everywhere! — “quotes” ‘single’ … ½ ² ³ Ⅳ ① ٣٤٥ १२३
"""

STRINGS = [
    b"Hello world", b"", b" ", b"  ", b"   ", b" " * 7, b" " * 24, b" " * 25, b" " * 60, b"\t", b"\t\t\t", b"\n", b"\n\n", b"\n\n\n\n",
    b"\r\n", b"\r\n\r\n", b"\r", b"\n \n", b" \n ", b"  \n\n  x", b"a\n\n\nb", b"a \n b", b"a\r\nb\r\n", b"\t \t x", b"x   ", b"   x",
    b"x  y", b"x   y    z", b"a\x0bb\x0cc", b"one two  three   four    five", b"\n" * 50, b"\r\n" * 20, b"\t" * 33 + b"x",
    b"Hello, World! It's 2024; we've won, they'll see. I'm, you're, he'd, DON'T, CAN'T, I'LL, WE'VE",
    b"'s 't 're 've 'm 'll 'd 'S 'T 'RE 'VE 'M 'LL 'D 'x", "'ſ it'ſ 'ſs ’s we’ve".encode(), b"''s '''t", b"'", b"''", b"a'b'c",
    b"0", b"12", b"123", b"1234", b"12345", b"1234567890", b"3.14159", b"1,000,000", b"0x1F600", b"1e-10", b"a1b22c333d4444",
    " ½ ²³ Ⅳ ① ٣٤٥ १२३ ㊿ 𝟗𝟘".encode(), b" 1", b"  12", b"v1.2.3-rc4", b"2024-11-24T12:34:56Z",
    "你好,世界".encode(), "我喜欢学习语言模型。今天天气很好".encode(), "東京都の天気は晴れです".encode(), "カタカナ ひらがな".encode(), "안녕하세요 세계".encode(),
    "안녕".encode(), "ｆｕｌｌｗｉｄｔｈ　ＡＢＣ１２３".encode(), "السلام عليكم ورحمة الله".encode(), "مُحَمَّد ـــ ٱلْعَرَبِيَّة".encode(),
    "דג סקרן שט בים".encode(), "नमस्ते दुनिया ऋषियों".encode(), "เป็นมนุษย์สุดประเสริฐ".encode(), "ព្រះរាជាណាចក្រកម្ពុជា".encode(), "Ελληνικά ΨΥΧΗ ς".encode(),
    "Привет, мир! Ёлка ЁЖ".encode(), "Zwölf Boxkämpfer ÄÖÜß".encode(), "Tiếng Việt đẹp quá".encode(), "ﬁne ﬂow ﬀ ŉ ǆ".encode(),
    "😀".encode(), "😀😃😄".encode(), "👨‍👩‍👧‍👦".encode(), "👍🏽 👍🏿".encode(), "🇩🇪🇫🇷".encode(), "🏳️‍🌈❤️".encode(), "a😀b 😀 c".encode(), "🚀 (normal) 😶‍🌫️ (multiple emojis concatenated) ✅".encode(),
    "e\u0301".encode(), "\u00e9".encode(), "cafe\u0301 caf\u00e9".encode(), "a\u0300\u0323".encode(), "a\u0323\u0300".encode(), "\u1e9b\u0323".encode(), "\u212b \u2126 \u212a".encode(),
    "\u1100\u1161\u11a8".encode(), "\u0915\u093c".encode(), "\u0340\u0341\u0343".encode(), "Z̵̡̢a̷͓͎l̶͇̔g̸͎̈́ó̴̫".encode(), ("a" + "\u0301" * 40).encode(), ("\u0316\u0301" * 20).encode(),
    "\u2000\u2001\u2002\u2003x".encode(), "a\u00a0b\u00a0\u00a0c".encode(), "a\u2028b\u2029c".encode(), "a\u0085b".encode(), "a\u200bb\u200dc\ufeffd".encode(), "\u180e \u180ex a\u180e\u180e".encode(), "\u3000\u3000x\u202f\u205fy".encode(), "\u1680\u1680z".encode(),
    "\u202eright\u202c".encode(), "\ufffd\ufffe\uffff".encode(), "\U0010ffff\U000e0001".encode(), "\ue000\uf8ff".encode(), "\u00ad\u00adsoft".encode(),
    b"\x00", b"a\x00b", bytes(range(32)), b"\x7f\x1b[31mred\x1b[0m", bytes(range(32, 127)), "".join(map(chr, range(0xa0, 0x180))).encode(),
    b"def f(x):\n    if x:\n        return x + 1\n\n    return None\n", b"for (int i = 0; i < n; i++) {\n\t\ta[i] += b[i]; // add\n\t}\n",
    b"#include <stdio.h>\n#define X(a, b) \\\n  a##b\n", b"https://example.org/a/b?c=d&e=f#g", b"user@example.com", b"C:\\Windows\\system32", b"{\"a\": [1, 2, {\"b\": null}]}\n",
    b"<div class=\"x\">&nbsp;</div>", b"SELECT * FROM t WHERE a='b' AND c<>1;", b"$x = ~y ^ z | w && !v;", b"!!!???...---===+++***///", b"....", b"\xe2\x80\x94 \xe2\x80\xa6",
    b"____init____ __name__", b"camelCaseHTTPServerXMLParser2Json", b"ALLCAPS lower Mixed mIXED", b"iPhone iOS macOS",
    b"<|endoftext|>", b"a<|endoftext|>b", b" <|endoftext|> ", b"<|endoftext|><|endoftext|>", b"<|im_start|>user\nhi<|im_end|>\n", b"<|im_start", b"<|im_end|", b"<|endoftext|", b"|>", b"<|", b"<<|endoftext|>>",
    b"<s>", b"</s>", b"<s>a</s>", b" <s> a </s> ", b"<s><s>", b"<unk>", b"<unk>x", b"[INST] hi [/INST]", b"<0x0A>", b"<0x41>", b"<0x", b"<think>x</think>", b" <think> ", b"<tool_call>\n{}\n</tool_call>",
    b"<|begin_of_text|>x<|eot_id|>", b"a [MASK] b", b"a[MASK]b", b"x   [MASK]   y", b"word[MASK] [MASK]word [MASK]", b"x  <l>  y", b"x  <r>  y <r>\n\n<r>", b"<r>  <l>", b" <n> caf\xc3\xa9 <n>", "cafe\u0301<n>café".encode(), b"<lr> \t\n <lr>",
    b"\xe2\x96\x81", b"a\xe2\x96\x81b", b"\xe2\x96\x81\xe2\x96\x81a", b" \xe2\x96\x81 a", b"a \xe2\x96\x81", "Ġ Ċ ĠĠ".encode(), "Ā ā Ń ¡ ¬ ®".encode(),
    b"\x80", b"\xff", b"\xfe\xff", b"a\xffb", b"\xc3", b"\xc3\x28", b"\xe2\x82", b"\xe2\x28\xa1", b"\xf0\x9f\x98", b"\xf0\x9f\x98x", b"\xf0\x28\x8c\xbc", b"\xed\xa0\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"a\xe4\xbd b", b"\xe4\xbd\xa0\xe5", b"\x80" * 9, b"\xe2\x82" * 5, b"ok \xc3\xa9 \xe9 ok",
    b"a" * 300, b"ab" * 200, b"1" * 100, b"." * 100, "é".encode() * 80, "你".encode() * 60, "😀".encode() * 30, b"-" * 77 + b">", b"the " * 60, b"xyzzy" * 40, b" a" * 50, b"\n a" * 30,
]


def more_strings():
    r = random.Random(7)
    pieces = ["the", " quick", "fox", "'s", "'LL", " ", "  ", "\n", "\t", "\r\n", "1", "23", "456", "é", "e\u0301", "ß", "你", "好", "の", "한", "ع", "ि", "😀", "\u200d",
              "<|endoftext|>", "<s>", "</s>", "[MASK]", "<think>", "<r>", "<l>", "_", "-", "...", "(", ")", "{", "\u00a0", "\u3000", "▁", "Ω", "Ж", "\x00", "A", "BC", "def", "İ", "ǅ", "ʰ", "\u0300"]
    return ["".join(r.choice(pieces) for _ in range(r.randrange(2, 14))).encode() for _ in range(120)]


def special(text, **flags):
    return AddedToken(text, special=True, normalized=False, **flags)


def byte_level(pre, *, normalizer=None, added=(), around=None, ignore_merges=False):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    t.train_from_iterator(CORPUS.strip().split("\n") * 2 + [CORPUS], trainer)
    t.add_special_tokens([a for a in added if a.special])
    t.add_tokens([a for a in added if not a.special])
    if around:
        id = t.token_to_id(around)
        t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single=f"{around} $A", pair=f"{around} $A {around} $B:1", special_tokens=[(around, id)])])
    return t


def sentencepiece_like(*, metaspace):
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if metaspace:
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    # Trained on words, as SentencePiece does; nothing splits words when it is used.
    words = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)], show_progress=False)
    other = Tokenizer(models.BPE(unk_token="<unk>"))
    other.pre_tokenizer = words
    letters = "".join(c for c in CORPUS if ord(c) < 0x500)
    other.train_from_iterator(letters.strip().split("\n") * 2, trainer)
    model = json.loads(other.to_str())["model"]
    t.model = models.BPE(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    t.add_special_tokens([special("<unk>"), special("<s>"), special("</s>")])
    t.decoder = decoders.Metaspace(prepend_scheme="first", split=False) if metaspace == "decoder" else decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t


def gemma():
    """Gemma's: nothing cuts a text into words; a character that is no token becomes its bytes; runs of line breaks are tokens."""
    controls = ["<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|channel>", "<channel|>"]
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=controls + [f"<0x{b:02X}>" for b in range(256)], show_progress=False)
    other = Tokenizer(models.BPE(unk_token="<unk>"))
    other.normalizer = normalizers.Replace(" ", "▁")
    other.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"[^\n]+|\n+"), "isolated"), pre_tokenizers.Split("▁", "merged_with_next")])
    letters = "".join(c for c in CORPUS if ord(c) < 0x500)
    other.train_from_iterator([letters * 2] + [("\n" * n + "x") * 60 for n in range(1, 9)] + [" " * n + "x" for n in range(1, 40)], trainer)
    model = json.loads(other.to_str())["model"]
    t = Tokenizer(models.BPE(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.add_special_tokens([special(c) for c in controls])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    t.post_processor = processors.TemplateProcessing(single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 2)])
    return t


def tokenizers_():
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    raw = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    cut = lambda regex: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), raw])
    yield "gpt2", byte_level(gpt2, added=[special("<|endoftext|>")])
    yield "llama3", byte_level(cut(LLAMA3), ignore_merges=True, around="<|begin_of_text|>",
                               added=[special("<|begin_of_text|>"), special("<|end_of_text|>"), special("<|eot_id|>")])
    yield "qwen2", byte_level(cut(QWEN2), normalizer=normalizers.NFC(),
                              added=[special("<|endoftext|>"), special("<|im_start|>"), special("<|im_end|>"),
                                     AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False), AddedToken("<tool_call>", normalized=False)])
    yield "olmo", byte_level(gpt2, normalizer=normalizers.NFC(),
                             added=[AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)] + [special("<|endoftext|>")])
    yield "smollm", byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(True), gpt2]),
                               added=[special("<|endoftext|>"), special("<|im_start|>"), special("<|im_end|>")])
    yield "o200k", byte_level(cut(O200K), added=[special("<|endoftext|>")])
    yield "flags", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True), normalizer=normalizers.NFC(),
                              added=[special("<|endoftext|>"), special("[MASK]", single_word=True), special("<l>", lstrip=True), special("<r>", rstrip=True),
                                     special("<lr>", lstrip=True, rstrip=True), AddedToken("<n> cafe\u0301", normalized=True), AddedToken("  ", normalized=True)])
    yield "mixtral", sentencepiece_like(metaspace=None)
    yield "gemma", gemma()
    yield "metaspace", sentencepiece_like(metaspace="pre")
    yield "metaspace_decoder", sentencepiece_like(metaspace="decoder")


def streams(t):
    """Random ids; byte tokens only in whole characters, see src/text/tokenizer.h about the rest."""
    r = random.Random(11)
    vocab = t.get_vocab()
    ids = [i for text, i in vocab.items() if not text.startswith("<0x")]
    out = []
    for n in range(60):
        seq = [r.choice(ids) for _ in range(r.randrange(1, 12))]
        if "<0x00>" in vocab:
            at = r.randrange(len(seq) + 1)
            seq[at:at] = [vocab[f"<0x{b:02X}>"] for b in r.choice(["é", "你", "😀", "a", "\n"]).encode()]
        out.append([seq, t.decode(seq, skip_special_tokens=False), t.decode(seq, skip_special_tokens=True)])
    return out


def dump(name, value):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def scores(strings):
    """SentencePiece itself: a BPE model with scores, as GGUF carries it."""
    lines = [l for l in CORPUS.strip().split("\n") if l]
    path = "/tmp/sluice-spm"
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines * 3), model_prefix=path, vocab_size=VOCAB, model_type="bpe", byte_fallback=True,
                                             character_coverage=0.98, normalization_rule_name="identity", remove_extra_whitespaces=False,
                                             user_defined_symbols=["<tool>"], minloglevel=2)
    p = sentencepiece.SentencePieceProcessor(model_file=path + ".model")
    kind = lambda i: 2 if p.is_unknown(i) else 3 if p.is_control(i) else 6 if p.is_byte(i) else 5 if p.is_unused(i) else 4 if p.id_to_piece(i) == "<tool>" else 1
    tokens = [[p.id_to_piece(i), p.get_score(i), kind(i)] for i in range(p.vocab_size())]
    ids = [p.encode(s.decode(errors="replace")) if b"<tool>" not in s else None for s in strings]
    dump("sentencepiece.json", {"tokens": tokens, "ids": ids, "decoded": [None if i is None else p.decode(i) for i in ids]})


def main():
    strings = STRINGS + more_strings()
    dump("strings.json", [s.hex() for s in strings])
    texts = [s.decode(errors="replace") for s in strings]
    for name, t in tokenizers_():
        dump(f"{name}.json", json.loads(t.to_str()))
        markup = [t.encode(s, add_special_tokens=False).ids for s in texts]
        around = t.encode(texts[0]).ids
        t.encode_special_tokens = True
        content = {i: ids for i, s in enumerate(texts) if (ids := t.encode(s, add_special_tokens=False).ids) != markup[i]}
        t.encode_special_tokens = False
        decoded = {i: d for i, ids in enumerate(markup) if (d := t.decode(ids, skip_special_tokens=False)).encode() != strings[i]}
        dump(f"{name}.ids.json", {"markup": markup, "content": content, "around": around, "decoded": decoded, "streams": streams(t)})
    scores(strings)


main()
