"""Batches of the tokenized corpus: which tokens a step sees depends on nothing but the seed and the step's number."""
import os

import numpy
import torch


def domains(folder):
    return sorted(name[:-len(".train.bin")] for name in os.listdir(folder) if name.endswith(".train.bin"))


class Stream:
    """A domain's training tokens, cut into windows that are visited in a new order and from a new offset in each epoch."""

    def __init__(self, path, context, seed):
        self.tokens = numpy.memmap(path, dtype="<u2", mode="r")
        self.context, self.seed = context, seed
        self.windows = (len(self.tokens) - context - 1) // context
        if self.windows < 1:
            raise ValueError("%s: fewer tokens than two windows of %d" % (path, context))
        self.epoch = None

    def window(self, number):
        """The tokens of the number-th window since the beginning of training: context + 1 of them."""
        epoch, i = divmod(number, self.windows)
        if epoch != self.epoch:
            random = numpy.random.Generator(numpy.random.PCG64([self.seed, epoch]))
            self.offset = int(random.integers(self.context))
            self.order = random.permutation(self.windows)
            self.epoch = epoch
        at = self.offset + int(self.order[i]) * self.context
        return self.tokens[at:at + self.context + 1].astype(numpy.int64)


class Batches:
    """A step has `parts` parts; each part has one window of every domain."""

    def __init__(self, folder, context, parts, seed):
        self.names = domains(folder)
        self.parts = parts
        self.streams = [Stream(os.path.join(folder, name + ".train.bin"), context, seed * 1000 + i)
                        for i, name in enumerate(self.names)]

    def part(self, step, part):
        """(ids, targets), both [domains, context]."""
        rows = torch.from_numpy(numpy.stack([s.window(step * self.parts + part) for s in self.streams]))
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def held_out(folder, name, context, windows):
    """The first windows of a domain's held-out tokens: (ids, targets), both [windows, context]."""
    tokens = numpy.memmap(os.path.join(folder, name + ".val.bin"), dtype="<u2", mode="r")
    windows = min(windows, (len(tokens) - 1) // context)
    rows = numpy.stack([tokens[i * context:(i + 1) * context + 1] for i in range(windows)]).astype(numpy.int64)
    rows = torch.from_numpy(rows)
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()
