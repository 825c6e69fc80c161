#!/usr/bin/env python3
"""Recomputes the default model's loss by domain, with Sluice itself, on held-out text or on any text.

usage: validate.py [--sluice PROGRAM] [--model MODEL] [--stride N] [--record] [DOMAIN=FILE | FILE ...]

Without files: the documents that corpus.py put aside, .cache/corpus/text/DOMAIN.val.txt, whose losses stand in validation.json
(--record writes it); the table shows them beside what is computed now. A FILE is a domain called after it. Every token but a
document's first is scored once, in windows of the model's 512 tokens; they begin every --stride tokens (512, as training
measures; fewer give every token more context). Training's own figures are from windows that run on over the ends of documents.
"""
import argparse
import glob
import hashlib
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RECORD = os.path.join(HERE, "validation.json")


def held_out(corpus):
    files = {os.path.basename(p)[:-len(".val.txt")]: p for p in sorted(glob.glob(os.path.join(corpus, "*.val.txt")))}
    if not files:
        sys.exit("validate: no DOMAIN.val.txt in %s: run models/default/corpus.py, or name texts" % corpus)
    return files


def named(arguments):
    """{domain: path}; of two with one name the second is called by its path."""
    files = {}
    for a in arguments:
        name, _, path = a.partition("=") if "=" in a and not os.path.exists(a) else (os.path.basename(a).split(".")[0], "", a)
        files[a if name in files else name] = path
    return files


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def measure(sluice, model, stride, files):
    """{domain: {"tokens", "scored", "nats_per_token", "perplexity", "bits_per_byte", …}}"""
    r = subprocess.run([sluice, "perplexity", model, "--ctx", "512", "--stride", str(stride), "--json", "--", *files.values()],
                       stdout=subprocess.PIPE, text=True, check=False)
    if r.returncode != 0:
        sys.exit("validate: sluice perplexity left with %d" % r.returncode)
    return {domain: {k: v for k, v in found.items() if k != "file"} for domain, found in zip(files, json.loads(r.stdout)["files"])}


def show(found, recorded):
    print("%-16s %9s %9s %11s %11s %10s   %s" % ("domain", "tokens", "scored", "nats/token", "perplexity", "bits/byte", "recorded" if recorded else ""))
    for domain, x in found.items():
        if not x["scored"]:
            print("%-16s %9d %9d           -" % (domain, x["tokens"], x["scored"]))
            continue
        before = recorded.get(domain)
        print("%-16s %9d %9d %11.4f %11.3f %10.4f   %s" % (domain, x["tokens"], x["scored"], x["nats_per_token"], x["perplexity"],
                                                           x["bits_per_byte"], "%.4f" % before["nats_per_token"] if before else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sluice", default=os.path.join(ROOT, ".cache", "build", "src", "sluice"), help="default: %(default)s")
    parser.add_argument("--model", default=os.path.join(ROOT, "models", "default.gguf"), help="default: %(default)s")
    parser.add_argument("--corpus", default=os.path.join(ROOT, ".cache", "corpus", "text"), help="where held-out text is (default: %(default)s)")
    parser.add_argument("--stride", type=int, default=512, help="default: %(default)s")
    parser.add_argument("--record", action="store_true", help="write validation.json")
    parser.add_argument("file", nargs="*", help="DOMAIN=FILE or FILE")
    arguments = parser.parse_args()
    if arguments.record and (arguments.file or arguments.stride != 512):
        sys.exit("validate: --record is for the held-out text and the default stride")
    files = named(arguments.file) if arguments.file else held_out(arguments.corpus)
    found, sha256, recorded = measure(arguments.sluice, arguments.model, arguments.stride, files), digest(arguments.model), {}
    if arguments.record:
        with open(RECORD, "w", encoding="utf-8") as f:
            json.dump({"sha256": sha256, "ctx": 512, "stride": 512, "domains": found}, f, indent=1)
            f.write("\n")
    elif os.path.exists(RECORD) and not arguments.file and arguments.stride == 512:
        with open(RECORD, encoding="utf-8") as f:
            record = json.load(f)
        if record["sha256"] == sha256:
            recorded = record["domains"]
        else:
            print("validate: validation.json is about another model", file=sys.stderr)
    show(found, recorded)


if __name__ == "__main__":
    main()
