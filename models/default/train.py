#!/usr/bin/env python3
"""Trains the default model, or one of the compared ones, in pieces that go on from each other.

usage: train.py FOLDER [--data DIR] [--size NAME] [--steps N --decay N] [--from FOLDER2] [--stop-after N] …

FOLDER (ignored by git, for instance .cache/train/shipped) gets run.json (what was asked for when it began), state.pt (weights,
moments, the next step's number; replaced atomically every --every seconds and at the end) and log.jsonl (a line a step).
Run again with the same FOLDER it goes on exactly where state.pt was written; it may be killed at any moment.

Without --steps the rate stays up for ever. To end: train.py FOLDER-end --from FOLDER --decay N begins at FOLDER's last state
and brings the rate down to zero over N steps; FOLDER itself can go on later.

On a CPU one process per core with one thread each (--workers): a product of two threads waits for the slower one. They share
weights, gradients and moments in memory, and each updates a part of the parameters.
"""
import argparse
import ctypes
import dataclasses
import json
import os
import signal
import sys
import time

import torch
import torch.multiprocessing

import data
import optimise
from model import Config, Model, compile_parts

BALANCE, Z = 0.01, 0.001  # weights of each layer's load-balancing loss and router z-loss

# The shipped model; the compared ones: the same active parameters, 2 of 16 experts, 1 of 8 twice as wide, and one.
SIZES = {
    "shipped": dict(width=256, layers=8, heads=4, experts=16, top_k=2, ff=256, context=512),
    "sparse": dict(width=128, layers=6, heads=2, experts=16, top_k=2, ff=192, context=512),
    "switch": dict(width=128, layers=6, heads=2, experts=8, top_k=1, ff=384, context=512),
    "dense": dict(width=128, layers=6, heads=2, experts=1, top_k=1, ff=384, context=512),
    "test": dict(width=32, layers=2, heads=2, experts=4, top_k=2, ff=32, context=32),
}


def compute_type(device):
    """bfloat16 where its products are fast, float32 elsewhere."""
    if device.type == "cuda":
        return torch.bfloat16
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        flags = f.read()
    return torch.bfloat16 if "amx_bf16" in flags or "avx512_bf16" in flags else torch.float32


class Shared:
    """All state of a run in flat vectors that the workers share: value, first, second, and a gradient for each worker."""

    def __init__(self, run, device, workers):
        model = Model(Config(**run["config"]), run["seed"])
        self.shapes = {name: p.shape for name, p in model.named_parameters()}
        size = sum(p.numel() for p in model.parameters())
        self.value = torch.cat([p.detach().flatten() for p in model.parameters()]).to(device)
        self.first, self.second = torch.zeros_like(self.value), torch.zeros_like(self.value)
        self.grads = torch.zeros(workers, size, device=device)
        self.numbers = torch.zeros(workers, 8, dtype=torch.float64)  # what a worker tells of its step
        self.held_out = torch.zeros(64, dtype=torch.float64)
        self.flags = torch.zeros(2, dtype=torch.int64)  # next step, stop
        for t in (self.value, self.first, self.second, self.grads, self.numbers, self.held_out, self.flags):
            t.share_memory_()

    def views(self, flat):
        """{name: the parameter's part of a flat vector}."""
        views, at = {}, 0
        for name, shape in self.shapes.items():
            views[name] = flat[at:at + shape.numel()].view(shape)
            at += shape.numel()
        return views

    def save(self, folder, step):
        path = os.path.join(folder, "state.pt")
        with open(path + ".part", "wb") as f:
            torch.save({"step": step, "value": self.value, "first": self.first, "second": self.second}, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(path + ".part", path)

    def load(self, folder):
        path = os.path.join(folder, "state.pt")
        if not os.path.exists(path):
            return 0
        state = torch.load(path, map_location=self.value.device, weights_only=True)
        for name in ("value", "first", "second"):
            getattr(self, name).copy_(state[name])
        return state["step"]


class Worker:
    def __init__(self, rank, workers, run, shared, barrier, device):
        torch.set_num_threads(run["threads"])
        self.rank, self.workers, self.run, self.shared, self.barrier, self.device = rank, workers, run, shared, barrier, device
        self.kind = getattr(torch, run["kind"])
        self.model = Model(Config(**run["config"]), run["seed"]).to(device)
        values, grads = shared.views(shared.value), shared.views(shared.grads[rank])
        for name, parameter in self.model.named_parameters():
            parameter.data, parameter.grad = values[name], grads[name]
        self.batches = data.Batches(run["data"], run["config"]["context"], run["parts"], run["seed"])
        # Parameters to update, the largest first to whoever has least.
        load, self.own = [0] * workers, []
        for name, shape in sorted(shared.shapes.items(), key=lambda item: -item[1].numel()):
            owner = load.index(min(load))
            load[owner] += shape.numel()
            if owner == rank:
                self.own.append(name)

    def gradient(self, step):
        """This worker's parts of the step: its sums go into shared.grads and shared.numbers."""
        self.shared.grads[self.rank].zero_()
        numbers = torch.zeros(8, dtype=torch.float64)
        for part in range(self.rank, self.run["parts"], self.workers):
            ids, targets = (t.to(self.device) for t in self.batches.part(step, part))
            loss, balance, z, counts = self.model.loss(ids, targets, self.kind)
            total = loss + BALANCE * balance + Z * z if self.run["config"]["experts"] > 1 else loss
            (total / self.run["parts"]).backward()
            load = counts.float() / counts.sum(1, keepdim=True) * counts.shape[1]
            layers = self.run["config"]["layers"]
            numbers[:5] += torch.tensor([x.item() for x in (loss.detach(), balance.detach() / layers, z.detach() / layers,
                                                            load.max(), load.min(1)[0].mean())])
        self.shared.numbers[self.rank, :5] = numbers[:5] / self.run["parts"]

    def update(self, step):
        """Updates this worker's own parameters with everybody's gradients, added in the workers' order."""
        shared = self.shared
        values, first, second = (shared.views(t) for t in (shared.value, shared.first, shared.second))
        parts = [shared.views(g) for g in shared.grads]
        sums = {}
        for name in self.own:
            sums[name] = parts[0][name]
            for part in parts[1:]:
                sums[name] = sums[name] + part[name]
        shared.numbers[self.rank, 5] = sum(g.square().sum().item() for g in sums.values())
        self.wait()
        norm = shared.numbers[:, 5].sum().item() ** 0.5
        factor = optimise.rate(step, self.run["steps"], self.run["decay"])
        for name, grad in sums.items():
            grad = grad * min(1.0, optimise.CLIP / (norm + 1e-6))
            optimise.update(name, values[name], grad, first[name], second[name], step, factor, self.kind)
        self.wait()
        return norm, factor

    def wait(self):
        if self.barrier:
            self.barrier.wait()

    @torch.no_grad()
    def evaluate(self):
        """Held-out loss of each domain; the workers share the domains."""
        names = self.batches.names
        for i in range(self.rank, len(names), self.workers):
            ids, targets = data.held_out(self.run["data"], names[i], self.run["config"]["context"], self.run["held_out"])
            losses = [self.model.loss(a.to(self.device), b.to(self.device), self.kind)[0].item()
                      for a, b in zip(ids.split(6), targets.split(6)) if len(a) == 6 or len(ids) < 6]
            self.shared.held_out[i] = sum(losses) / len(losses)
        self.wait()
        return {name: round(self.shared.held_out[i].item(), 5) for i, name in enumerate(names)}

    def step(self, step):
        """Everything of a step; returns the line for the log."""
        begin = time.monotonic()
        self.gradient(step)
        self.wait()
        norm, factor = self.update(step)
        loss, balance, z, most, least = self.shared.numbers[:, :5].sum(0).tolist()
        tokens = (step + 1) * self.run["parts"] * len(self.batches.names) * self.run["config"]["context"]
        line = {"step": step, "tokens": tokens, "loss": round(loss, 5), "balance": round(balance, 4), "z": round(z, 4),
                "most": round(most, 3), "least": round(least, 3), "norm": round(norm, 4), "rate": round(factor, 5)}
        last = self.run["steps"] is not None and step + 1 == self.run["steps"]
        line["seconds"] = round(time.monotonic() - begin, 3)
        if last or (step + 1) % self.run["evaluate"] == 0:
            line["held_out"] = self.evaluate()
        return line


def work(rank, workers, run, shared, barrier, device, folder, options):
    """A worker's life; the first one also keeps the log and the state."""
    if rank:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # die with the first one
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if options["compile"]:
        compile_parts()
    worker = Worker(rank, workers, run, shared, barrier, device)
    step, saved = int(shared.flags[0]), time.monotonic()
    log = None if rank else open(os.path.join(folder, "log.jsonl"), "a", encoding="utf-8")
    if not rank:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: shared.flags[1:].fill_(1))
    end = min([n for n in (run["steps"], options["stop_after"] and step + options["stop_after"]) if n is not None], default=None)
    while end is None or step < end:
        line = worker.step(step)
        step += 1
        if not rank:
            log.write(json.dumps(line) + "\n")
            log.flush()
            if "held_out" in line or step % 20 == 0:
                print(json.dumps(line), file=sys.stderr, flush=True)
            shared.flags[0] = step if not shared.flags[1] else -step  # decided once, so that all stop after the same step
        worker.wait()
        stop = int(shared.flags[0]) < 0
        if not rank and (stop or step == end or time.monotonic() - saved > options["every"]):
            shared.save(folder, step)
            saved = time.monotonic()
        worker.wait()
        if stop:
            break


def read_run(folder, tokens):
    """A folder's run.json; refuses to go on with other tokens than those it began with."""
    with open(os.path.join(folder, "run.json"), encoding="utf-8") as f:
        run = json.load(f)
    if run.setdefault("tokens", tokens) != tokens:
        sys.exit("train: %s began with other tokens than --data has: %s, not %s" % (folder, run["tokens"], tokens))
    return run


def begin(arguments):
    """The run's description: read from run.json, or made from the arguments and written."""
    path = os.path.join(arguments.folder, "run.json")
    tokens = {name: os.path.getsize(os.path.join(arguments.data, name + ".train.bin")) // 2 for name in data.domains(arguments.data)}
    if not tokens:
        sys.exit("train: no DOMAIN.train.bin in %s: run tokenizer.py first" % arguments.data)
    if os.path.exists(path):
        return read_run(arguments.folder, tokens)
    source = None
    if arguments.source:
        run = read_run(arguments.source, tokens)
        source = torch.load(os.path.join(arguments.source, "state.pt"), weights_only=True)
        run.update(steps=source["step"] + arguments.decay, decay=arguments.decay)
    else:
        with open(os.path.join(arguments.data, "tokenizer.json"), encoding="utf-8") as f:
            vocab = len(json.load(f)["model"]["vocab"])
        run = dict(config=dataclasses.asdict(Config(vocab=vocab, **SIZES[arguments.size])), seed=arguments.seed,
                   parts=arguments.parts, steps=arguments.steps, decay=arguments.decay, evaluate=arguments.evaluate,
                   held_out=arguments.held_out, tokens=tokens)
    os.makedirs(arguments.folder, exist_ok=True)
    if source:
        torch.save(source, os.path.join(arguments.folder, "state.pt"))
    with open(path + ".part", "w", encoding="utf-8") as f:
        json.dump(run, f, indent=1)
    os.replace(path + ".part", path)
    return run


def cut_log(folder, step):
    """Takes lines of steps that the state does not have out of the log: they will be done again."""
    path, lines = os.path.join(folder, "log.jsonl"), []
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.endswith("}\n") and json.loads(line)["step"] < step:
                lines.append(line)
    with open(path + ".part", "w", encoding="utf-8") as f:
        f.writelines(lines)
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--data", default=".cache/train/data", help="tokenizer.py's output")
    parser.add_argument("--size", choices=SIZES, default="shipped")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", type=int, default=4, help="windows of each domain in a step")
    parser.add_argument("--steps", type=int, help="end after so many steps in all")
    parser.add_argument("--decay", type=int, default=0, help="the last steps, over which the rate falls to zero")
    parser.add_argument("--from", dest="source", help="begin at this folder's state, and end after --decay steps")
    parser.add_argument("--evaluate", type=int, default=200, help="steps between held-out losses")
    parser.add_argument("--held-out", type=int, default=24, help="windows of each domain for them")
    parser.add_argument("--every", type=float, default=120, help="seconds between saved states")
    parser.add_argument("--stop-after", type=int, help="stop after so many steps of this call")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--kind", choices=("float32", "bfloat16"), help="of the products (default: what is fast here)")
    parser.add_argument("--compile", action="store_true", help="let torch.compile fuse the rest")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = begin(arguments)
    run["data"] = os.path.abspath(arguments.data)
    run["kind"] = arguments.kind or str(compute_type(device)).rsplit(".", 1)[-1]
    workers = 1 if device.type == "cuda" else max(1, min(arguments.workers, run["parts"]))
    run["threads"] = 1
    if workers == 1 and not arguments.compile:
        run["threads"] = max(1, min(arguments.workers, os.cpu_count()))
    shared = Shared(run, device, workers)
    shared.flags[0] = shared.load(arguments.folder)
    cut_log(arguments.folder, int(shared.flags[0]))
    options = dict(compile=arguments.compile, every=arguments.every, stop_after=arguments.stop_after)
    context = torch.multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers) if workers > 1 else None
    others = [context.Process(target=work, args=(r, workers, run, shared, barrier, device, arguments.folder, options), daemon=True)
              for r in range(1, workers)]
    for process in others:
        process.start()
    work(0, workers, run, shared, barrier, device, arguments.folder, options)
    for process in others:
        process.join()


if __name__ == "__main__":
    main()
