#!/usr/bin/env python3
"""What transformers computes with the talking model's weights, dense and dequantised: expected/smollm2-135m-instruct.json.

    make_demo.py models/cache/smollm2-135m-instruct.gguf

    prompts    [{text, ids,
                 greedy, greedy_margins, greedy_text      24 ids by argmax; best logit minus second best; as text
                 top                                      [[id, logit], …] the ten best after ids
                 rounded_greedy, rounded_margins, rounded_text, rounded_top   the same with activations rounded, see README.md
               }, …]

make_talking.py does the mixture of experts that is made from this model.
"""
import json
import sys

import numpy as np
import tokenizers
import torch
import transformers
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import AddedToken, decoders, models, pre_tokenizers

import reference as ref
from make_quants import round_activations

TEXTS = [
    "The capital of France is",
    "Once upon a time, there was a little",
    "def add(a, b):\n    return",
    "<|im_start|>user\nWhat is 12 + 30?<|im_end|>\n<|im_start|>assistant\n",
    "Der Zug fährt um 17:45 Uhr – 東京まで。 🙂\n\n1. ",
]


def tokenizer_of(file):
    """The GGUF's vocabulary in the tokenizers package: digits one by one, then GPT-2's pattern, as "smollm" means."""
    tokens = file.fields["tokenizer.ggml.tokens"].contents()
    types = file.fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ")) for m in file.fields["tokenizer.ggml.merges"].contents()]
    t = tokenizers.Tokenizer(models.BPE(vocab={x: i for i, x in enumerate(tokens)}, merges=merges))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(x, special=True, normalized=False) for x, k in zip(tokens, types) if k == 3])
    return t


def model_of(file):
    def key(name):
        return file.fields["llama." + name].contents()
    heads, kv = key("attention.head_count"), key("attention.head_count_kv")
    cfg = transformers.LlamaConfig(
        vocab_size=key("vocab_size"), hidden_size=key("embedding_length"), intermediate_size=key("feed_forward_length"),
        num_hidden_layers=key("block_count"), num_attention_heads=heads, num_key_value_heads=kv, rms_norm_eps=1e-5,
        rope_theta=key("rope.freq_base"), max_position_embeddings=key("context_length"), tie_word_embeddings=True, use_cache=False)
    names = {v: k for k, v in ref.LAYER_NAMES.items() if ".experts." not in k and "shared" not in k}
    weights = {}
    for t in file.tensors:
        w = dequantize(t.data, t.tensor_type).astype(np.float32)
        if t.name.startswith("blk."):
            _, layer, rest = t.name.split(".", 2)
            n = {"attn_q.weight": heads, "attn_k.weight": kv}.get(rest)
            if n:
                w = w.reshape(n, w.shape[0] // n // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)
            weights["model.layers.%s.%s" % (layer, names[rest])] = w
        else:
            weights[{"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[t.name]] = w
    return ref.load(ref.model_of("llama", cfg), weights)


def answer(model, ids, prefix):
    feed, past, greedy, margins, top = list(ids), None, [], [], None
    for _ in range(ref.GREEDY):
        with torch.no_grad():
            out = model(input_ids=torch.tensor([feed]), past_key_values=past, use_cache=True)
        z, past = out.logits[0, -1].numpy(), out.past_key_values
        best = np.argsort(-z, kind="stable")[:10]
        top = top or [[int(i), ref.shorten(z[i])] for i in best]
        greedy.append(int(best[0]))
        margins.append(ref.shorten(z[best[0]] - z[best[1]]))
        feed = greedy[-1:]
    return {prefix + "greedy": greedy, prefix + "margins" if prefix else "greedy_margins": margins, prefix + "top": top}


def main():
    versions = ref.start()
    torch.set_num_threads(2)
    file = GGUFReader(sys.argv[1])
    t, model, prompts = tokenizer_of(file), model_of(file), []
    for text in TEXTS:
        ids = t.encode(text, add_special_tokens=False).ids
        p = {"text": text, "ids": ids, **answer(model, ids, "")}
        hooks = [m.register_forward_pre_hook(round_activations) for m in model.modules() if isinstance(m, torch.nn.Linear)]
        p.update(answer(model, ids, "rounded_"))
        for h in hooks:
            h.remove()
        p["greedy_text"] = t.decode(p["greedy"], skip_special_tokens=False)
        p["rounded_text"] = t.decode(p["rounded_greedy"], skip_special_tokens=False)
        print(repr(text), len(ids), repr(p["greedy_text"]), repr(p["rounded_text"]), min(p["greedy_margins"]), min(p["rounded_margins"]))
        prompts.append(p)
    path = ref.HERE / "expected" / "smollm2-135m-instruct.json"
    path.write_text(json.dumps({"made_with": versions, "prompts": prompts}, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
