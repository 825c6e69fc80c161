#!/usr/bin/env python3
"""Cuts SmolLM2's feed-forward layers into experts and trains a router for each: router.gguf, which make_moe.py joins with the model.

    routers.py DENSE.gguf TEXT WORK OUT.gguf [--minutes 25] [--used 16]

TEXT: a folder with DOMAIN.train.txt (models/default/corpus.py) and what sample.py wrote. WORK: a folder for what lies between
the steps; a step whose file is there is passed over. One core and one process; the last step goes on where it was stopped.

 1. gather   inputs of every feed-forward layer of the dense model, for 16 thousand tokens of every domain
 2. cluster  units that fire together become an expert of 32. A unit's part in a layer's output is (its value times the length
             of its column of down), squared, as a share of all units'. Balanced k-means on these shares, then, in turns: each
             token chooses its experts of the largest share, and units go where the tokens that need them choose, as long as
             that gains anything; both raise the share that the chosen experts have.
 3. fit      routers by least squares: the logarithm of each expert's contribution (the length of what it adds), less the
             token's mean, from the layer's input
 4. distil   all routers together, against the dense model's predictions (Kullback-Leibler divergence): the forward pass is
             the one that is served, top-k and all; the choice itself has no derivative, and an expert at the edge of being
             chosen gets that of a sigmoid. With the routers learn the two norms' weights of each layer and a factor for each
             unit. The number of experts changes from step to step, so that the routers rank well at any.
"""
import argparse
import math
import os
import time

import numpy
import torch
import torch.nn.functional as F

import dense
from dense import gguf

CLUSTERS, UNITS = 48, 32
SHARED = 16  # clusters that become the expert that always runs; the others are experts of their own
EXPERTS = CLUSTERS - SHARED
WINDOW = 256
RANK = 4  # of what is added to down
# Tokens for distilling, of each domain; conversations and plain text are the model's own (sample.py).
MIX = {"conversations": 150_000, "plain": 50_000, "prose": 130_000, "man": 50_000, "c": 40_000, "de": 10_000, "fr": 10_000, "es": 10_000}


def windows(tokenizer, path, tokens):
    """Up to so many tokens of a file in windows [n][WINDOW], at most four of a document, from places all over the file."""
    per_document = []
    documents = dense.documents(path)
    order = torch.randperm(len(documents), generator=torch.Generator().manual_seed(len(documents)))
    for i in order:
        if len(per_document) * WINDOW >= tokens:
            break
        ids = tokenizer.encode(documents[i][:40_000], add_special_tokens=False).ids
        per_document += [ids[at : at + WINDOW] for at in range(0, len(ids) - WINDOW + 1, WINDOW)][:4]
    return torch.tensor(per_document[: tokens // WINDOW])


def text_of(tokenizer, folder, share=1.0):
    out = {}
    for domain, tokens in MIX.items():
        path = os.path.join(folder, domain + ".train" + (".jsonl" if domain == "conversations" else ".txt"))
        out[domain] = windows(tokenizer, path, int(tokens * share))
    return out


@torch.no_grad()
def gather(model, ids):
    """[layer][token][width]: inputs of the feed-forward layers."""
    out = torch.empty(model.layers, ids.numel(), model.width, dtype=model.dtype)
    at = 0
    for part in ids.split(4):
        def kept(layer, x):
            out[layer, at : at + x[..., 0].numel()] = x.flatten(0, 1)
            return model.feed_forward(layer, x)
        model.hidden(part, kept)
        at += part.numel()
    return out


def swapped(benefit, expert, most=1500):
    """Units change places, two at a time, while that raises the sum of benefit[unit][its expert]; experts stay of one size."""
    units, count = benefit.shape
    expert = expert.copy()
    least = 1e-9 * numpy.abs(benefit).max()
    for _ in range(most):
        gain = benefit - benefit[numpy.arange(units), expert][:, None]
        best = numpy.empty((count, count))  # of moving a unit from one to the other
        who = numpy.empty((count, count), dtype=int)
        for e in range(count):
            members = numpy.nonzero(expert == e)[0]
            who[e] = members[gain[members].argmax(0)]
            best[e] = gain[who[e], numpy.arange(count)]
        both = best + best.T
        numpy.fill_diagonal(both, 0)
        taken = set()
        for pair in numpy.argsort(-both, axis=None)[:count * 4]:
            e, f = divmod(int(pair), count)
            if both[e, f] <= least:
                break
            if e not in taken and f not in taken:
                expert[who[e, f]], expert[who[f, e]] = f, e
                taken |= {e, f}
        if not taken:
            break
    return expert


@torch.no_grad()
def clustered(model, layer, x, chosen=(12, 24)):
    """The cluster of each unit, [ff]."""
    part = model.units(layer, x).float().square() * model.get(layer, "ffn_down").float().square().sum(0)
    part /= part.sum(1, keepdim=True)

    def members(expert):
        return F.one_hot(torch.from_numpy(expert), CLUSTERS).float()
    place = part.sqrt()
    place = place - place.mean(0)
    place = (place / place.norm(dim=0, keepdim=True).clamp_min(1e-9)).T  # [unit][token]
    expert = numpy.random.default_rng(layer).permutation(model.ff) % CLUSTERS
    for _ in range(4):
        centre = place.T @ members(expert)
        expert = swapped((place @ (centre / centre.norm(dim=0))).double().numpy(), expert, 300)
    for _ in range(6):
        share = part @ members(expert)
        choice = sum(torch.zeros_like(share).scatter_(1, share.topk(k).indices, 1.0) for k in chosen)
        better = swapped((part.T @ choice).double().numpy(), expert)
        if (better == expert).all():
            break
        expert = better
    share = (part @ members(expert)).sort(1, descending=True).values.cumsum(1).mean(0)
    print("layer %2d: the best 8, 12, 24, 36 clusters have %s of the output's energy" % (
        layer, ", ".join("%.3f" % share[k - 1] for k in (8, 12, 24, 36))), flush=True)
    return expert


@torch.no_grad()
def ordered(model, layer, x, cluster):
    """Which unit comes where, [ff]: those of the shared expert first, its clusters being the ones that most tokens need; then the
    experts one after the other."""
    order = torch.sort(cluster, stable=True).indices
    part = model.units(layer, x).float().square() * model.get(layer, "ffn_down").float().square().sum(0)
    part = part[:, order].unflatten(1, (CLUSTERS, UNITS)).sum(2)
    needed = torch.zeros_like(part).scatter_(1, part.topk(CLUSTERS // 2, 1).indices, 1.0).mean(0)
    rank = torch.sort(needed, descending=True, stable=True).indices
    rank = torch.cat((rank[:SHARED], rank[SHARED:].sort().values))
    return order.view(CLUSTERS, UNITS)[rank].flatten()


def permute(model, order):
    """Units into the order of the experts, in place. order [layer][ff]: which unit comes there."""
    for i in range(model.layers):
        for part in ("ffn_gate", "ffn_up"):
            model.weights["blk.%d.%s.weight" % (i, part)] = model.get(i, part)[order[i]].contiguous()
        model.weights["blk.%d.ffn_down.weight" % i] = model.get(i, "ffn_down")[:, order[i]].contiguous()


def grams(model, layer):
    """[expert][unit][unit]: products of an expert's columns of down."""
    down = model.get(layer, "ffn_down").float().T.reshape(CLUSTERS, UNITS, model.width)[SHARED:]
    return down @ down.transpose(1, 2)


def contributions(hidden, gram):
    """How long the vector is that each expert adds: hidden [...][ff] → [...][expert]."""
    h = hidden.float().unflatten(-1, (CLUSTERS, UNITS))[..., SHARED:, :]
    return torch.einsum("...eu,euv,...ev->...e", h, gram, h).clamp_min(0).sqrt()


@torch.no_grad()
def fitted(model, layer, x):
    """[expert][width], of logits with a deviation of 1 over experts and tokens."""
    wanted = torch.cat([contributions(model.units(layer, part), grams(model, layer)) for part in x.split(2048)])
    wanted = wanted.clamp_min(1e-6).log()
    wanted -= wanted.mean(1, keepdim=True)
    x = x.float()
    square = x.T @ x
    square += 0.01 * square.diagonal().mean() * torch.eye(model.width)
    router = torch.linalg.solve(square, x.T @ wanted).T
    return router / (x @ router.T).std()


class Routed(torch.nn.Module):
    """The dense model with routers: what is learned, and the forward pass that is served."""

    def __init__(self, model, routers):
        super().__init__()
        self.model, self.used = model, EXPERTS
        layers = range(model.layers)
        self.router = torch.nn.ParameterList([routers[i].clone() for i in layers])
        self.sharpness = torch.nn.Parameter(torch.full((model.layers,), math.log(0.03)))
        self.factor = torch.nn.Parameter(torch.ones(model.layers, model.ff))
        g = torch.Generator().manual_seed(2)
        self.shift_in = torch.nn.Parameter(torch.randn(model.layers, RANK, model.ff, generator=g) * model.ff ** -0.5)
        self.shift_out = torch.nn.Parameter(torch.zeros(model.layers, RANK, model.width))
        self.attn_norm = torch.nn.ParameterList([model.get(i, "attn_norm").float().clone() for i in layers])
        self.ffn_norm = torch.nn.ParameterList([model.get(i, "ffn_norm").float().clone() for i in layers])

    def feed_forward(self, layer, x):
        logits = F.linear(x.float(), self.router[layer])
        best = logits.topk(min(self.used + 1, EXPERTS), -1)
        chosen = best.indices[..., : self.used]
        weight = torch.zeros_like(logits).scatter(
            -1, chosen, self.used * torch.softmax(self.sharpness[layer].exp() * logits.gather(-1, chosen), -1))
        if self.used < EXPERTS:
            edge = best.values[..., self.used - 1 : self.used + 1].mean(-1, keepdim=True).detach()
            near = torch.sigmoid((logits - edge) * 2)
            weight = weight + (near - near.detach())
        h = self.model.units(layer, x)
        weight = F.pad(weight.to(h.dtype), (SHARED, 0), value=1.0)
        h = (h.unflatten(-1, (CLUSTERS, UNITS)) * weight[..., None]).flatten(-2) * self.factor[layer].to(h.dtype)
        shift = F.linear(h, self.shift_in[layer].to(h.dtype)) @ self.shift_out[layer].to(h.dtype)
        return F.linear(h, self.model.get(layer, "ffn_down")) + shift

    def hidden(self, ids):
        m = self.model
        turns = m.turns(0, ids.shape[1])
        x = F.embedding(ids, m.weights["token_embd.weight"])
        for i in range(m.layers):
            x = x + m.attention(i, m.norm(x, self.attn_norm[i].to(x.dtype)), turns)
            x = x + self.feed_forward(i, m.norm(x, self.ffn_norm[i].to(x.dtype)))
        return m.norm(x, m.weights["output_norm.weight"])


def divergence(model, ours, theirs):
    """Mean Kullback-Leibler divergence of the predictions from hidden states [n][width]."""
    with torch.no_grad():
        wanted = torch.log_softmax(model.logits(theirs).float(), -1)
    return F.kl_div(torch.log_softmax(model.logits(ours).float(), -1), wanted, log_target=True, reduction="batchmean")


def distil(model, routed, text, minutes, used, checkpoint):
    """Trains in place; the rates come down to zero over the minutes."""
    every = torch.cat(list(text.values()))
    every = every[torch.randperm(len(every), generator=torch.Generator().manual_seed(3))]
    rate = {"router": 4e-3, "sharpness": 1e-2, "factor": 4e-3, "attn_norm": 3e-3, "ffn_norm": 3e-3, "shift_in": 1e-3, "shift_out": 3e-3}
    groups = []
    for name, p in routed.named_parameters():
        kind = name.split(".")[0]
        groups.append({"params": [p], "rate": rate[kind] * (float(p.detach().abs().mean()) if kind.endswith("norm") else 1)})
    optimiser = torch.optim.Adam(groups, lr=1e-3, betas=(0.9, 0.98))
    step, spent = 0, 0.0
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        routed.load_state_dict(state["routed"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
    batch, last = 2, time.monotonic()
    mean = None
    while spent < minutes * 60:
        ids = every[[(step * batch + i) % len(every) for i in range(batch)]]
        g = torch.Generator().manual_seed(step)
        routed.used = used if step % 4 else [used // 2, used * 3 // 2, used * 3 // 4, used * 5 // 4][step // 4 % 4]
        with torch.no_grad():
            theirs = model.hidden(ids).flatten(0, 1)
        which = torch.randperm(ids.numel(), generator=g)[: ids.numel() // 2]
        loss = divergence(model, routed.hidden(ids).flatten(0, 1)[which], theirs[which])
        optimiser.zero_grad()
        loss.log().backward()  # few experts diverge much more than many, and count the same
        done = spent / (minutes * 60)
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * min(1, (step + 1) / 10) * (1 - done)
        optimiser.step()
        step += 1
        now = time.monotonic()
        spent, last = spent + now - last, now
        if routed.used == used:
            mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if step % 20 == 0:
            print("step %d, %d s: divergence %.4f at %d experts" % (step, spent, mean, used), flush=True)
        if step % 20 == 0 or spent >= minutes * 60:
            torch.save({"routed": routed.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent": spent}, checkpoint + ".part")
            os.replace(checkpoint + ".part", checkpoint)


def q8_0(w):
    """The bytes of a matrix in blocks of 32 values with one scale."""
    w = w.detach().float().numpy().reshape(-1, 32)
    scale = numpy.abs(w).max(1, keepdims=True) / 127
    steps = numpy.rint(numpy.divide(w, scale, out=numpy.zeros_like(w), where=scale > 0)).astype(numpy.int8)
    return numpy.concatenate([scale.astype("<f2").view(numpy.uint8), steps.view(numpy.uint8)], axis=1).tobytes()


def write(path, model, routed, order, used):
    """What make_moe.py reads: its opening comment has the tensors."""
    tensors = []

    def add(name, dims, kind, raw):
        tensors.append((name, dims, kind, lambda: raw))

    def half(values):
        return values.detach().float().numpy().astype("<f2").tobytes()
    for i in range(model.layers):
        add("blk.%d.ffn_units" % i, [model.ff], gguf.I16, order[i].numpy().astype("<i2").tobytes())
        add("blk.%d.ffn_factor" % i, [model.ff], gguf.F16, half(routed.factor[i]))
        add("blk.%d.ffn_down.weight.lora_a" % i, [model.ff, RANK], gguf.Q8_0, q8_0(routed.shift_in[i]))
        add("blk.%d.ffn_down.weight.lora_b" % i, [RANK, model.width], gguf.F16, half(routed.shift_out[i].T.contiguous()))
        add("blk.%d.ffn_gate_inp.weight" % i, [model.width, EXPERTS], gguf.Q8_0, q8_0(routed.router[i] * routed.sharpness[i].exp()))
        add("blk.%d.attn_norm.weight" % i, [model.width], gguf.F16, half(routed.attn_norm[i]))
        add("blk.%d.ffn_norm.weight" % i, [model.width], gguf.F16, half(routed.ffn_norm[i]))
    keys = {"general.architecture": gguf.string_value("llama"), "general.type": gguf.string_value("router"),
            "general.name": gguf.string_value("routers for SmolLM2-135M-Instruct"), "general.license": gguf.string_value("apache-2.0")}
    keys.update({"llama." + k: (gguf.U32, v.to_bytes(4, "little")) for k, v in (
        ("block_count", model.layers), ("embedding_length", model.width), ("feed_forward_length", model.ff),
        ("expert_count", EXPERTS), ("expert_used_count", used), ("expert_shared_feed_forward_length", SHARED * UNITS))})
    with open(path + ".part", "wb") as f:
        gguf.write(f, keys, tensors, 32)
    os.replace(path + ".part", path)


def step_of(path, make):
    if not os.path.exists(path):
        torch.save(make(), path + ".part")
        os.replace(path + ".part", path)
    return torch.load(path)


def main():
    p = argparse.ArgumentParser()
    for name in ("dense", "text", "work", "out"):
        p.add_argument(name)
    p.add_argument("--minutes", type=float, default=25)
    p.add_argument("--used", type=int, default=16)
    p.add_argument("--until", choices=("cluster", "fit", "distil"), default="distil")
    a = p.parse_args()
    torch.set_num_threads(1)
    os.makedirs(a.work, exist_ok=True)
    model = dense.Dense(a.dense, torch.bfloat16)
    tokenizer = model.tokenizer()
    seen = step_of(os.path.join(a.work, "inputs.pt"), lambda: gather(model, torch.cat(list(text_of(tokenizer, a.text, 0.06).values()))))
    some = slice(None, None, 3)
    clusters = step_of(os.path.join(a.work, "clusters.pt"), lambda: torch.tensor(
        numpy.array([clustered(model, i, seen[i, some]) for i in range(model.layers)])))
    order = step_of(os.path.join(a.work, "order.pt"), lambda: torch.stack(
        [ordered(model, i, seen[i, ::8], clusters[i]) for i in range(model.layers)]))
    permute(model, order)
    routers = step_of(os.path.join(a.work, "fitted.pt"), lambda: torch.stack([fitted(model, i, seen[i]) for i in range(model.layers)]))
    del seen
    if a.until != "distil":
        return
    routed = Routed(model, routers)
    print("%d numbers to learn; routers' are of the size %.3f" % (sum(p.numel() for p in routed.parameters()), routers.abs().mean()))
    distil(model, routed, text_of(tokenizer, a.text), a.minutes, a.used, os.path.join(a.work, "distilled.pt"))
    write(a.out, model, routed, order, a.used)


if __name__ == "__main__":
    main()
