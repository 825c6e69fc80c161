#!/usr/bin/env python3
"""What transformers computes over a whole text, with three of the tiny checkpoints: expected/NAME.text.json and
NAME.importance.f32.

    make_texts.py           needs what make_checkpoints.py wrote

    text, ctx, stride       texts/prose.txt in windows of ctx tokens
    tokens                  of the text
    beside                  {"scored", "nats"}: windows beside each other, in each the tokens ctx/2 + 1 … ctx - 1, as llama.cpp's
                            perplexity scores them; nats: the sum of -ln p
    beside_bos              the same with <|endoftext|> before the text, and as the first token of every window
    sliding                 the same for windows that begin every `stride` tokens, each of ctx tokens and one to be foretold, of
                            which those are scored that no window before it has scored
    importance              [[name, matrices, cols, [rows of each matrix]], …] by GGUF's names, windows beside each other, the
                            last one shorter; NAME.importance.f32 has the sums of squares [matrices][cols] of what each matrix is
                            multiplied by, one after the other
"""
import json

import numpy as np
import tokenizers
import torch
import transformers

import reference as ref

CTX, STRIDE = 64, 24
NAMES = ["olmoe-mha", "qwen2moe-mixed", "llama-mha-bias"]


def model_of(name):
    folder = ref.HERE / "checkpoints" / name
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def log_probabilities(model, ids):
    """[len(ids)][vocab]: of what comes after each."""
    with torch.no_grad():
        return torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].double(), dim=-1)


def score(model, ids, first):
    """The sum of -ln p of the tokens of a window from `first` on."""
    p = log_probabilities(model, ids[:-1])
    return float(-sum(p[i - 1, ids[i]] for i in range(first, len(ids))))


def beside(model, ids, bos=None):
    windows = [ids[at:at + CTX] for at in range(0, len(ids) - CTX + 1, CTX)]
    if bos is not None:
        windows = [[bos] + w[1:] for w in windows]
    first = CTX // 2 + 1
    return {"scored": len(windows) * (CTX - first), "nats": sum(score(model, w, first) for w in windows)}


def sliding(model, ids):
    nats, done, begin = 0.0, 1, 0
    while done < len(ids):
        end = min(begin + CTX + 1, len(ids))
        nats += score(model, ids[begin:end], done - begin)
        done, begin = end, begin + STRIDE
    return {"scored": len(ids) - 1, "nats": nats}


def gguf_name(module):
    """("blk.0.ffn_up_exps.weight", expert) of a module's name; expert 0 where there is one matrix."""
    _, _, layer, rest = module.split(".", 3)
    parts = rest.split(".")
    if "experts" in parts:
        return "blk.%s.%s_exps.weight" % (layer, ref.EXPERT_NAMES[parts[-1]]), int(parts[-2])
    return "blk.%s.%s" % (layer, ref.LAYER_NAMES[rest + ".weight"]), 0


def importance(model, ids):
    """{name: {expert: (rows, sums of squares)}}"""
    seen, hooks = {}, []
    for name, module in model.named_modules():
        # What is one vector in GGUF has no importance here.
        if isinstance(module, torch.nn.Linear) and name.startswith("model.layers.") and not name.endswith("shared_expert_gate"):
            tensor, expert = gguf_name(name)
            at = seen.setdefault(tensor, {}).setdefault(expert, [0, np.zeros(module.in_features)])

            def keep(module, args, at=at):
                x = args[0].reshape(-1, args[0].shape[-1]).double().numpy()
                at[0] += len(x)
                at[1] += (x * x).sum(0)
            hooks.append(module.register_forward_pre_hook(keep))
    for begin in range(0, len(ids), CTX):
        log_probabilities(model, ids[begin:begin + CTX])
    for h in hooks:
        h.remove()
    return seen


def main():
    versions = ref.start()
    text = (ref.HERE / "texts" / "prose.txt").read_text(encoding="utf-8")
    for name in NAMES:
        model = model_of(name)
        tokenizer = tokenizers.Tokenizer.from_file(str(ref.HERE / "checkpoints" / name / "tokenizer.json"))
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        bos = tokenizer.token_to_id("<|endoftext|>")
        seen, sums, table = importance(model, ids), [], []
        for tensor in sorted(seen):
            matrices = [seen[tensor][i] for i in range(len(seen[tensor]))]
            table.append([tensor, len(matrices), len(matrices[0][1]), [n for n, _ in matrices]])
            sums += [s for _, s in matrices]
        data = {"text": "prose.txt", "ctx": CTX, "stride": STRIDE, "made_with": versions, "tokens": len(ids),
                "beside": beside(model, ids), "beside_bos": beside(model, [bos] + ids, bos), "sliding": sliding(model, ids),
                "importance": table}
        folder = ref.HERE / "expected"
        (folder / (name + ".text.json")).write_text(json.dumps(data, separators=(",", ":")) + "\n")
        np.concatenate(sums).astype("<f4").tofile(folder / (name + ".importance.f32"))
        print(name, len(ids), data["beside"], data["sliding"], len(table))


main()
