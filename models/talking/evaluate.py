#!/usr/bin/env python3
"""What routing costs: perplexity of the mixture at several numbers of experts, beside the dense model, a random choice and an oracle's.

    evaluate.py SLUICE DENSE.gguf WORK [--used 32,24,16,12,8,4] [--text NAME=FILE …] [--tokens 8192] [--plot perplexity.svg]

The dense model and the mixtures (router.gguf beside this script, joined by make_moe.py in WORK for each number) are measured
through `SLUICE serve`: the log probabilities that it echoes for windows of 512 tokens, the first of a window aside. With --torch
a random choice and the oracle's, which no file can express, are computed here in bfloat16 from the same windows: the dense
model's weights, its units in the shared expert and the others as the router's file says, each chosen expert with weight 1. The
oracle takes the experts whose contribution to the layer's output is longest. The dense model is computed both ways, to see that
the two agree. Choosing all experts is the dense model again; what the router's row says there beyond it is learned.

Texts: held/ by default. A .jsonl has a conversation a line, a list of turns; other files are texts ended by zero bytes.
Prints a table in Markdown, then how the experts' load differs between the texts; --json FILE keeps the figures.
"""
import argparse
import http.client
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WINDOW = 512


class Server:
    """`sluice serve` on a free port; stopped by its process id."""

    def __init__(self, sluice, model):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([sluice, "serve", model, "--port", "0", "--log-format", "text", "--metrics-experts", "on"],
                                        stderr=self.log, stdin=subprocess.DEVNULL)
        end, found = time.monotonic() + 120, None
        while not found and time.monotonic() < end and self.process.poll() is None:
            time.sleep(0.1)
            self.log.seek(0)
            found = re.search(r"ready +http://[^ ]*:(\d+) ", self.log.read())
        if not found:
            self.process.kill()
            self.log.seek(0)
            raise SystemExit("the server did not start:\n" + self.log.read())
        self.port = int(found.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        c.request(method, path, None if body is None else json.dumps(body))
        r = c.getresponse()
        answer = r.read().decode()
        c.close()
        if r.status != 200:
            raise SystemExit("%s: %d %s" % (path, r.status, answer))
        return answer

    def ids(self, text):
        return json.loads(self.ask("POST", "/tokenize", {"prompt": text}))["tokens"]

    def logprobs(self, window):
        """Of each token but the first."""
        answer = self.ask("POST", "/v1/completions", {"prompt": window, "echo": True, "logprobs": 0, "max_tokens": 0, "temperature": 0})
        return json.loads(answer)["choices"][0]["logprobs"]["token_logprobs"][1:]

    def load(self):
        """{(layer, expert): tokens so far}"""
        text = self.ask("GET", "/metrics/experts")
        found = re.findall(r'sluice_expert_tokens_total{layer="(\d+)",expert="(\d+)"} (\d+)', text)
        return {(int(layer), int(expert)): int(count) for layer, expert, count in found}


def texts(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        if not path.endswith(".jsonl"):
            return [t for t in f.read().split("\0") if t.strip()]
        lines = [json.loads(line) for line in f]
    system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    return [system + "".join("<|im_start|>%s\n%s<|im_end|>\n" % ("assistant" if i % 2 else "user", turn) for i, turn in enumerate(line))
            for line in lines]


def windows(server, path, tokens):
    """Conversations one after the other, or texts, in windows of WINDOW tokens."""
    out, rest = [], []
    for text in texts(path):
        rest += server.ids(text)
        while len(rest) >= WINDOW and len(out) * WINDOW < tokens:
            out.append(rest[:WINDOW])
            rest = rest[WINDOW:]
        if not path.endswith(".jsonl"):
            rest = []
    if not out and rest:
        out = [rest]
    if not out:
        raise SystemExit("%s has no text" % path)
    return out


def perplexity(logprobs):
    return math.exp(-sum(logprobs) / len(logprobs))


def served(sluice, model, parts):
    """{text: (perplexity, {(layer, expert): tokens})}"""
    out = {}
    with Server(sluice, model) as server:
        before = server.load()
        for name, part in parts.items():
            value = perplexity([x for window in part for x in server.logprobs(window)])
            after = server.load()
            out[name] = value, {k: after[k] - before.get(k, 0) for k in after}
            before = after
    return out


class Torch:
    """The dense model's layers with a choice of experts that no router makes."""

    def __init__(self, path, router):
        import torch
        import dense
        torch.set_num_threads(1)
        self.torch, self.model = torch, dense.Dense(path, torch.bfloat16)
        with open(router, "rb") as f:
            keys, tensors, _ = dense.gguf.read(f.read())
            self.experts, self.shared = (dense.gguf.number(keys, "llama.expert_" + k) for k in ("count", "shared_feed_forward_length"))
            self.grams = [None] * self.model.layers
            for name, dims, _, at, size in tensors:
                if name.endswith("ffn_units"):
                    f.seek(at)
                    self.arrange(int(name.split(".")[1]), torch.frombuffer(bytearray(f.read(size)), dtype=torch.int16).long())

    def arrange(self, layer, order):
        for part in ("ffn_gate", "ffn_up", "ffn_down"):
            name = "blk.%d.%s.weight" % (layer, part)
            w = self.model.weights[name]
            self.model.weights[name] = (w[:, order] if part == "ffn_down" else w[order]).contiguous()
        down = self.model.get(layer, "ffn_down").float().T[self.shared :].unflatten(0, (self.experts, -1))
        self.grams[layer] = down @ down.transpose(1, 2)

    def perplexity(self, part, choose, used):
        torch = self.torch
        generator = torch.Generator().manual_seed(5)

        def feed_forward(layer, x):
            h = self.model.units(layer, x)
            routed = h[..., self.shared :].unflatten(-1, (self.experts, -1))
            if choose == "random":
                score = torch.rand(routed.shape[:-1], generator=generator)
            else:
                score = torch.einsum("...eu,euv,...ev->...e", routed.float(), self.grams[layer], routed.float())
            mask = torch.zeros_like(score).scatter(-1, score.topk(used, -1).indices, 1.0).to(h.dtype)
            h = torch.cat((h[..., : self.shared], (routed * mask[..., None]).flatten(-2)), -1)
            return torch.nn.functional.linear(h, self.model.get(layer, "ffn_down"))
        out = []
        with torch.no_grad():
            for window in part:
                ids = torch.tensor([window])
                hidden = self.model.hidden(ids, feed_forward if choose else None)[0, :-1]
                p = torch.log_softmax(self.model.logits(hidden).float(), -1)
                out += p.gather(1, ids[0, 1:, None])[:, 0].tolist()
        return perplexity(out)


def distances(loads):
    """{(text, text): mean over the layers of half the summed difference of the experts' shares}, 0 alike … 1 disjoint."""
    out = {}
    names = list(loads)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            layers = sorted({layer for layer, _ in loads[a]})
            total = 0
            for layer in layers:
                x, y = ({e: n for (at, e), n in loads[t].items() if at == layer} for t in (a, b))
                total += sum(abs(x[e] / sum(x.values()) - y[e] / sum(y.values())) for e in x) / 2
            out[a, b] = total / len(layers)
    return out


def draw(table, names, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    matplotlib.rcParams.update({"svg.hashsalt": "talking", "svg.fonttype": "none", "font.size": 9})
    figure, axes = pyplot.subplots(1, len(names), figsize=(4 * len(names), 3.4), squeeze=False)
    for ax, name in zip(axes[0], names):
        for kind, style in (("random", ":"), ("oracle", "--"), ("router", "-")):
            points = sorted((used, row[kind][name]) for used, row in table["used"].items() if kind in row)
            if points:
                ax.plot(*zip(*points), style, marker="o", markersize=3, label=kind)
        ax.axhline(table["dense"][name], color="grey", linewidth=0.8, label="dense")
        ax.set_yscale("log")
        ax.set_ylim(table["dense"][name] * 0.9, table["dense"][name] * 12)  # a random choice soon leaves the picture
        ax.set_title("perplexity, " + name)
        ax.set_xlabel("experts used of %d, besides the shared one" % table["experts"])
        ticks = [table["dense"][name] * f for f in (1, 1.5, 2, 3, 5, 10)]
        ax.set_yticks(ticks, ["%.1f" % t for t in ticks])
        ax.minorticks_off()
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    p = argparse.ArgumentParser()
    p.add_argument("sluice")
    p.add_argument("dense")
    p.add_argument("work")
    p.add_argument("--router", default=os.path.join(HERE, "router.gguf"))
    p.add_argument("--used", default="32,24,16,12,8,4")
    p.add_argument("--text", action="append", default=[], metavar="NAME=FILE")
    p.add_argument("--tokens", type=int, default=8192, help="of each text, at most")
    p.add_argument("--torch", action="store_true", help="random and oracle too")
    p.add_argument("--plot")
    p.add_argument("--json")
    a = p.parse_args()
    chosen = dict(t.split("=", 1) for t in a.text) or {
        "prose": os.path.join(HERE, "held", "prose.txt"), "conversations": os.path.join(HERE, "held", "conversations.jsonl")}
    os.makedirs(a.work, exist_ok=True)
    with Server(a.sluice, a.dense) as server:
        parts = {name: windows(server, path, a.tokens) for name, path in chosen.items()}
    dense = {name: value for name, (value, _) in served(a.sluice, a.dense, parts).items()}
    table = {"tokens": {n: sum(map(len, w)) for n, w in parts.items()}, "dense": dense, "experts": None, "used": {}}
    reference = Torch(a.dense, a.router) if a.torch else None
    if reference:
        table["dense_torch"] = {name: reference.perplexity(part, None, 0) for name, part in parts.items()}
        table["experts"] = reference.experts
    print("| experts used | %s |\n|---|%s" % (" | ".join("%s: router | oracle | random" % n for n in parts), "---|" * 3 * len(parts)))
    print("| dense | %s |" % " | ".join(
        "%.2f | %s | " % (dense[n], "(torch %.2f)" % table["dense_torch"][n] if reference else "") for n in parts), flush=True)
    loads = {}
    for used in map(int, a.used.split(",")):
        path = os.path.join(a.work, "moe-%d.gguf" % used)
        subprocess.run([sys.executable, os.path.join(HERE, "..", "make_moe.py"), a.dense, a.router, path, "--used", str(used)], check=True)
        row = {"router": {}}
        for name, (value, load) in served(a.sluice, path, parts).items():
            row["router"][name] = value
            loads.setdefault(used, {})[name] = load
        os.unlink(path)
        if reference:
            for kind in ("oracle", "random"):
                row[kind] = {name: reference.perplexity(part, kind, used) for name, part in parts.items()}
        table["used"][used] = row
        print("| %d | %s |" % (used, " | ".join(" | ".join("%.2f" % row[k][n] if k in row else "" for k in ("router", "oracle", "random"))
                                                 for n in parts)), flush=True)
    print()
    for used, by_text in loads.items():
        for (x, y), value in distances(by_text).items():
            print("%d experts used: load differs between %s and %s by %.3f" % (used, x, y, value))
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(table, f, indent=1)
    if a.plot:
        draw(table, list(parts), a.plot)


if __name__ == "__main__":
    main()
