#!/usr/bin/env python3
"""Writes the seeds of the targets gguf, safetensors, config, imatrix and files: the smallest models that bind."""
import json, os, struct

HERE = os.path.dirname(os.path.abspath(__file__))


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def kv(key, value):
    out = text(key)
    if isinstance(value, bool):
        return out + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return out + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return out + struct.pack("<If", 6, value)
    if isinstance(value, str):
        return out + struct.pack("<I", 8) + text(value)
    if isinstance(value[0], str):
        return out + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    if isinstance(value[0], float):
        return out + struct.pack("<IIQ%df" % len(value), 9, 6, len(value), *value)
    return out + struct.pack("<IIQ%di" % len(value), 9, 5, len(value), *value)


def gguf(keys, tensors):
    """tensors: name -> row-major shape; all F32, 0.5."""
    infos, data = b"", b""
    for name, shape in tensors.items():
        count = 1
        for d in shape:
            count *= d
        infos += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", d) for d in reversed(shape))
        infos += struct.pack("<IQ", 0, len(data))
        data += struct.pack("<%df" % count, *[0.5] * count)
        data += b"\0" * (-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(kv(*k) for k in keys.items()) + infos
    return head + b"\0" * (-len(head) % 32) + data


def safetensors(tensors):
    header, at, data = {}, 0, b""
    for name, shape in tensors.items():
        count = 1
        for d in shape:
            count *= d
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + 4 * count]}
        at += 4 * count
        data += struct.pack("<%df" % count, *[0.5] * count)
    h = json.dumps(header, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    return struct.pack("<Q", len(h)) + h + data


def keys(arch, experts, **more):
    k = {"general.architecture": arch, arch + ".block_count": 1, arch + ".context_length": 8,
         arch + ".embedding_length": 4, arch + ".feed_forward_length": 2, arch + ".attention.head_count": 2,
         arch + ".attention.head_count_kv": 1, arch + ".attention.layer_norm_rms_epsilon": 1e-5}
    if experts:
        k.update({arch + ".expert_count": experts, arch + ".expert_used_count": 1})
    k.update({"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["a", "b"],
              "tokenizer.ggml.scores": [0.0, -1.0], "tokenizer.ggml.token_type": [1, 1],
              "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.add_bos_token": True})
    k.update({arch + "." + name.replace("__", "."): v for name, v in more.items()})
    return k


def attention(q_norm=0, k_norm=0, bias=False):
    t = {"attn_norm.weight": (4,), "attn_q.weight": (4, 4), "attn_k.weight": (2, 4), "attn_v.weight": (2, 4),
         "attn_output.weight": (4, 4), "ffn_norm.weight": (4,)}
    if q_norm:
        t.update({"attn_q_norm.weight": (q_norm,), "attn_k_norm.weight": (k_norm,)})
    if bias:
        t.update({"attn_q.bias": (4,), "attn_k.bias": (2,), "attn_v.bias": (2,)})
    return t


def model(block, untied=True):
    t = {"token_embd.weight": (2, 4), "output_norm.weight": (4,)}
    if untied:
        t["output.weight"] = (2, 4)
    t.update({"blk.0." + name: shape for name, shape in block.items()})
    return t


DENSE = {"ffn_gate.weight": (2, 4), "ffn_up.weight": (2, 4), "ffn_down.weight": (4, 2)}
MOE = {"ffn_gate_inp.weight": (2, 4), "ffn_gate_exps.weight": (2, 2, 4), "ffn_up_exps.weight": (2, 2, 4),
       "ffn_down_exps.weight": (2, 4, 2)}
OLD = {"ffn_gate_inp.weight": (2, 4)}
for x in range(2):
    OLD.update({"ffn_gate.%d.weight" % x: (2, 4), "ffn_up.%d.weight" % x: (2, 4), "ffn_down.%d.weight" % x: (4, 2)})
SHARED = {"ffn_gate_inp_shexp.weight": (4,), "ffn_gate_shexp.weight": (2, 4), "ffn_up_shexp.weight": (2, 4),
          "ffn_down_shexp.weight": (4, 2)}

GGUF = {
    "llama": gguf(keys("llama", 0), {**model({**attention(), **DENSE}, False), "rope_freqs.weight": (1,)}),
    "mixtral": gguf(keys("llama", 2), model({**attention(), **MOE})),
    "mixtral-old": gguf(keys("llama", 2), model({**attention(), **OLD})),
    "olmoe": gguf(keys("olmoe", 2), model({**attention(4, 2), **MOE})),
    "qwen2moe": gguf(keys("qwen2moe", 2, expert_feed_forward_length=2, expert_shared_feed_forward_length=2),
                     model({**attention(bias=True), **MOE, **SHARED})),
    "qwen3moe": gguf(keys("qwen3moe", 2, expert_feed_forward_length=2, rope__scaling__type="yarn",
                          rope__scaling__factor=4.0, rope__scaling__original_context_length=4),
                     model({**attention(2, 2), **MOE})),
    "qwen3": gguf(keys("qwen3", 0), model({**attention(2, 2), **DENSE})),
}

# Dimensions of 1, which move no byte; and no key that tells how wide an expert is.
GGUF["ones"] = gguf(keys("qwen2moe", 2), {name: (shape + (1,) if i % 2 else (1,) + shape)
                                          for i, (name, shape) in enumerate(model({**attention(bias=True), **MOE, **SHARED}).items())})

HF = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
      "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
      "attn_k_norm": "self_attn.k_norm", "ffn_norm": "post_attention_layernorm"}


def hf(block, extra):
    t = {"model.embed_tokens.weight": (2, 4), "model.norm.weight": (4,), "lm_head.weight": (2, 4)}
    for name, shape in block.items():
        stem, suffix = name.rsplit(".", 1)
        t["model.layers.0.%s.%s" % (HF[stem], suffix)] = shape
    t.update({"model.layers.0." + name: shape for name, shape in extra.items()})
    return t


def experts(prefix, names):
    out = {prefix + ".gate.weight": (2, 4)}
    for x in range(2):
        for n, shape in zip(names, ((2, 4), (2, 4), (4, 2))):
            out["%s.experts.%d.%s.weight" % (prefix, x, n)] = shape
    return out


QWEN = ("gate_proj", "up_proj", "down_proj")
SIZES = {"vocab_size": 2, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
         "head_dim": None, "intermediate_size": 2, "max_position_embeddings": 8, "tie_word_embeddings": False}
FOLDERS = {
    "mixtral": ({**SIZES, "model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 1},
                hf(attention(), experts("block_sparse_moe", ("w1", "w3", "w2")))),
    "mixtral-fused": ({**SIZES, "model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 1,
                       "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
                      hf(attention(), {"mlp.gate.weight": (2, 4), "mlp.experts.gate_up_proj": (2, 4, 4),
                                       "mlp.experts.down_proj": (2, 4, 2)})),
    "qwen2_moe": ({**SIZES, "model_type": "qwen2_moe", "num_experts": 2, "num_experts_per_tok": 1,
                   "moe_intermediate_size": 2, "shared_expert_intermediate_size": 2, "mlp_only_layers": []},
                  hf(attention(bias=True), {**experts("mlp", QWEN), "mlp.shared_expert_gate.weight": (1, 4),
                     **{"mlp.shared_expert.%s.weight" % n: s for n, s in zip(QWEN, ((2, 4), (2, 4), (4, 2)))}})),
    "qwen3": ({**SIZES, "model_type": "qwen3", "use_sliding_window": False, "sliding_window": None,
               "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4}},
              hf(attention(2, 2), {"mlp.%s.weight" % n: s for n, s in zip(QWEN, ((2, 4), (2, 4), (4, 2)))})),
    "llama": ({**SIZES, "model_type": "llama", "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 4}},
              hf(attention(), {"mlp.%s.weight" % n: s for n, s in zip(QWEN, ((2, 4), (2, 4), (4, 2)))})),
}


FOLDERS["ones"] = (FOLDERS["qwen2_moe"][0], {name: (1,) + shape + (1, 1, 1) for name, shape in FOLDERS["qwen2_moe"][1].items()})


def write(target, name, data):
    os.makedirs(os.path.join(HERE, target), exist_ok=True)
    with open(os.path.join(HERE, target, name), "wb") as f:
        f.write(data)


for name, data in GGUF.items():
    write("gguf", name + ".gguf", data)
for name, (config, tensors) in FOLDERS.items():
    c = json.dumps(config).encode()
    write("safetensors", name, struct.pack("<H", len(c)) + c + safetensors(tensors))
    write("config", name + ".json", c)

# Importances of the model gguf/mixtral.gguf: two experts in each stack, four or two columns.
SEEN = {"blk.0.attn_q.weight": (1, 4), "blk.0.ffn_down_exps.weight": (2, 2), "blk.0.ffn_gate_exps.weight": (2, 4)}
said = {"general.type": "imatrix", "imatrix.datasets": ["a.txt", "b.txt"], "imatrix.chunk_count": 4, "imatrix.chunk_size": 512}
sums = {}
for name, shape in SEEN.items():
    sums.update({name + ".counts": (shape[0], 1), name + ".in_sum2": shape})
write("imatrix", "gguf", gguf(said, sums))
legacy = struct.pack("<i", len(SEEN))
for name, (slices, cols) in SEEN.items():
    legacy += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii%df" % (slices * cols), 3, slices * cols, *[0.25] * (slices * cols))
write("imatrix", "legacy", legacy + struct.pack("<ii", 3, 5) + b"a.txt")


def sections(files):
    return b"\n".join(b"=== " + name.encode() + b"\n" + data for name, data in files.items())


def halves(tensors):
    names = sorted(tensors)
    return [{n: tensors[n] for n in part} for part in (names[::2], names[1::2])]


tensors = model({**attention(), **MOE})
first, second = halves(tensors)
parts = {"split.count": 2, "split.tensors.count": len(tensors)}
more = {"tokenizer.chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}", "tokenizer.chat_template.tool_use": "{{ 1 }}"}
write("files", "split", sections({"m-00001-of-00002.gguf": gguf({**keys("llama", 2), **parts, **more, "split.no": 0}, first),
                                  "m-00002-of-00002.gguf": gguf({**parts, "split.no": 1}, second)}))

config, tensors = FOLDERS["mixtral"]
first, second = halves(tensors)
index = {"metadata": {}, "weight_map": {n: "a.safetensors" if n in first else "b.safetensors" for n in tensors}}
tokens = {"added_tokens": [{"id": 1, "content": "<s>", "special": True, "normalized": False}], "normalizer": None,
          "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}, "decoder": {"type": "ByteLevel"},
          "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}
told = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": {"content": "a"}, "additional_special_tokens": ["<s>"],
        "chat_template": [{"name": "default", "template": "{{ bos_token }}{{ messages }}"}, {"name": "rag", "template": "{{ 2 }}"}]}
compact = lambda value: json.dumps(value, separators=(",", ":")).encode()  # noqa: E731
write("files", "folder", sections({
    "config.json": compact(config), "model.safetensors.index.json": compact(index), "a.safetensors": safetensors(first),
    "b.safetensors": safetensors(second), "tokenizer.json": compact(tokens), "tokenizer_config.json": compact(told),
    "special_tokens_map.json": compact({"pad_token": "a", "unk_token": {"content": "<s>"}}), "generation_config.json": b'{"eos_token_id":[0,1]}'}))
config, tensors = FOLDERS["llama"]
write("files", "template_files", sections({
    "config.json": compact(config), "model.safetensors": safetensors(tensors), "tokenizer.json": compact(tokens),
    "chat_template.jinja": b"{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}",
    "chat_template.json": compact({"chat_template": "{{ messages }}"})}))
