#!/usr/bin/env python3
"""Sparse against dense at equal cost: trains three small models on the same data, and draws their curves.

usage: compare.py train FOLDER [--data DIR] [--tokens N] [--piece STEPS]     goes on where it stopped
       compare.py serve FOLDER [--sluice BINARY] [--rounds N]                what a token takes in Sluice, measured in turns
       compare.py report FOLDER [--out models/compared]                      OUT.csv, OUT.json and OUT.svg

dense has one feed-forward part, sparse the same multiply-adds as 2 of 16 experts, switch as 1 of 8 experts twice as wide
(so sparse and switch have the same parameters in all). Same seed, data, steps and schedule: FOLDER/NAME are folders of train.py,
which are moved on in turns, a piece at a time.
"""
import argparse
import csv
import json
import os
import statistics
import subprocess
import sys

from model import Config
from train import SIZES

NAMES = ("dense", "sparse", "switch")
TOKENS = 20_000_000
DECAY = 0.25  # of the steps


def logs(folder):
    """The log's lines of a model, [] if it did not begin."""
    path = os.path.join(folder, "log.jsonl")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def train(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    domains = len([n for n in os.listdir(arguments.data) if n.endswith(".train.bin")])
    steps = -(-arguments.tokens // (4 * domains * SIZES["dense"]["context"]))
    while True:
        at = {name: len(logs(os.path.join(arguments.folder, name))) for name in NAMES}
        name = min(NAMES, key=lambda n: (at[n], n))
        if at[name] >= steps:
            return
        subprocess.run([sys.executable, os.path.join(here, "train.py"), os.path.join(arguments.folder, name), "--data", arguments.data,
                        "--size", name, "--steps", str(steps), "--decay", str(int(steps * DECAY)), "--evaluate", "100", "--held-out", "48",
                        "--stop-after", str(arguments.piece)] + (["--compile"] if arguments.compile else []), check=True)


def serve(arguments):
    """Exports each model, converts it to Q8_0 and measures it with `sluice bench`, the models in turns; FOLDER/served.json gets
    {name: {"decode batch 1": seconds a token, …}}, medians over the rounds."""
    here, seconds = os.path.dirname(os.path.abspath(__file__)), {}
    for name in NAMES:
        folder = os.path.join(arguments.folder, name)
        hf = os.path.join(folder, "hf")
        subprocess.run([sys.executable, os.path.join(here, "export.py"), folder, hf, "--data", arguments.data], check=True)
        subprocess.run([arguments.sluice, "convert", hf, "--type", "q8_0", "--force", hf + ".gguf"], check=True)
    for _ in range(arguments.rounds):
        for name in NAMES:
            out = subprocess.run([arguments.sluice, "bench", os.path.join(arguments.folder, name, "hf.gguf"), "--json"],
                                 check=True, stdout=subprocess.PIPE).stdout
            for row in json.loads(out)["rows"]:
                what = "prefill %d" % row["rows"] if row["phase"] == "prefill" else "decode batch %d" % row["batch"]
                if row["context"] <= 32:  # not the row with a long context
                    seconds.setdefault(name, {}).setdefault(what, []).append(row["seconds"] / row["rows"])
    with open(os.path.join(arguments.folder, "served.json"), "w", encoding="utf-8") as f:
        json.dump({name: {what: statistics.median(each) for what, each in rows.items()} for name, rows in seconds.items()}, f, indent=1)


def curve(folder):
    """[(tokens, mean held-out loss, {domain: loss})]."""
    return [(line["tokens"], sum(line["held_out"].values()) / len(line["held_out"]), line["held_out"])
            for line in logs(folder) if "held_out" in line]


def tokens_to(points, loss):
    """Where a curve first comes down to a loss, between its points; None if it does not."""
    for before, after in zip([None] + points, points):
        if after[1] <= loss:
            if before is None:
                return after[0]
            part = (before[1] - loss) / (before[1] - after[1])
            return round(before[0] + part * (after[0] - before[0]))
    return None


def summary(folder):
    """Sizes, final losses and the way to the dense model's final loss, by name."""
    curves, out, served = {name: curve(os.path.join(folder, name)) for name in NAMES}, {}, {}
    if os.path.exists(os.path.join(folder, "served.json")):
        with open(os.path.join(folder, "served.json"), encoding="utf-8") as f:
            served = json.load(f)
    goal = curves["dense"][-1][1] if curves["dense"] else 0.0
    for name, points in curves.items():
        if not points:
            continue
        with open(os.path.join(folder, name, "run.json"), encoding="utf-8") as f:
            config = Config(**json.load(f)["config"])
        tokens = tokens_to(points, goal)
        out[name] = {"parameters": config.total(), "multiply_adds_per_token": config.active(), "tokens": points[-1][0],
                     "held_out": {"mean": round(points[-1][1], 4), **points[-1][2]}, "dense_loss_after_tokens": tokens,
                     "dense_loss_after_multiply_adds": tokens and tokens * config.active(),
                     "served_seconds_per_token": {what: float("%.4g" % each) for what, each in served.get(name, {}).items()}}
    return curves, out


def draw(curves, path):
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "sluice"  # the same names inside the file each time
    from matplotlib import pyplot
    figure, axis = pyplot.subplots(figsize=(7, 4.5))
    for name, points in curves.items():
        axis.plot([p[0] / 1e6 for p in points], [p[1] for p in points], label=name)
    axis.set_xlabel("million tokens")
    axis.set_ylabel("held-out loss, mean of the domains")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def report(arguments):
    curves, out = summary(arguments.folder)
    with open(arguments.out + ".json", "w", encoding="utf-8") as f:
        json.dump(out, f, indent=1)
        f.write("\n")
    with open(arguments.out + ".csv", "w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        names = sorted(next(p[0][2] for p in curves.values() if p))
        writer.writerow(["model", "tokens", "mean"] + names)
        for name, points in curves.items():
            for tokens, mean, each in points:
                writer.writerow([name, tokens, "%.5f" % mean] + [each[n] for n in names])
    draw(curves, arguments.out + ".svg")
    json.dump(out, sys.stdout, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("train", "serve", "report"))
    parser.add_argument("folder")
    parser.add_argument("--data", default=".cache/train/data")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--piece", type=int, default=100)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--sluice", default="sluice", help="the program that serves")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default="models/compared")
    arguments = parser.parse_args()
    {"train": train, "serve": serve, "report": report}[arguments.what](arguments)


if __name__ == "__main__":
    main()
