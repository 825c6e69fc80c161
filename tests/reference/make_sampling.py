"""Writes sampling.json: what PyTorch makes of logits under penalties and truncations, in vLLM's order of steps.

    .venv-ref/bin/python tests/reference/make_sampling.py

Each case: logits (or the rule that makes them), parameters, history, and what must come: log probabilities of the raw
logits, the ids that stay and their probabilities, and the greedy token.
"""
import json
import pathlib

import torch

torch.set_num_threads(1)
torch.manual_seed(11)


def rule(n):
    """Logits that the test makes itself: distinct enough, exact in float32."""
    i = torch.arange(n, dtype=torch.int64)
    return (((i * 2654435761) % 2**32) >> 12).to(torch.float32) / 2.0**16 - 8.0


def reference(logits, p, prompt, generated, banned):
    x = logits.double().clone()
    raw = torch.log_softmax(logits.double(), -1)
    for token, bias in p["bias"]:
        x[token] += bias
    x[banned] = -torch.inf
    seen = torch.tensor(sorted(set(prompt) | set(generated)), dtype=torch.long)
    if len(seen):
        s = x[seen]
        x[seen] = torch.where(s > 0, s / p["repetition"], s * p["repetition"])
    counts = torch.zeros_like(x)
    for g in generated:
        counts[g] += 1
    x -= p["frequency"] * counts
    x -= p["presence"] * (counts > 0)
    greedy = int(torch.argmax(x))
    probs = None
    if p["temperature"] >= 1e-5:
        x = x / p["temperature"]
        q = torch.softmax(x, -1)
        if p["min_p"] > 0:
            x[q < p["min_p"] * q.max()] = -torch.inf
        if p["top_k"] > 0:
            kth = torch.topk(x, min(p["top_k"], len(x))).values[-1]
            x[x < kth] = -torch.inf
        if p["top_p"] < 1:
            q = torch.softmax(x, -1)
            order = sorted(range(len(x)), key=lambda i: (-float(q[i]), i))
            mass, keep = 0.0, set()
            for i in order:
                if keep and mass >= p["top_p"]:
                    break
                keep.add(i)
                mass += float(q[i])
            x[[i for i in range(len(x)) if i not in keep]] = -torch.inf
        probs = torch.softmax(x, -1)
    return raw, greedy, probs


def case(name, logits=None, n=0, prompt=(), generated=(), banned=(), **params):
    p = dict(temperature=1.0, top_p=1.0, min_p=0.0, top_k=0, presence=0.0, frequency=0.0, repetition=1.0, bias=[])
    p.update(params)
    made = rule(n) if logits is None else logits.to(torch.float32)
    raw, greedy, probs = reference(made, p, list(prompt), list(generated), list(banned))
    top = sorted(range(len(made)), key=lambda i: (-float(made[i]), i))[:5]
    out = dict(name=name, vocab=len(made), prompt=list(prompt), generated=list(generated), banned=list(banned), **p)
    if logits is not None:
        out["logits"] = [float(v) for v in made]
    out["greedy"] = greedy
    out["top"] = [[i, float(raw[i])] for i in top]
    if probs is not None:
        kept = [i for i in range(len(made)) if float(probs[i]) > 0]
        out["kept"] = kept
        if len(kept) <= 64:
            out["probs"] = [float(probs[i]) for i in kept]
    return out


small = torch.randn(48) * 2
ties = torch.tensor([1.0, 3.0, 3.0, 0.5, 3.0, -1.0, 2.0, 2.0])
cases = [
    case("plain", small),
    case("cold", small, temperature=0.3),
    case("hot", small, temperature=1.9),
    case("greedy", small, temperature=0.0),
    case("greedy tie", ties, temperature=0.0),
    case("top_k", small, top_k=7),
    case("top_k tie", ties, top_k=2),
    case("top_p", small, top_p=0.8),
    case("top_p of little", small, top_p=0.05),
    case("min_p", small, min_p=0.1),
    case("min_p at a temperature", small, min_p=0.1, temperature=0.5),
    case("all three", small, min_p=0.02, top_k=12, top_p=0.9, temperature=1.3),
    case("bias", small, bias=[[3, 5.0], [7, -100.0], [40, 2.5]]),
    case("banned", small, banned=[0, 5, int(torch.argmax(small))]),
    case("repetition", small, prompt=[1, 2, 3, 3], generated=[4, 2], repetition=1.7),
    case("frequency", small, prompt=[9], generated=[4, 4, 4, 8, 11], frequency=0.7),
    case("presence", small, prompt=[9], generated=[4, 4, 4, 8, 11], presence=1.3),
    case("all penalties", small, prompt=[1, 2, 9], generated=[4, 4, 8, 2], repetition=1.2, frequency=-0.4, presence=0.9,
         temperature=0.8),
    case("bias, penalties, cut", small, prompt=[1], generated=[30, 30], repetition=1.1, frequency=0.5, top_k=20, top_p=0.95,
         bias=[[30, 4.0], [2, -3.0]], temperature=0.7),
    case("minus infinity", torch.where(torch.arange(48) % 3 == 0, torch.tensor(-torch.inf), small)),
    case("large top_k", n=5000, top_k=300),
    case("large top_p", n=5000, top_p=0.9),
    case("large top_p, flat", torch.zeros(700), top_p=0.3107),
    case("large min_p", n=5000, min_p=0.05),
    case("large, few", n=5000, top_k=40, top_p=0.7, temperature=0.9),
]


def plain(v):
    if isinstance(v, float) and v in (float("inf"), float("-inf")):
        return None  # minus infinity
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    return v


out = pathlib.Path(__file__).parent / "sampling.json"
with out.open("w") as f:
    f.write("[\n" + ",\n".join(json.dumps(plain(c)) for c in cases) + "\n]\n")
print(out, out.stat().st_size, "bytes", len(cases), "cases")
