"""The default model: how it is found; what it answers, against transformers with the same weights (tests/reference/make_default.py);
and that it knows its domains, which its experts show.

What needs the model is skipped where models/default.gguf is not there. The texts are tests/reference/texts: none of them is in
what the model was trained on."""
import collections
import contextlib
import hashlib
import json
import math
import os
import shutil
import subprocess
import tempfile

import harness
from harness import Server, checkpoint

STAND_IN = checkpoint("olmoe-mha.gguf")


@contextlib.contextmanager
def installed(model):
    """The program as installed below a folder of its own: bin/sluice, and with a model share/sluice/default.gguf."""
    with tempfile.TemporaryDirectory() as top:
        os.mkdir(top + "/bin")
        program, binary = top + "/bin/sluice", harness.BINARY
        shutil.copy(binary, program)
        if model:
            os.makedirs(top + "/share/sluice")
            shutil.copy(model, top + "/share/sluice/default.gguf")
        harness.BINARY = program
        try:
            yield os.path.realpath(top)
        finally:
            harness.BINARY = binary


def sluice(*arguments, env=None):
    return subprocess.run([harness.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, errors="replace")


def test_without_a_default_model_commands_say_where_they_looked():
    with installed(None) as top:
        for command in (["serve"], ["run", "Hello"], ["bench"], ["inspect"], ["perplexity", "a.txt"], ["imatrix", "a.txt", "-o", "x"]):
            r = sluice(*command)
            assert r.returncode == 2, (command, r)
            assert top + "/bin/default.gguf" in r.stderr and top + "/share/sluice/default.gguf" in r.stderr, r.stderr
        r = sluice("convert")
        assert r.returncode == 2 and "no model given" in r.stderr and "default" not in r.stderr, r.stderr


def test_every_command_takes_the_default_model():
    with installed(STAND_IN) as top:
        path = top + "/share/sluice/default.gguf"
        r = sluice("run", "Hello", "--max-tokens", 4)
        assert r.returncode == 0 and "default model " + path in r.stderr, r.stderr
        assert r.stdout == sluice("run", STAND_IN, "Hello", "--max-tokens", 4).stdout
        r = sluice("inspect", "--json")
        assert r.returncode == 0 and json.loads(r.stdout)["path"] == path, r.stderr
        assert sluice("bench", "--limits", "--json").returncode == 0
        assert sluice("convert").returncode == 2
        with Server(None) as s:
            assert "loading the default model, " + path in s.text()
            assert json.loads(s.get("/v1/models")[2])["data"][0]["id"] == "sluice-default"
            assert s.complete(prompt="Hello", max_tokens=4, model="sluice-default")["model"] == "sluice-default"
        with Server(None, "--model-name", "mine") as s:
            assert json.loads(s.get("/v1/models")[2])["data"][0]["id"] == "mine"


def test_who_names_a_model_gets_that_one():
    other = checkpoint("qwen3moe-gqa")
    with installed(STAND_IN):
        for r in (sluice("run", other, "Hello", "--max-tokens", 4), sluice("run", "Hello", "--max-tokens", 4, env={"SLUICE_MODEL": other})):
            assert r.returncode == 0 and "default model" not in r.stderr, r.stderr
        r = sluice("run", other)
        assert r.returncode == 2 and "names a model" in r.stderr, r.stderr
        r = sluice("run", "mistyped.gguf")
        assert r.returncode == 2 and "names a model" in r.stderr, r.stderr
        assert sluice("run", "mistyped.gguf", "Hello").returncode == 1
        assert sluice("run", "").returncode == 2  # an empty prompt
        with Server(other) as s:
            assert json.loads(s.get("/v1/models")[2])["data"][0]["id"] == "qwen3moe-gqa"


# --- the model itself ---

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MODEL = os.path.join(ROOT, "models", "default.gguf")
DOMAINS = ["prose", "c", "man", "de", "fr", "es"]


def model():
    if not os.path.exists(MODEL):
        raise ImportError("SKIP SKIP SKIP: models/default.gguf is not there: what the default model says and its experts do is NOT tested")
    return MODEL


def reference():
    model()
    again = "run tests/reference/make_default.py (see tests/reference/README.md), and commit what it writes"
    path = checkpoint("../expected/default.json")
    assert os.path.exists(path), "nothing is known of models/default.gguf: " + again
    with open(path) as f:
        data = json.load(f)
    with open(MODEL, "rb") as f:
        assert hashlib.sha256(f.read()).hexdigest() == data["sha256"], "models/default.gguf is another model than that of expected/default.json: " + again
    return data


def text_of(domain):
    with open(checkpoint("../texts/%s.txt" % domain), encoding="utf-8") as f:
        return f.read()


def halves(domain):
    """A text's two halves, cut between lines."""
    text = text_of(domain)
    cut = text.index("\n", len(text) // 2) + 1
    return text[:cut], text[cut:]


def test_answers_are_transformers():
    """/* Promise 2 */ the tokens of a text, and greedy answers while the reference's margin is larger than what rounding costs."""
    data = reference()
    slack = 2 * data["rounding"]
    with Server(model()) as s:
        for p in data["prompts"]:
            status, ids = s.post("/tokenize", {"prompt": p["text"]})
            assert status == 200 and ids["tokens"] == p["ids"], (p["text"], ids["tokens"], p["ids"])
            c = s.complete(prompt=p["text"], max_tokens=len(p["greedy"]), temperature=0, ignore_eos=True, logprobs=10,
                           return_token_ids=True, return_tokens_as_token_ids=True)["choices"][0]
            clear = 0
            while clear < len(p["greedy"]) and p["rounded_margins"][clear] > slack:
                clear += 1
            assert c["token_ids"][:clear] == p["rounded_greedy"][:clear], (p["text"], clear, c["token_ids"], p["rounded_greedy"])
            first, best = c["logprobs"]["top_logprobs"][0], p["rounded_top"][0][1]
            for token, logit in p["rounded_top"][:5]:
                got = first.get("token_id:%d" % token)
                assert got is not None and abs((got - max(first.values())) - (logit - best)) < slack, (p["text"], token, got, logit)


def test_every_tier_gives_the_same_bits():
    """/* Promise 1 */ scalar and the fastest tier, one thread and two."""
    seen = []
    for arguments in (["--tier", "scalar"], ["--tier", "avx2"], [], ["--threads", 1]):
        with Server(model(), *arguments) as s:
            seen.append([s.complete(prompt=text_of(d)[:200], max_tokens=4, temperature=0, logprobs=5, return_token_ids=True)["choices"][0]
                         for d in DOMAINS])
    assert all(c == seen[0] for c in seen), seen


def test_every_domain_is_foretold():
    """/* Promise 2 */ The loss over each domain's text is the reference's; and the model foretells the text better than bzip2 does,
    which a model of another language's words would not."""
    data = reference()
    texts = [checkpoint("../texts/%s.txt" % d) for d in DOMAINS]
    r = sluice("perplexity", model(), *texts, "--ctx", data["ctx"], "--stride", data["stride"], "--json")
    assert r.returncode == 0, r.stderr
    for domain, got in zip(DOMAINS, json.loads(r.stdout)["files"]):
        want = data["domains"][domain]
        assert (got["tokens"], got["scored"]) == (want["tokens"], want["scored"]), (domain, got)
        exact, rounded = want["nats"] / want["scored"], want["rounded_nats"] / want["scored"]
        assert abs(got["nats_per_token"] - rounded) < 0.002 + 2 * abs(exact - rounded), (domain, got, exact, rounded)
        assert got["bits_per_byte"] < want["compressed"], (domain, got, want)


def loss(s, before, text):
    """The mean of -ln p over the tokens of a text after another."""
    (_, a), (_, b) = s.post("/tokenize", {"prompt": before}), s.post("/tokenize", {"prompt": text})
    ids = a["tokens"][-200:] + b["tokens"][:250]
    c = s.complete(prompt=ids, max_tokens=0, echo=True, logprobs=0)["choices"][0]
    scores = c["logprobs"]["token_logprobs"][len(a["tokens"][-200:]):]
    return -sum(scores) / len(scores)


def test_what_stood_before_says_which_domain_comes():
    """A text is easiest to foretell after its own first half, and hard to foretell after another domain's."""
    with Server(model()) as s:
        table = {(a, b): loss(s, halves(a)[0], halves(b)[1]) for a in DOMAINS for b in DOMAINS}
    for b in DOMAINS:
        others = [table[a, b] for a in DOMAINS if a != b]
        assert table[b, b] < min(others), (b, {a: round(table[a, b], 3) for a in DOMAINS})


def expert_tokens(s):
    """{(layer, expert): rows routed to it so far}"""
    return {(x.labels["layer"], x.labels["expert"]): x.value
            for x in s.metrics("/metrics/experts")["sluice_expert_tokens"].samples if x.name == "sluice_expert_tokens_total"}


def distance(a, b):
    """Half the sum of differences of two distributions over a layer's experts, 0 to 1, in the mean over layers."""
    layers = collections.defaultdict(float)
    for part in (a, b):
        part["total"] = collections.Counter()
        for (layer, _), n in part["rows"].items():
            part["total"][layer] += n
    for layer, expert in a["rows"]:
        layers[layer] += abs(a["rows"][layer, expert] / a["total"][layer] - b["rows"][layer, expert] / b["total"][layer]) / 2
    return sum(layers.values()) / len(layers)


def test_expert_load_shifts_with_the_domain():
    """As /metrics/experts shows it: whose load is nearest to that of one half of a text? That of the other half, for each of the
    twelve; and domains differ at least twice as much from each other as halves of one do, in the mean."""
    load = {}
    with Server(model()) as s:
        for domain in DOMAINS:
            for i, half in enumerate(halves(domain)):
                _, ids = s.post("/tokenize", {"prompt": half})
                before = expert_tokens(s)
                s.complete(prompt=ids["tokens"][:500], max_tokens=1, temperature=0)
                after = expert_tokens(s)
                load[domain, i] = {"rows": {k: after[k] - before[k] for k in after}}
    apart = {(p, q): distance(load[p], load[q]) for p in load for q in load if p != q}
    within = [apart[p, q] for p, q in apart if p[0] == q[0]]
    between = [apart[p, q] for p, q in apart if p[0] != q[0]]
    means = sum(within) / len(within), sum(between) / len(between)
    wrong = [p for p in load if min((apart[p, q], q) for q in load if q != p)[1][0] != p[0]]
    assert not wrong, (wrong, means)
    assert means[1] > 2 * means[0], means


def profile(text):
    """How often each three characters follow each other."""
    return collections.Counter(text[i:i + 3] for i in range(len(text) - 2))


def nearest(text):
    """The domain whose text has the most similar groups of three characters (cosine)."""
    def norm(x):
        return math.sqrt(sum(n * n for n in x.values()))

    mine = profile(text)
    theirs = {d: profile(text_of(d)) for d in DOMAINS}
    return max(DOMAINS, key=lambda d: sum(n * theirs[d][k] for k, n in mine.items()) / norm(theirs[d]) / (norm(mine) or 1))


def test_what_it_writes_is_of_the_domain_that_was_asked_for():
    """Sixteen answers after a text of each domain, drawn with fixed seeds: at least ten are recognised as of that domain, of six."""
    with Server(model()) as s:
        for domain in DOMAINS:
            _, ids = s.post("/tokenize", {"prompt": halves(domain)[0]})
            choices = s.complete(prompt=ids["tokens"][-300:], max_tokens=100, n=16, seed=1, temperature=0.7, ignore_eos=True)["choices"]
            found = [nearest(c["text"]) for c in choices]
            assert found.count(domain) >= 10, (domain, found, choices[0]["text"])


def test_the_validation_script_says_what_perplexity_says():
    script = os.path.join(ROOT, "models", "default", "validate.py")
    texts = {d: checkpoint("../texts/%s.txt" % d) for d in ("de", "c")}
    r = subprocess.run(["python3", script, "--sluice", harness.BINARY, "--model", model(), "deutsch=" + texts["de"], texts["c"]],
                       capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stderr
    rows = {line.split()[0]: line.split() for line in r.stdout.splitlines()[1:]}
    p = json.loads(sluice("perplexity", model(), *texts.values(), "--ctx", 512, "--stride", 512, "--json").stdout)
    for name, x in zip(("deutsch", "c"), p["files"]):
        assert int(rows[name][2]) == x["scored"] == x["tokens"] - 1 and abs(float(rows[name][3]) - x["nats_per_token"]) < 1e-4, rows


for real in (test_answers_are_transformers, test_every_tier_gives_the_same_bits, test_every_domain_is_foretold,
             test_what_stood_before_says_which_domain_comes, test_expert_load_shifts_with_the_domain,
             test_what_it_writes_is_of_the_domain_that_was_asked_for, test_the_validation_script_says_what_perplexity_says):
    real.slow = True
