"""`sluice experts`: its counts and formulas against transformers and scipy (tests/reference/make_experts.py), its reports, bad texts."""
import html.parser
import json
import os
import re
import signal
import subprocess
import tempfile
import time

import harness
from harness import REFERENCE, checkpoint, temporary

HERE = os.path.dirname(os.path.abspath(__file__))
EXPERTS = os.path.join(HERE, "..", "reference", "experts")
TEXTS = [os.path.join(EXPERTS, "texts", name) for name in ("prose.txt", "code.src", "other")]
MODEL = checkpoint("olmoe-gqa-clip")


def experts(*arguments, env=None, stdin=subprocess.DEVNULL, **more):
    clean = {k: v for k, v in os.environ.items() if k not in ("LANG", "LC_ALL", "LC_CTYPE", "COLUMNS", "NO_COLOR")}
    return subprocess.run([harness.BINARY, "experts", *map(str, arguments)], capture_output=True, text=True, timeout=300,
                          **({"stdin": stdin} if "input" not in more else {}), env={**clean, **(env or {})}, errors="replace", **more)


def surveyed(*arguments, **more):
    r = experts(*arguments, "--json", **more)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def same(got, want, path=""):
    """Everything that the reference says is there and equal: counts exactly, numbers to six digits."""
    if isinstance(want, dict):
        for key in want:
            assert key in got, (path, key)
            same(got[key], want[key], path + "." + key)
    elif isinstance(want, list):
        assert len(got) == len(want), (path, len(got), len(want))
        for i, (g, w) in enumerate(zip(got, want)):
            same(g, w, "%s[%d]" % (path, i))
    elif isinstance(want, float):
        assert got is not None and abs(got - want) <= 1e-6 * max(abs(want), 1e-3), (path, got, want)
    else:
        assert got == want, (path, got, want)


def test_says_what_transformers_chose():
    """Promise 2"""
    with open(os.path.join(EXPERTS, "surveys.json")) as f:
        reference = json.load(f)
    options = ["--context", reference["context"], "--min-count", reference["min_count"], "--top", reference["top"], "--kv-type", "f32", "--tokens", 0]
    for want in reference["surveys"]:
        got = surveyed(checkpoint(want["model"]), *TEXTS, *options)
        assert got["complete"] is True and got["phase"] == "prefill"
        del want["model"]
        same(got, want)


def test_threads_and_order_change_nothing():
    """Promise 1"""
    one = surveyed(MODEL, *TEXTS, "--threads", 1)
    assert surveyed(MODEL, *TEXTS, "--threads", 3)["layers"] == one["layers"]
    again = surveyed(MODEL, *reversed(TEXTS))
    assert [d["name"] for d in again["domains"]] == ["other", "code.src", "prose"]
    assert [l["counts"] for l in again["layers"]] == [l["counts"] for l in one["layers"]]
    assert [l["domains"]["counts"][::-1] for l in again["layers"]] == [l["domains"]["counts"] for l in one["layers"]]


def test_names_of_domains():
    with tempfile.TemporaryDirectory() as d:
        for name in ("a/text.txt", "b/text.txt", "with=sign", "c/z/deep", "c/empty", "c/picture.png"):
            os.makedirs(os.path.dirname(os.path.join(d, name)), exist_ok=True)
            with open(os.path.join(d, name), "wb") as f:
                f.write(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe" if name.endswith("png") else b"" if name.endswith("empty") else b"in the beginning\n")
        a, b = os.path.join(d, "a/text.txt"), os.path.join(d, "b/text.txt")
        def names(*arguments, **more):
            return [(x["name"], x["files"]) for x in surveyed(MODEL, *arguments, **more)["domains"]]
        assert names(a, "x=" + b) == [("text", [a]), ("x", [b])]
        assert names("one=" + a, "one=" + b) == [("one", [a, b])]
        assert [n for n, _ in names(a, b)] == [a, b]
        assert names(os.path.join(d, "with=sign"))[0][0] == "with=sign"
        assert names(os.path.join(d, "c") + "/") == [("c", [os.path.join(d, "c/z/deep")])]
        assert names("-", input="from standard input") == [("stdin", ["-"])]
        assert names("said=-", input="from standard input") == [("said", ["-"])]
        r = experts(MODEL, os.path.join(d, "c"), "--json")
        assert "c/empty: empty" in r.stderr and "c/picture.png: binary" in r.stderr, r.stderr
        r = experts(MODEL, a, a)
        assert r.returncode == 2 and "NAME=" in r.stderr, r.stderr


def test_bad_texts_are_named():
    with tempfile.TemporaryDirectory() as d:
        files = {"empty": b"", "binary": bytes(range(256)) * 8, "nul": b"a\0b", "utf16": "text\n".encode("utf-16"), "latin1": "éàüöß ".encode("latin-1") * 30}
        for name, data in files.items():
            path = os.path.join(d, name)
            with open(path, "wb") as f:
                f.write(data)
            r = experts(MODEL, TEXTS[0], path)
            assert r.returncode == 1 and path in r.stderr and not r.stdout, (name, r.stderr)
        os.mkdir(os.path.join(d, "nothing"))
        for path, status in ((os.path.join(d, "missing"), 1), (os.path.join(d, "nothing"), 1), ("x=" + os.path.join(d, "missing"), 1), ("=" + TEXTS[0], 2)):
            r = experts(MODEL, path)
            assert r.returncode == status and path.split("=", 1)[-1] in r.stderr, (path, r.returncode, r.stderr)
        # A byte here and there that is no UTF-8 is said, and read as the server reads it.
        path = os.path.join(d, "nearly")
        with open(path, "wb") as f:
            f.write(b"in the beginning was the word " * 20 + b"\xff\n")
        r = experts(MODEL, path)
        assert r.returncode == 0 and "1 bytes are no UTF-8" in r.stderr, r.stderr
    r = experts(MODEL, "-", "-", input="text")
    assert r.returncode == 2 and "standard input" in r.stderr
    assert experts(MODEL).returncode == 2 and "no text given" in experts(MODEL).stderr


def test_dense_and_misused():
    r = experts(checkpoint("llama-mha-bias.gguf"), TEXTS[0])
    assert r.returncode == 1 and "dense model" in r.stderr and not r.stdout, r.stderr
    for option, value, word in (("--layer", "7", "routes"), ("--layer", "x", "list of layers"), ("--layer", "1-", "list of layers"), ("--layer", "0,", "list of layers"),
                                ("--ctx", "100000", "--ctx"), ("--context", "1", "--context"), ("--top", "0", "--top"), ("--tokens", "-1", "--tokens"), ("--min-count", "0", "--min-count")):
        r = experts(MODEL, TEXTS[0], option, value)
        assert r.returncode == 2 and word in r.stderr, (option, value, r.stderr)
    help = experts("--help")
    for word in ("NAME=PATH", "standard input", "--html", "--tokens", "--ctx", "--layer", "--min-count"):
        assert word in help.stdout, word
    assert experts(MODEL, "/no/such/text").returncode == 1 and experts("/no/such/model.gguf", TEXTS[0]).returncode == 1


def test_caps_layers_and_models_of_every_kind():
    s = surveyed(MODEL, *TEXTS, "--tokens", 100, "--layer", "0,2")
    assert [d["tokens"] for d in s["domains"]] == [100] * 3 and all(d["more"] for d in s["domains"])
    assert [l["layer"] for l in s["layers"]] == [0, 2] and s["model"]["routed_layers"] == [0, 1, 2]
    for name in ("mixtral-all", "mixtral-q4_0.gguf", "qwen2moe-mixed", "qwen3moe-wide", "qwen3moe-q4_k.gguf"):
        s = surveyed(checkpoint(name), TEXTS[0])
        k = s["model"]["experts_per_token"]
        for layer in s["layers"]:
            assert sum(layer["counts"]) == k * s["tokens"]
            for e, row in enumerate(layer["coactivation"]["counts"]):
                assert row[e] == layer["counts"][e] and sum(row) == k * row[e]
        r = experts(checkpoint(name), TEXTS[0])
        assert r.returncode == 0 and "Co-activation" in r.stdout
    for option in ("--context", 4), ("--ctx", 5, "--min-count", 1, "--top", 100), ("--tokens", 1):
        s = surveyed(MODEL, TEXTS[0], *option)
        assert sum(s["layers"][0]["counts"]) == 2 * s["tokens"]
        assert experts(MODEL, TEXTS[0], *option).returncode == 0


def test_text_fits_its_terminal():
    for columns in (80, 120):
        r = experts(MODEL, *TEXTS, env={"COLUMNS": str(columns), "LANG": "C.UTF-8"})
        assert r.returncode == 0 and "\033" not in r.stdout, r.stderr
        for line in r.stdout.split("\n"):
            assert len(line) <= columns, line
    for word in ("prefill", "by chance", "Load map", "dead experts", "Co-activation", "Paths", "Kinds of tokens", "prose", "code.src"):
        assert word in r.stdout, word
    r = experts(MODEL, *TEXTS, env={"LC_ALL": "C"})
    assert r.stdout.isascii()
    # What a text holds cannot speak to the terminal, nor turn a line around.
    with temporary("\x1b]0;title\x07 \u202e \x1b[2J" * 12 + "words and words and words " * 400) as path:
        r = experts(MODEL, "odd\x1b[31m=" + path, "--min-count", 1, env={"LANG": "C.UTF-8"})
        assert r.returncode == 0 and "\x1b" not in r.stdout and "\u202e" not in r.stdout and "\x07" not in r.stdout


class Page(html.parser.HTMLParser):
    """Tags in their order, and what a page must not have."""

    VOID = {"meta", "br", "hr", "img", "link"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.ids, self.anchors = [], [], [], set(), []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in a:
            assert a["id"] not in self.ids
            self.ids.add(a["id"])
        if tag == "a":
            self.anchors.append(a["href"])
        assert "src" not in a and not any(name.startswith("on") for name in a), a

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_one_page_and_escapes_its_text():
    with tempfile.TemporaryDirectory() as d:
        path, evil = os.path.join(d, "page.html"), os.path.join(d, "<b>&'\".txt")
        with open(evil, "w") as f:
            f.write("<script>alert(1)</script> <img src=x onerror=y> & \" '\n" * 30)
        r = experts(MODEL, *TEXTS, evil, "--html", path)
        assert r.returncode == 0 and os.listdir(d).count("page.html") == 1 and len(os.listdir(d)) == 2, (r.stderr, os.listdir(d))
        with open(path, encoding="utf-8") as f:
            text = f.read()
        page = Page(text)
        assert not {"script", "link", "img", "iframe", "b"} & set(page.tags) and page.tags.count("h1") == 1
        assert "url(" not in text and "@import" not in text and not re.search(r"https?://", text)
        assert all(a[0] == "#" and a[1:] in page.ids for a in page.anchors) and len(page.anchors) >= 8
        shown = "".join(page.text)
        assert "<b>&'\"" in shown and "prefers-color-scheme" in text
        assert oct(os.stat(path).st_mode)[-3:] == oct(0o666 & ~_umask())[-3:]
        # A page that cannot be written leaves what was there, and nothing beside it.
        before = sorted(os.listdir(d))
        r = experts(MODEL, TEXTS[0], "--html", os.path.join(d, "no", "page.html"))
        assert r.returncode == 1 and "cannot be written" in r.stderr and "no/page.html" in r.stderr, r.stderr
        assert sorted(os.listdir(d)) == before
    with open("/dev/full", "wb") as full:
        r = subprocess.run([harness.BINARY, "experts", MODEL, TEXTS[0], "--json"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
        assert r.returncode == 1 and "standard output cannot be written" in r.stderr


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_interrupted_says_what_it_has():
    """Domains take turns, so that every one of them is in what was counted."""
    with tempfile.TemporaryDirectory() as d:
        files = []
        for name in ("one", "two", "three"):
            files.append(os.path.join(d, name))
            with open(files[-1], "w") as f:
                f.write("in the beginning was the word and the word was with them all\n" * 30000)
        p = subprocess.Popen([harness.BINARY, "experts", checkpoint("olmoe-mha"), *files, "--tokens", "0", "--json", "--threads", "1"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        ticks = lambda: int(open(f"/proc/{p.pid}/schedstat").read().split()[0])  # ns on a processor
        while p.poll() is None and ticks() < 1.5e9:
            time.sleep(0.02)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=120)
        assert p.returncode == 1 and "interrupted" in err, (p.returncode, err)
        if out:  # not so on a machine that has not come past reading in that time
            s = json.loads(out)
            assert s["complete"] is False and 0 < s["tokens"] and all(d["tokens"] for d in s["domains"])
            assert max(d["tokens"] for d in s["domains"]) - min(d["tokens"] for d in s["domains"]) <= 512
