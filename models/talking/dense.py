"""SmolLM2 in PyTorch, from the GGUF file that Sluice serves: its tokens, its weights dequantised, its forward pass.

The feed-forward layers take a mask: a factor for each hidden unit, which is how a choice of experts is tried without a file.
Nothing of this is needed to serve a model.
"""
import json
import mmap
import os
import sys

import numpy
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import gguf_file as gguf  # noqa: E402


def dequantised(raw, dims, kind):
    """float32 [dims[1]][dims[0]], or [dims[0]]."""
    raw = numpy.frombuffer(raw, dtype=numpy.uint8)
    if kind == gguf.F32:
        values = raw.view(numpy.float32)
    elif kind == gguf.Q8_0:
        blocks = raw.reshape(-1, 34)
        values = blocks[:, :2].copy().view(numpy.float16).astype(numpy.float32) * blocks[:, 2:].copy().view(numpy.int8)
    elif kind == gguf.Q4_1:
        blocks = raw.reshape(-1, 20)
        scale, least = (blocks[:, i : i + 2].copy().view(numpy.float16).astype(numpy.float32) for i in (0, 2))
        values = scale * numpy.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1) + least
    else:
        raise SystemExit("a tensor of type %s" % gguf.TYPES[kind][0])
    return torch.from_numpy(numpy.array(values, dtype=numpy.float32)).reshape(dims[::-1])


def strings(raw):
    """The texts of an array of strings."""
    r = gguf.Reader(raw)
    kind, count = r.number("I"), r.number("Q")
    assert kind == gguf.STRING
    return [r.string().decode() for _ in range(count)]


class Dense:
    """Weights, sizes and tokens of a dense llama file."""

    def __init__(self, path, dtype=torch.float32):
        with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
            self.keys, tensors, _ = gguf.read(data)
            weights = {name: dequantised(data[at : at + size], dims, kind) for name, dims, kind, at, size in tensors}
            kinds, tokens, merges = (self.keys["tokenizer.ggml." + k][1] for k in ("token_type", "tokens", "merges"))
        n = {k: gguf.number(self.keys, "llama." + k) for k in (
            "block_count", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv")}
        self.layers, self.width, self.ff = n["block_count"], n["embedding_length"], n["feed_forward_length"]
        self.heads, self.kv_heads = n["attention.head_count"], n["attention.head_count_kv"]
        self.head = self.width // self.heads
        self.eps = numpy.frombuffer(self.keys["llama.attention.layer_norm_rms_epsilon"][1], "<f4")[0].item()
        self.theta = numpy.frombuffer(self.keys["llama.rope.freq_base"][1], "<f4")[0].item()
        self.weights = {k: self.halves(k, v).to(dtype) for k, v in weights.items()}
        self.dtype = dtype
        self.tokens, self.merges = strings(tokens), strings(merges)
        self.kinds = numpy.frombuffer(kinds[12:], "<i4")
        self.template = gguf.text(self.keys, "tokenizer.chat_template", "")

    def tokenizer(self):
        """Digits one by one, then GPT-2's pattern, as "smollm" means."""
        import tokenizers
        from tokenizers import AddedToken, decoders, models, pre_tokenizers
        t = tokenizers.Tokenizer(models.BPE(vocab={x: i for i, x in enumerate(self.tokens)},
                                            merges=[tuple(m.split(" ")) for m in self.merges]))
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
        t.decoder = decoders.ByteLevel()
        t.add_special_tokens([AddedToken(x, special=True, normalized=False) for x, k in zip(self.tokens, self.kinds) if k == 3])
        return t

    def halves(self, name, w):
        """The rows of q and k stand in the file as pairs (2j, 2j + 1) rotate; here a head's first parts come before the second."""
        if not name.endswith(("attn_q.weight", "attn_k.weight")):
            return w
        return w.view(-1, self.head // 2, 2, self.width).transpose(1, 2).reshape(-1, self.width)

    def get(self, layer, part):
        return self.weights["blk.%d.%s.weight" % (layer, part)]

    def norm(self, x, weight):
        y = x.float()
        return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype) * weight

    def turns(self, start, positions):
        """(cosine, sine) of the rotations, [positions][head], both halves."""
        j = torch.arange(0, self.head, 2).float()
        angle = (torch.arange(start, start + positions).float()[:, None] / self.theta ** (j / self.head)).repeat(1, 2)
        return angle.cos().to(self.dtype), angle.sin().to(self.dtype)

    def rotated(self, x, turns):
        """x [batch][heads][positions][head], pairs (j, j + head / 2)."""
        a, b = x.chunk(2, -1)
        return x * turns[0] + torch.cat((-b, a), -1) * turns[1]

    def attention(self, layer, x, turns, cache=None):
        batch, positions, _ = x.shape
        q, k, v = (F.linear(x, self.get(layer, "attn_" + p)).view(batch, positions, -1, self.head).transpose(1, 2) for p in "qkv")
        q, k = self.rotated(q, turns), self.rotated(k, turns)
        if cache is not None:
            k, v = cache.grown(layer, k, v)
        if torch.is_grad_enabled():
            y = self.differentiable(q, k, v)
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=positions > 1, enable_gqa=True)
        return F.linear(y.transpose(1, 2).reshape(batch, positions, self.width), self.get(layer, "attn_output"))

    def differentiable(self, q, k, v):
        """The same, faster where there is a backward pass; a head of k serves `group` heads of q."""
        group, positions = self.heads // self.kv_heads, q.shape[2]
        later = torch.full((positions, positions), -1e9).triu(1).to(q.dtype)
        score = q.unflatten(1, (-1, group)).flatten(2, 3) @ k.transpose(-1, -2) * self.head ** -0.5
        share = torch.softmax(score.unflatten(2, (group, -1)) + later, -1)
        return (share.flatten(2, 3) @ v).unflatten(2, (group, -1)).flatten(1, 2)

    def units(self, layer, x):
        """What a feed-forward layer's hidden units are for its normed input: [...][ff]."""
        return F.silu(F.linear(x, self.get(layer, "ffn_gate"))) * F.linear(x, self.get(layer, "ffn_up"))

    def feed_forward(self, layer, x):
        return F.linear(self.units(layer, x), self.get(layer, "ffn_down"))

    def hidden(self, ids, feed_forward=None, start=0, cache=None):
        """The normed output of the last block for ids [batch][positions]: [batch][positions][width].
        feed_forward(layer, x): in place of the dense layer."""
        feed_forward = feed_forward or self.feed_forward
        turns = self.turns(start, ids.shape[1])
        x = F.embedding(ids, self.weights["token_embd.weight"])
        for i in range(self.layers):
            x = x + self.attention(i, self.norm(x, self.get(i, "attn_norm")), turns, cache)
            x = x + feed_forward(i, self.norm(x, self.get(i, "ffn_norm")))
        return self.norm(x, self.weights["output_norm.weight"])

    def logits(self, hidden):
        return F.linear(hidden, self.weights["token_embd.weight"])


class Cache:
    """Keys and values of the positions so far, in memory for `most` of them."""

    def __init__(self, model, batch, most):
        shape = (model.layers, batch, model.kv_heads, most, model.head)
        self.k, self.v, self.used = torch.empty(shape, dtype=model.dtype), torch.empty(shape, dtype=model.dtype), 0

    def grown(self, layer, k, v):
        end = self.used + k.shape[2]
        self.k[layer, :, :, self.used : end], self.v[layer, :, :, self.used : end] = k, v
        return self.k[layer, :, :, :end], self.v[layer, :, :, :end]


def conversation(turns, system="You are a helpful AI assistant named SmolLM, trained by Hugging Face"):
    """Turns, the user's first, as the model's chat template writes them; each is ended, none is begun."""
    text = "<|im_start|>system\n%s<|im_end|>\n" % system
    for i, turn in enumerate(turns):
        text += "<|im_start|>%s\n%s<|im_end|>\n" % ("assistant" if i % 2 else "user", turn)
    return text


def documents(path):
    """A file of conversations (.jsonl: a list of turns a line) or of texts that are ended by zero bytes."""
    with open(path, encoding="utf-8", errors="replace") as f:
        if path.endswith(".jsonl"):
            return [conversation(json.loads(line)) for line in f]
        return [t for t in f.read().split("\0") if t.strip()]
