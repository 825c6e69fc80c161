#!/usr/bin/env python3
"""Trains the tokenizer and turns the corpus into tokens.

usage: tokenizer.py [--corpus DIR] [--out DIR] [--vocab N]

Byte-level BPE with GPT-2's pattern, trained on all domains' training text. Writes into --out (.cache/train/data) tokenizer.json
and DOMAIN.train.bin, DOMAIN.val.bin: little-endian 16-bit token ids, each document ended by <|endoftext|> (id 0).
"""
import argparse
import os
import sys

import numpy
import tokenizers

END = "<|endoftext|>"


def documents(path):
    with open(path, encoding="utf-8") as f:
        return [d for d in f.read().split("\0") if d]


def domains(corpus):
    names = sorted(n[:-len(".train.txt")] for n in os.listdir(corpus) if n.endswith(".train.txt"))
    if not names:
        sys.exit("tokenizer: no DOMAIN.train.txt in %s: run corpus.py first" % corpus)
    return names


def train(texts, vocab):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=vocab, special_tokens=[END], show_progress=False, max_token_length=24,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer, path, out):
    end = tokenizer.token_to_id(END)
    ids = []
    for encoding in tokenizer.encode_batch_fast(documents(path)):
        ids += encoding.ids
        ids.append(end)
    with open(out + ".part", "wb") as f:
        f.write(numpy.array(ids, dtype="<u2").tobytes())
    os.replace(out + ".part", out)
    return len(ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", default=".cache/corpus/text")
    parser.add_argument("--out", default=".cache/train/data")
    parser.add_argument("--vocab", type=int, default=6144)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    names = domains(arguments.corpus)
    texts = [d for name in names for d in documents(os.path.join(arguments.corpus, name + ".train.txt"))]
    tokenizer = train(texts, arguments.vocab)
    tokenizer.save(os.path.join(arguments.out, "tokenizer.json.part"))
    os.replace(os.path.join(arguments.out, "tokenizer.json.part"), os.path.join(arguments.out, "tokenizer.json"))
    for name in names:
        for which in ("train", "val"):
            path = os.path.join(arguments.corpus, "%s.%s.txt" % (name, which))
            count = encode(tokenizer, path, os.path.join(arguments.out, "%s.%s.bin" % (name, which)))
            print("tokenizer: %-6s %-5s %9d tokens, %.2f bytes a token"
                  % (name, which, count, os.path.getsize(path) / max(count, 1)), file=sys.stderr)


if __name__ == "__main__":
    main()
