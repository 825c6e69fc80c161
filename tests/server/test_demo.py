"""The talking model: downloaded, served dense and as a mixture of experts (models/README.md). Skipped where there is no network."""
import hashlib
import json
import os
import re
import subprocess

from harness import Server, checkpoint

# What rounding activations to 8 bits costs on this model: transformers itself moves its logits by up to 0.3 between exact
# and rounded activations (0.57 the distance of two of them, and with it the sixth token after "The capital of France is"),
# and the last bit of a sum decides how some of them round: another order of the same sums moved that distance by 0.25.
ROUNDING = 0.45
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def files():
    """(dense, mixture) in models/cache; skipped loudly when they cannot be had."""
    r = subprocess.run(["sh", os.path.join(ROOT, "models", "fetch")], capture_output=True, text=True, timeout=600)
    if r.returncode != 0:
        raise ImportError("SKIP SKIP SKIP: the model that models/fetch downloads cannot be had and is NOT tested: " + r.stderr.strip().split("\n")[-1])
    moe = r.stdout.strip().split("\n")[-1]
    return moe.replace("-moe.gguf", ".gguf"), moe


def expected(name):
    with open(checkpoint("../expected/%s.json" % name)) as f:
        return json.load(f)


def prompts():
    return expected("smollm2-135m-instruct")["prompts"]


def answers(model, *arguments):
    out = []
    with Server(model, *arguments) as s:
        for p in prompts():
            status, ids = s.post("/tokenize", {"prompt": p["text"]})
            assert status == 200 and ids["tokens"] == p["ids"], (p["text"], ids["tokens"], p["ids"])
            c = s.complete(prompt=p["text"], max_tokens=24, temperature=0, ignore_eos=True, logprobs=10,
                           return_token_ids=True, return_tokens_as_token_ids=True)["choices"][0]
            out.append((c["token_ids"], c["logprobs"]))
    return out


def agrees(p, at):
    """Does transformers choose the same tokens up to `at` with exact and with rounded activations?"""
    return p["greedy"][:at + 1] == p["rounded_greedy"][:at + 1]


def test_dense_answers_as_the_reference():
    """/* Promise 2 */ against transformers on the same weights with activations rounded as ours, while its margins are clear."""
    for p, (ids, logprobs) in zip(prompts(), answers(files()[0])):
        clear = 0
        while clear < len(ids) and p["rounded_margins"][clear] > (0.3 if agrees(p, clear) else ROUNDING):
            clear += 1
        assert ids[:clear] == p["rounded_greedy"][:clear], (p["text"], ids, p["rounded_greedy"])
        first = logprobs["top_logprobs"][0]
        best = max(logit for _, logit in p["rounded_top"])
        for token, logit in p["rounded_top"][:5]:
            got = first.get(f"token_id:{token}")
            assert got is not None and abs((got - max(first.values())) - (logit - best)) < ROUNDING, (p["text"], token, got, logit)


def test_mixture_is_the_reference_s():
    """/* Promise 2 */ The routed model against transformers on the same weights, over a conversation. Where two experts are nearly
    equal, rounded activations may choose the other one, so tokens are compared in the mean, by what rounding itself costs there."""
    moe, want = files()[1], expected("smollm2-135m-instruct-moe")
    with open(moe, "rb") as f:
        assert hashlib.sha256(f.read()).hexdigest() == want["sha256"], "another mixture: run tests/reference/make_talking.py " + moe
    with Server(moe) as s:
        got = s.complete(prompt=want["ids"], echo=True, logprobs=0, max_tokens=0)["choices"][0]["logprobs"]["token_logprobs"][1:]
    n = len(want["logprobs"])
    rounding = sum(abs(a - b) for a, b in zip(want["logprobs"], want["rounded"])) / n
    for other in (want["logprobs"], want["rounded"]):
        assert len(got) == n and sum(abs(a - b) for a, b in zip(got, other)) / n < 2 * rounding, rounding
        assert abs(sum(got) - sum(other)) / n < rounding, rounding


def test_experts_differ():
    """A conversation and C text take different experts: the shares of a layer's experts differ by a twentieth of all in the mean."""
    loads = []
    texts = "<|im_start|>user\nTell me a story about a fox.<|im_end|>\n<|im_start|>assistant\n", "static int __init device_init(void)\n{\n\treturn 0;\n}\n" * 4
    with Server(files()[1], "--metrics-experts", "on") as s:
        for text in texts:
            before = shares(s)
            s.complete(prompt=text, max_tokens=32, temperature=0, ignore_eos=True)
            loads.append({k: n - before.get(k, 0) for k, n in shares(s).items()})
    layers = {layer for layer, _ in loads[0]}
    assert len(layers) == 30 and len(loads[0]) == 30 * 32
    apart = 0
    for layer in layers:
        a, b = ([load[layer, e] / sum(n for (at, _), n in load.items() if at == layer) for e in range(32)] for load in loads)
        assert max(a) <= 1 / 16 + 1e-9  # sixteen experts a token, so no expert has more than one share in sixteen
        apart += sum(abs(x - y) for x, y in zip(a, b)) / 2
    assert apart / len(layers) > 0.05, apart / len(layers)


def shares(server):
    """{(layer, expert): rows so far}"""
    status, _, text = server.get("/metrics/experts")
    assert status == 200
    found = re.findall(r'sluice_expert_tokens_total\{layer="(\d+)",expert="(\d+)"\} (\d+)', text.decode())
    return {(int(layer), int(expert)): int(n) for layer, expert, n in found}


test_dense_answers_as_the_reference.slow = True
test_mixture_is_the_reference_s.slow = True
test_experts_differ.slow = True
