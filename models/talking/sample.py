#!/usr/bin/env python3
"""What SmolLM2 itself says, to train and to measure routers on: conversations in its chat format, and plain text.

    sample.py DENSE.gguf OUT [--rounds 6]

Writes OUT/conversations.train.jsonl and OUT/conversations.val.jsonl (a list of turns a line, the user's first), and
OUT/plain.train.txt and OUT/plain.val.txt (texts ended by zero bytes). Half of the conversations begin with a question from
below, the other half with one that the model thinks of; all later questions are the model's. Questions are held out with
their subject, texts by their place. A round is 96 conversations and 32 texts of at most 384 tokens. Deterministic on one
machine; what is held out is in held/, so that figures can be had again anywhere.
"""
import argparse
import json
import os

import torch

from dense import Cache, Dense, conversation

SUBJECTS = """the sun;rain;volcanoes;the moon;gravity;photosynthesis;electricity;magnets;the human heart;sleep;dreams;memory;bread;
coffee;tea;cheese;chocolate;a vegetable soup;pancakes;a bicycle;a steam engine;aeroplanes;railways;bridges;a violin;jazz;opera;
paintings;photography;poetry;novels;the theatre;chess;football;swimming;running;mountains;rivers;the sea;deserts;forests;birds;
bees;cats;dogs;horses;whales;elephants;dinosaurs;the Roman Empire;ancient Egypt;the Middle Ages;the French Revolution;the
printing press;the Industrial Revolution;the first computers;the internet;Python programs;sorting a list;a binary search;prime
numbers;fractions;the Pythagorean theorem;percentages;probability;money;banks;taxes;trade;a small business;a job interview;a
letter to a friend;a birthday party;a holiday in Italy;moving to a new city;learning a language;learning to cook;saving money;
getting up early;a healthy diet;exercise;stress;friendship;honesty;courage;democracy;schools;libraries;museums;gardens;houses;
windows;clocks;maps;the weather forecast;climate change;recycling;solar panels;batteries;robots;space travel;Mars;the stars;the
Atlantic Ocean;Paris;London;Japan;India;Brazil;Africa;winter;spring;a lost key;an old lighthouse;a clever fox;a brave knight;two
brothers;a robot that wants to paint;the last dragon""".replace("\n", " ").split(";")
QUESTIONS = ["What is {}?", "Tell me about {}.", "Explain {} to a child.", "How does one start with {}?", "Write a short story about {}.",
             "Write a poem about {}.", "Why is {} important?", "Give me three facts about {}.", "What do you think of {}?",
             "Summarise the history of {} in a few sentences.", "What are the advantages and disadvantages of {}?",
             "I have a question about {}. Can you help me?", "Make a list of ideas about {}.", "Write an email about {}."]
END, MOST = 2, 384  # <|im_end|>
HELD_OUT = 10  # one subject in so many


def questions(which):
    """Every question of the subjects that are held out (val) or not (train), in an order without a pattern."""
    chosen = [s for i, s in enumerate(SUBJECTS) if (i % HELD_OUT == 3) == (which == "val")]
    every = [q.format(s.strip()) for s in chosen for q in QUESTIONS]
    g = torch.Generator().manual_seed(len(every))
    return [every[i] for i in torch.randperm(len(every), generator=g)]


def beginnings(tokenizer, which, count, at):
    ask = questions(which)
    out = []
    for i in range(count):
        text = conversation([])
        text += "<|im_start|>user\n" if i % 2 else "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n" % ask[(at + i) // 2 % len(ask)]
        out.append(tokenizer.encode(text, add_special_tokens=False).ids)
    return out


@torch.no_grad()
def continued(model, tokenizer, streams, generator):
    """Each list of ids continued to MOST tokens, at a temperature of 0.8 (users: 1) from the 40 (200) likeliest. Who ends a turn
    hands over to the other."""
    after = {role: tokenizer.encode("\n<|im_start|>%s\n" % role, add_special_tokens=False).ids for role in ("user", "assistant")}
    asks = [tokenizer.decode(s[-3:], skip_special_tokens=False).endswith("user\n") for s in streams]
    cache = Cache(model, len(streams), MOST)
    out, given = [[s[0]] for s in streams], [s[1:] for s in streams]
    for at in range(MOST - 1):
        ids = torch.tensor([[s[-1]] for s in out])
        cache.used = at
        logits = model.logits(model.hidden(ids, start=at, cache=cache)[:, 0]).float()
        best, which = logits.topk(200)
        for i, stream in enumerate(out):
            if given[i]:
                stream.append(given[i].pop(0))
                continue
            n, heat = (200, 1.0) if asks[i] else (40, 0.8)
            p = torch.softmax(best[i, :n] / heat, 0)
            token = which[i, torch.multinomial(p, 1, generator=generator)].item()
            stream.append(token)
            if token == END:
                asks[i] = not asks[i]
                given[i] = list(after["user" if asks[i] else "assistant"])
    return out


def turns(text):
    """The turns of a sampled conversation after the system's; the last is where the sampling stopped."""
    parts = text.split("<|im_start|>")[2:]
    return [p.split("\n", 1)[1].removesuffix("\n").removesuffix("<|im_end|>") for p in parts if "\n" in p]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dense")
    p.add_argument("out")
    p.add_argument("--rounds", type=int, default=6)
    a = p.parse_args()
    torch.set_num_threads(1)
    model = Dense(a.dense, torch.bfloat16)
    tokenizer = model.tokenizer()
    os.makedirs(a.out, exist_ok=True)
    generator = torch.Generator().manual_seed(1)
    for r in range(a.rounds):
        which = "val" if r == 0 else "train"
        streams = beginnings(tokenizer, which, 96, 96 * r) + [[0] for _ in range(32)]
        text = [tokenizer.decode(s, skip_special_tokens=False) for s in continued(model, tokenizer, streams, generator)]
        with open(os.path.join(a.out, "conversations.%s.jsonl" % which), "a", encoding="utf-8") as f:
            for t in text[:96]:
                f.write(json.dumps(turns(t), ensure_ascii=False) + "\n")
        with open(os.path.join(a.out, "plain.%s.txt" % which), "a", encoding="utf-8") as f:
            for t in text[96:]:
                f.write(t.replace("<|endoftext|>", "") + "\0")
        print("round %d of %d" % (r + 1, a.rounds), flush=True)


if __name__ == "__main__":
    main()
