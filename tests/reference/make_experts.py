#!/usr/bin/env python3
"""Makes experts/: small texts, and what `sluice experts` has to say of tiny checkpoints that read them.

    make_experts.py        needs scipy beside requirements.txt

The router's choices and the predictions come from transformers (output_router_logits), the formulas from scipy and numpy. A text is
taken only if no model that reads it has a close decision in it, so that a test may ask for every count.
"""
import json
import random
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import tokenizers
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import binom, binomtest, entropy
from transformers import AutoConfig, AutoModelForCausalLM

import reference as ref

OUT = ref.HERE / "experts"
MODELS = ("olmoe-gqa-clip", "qwen3moe-mixed-yarn", "mixtral-top1", "mixtral-mha-top3")
CONTEXT, LEAST, TOP, STRETCH = 64, 10, 5, 256
CLEAR = 5e-5  # least margin between probabilities of the router, and of logits
SIDES = ("input", "predicted", "next")
KINDS = ("special", "blank", "punctuation", "number", "capital", "small word", "word", "word part", "bytes")
WORDS = "the of and to in that he shall unto for his a they be is not with all thou thy was it which my LORD have from God children".split()


class Model:
    def __init__(self, name):
        folder = ref.HERE / "checkpoints" / name
        self.name = name
        config = AutoConfig.from_pretrained(folder)
        spelled = json.loads((folder / "config.json").read_text()).get("rope_parameters")  # by transformers 5, which 4 does not read
        if spelled:
            assert spelled["rope_type"] == "default"
            config.rope_theta = spelled["rope_theta"]
        self.model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32, attn_implementation="eager").eval()
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.layers = [i for i, _ in ref.sparse_blocks(self.model)]
        c = self.model.config
        self.experts, self.used, self.vocab = getattr(c, "num_experts", getattr(c, "num_local_experts", 0)), c.num_experts_per_tok, c.vocab_size
        byte_of = {letter: b for b, letter in enumerate(byte_letters())}
        special = {i for i, t in self.tokenizer.get_added_tokens_decoder().items() if t.special}
        self.bytes = [None if i in special else bytes(byte_of[x] for x in self.tokenizer.id_to_token(i)) for i in range(self.vocab)]

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def window(self, ids):
        """(experts [layers][rows][used], predicted [rows], least margin)"""
        with torch.no_grad():
            out = self.model(input_ids=torch.tensor([ids]), output_router_logits=True)
        assert len(out.router_logits) == len(self.layers)
        z = torch.sort(out.logits[0], dim=-1, descending=True)
        least = float((z.values[:, 0] - z.values[:, 1]).min())
        chosen = []
        for logits in out.router_logits:
            p = torch.sort(torch.softmax(logits.float(), dim=-1), dim=-1, descending=True)
            if self.used < self.experts:
                least = min(least, float((p.values[:, self.used - 1] - p.values[:, self.used]).min()))
            chosen.append(p.indices[:, :self.used].numpy())
        return np.array(chosen), z.indices[:, 0].numpy(), least


def byte_letters():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [b for b in range(256) if b not in keep]
    letter = {b: chr(b) for b in keep} | {b: chr(256 + i) for i, b in enumerate(other)}
    return [letter[b] for b in range(256)]


def windows(ids):
    return [ids[i:i + CONTEXT] for i in range(0, len(ids), CONTEXT)]


def prose(rng):
    words = [rng.choice(WORDS) for _ in range(rng.randint(25, 40))]
    words[0] = words[0].capitalize()
    return " ".join(w + ("," if rng.random() < 0.1 else "") for w in words) + ".\n"


def code(rng):
    lines = []
    for _ in range(rng.randint(5, 9)):
        a, b = rng.choice("abijkn"), rng.choice("abijkn")
        lines.append(rng.choice(["if (%s < %s)\n\treturn %d;" % (a, b, rng.randint(0, 999)), "int %s = %s->next;" % (a, b),
                                 "for (%s = 0; %s < %d; %s++)" % (a, a, rng.randint(1, 99), a), "/* the %s of %s */" % (a, b)]))
    return "\n".join(lines) + "\n"


def other(rng):
    return "".join(rng.choice(["über die Straße ", "naïve été ", "1984, 23 und 3.14; ", "\u4e2d\u6587\u3002", "\U0001f600 ", "Ἀθῆναι\n", "  \n\n", "<b>&amp;</b> "])
                   for _ in range(rng.randint(10, 16)))


def documents(models, make, seed, count):
    """The first `count` documents that every model decides clearly."""
    rng, kept = random.Random(seed), []
    while len(kept) < count:
        text = make(rng)
        if all(m.window(w)[2] >= CLEAR for m in models for w in windows(m.encode(text))):
            kept.append(text)
    return kept


def write_texts(models):
    """Documents of a file are told apart by a NUL; those of a folder are its files, in sorted order."""
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "texts" / "other" / "b").mkdir(parents=True)
    domains = {"prose": documents(models, prose, 1, 9), "code": documents(models, code, 2, 9), "other": documents(models, other, 3, 4)}
    (OUT / "texts" / "prose.txt").write_bytes("\0".join(domains["prose"]).encode())
    (OUT / "texts" / "code.src").write_bytes("\0".join(domains["code"]).encode())
    for name, text in zip(("a.txt", "b/x", "b/y.txt", "c"), domains["other"]):
        (OUT / "texts" / "other" / name).write_bytes(text.encode())
    (OUT / "texts" / "other" / ".hidden").write_text("not read\n")
    return {"prose": domains["prose"], "code.src": domains["code"], "other": domains["other"]}


def kind_of(piece):
    if piece is None:
        return 0
    rest = piece.lstrip(b" \t\r\n\f\v")
    if not rest:
        return 1
    try:
        text = rest.decode()
    except UnicodeDecodeError as e:
        if e.start == 0:
            return 8
        text = rest[:e.start].decode() + "?" * (len(rest) - e.start)
    if text[0] in "0123456789":
        return 3
    if unicodedata.category(text[0])[0] != "L":
        return 2
    if text[0].isupper():
        return 4
    return 7 if len(rest) == len(piece) else 5 if len(text) <= 3 else 6


def number(x):
    return None if x is None or not np.isfinite(x) else float("%.9g" % x)


def js(p, q):
    return float("nan") if not p.sum() or not q.sum() else jensenshannon(p, q, 2) ** 2


def share(hits, n):
    ci = binomtest(int(hits), int(n)).proportion_ci(method="wilson")
    return {"count": int(hits), "of": int(n), "share": number(hits / n), "low": number(ci.low), "high": number(ci.high)}


def expected_most(n, p):
    """The mean largest share of n rows that experts take blindly; n as sluice rounds it."""
    if n > 512:
        n = 512
    shift = max(int(n).bit_length() - 3, 0)
    n = n >> shift << shift
    below = np.prod([binom.cdf(np.arange(n), n, x) for x in p], axis=0)
    return (1 - below).sum() / n


def imbalance(n):
    f = n / n.sum()
    return {"max_over_mean": number(n.max() / n.mean()), "balancedness": number(n.mean() / n.max()),
            "jain": number(n.sum() ** 2 / (len(n) * (n.astype(float) ** 2).sum())), "entropy": number(entropy(f, base=len(n))),
            "max_share": number(f.max()), "active": int((n > 0).sum()), "dead": [int(e) for e in np.flatnonzero(n == 0)]}


def ranked(hits, n, usual, name):
    """Finds of one expert: hits [others] of n rows, usual [others]; best lower bound over usual first, LEAST hits at least."""
    found = []
    for o in np.flatnonzero(hits):
        if hits[o] >= LEAST and usual[o] > 0:
            s = share(hits[o], n)
            found.append((-(binomtest(int(hits[o]), int(n)).proportion_ci(method="wilson").low / usual[o]), o,
                          {name: int(o), **s, "chance": number(usual[o]), "lift": number(hits[o] / n / usual[o])}))
    return [f[2] for f in sorted(found, key=lambda f: f[:2])[:TOP]]


def survey(m, domains):
    E, L = m.experts, len(m.layers)
    rows = []  # (domain, half, ids of the three sides, kind, chosen [L][used])
    right = []
    for d, texts in enumerate(domains.values()):
        place, hits, predicted = 0, 0, 0
        for text in texts:
            ids = m.encode(text)
            at = 0
            for w in windows(ids):
                chosen, guess, _ = m.window(w)
                for i, token in enumerate(w):
                    following = ids[at + 1] if at + 1 < len(ids) else -1
                    rows.append((d, place // STRETCH % 2, (token, int(guess[i]), following), kind_of(m.bytes[token]), chosen[:, i]))
                    predicted += following >= 0
                    hits += following == guess[i]
                    at, place = at + 1, place + 1
        right.append((hits, predicted))
    T = len(rows)
    seen = np.zeros((3, m.vocab), int)
    for r in rows:
        for side in range(3):
            if r[2][side] >= 0:
                seen[side, r[2][side]] += 1
    order = sorted((i for i in range(m.vocab) if seen[0, i] >= LEAST), key=lambda i: (-seen[0, i], i))
    D = len(domains)
    load, kinds = np.zeros((D, 2, L, E), int), np.zeros((len(KINDS), L, E), int)
    pair, path, table = np.zeros((L, E, E), int), np.zeros((L, E, E), int), np.zeros((3, m.vocab, L, E), int)
    for d, half, ids, kind, chosen in rows:
        for l in range(L):
            c = chosen[l]
            load[d, half, l, c] += 1
            kinds[kind, l, c] += 1
            pair[l][np.ix_(c, c)] += 1
            if l + 1 < L:
                path[l][np.ix_(c, chosen[l + 1])] += 1
            for side in range(3):
                if ids[side] >= 0:
                    table[side, ids[side], l, c] += 1
    by_domain = load.sum(1)
    total = by_domain.sum(0)
    N = [sum(r[0] == d for r in rows) for d in range(D)]
    layers = []
    for l in range(L):
        n = total[l]
        between = [js(by_domain[a, l], by_domain[b, l]) for a in range(D) for b in range(a)]
        within = [js(load[d, 0, l], load[d, 1, l]) for d in range(D)]
        p = n / T
        vocabulary = {}
        for side in range(3):
            ids = [i for i in order if seen[side, i] >= LEAST]
            vocabulary[SIDES[side]] = {"ids": len(ids), "score": number(np.mean([table[side, i, l].max() / seen[side, i] for i in ids])),
                                       "chance": number(np.mean([expected_most(seen[side, i], p) for i in ids]))}
        layer = {"layer": m.layers[l], "counts": n.tolist(), "imbalance": imbalance(n),
                 "domains": {"counts": by_domain[:, l].tolist(), "js": [[number(js(by_domain[a, l], by_domain[b, l])) for b in range(D)] for a in range(D)],
                             "js_halves": [number(x) for x in within], "js_between": number(np.mean(between)),
                             "js_within": number(np.mean([x for x in within if np.isfinite(x)])),
                             "js_chance": number(np.mean([(E - m.used) / (8 * m.used * np.log(2)) * (1 / N[a] + 1 / N[b]) for a in range(D) for b in range(a)]))},
                 "vocabulary": vocabulary, "kinds": kinds[:, l].tolist(), "coactivation": {"counts": pair[l].tolist()}}
        if l + 1 < L:
            q = path[l] / np.maximum(n * m.used, 1)[:, None]
            w = n / n.sum()
            k_best = np.sort(q, axis=1)[:, -m.used:].sum(1)
            layer["path"] = {"to": m.layers[l + 1], "entropy": number((w * np.array([entropy(x, base=E) if x.sum() else 0 for x in q])).sum()),
                             "hit": number((w * k_best).sum()), "hot": number(np.sort(total[l + 1] / total[l + 1].sum())[-m.used:].sum()), "counts": path[l].tolist()}
        else:
            layer["path"] = None
        layer["experts"] = []
        for e in range(E):
            tokens = {}
            for side in range(3):
                found = [(-binomtest(int(table[side, i, l, e]), int(seen[side, i])).proportion_ci(method="wilson").low, at, i)
                         for at, i in enumerate(order) if seen[side, i] >= LEAST and table[side, i, l, e]]
                tokens[SIDES[side]] = [{"id": i, **share(table[side, i, l, e], seen[side, i])} for _, _, i in sorted(found)[:TOP]]
            others = pair[l][e].copy()
            others[e] = 0
            layer["experts"].append({"expert": e, "tokens": tokens, "partners": ranked(others, n[e], n / T, "expert"),
                                     "followers": ranked(path[l][e], n[e], total[l + 1] / T, "expert") if l + 1 < L else []})
        layers.append(layer)
    k = m.used
    return {"model": m.name, "tokens": T,
            "chance": {"load": number(1 / E), "token": number(k / E), "domain": number(k / E), "path": number(k / E), "coactivation": number((k - 1) / (E - 1)),
                       "coactivation_lift": number(E * (k - 1) / (k * (E - 1)))},
            "domains": [{"name": name, "tokens": N[d], "predicted_right": right[d][0], "predicted": right[d][1]} for d, name in enumerate(domains)],
            "kinds": [{"name": name, "tokens": sum(r[3] == i for r in rows)} for i, name in enumerate(KINDS)],
            "vocabulary": {"ids": len(order), "covered": {SIDES[s]: number(seen[s, order].sum() / seen[s].sum()) for s in range(3)}}, "layers": layers}


def formulas():
    """Values for the unit tests of src/cli/views.c."""
    rng = np.random.default_rng(7)
    cases = []
    for E in (1, 2, 4, 16, 64):
        p, q = rng.integers(0, 50, E) * rng.integers(0, 2, E) + (np.arange(E) == 0), rng.integers(0, 1000, E) + 1
        cases.append({"p": p.tolist(), "q": q.tolist(), "js": number(js(p, q)) if E > 1 else 0.0,
                      "imbalance": imbalance(p) if E > 1 else {**imbalance(p), "entropy": 1.0}})
    wilson = [share(k, n) for k, n in ((0, 10), (10, 10), (1, 10), (9, 10), (3, 17), (500, 1000), (1, 1000000))]
    most = [{"n": n, "p": [number(x) for x in p], "most": number(expected_most(n, np.array([number(x) for x in p])))}
            for n, p in ((1, [0.5, 0.5]), (10, [0.125] * 16), (13, [0.5, 0.25, 0.25, 0.0, 1.0]), (100, rng.dirichlet(np.ones(8)) * 2 % 1), (513, [0.9, 0.01, 0.001]),
                         (100000, [0.0625] * 128))]
    return {"counts": cases, "shares": wilson, "most": most}


def main():
    versions = ref.start()
    models = [Model(name) for name in MODELS]
    domains = write_texts(models)
    data = {"made_with": versions, "context": CONTEXT, "min_count": LEAST, "top": TOP, "surveys": [survey(m, domains) for m in models]}
    (OUT / "surveys.json").write_text(json.dumps(data, separators=(",", ":"), default=int) + "\n")
    (OUT / "formulas.json").write_text(json.dumps(formulas(), separators=(",", ":"), default=int) + "\n")
    for s in data["surveys"]:
        print(s["model"], s["tokens"], "tokens", [d["tokens"] for d in s["domains"]])


main()
