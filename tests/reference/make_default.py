#!/usr/bin/env python3
"""What transformers computes with the default model's weights, dequantised: expected/default.json. For every new model, once.

    make_default.py [MODEL]           MODEL: models/default.gguf

    sha256        of MODEL: tests refuse to compare another file
    prompts       [{domain, text, ids,
                    greedy, greedy_margins, top                   as in expected/smollm2-135m-instruct.json, whose script this
                    rounded_greedy, rounded_margins, rounded_top  borrows from
                  }, …]
    rounding      the largest difference that rounding activations made to one of the ten best logits of a prompt
    ctx, stride   of the windows in which texts/DOMAIN.txt are scored, as make_texts.py says of `sliding`
    domains       {domain: {tokens, scored, nats, rounded_nats, compressed}}: sums of -ln p; what bzip2, the best of the common
                  compressors on texts of this size, makes of the text, in bits a byte
"""
import bz2
import hashlib
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

CTX, STRIDE, TOKENS = 512, 256, 24
PROMPTS = {
    "prose": "And the king said unto the people, ",
    "c": "static int __init device_init(void)\n{\n",
    "man": "NAME\n       sort - ",
    "de": "Wenn Sie die Datei öffnen, ",
    "fr": "Lorsque vous ouvrez le fichier, ",
    "es": "Cuando se abre el archivo, ",
}


def tokenizer_of(file):
    pre = file.fields["tokenizer.ggml.pre"].contents()
    if pre != "gpt-2":
        sys.exit("make_default: the tokenizer is %s, and only gpt-2 is known here" % pre)
    tokens, types = (file.fields["tokenizer.ggml." + k].contents() for k in ("tokens", "token_type"))
    merges = [tuple(m.split(" ")) for m in file.fields["tokenizer.ggml.merges"].contents()]
    t = tokenizers.Tokenizer(models.BPE(vocab={x: i for i, x in enumerate(tokens)}, merges=merges))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(x, special=True, normalized=False) for x, k in zip(tokens, types) if k == 3])
    return t


def model_of(file):
    def key(name):
        return file.fields["olmoe." + name].contents()
    tensors = {t.name: dequantize(t.data, t.tensor_type).astype(np.float32) for t in file.tensors}
    cfg = transformers.OlmoeConfig(
        vocab_size=len(tensors["token_embd.weight"]), hidden_size=key("embedding_length"), intermediate_size=key("feed_forward_length"),
        num_hidden_layers=key("block_count"), num_attention_heads=key("attention.head_count"),
        num_key_value_heads=key("attention.head_count_kv"), rms_norm_eps=key("attention.layer_norm_rms_epsilon"),
        rope_theta=key("rope.freq_base"), max_position_embeddings=key("context_length"), num_experts=key("expert_count"),
        num_experts_per_tok=key("expert_used_count"), norm_topk_prob=False, tie_word_embeddings="output.weight" not in tensors,
        use_cache=False)
    names = {v: k for k, v in ref.LAYER_NAMES.items() if "shared" not in k and "block_sparse" not in k}
    experts = {"ffn_%s_exps.weight" % n: "mlp.experts.%%d.%s_proj.weight" % n for n in ("gate", "up", "down")}
    outside = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}
    weights = {}
    for name, w in tensors.items():
        if name in outside:
            weights[outside[name]] = w
            continue
        _, layer, rest = name.split(".", 2)
        at = "model.layers.%s." % layer
        if rest in experts:
            weights.update({at + experts[rest] % e: x for e, x in enumerate(w)})
        else:
            weights[at + names[rest]] = w
    return ref.load(ref.model_of("olmoe", cfg), weights)


def answer(model, ids, prefix):
    greedy, margins, top = [], [], None
    for _ in range(TOKENS):
        z = ref.last_logits(model, ids + greedy)
        best = np.argsort(-z, kind="stable")[:10]
        top = top or [[int(i), ref.shorten(z[i])] for i in best]
        greedy.append(int(best[0]))
        margins.append(ref.shorten(z[best[0]] - z[best[1]]))
    return {prefix + "greedy": greedy, prefix + "margins" if prefix else "greedy_margins": margins, prefix + "top": top}


def sliding(model, ids):
    nats, done, begin = 0.0, 1, 0
    while done < len(ids):
        window = ids[begin:begin + CTX + 1]
        with torch.no_grad():
            p = torch.log_softmax(model(input_ids=torch.tensor([window[:-1]])).logits[0].double(), dim=-1)
        nats -= float(sum(p[i - 1, window[i]] for i in range(done - begin, len(window))))
        done, begin = begin + len(window), begin + STRIDE
    return nats


def rounding(model):
    """Hooks that round what every matrix but the routers is multiplied by."""
    return [m.register_forward_pre_hook(round_activations) for n, m in model.named_modules()
            if isinstance(m, torch.nn.Linear) and not n.endswith(".mlp.gate")]


def differences(p):
    exact, rounded = dict(map(tuple, p["top"])), dict(map(tuple, p["rounded_top"]))
    return [abs(exact[i] - rounded[i]) for i in exact.keys() & rounded.keys()]


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else str(ref.HERE.parent.parent / "models" / "default.gguf")
    with open(path, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    versions, file = ref.start(), GGUFReader(path)
    tokenizer, model = tokenizer_of(file), model_of(file)
    prompts, domains = [], {}
    for domain, text in PROMPTS.items():
        whole = (ref.HERE / "texts" / (domain + ".txt")).read_bytes()
        ids, tokens = tokenizer.encode(text).ids, tokenizer.encode(whole.decode()).ids
        p = {"domain": domain, "text": text, "ids": ids, **answer(model, ids, "")}
        d = {"tokens": len(tokens), "scored": len(tokens) - 1, "nats": sliding(model, tokens)}
        hooks = rounding(model)
        p.update(answer(model, ids, "rounded_"))
        d["rounded_nats"] = sliding(model, tokens)
        for h in hooks:
            h.remove()
        d["compressed"] = 8 * len(bz2.compress(whole)) / len(whole)
        prompts.append(p)
        domains[domain] = d
        print("%-6s %5d tokens, %.4f nats a token, rounded %.4f, %.3f bits a byte (compressed %.3f): %r" % (
            domain, len(tokens), d["nats"] / d["scored"], d["rounded_nats"] / d["scored"], d["nats"] / np.log(2) / len(whole),
            d["compressed"], tokenizer.decode(p["greedy"])))
    data = {"sha256": digest, "made_with": versions, "prompts": prompts, "ctx": CTX, "stride": STRIDE, "domains": domains,
            "rounding": max(x for p in prompts for x in differences(p))}
    (ref.HERE / "expected" / "default.json").write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
