"""What the reference implementation says about a model: used by make_checkpoints.py and make_quants.py.

A model here is a transformers configuration and a dictionary of float32 weights under their Hugging Face names.
"""
import json
import platform
import zlib
from pathlib import Path

import gguf
import numpy as np
import safetensors
import tokenizers
import torch
import torch.nn.functional as F
import transformers

HERE = Path(__file__).resolve().parent
GREEDY = 24
PROMPTS = (1, 2, 17, 70)
ALL_POSITIONS = 17  # the prompt whose logits are kept at every position

CLASSES = {
    "mixtral": (transformers.MixtralConfig, transformers.MixtralForCausalLM),
    "olmoe": (transformers.OlmoeConfig, transformers.OlmoeForCausalLM),
    "qwen2_moe": (transformers.Qwen2MoeConfig, transformers.Qwen2MoeForCausalLM),
    "qwen3_moe": (transformers.Qwen3MoeConfig, transformers.Qwen3MoeForCausalLM),
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
}
FILE_TYPE = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q4_K": 14, "MIXED": 17, "Q6_K": 18, "IQ4_NL": 25,
             "BF16": 32, "MXFP4": 38}  # general.file_type
TORCH_TYPE = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def start():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    versions = made_with()
    print(" ".join("%s %s" % kv for kv in versions.items()))
    return versions


def made_with():
    return {"python": platform.python_version(), "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
            "safetensors": safetensors.__version__, "gguf": "0.19.0", "numpy": np.__version__}


def config(family, **keys):
    """A configuration of the family's class; token ids of the tokenizer of tokenizer_json()."""
    v = keys["vocab_size"]
    keys.setdefault("max_position_embeddings", 256)
    return CLASSES[family][0](bos_token_id=None, eos_token_id=v - 4, pad_token_id=v - 1, attn_implementation="eager",
                              use_cache=False, **keys)


def model_of(family, cfg):
    torch.manual_seed(0)
    return CLASSES[family][1]._from_config(cfg, attn_implementation="eager").to(torch.float32).eval()


def random_weights(model, seed):
    """Values that make every part of the arithmetic matter: norms are not 1, biases not 0, routing is skewed."""
    hidden = model.config.hidden_size
    tied = model.config.tie_word_embeddings
    common = np.random.default_rng([seed, 1]).standard_normal(hidden).astype(np.float32)
    out = {}
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        shape = tuple(tensor.shape)
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        x = rng.standard_normal(shape).astype(np.float32)
        if len(shape) == 1 and name.endswith("norm.weight"):
            x = 1 + 0.25 * x
        elif name.endswith(("correction_bias", "expert_bias")):
            x = 0.2 * x
        elif name.endswith("A_log"):
            x = 0.7 * x - 1.5
        elif name.endswith(".bias"):
            x = 0.3 * x
        elif name.endswith(("layernorm_1.weight", "layernorm_2.weight", "layer_scalar")):
            x = 1 + 0.25 * x
        elif name.endswith("embed_tokens_per_layer.weight"):
            x = 0.5 * x
        elif name.endswith(("router.scale", "per_expert_scale")):
            x = 1 + 0.4 * x
        elif name.endswith("router.proj.weight"):
            x = 2 * x
        elif name == "model.embed_tokens.weight":
            x = (x + 0.6 * common) * (0.4 if tied else 1.0)
        elif name == "lm_head.weight":
            x = x * (2 / hidden ** 0.5)
        elif name.endswith((".gate.weight", ".router.weight", ".wg.weight")):
            x = x * rng.uniform(0.5, 1.5, (shape[0], 1)).astype(np.float32) * (2 / hidden ** 0.5)
        elif name.endswith(("q_proj.weight", "k_proj.weight")):
            x = x * (1.5 / shape[1] ** 0.5)
        else:
            x = x * (1.3 / shape[-1] ** 0.5)
        out[name] = x.astype(np.float32)
    return out


def rounded(weights, kind):
    """The weights as a file of this type has them, in float32."""
    return {n: torch.from_numpy(w).to(TORCH_TYPE[kind]).to(torch.float32).numpy() for n, w in weights.items()}


def load(model, weights):
    missing, unexpected = model.load_state_dict({n: torch.from_numpy(w.copy()) for n, w in weights.items()}, strict=False)
    assert not unexpected, unexpected
    assert all(n == "lm_head.weight" and model.config.tie_word_embeddings for n in missing), missing
    model.tie_weights()
    return model


def sparse_blocks(model):
    return [(i, layer.block_sparse_moe if hasattr(layer, "block_sparse_moe") else layer.mlp)
            for i, layer in enumerate(model.model.layers)
            if type(layer.block_sparse_moe if hasattr(layer, "block_sparse_moe") else layer.mlp).__name__.endswith("SparseMoeBlock")]


def routes(block, hidden, logits, output):
    """The experts that the block chose for each row, their weights, and the margins.

    The class keeps them to itself, so they are computed again from its router logits; that they are what it used is
    then held against the block's own output.
    """
    k = block.top_k
    p = F.softmax(logits, dim=-1, dtype=torch.float)
    w, e = torch.topk(p, k, dim=-1)
    if getattr(block, "norm_topk_prob", True):
        w = w / w.sum(dim=-1, keepdim=True)
    ordered = torch.sort(p, dim=-1, descending=True).values
    margin = ordered[:, k - 1] - ordered[:, k] if k < p.shape[-1] else torch.ones(p.shape[0])
    e, order = torch.sort(e, dim=-1)
    w = torch.gather(w, 1, order)
    again = torch.zeros_like(hidden)
    for row in range(hidden.shape[0]):
        for expert, weight in zip(e[row].tolist(), w[row]):
            again[row] += weight * block.experts[expert](hidden[row : row + 1])[0]
    if hasattr(block, "shared_expert"):
        again += torch.sigmoid(block.shared_expert_gate(hidden)) * block.shared_expert(hidden)
    assert torch.allclose(again, output, rtol=1e-4, atol=1e-4), (again - output).abs().max()
    return e, w, margin


def forward(model, ids):
    """Logits [len(ids)][vocab], and per sparse layer (experts, weights, margins)."""
    seen, hooks = {}, []
    blocks = sparse_blocks(model)
    for i, block in blocks:
        def keep(module, args, out, i=i):
            seen[i] = (args[0].reshape(-1, args[0].shape[-1]), out[1], out[0].reshape(-1, out[0].shape[-1]))
        hooks.append(block.register_forward_hook(keep))
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].float()
        for h in hooks:
            h.remove()
        return logits.numpy(), [routes(block, *seen[i]) for i, block in blocks]


def prompts_of(seed, vocab):
    rng = np.random.default_rng([seed, 2])
    return [rng.integers(0, vocab - 4, length).tolist() for length in PROMPTS]


def least_margin(model, ids):
    """How clear the routing of a prompt is, quickly: the least margin of all layers and positions."""
    least, hooks = [1.0], []

    def look(module, args, out):
        p = torch.sort(F.softmax(out[1], dim=-1), dim=-1, descending=True).values
        if module.top_k < p.shape[-1]:
            least.append(float((p[:, module.top_k - 1] - p[:, module.top_k]).min()))
    for _, block in sparse_blocks(model):
        hooks.append(block.register_forward_hook(look))
    last_logits(model, ids)
    for h in hooks:
        h.remove()
    return min(least)


def last_logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1].float().numpy()


def experts_used(cfg):
    return getattr(cfg, "num_experts_per_tok", None) or cfg.top_k_experts


def shorten(x):
    """A float32 as the shortest decimal that gives it back."""
    return float(np.format_float_positional(np.float32(x), unique=True, trim="0", fractional=False))


def record(name, family, model, seed, sparse=None, run=forward):
    """Writes expected/NAME.json and NAME.logits.f32; returns the least margins (greedy, routing). sparse: the layers that route,
    where sparse_blocks does not find them; run: as forward."""
    cfg = model.config
    vocab = cfg.vocab_size
    sparse = [i for i, _ in sparse_blocks(model)] if sparse is None else sparse
    rows, prompts = [], []
    least_greedy = least_route = float("inf")
    for ids in prompts_of(seed, vocab):
        logits, routing = run(model, ids)
        first = 0 if len(ids) == ALL_POSITIONS else len(ids) - 1
        p = {"ids": ids, "first_position": first, "first_row": len(rows)}
        rows += list(logits[first:])
        text, greedy, margins = list(ids), [], []
        for _ in range(GREEDY):
            z = last_logits(model, text)
            best = np.sort(z)[-2:]
            greedy.append(int(z.argmax()))
            margins.append(shorten(best[1] - best[0]))
            text.append(greedy[-1])
        p.update(greedy=greedy, greedy_margins=margins, greedy_row=len(rows))
        rows.append(z)
        least_greedy = min([least_greedy] + margins)
        if sparse:
            p["experts"] = [int(x) for e, _, _ in routing for x in e.flatten()]
            p["weights"] = [shorten(x) for _, w, _ in routing for x in w.flatten()]
            p["margins"] = [shorten(x) for _, _, m in routing for x in m]
            least_route = min([least_route] + p["margins"])
        prompts.append(p)
    data = {"family": family, "vocab": vocab, "layers": cfg.num_hidden_layers,
            "experts": getattr(cfg, "num_experts", getattr(cfg, "num_local_experts", 0)) if sparse else 0,
            "experts_used": experts_used(cfg) if sparse else 0, "sparse_layers": sparse,
            "made_with": made_with(), "prompts": prompts}
    folder = HERE / "expected"
    folder.mkdir(exist_ok=True)
    (folder / (name + ".json")).write_text(json.dumps(data, separators=(",", ":")) + "\n")
    np.array(rows, "<f4").tofile(folder / (name + ".logits.f32"))
    return least_greedy, least_route


# A byte-level tokenizer: 256 bytes, as many merges as the vocabulary has room for, four special tokens at the end.
MERGES = ["Ġ t", "h e", "i n", "e r", "a n", "o n", "r e", "Ġ a", "Ġt he", "e n", "Ġ s", "e s", "Ġ w", "o r", "i t", "i s",
          "a t", "Ġ o", "n d", "o u", "Ġ c", "in g", "e d", "a r", "Ġ f", "Ġ b", "a l", "Ġ in", "l l", "r o", "Ġ m", "Ġ p",
          "i c", "a s", "Ġo f", "Ġa nd", "l e", "Ġ d", "en t", "s t", "Ġt o", "i on", "Ġ h", "o m", "Ġ 1", "2 3", "Ċ Ċ",
          "Ġ Ġ", "ĠĠ ĠĠ", "v er", "Ġ re", "Ġ l", "Ġ n", "w h", "ou r", "h at", "Ġt hat", "u t", "u r", "l y"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]


def byte_letters():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [b for b in range(256) if b not in keep]
    letter = {b: chr(b) for b in keep} | {b: chr(256 + i) for i, b in enumerate(other)}
    return [letter[b] for b in range(256)]


def vocabulary(size):
    """(tokens, merges): ids are positions; the last four are SPECIAL."""
    count = size - 256 - len(SPECIAL)
    assert 0 <= count <= len(MERGES)
    return byte_letters() + [m.replace(" ", "") for m in MERGES[:count]] + SPECIAL, MERGES[:count]


def write_tokenizer(folder, size):
    tokens, merges = vocabulary(size)
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for i, t in enumerate(tokens) if t in SPECIAL]
    data = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": level, "post_processor": level, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": {t: i for i, t in enumerate(tokens) if t not in SPECIAL}, "merges": [m.split(" ") for m in merges]}}
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": None, "eos_token": SPECIAL[0], "pad_token": SPECIAL[3],
         "add_bos_token": False, "clean_up_tokenization_spaces": False, "model_max_length": 256}, indent=1) + "\n")
    t = tokenizers.Tokenizer.from_file(str(path))
    assert t.get_vocab_size() == size and t.decode(t.encode("the end: 123 …").ids) == "the end: 123 …"


# GGUF

ARCH = {"mixtral": "llama", "llama": "llama", "olmoe": "olmoe", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe", "qwen3": "qwen3"}
LAYER_NAMES = {
    "input_layernorm.weight": "attn_norm.weight", "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight", "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight", "self_attn.o_proj.weight": "attn_output.weight",
    "self_attn.q_proj.bias": "attn_q.bias", "self_attn.k_proj.bias": "attn_k.bias", "self_attn.v_proj.bias": "attn_v.bias",
    "self_attn.o_proj.bias": "attn_output.bias",
    "self_attn.q_norm.weight": "attn_q_norm.weight", "self_attn.k_norm.weight": "attn_k_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight", "mlp.up_proj.weight": "ffn_up.weight", "mlp.down_proj.weight": "ffn_down.weight",
    "mlp.gate.weight": "ffn_gate_inp.weight", "block_sparse_moe.gate.weight": "ffn_gate_inp.weight",
    "mlp.shared_expert.gate_proj.weight": "ffn_gate_shexp.weight", "mlp.shared_expert.up_proj.weight": "ffn_up_shexp.weight",
    "mlp.shared_expert.down_proj.weight": "ffn_down_shexp.weight", "mlp.shared_expert_gate.weight": "ffn_gate_inp_shexp.weight",
}
EXPERT_NAMES = {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down", "w1": "ffn_gate", "w3": "ffn_up", "w2": "ffn_down"}


def gguf_tensors(family, cfg, weights, per_expert=False):
    """[(GGUF name, float32 array)], in the order of a converter."""
    heads, kv = cfg.num_attention_heads, cfg.num_key_value_heads
    out = [("token_embd.weight", weights["model.embed_tokens.weight"])]
    scaling = getattr(cfg, "rope_scaling", None) or {}
    if scaling.get("rope_type") == "llama3":
        plain, scaled = rope_frequencies(cfg, None), rope_frequencies(cfg, scaling)
        out.append(("rope_freqs.weight", (plain / scaled).astype(np.float32)))
    for layer in range(cfg.num_hidden_layers):
        prefix = "model.layers.%d." % layer
        stacks = {}
        for name, w in weights.items():
            if not name.startswith(prefix):
                continue
            rest = name[len(prefix):]
            if ".experts." in rest:
                _, _, _, part, _ = rest.split(".")
                stacks.setdefault(EXPERT_NAMES[part], []).append(w)
                continue
            if ARCH[family] == "llama" and rest.startswith(("self_attn.q_proj", "self_attn.k_proj")):
                n = heads if "q_proj" in rest else kv
                w = w.reshape(n, 2, w.shape[0] // n // 2, -1).swapaxes(1, 2).reshape(w.shape)
            if rest == "mlp.shared_expert_gate.weight":
                w = w.reshape(-1)
            out.append(("blk.%d.%s" % (layer, LAYER_NAMES[rest]), w))
        for part, w in stacks.items():
            if per_expert:
                out += [("blk.%d.%s.%d.weight" % (layer, part, e), x) for e, x in enumerate(w)]
            else:
                out.append(("blk.%d.%s_exps.weight" % (layer, part), np.stack(w)))
    out.append(("output_norm.weight", weights["model.norm.weight"]))
    if "lm_head.weight" in weights:
        out.append(("output.weight", weights["lm_head.weight"]))
    return out


def rope_frequencies(cfg, scaling):
    cfg = cfg.__class__.from_dict(cfg.to_dict() | {"rope_scaling": scaling})
    kind = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS
    if scaling:
        return kind[scaling["rope_type"]](cfg, "cpu")[0].numpy()
    dim = head_dim(cfg)
    return (1.0 / (cfg.rope_theta ** (torch.arange(0, dim, 2, dtype=torch.int64).float() / dim))).numpy()


def head_dim(cfg):
    return getattr(cfg, "head_dim", None) or cfg.hidden_size // cfg.num_attention_heads


def always_f32(name, w):
    return w.ndim == 1 or name.endswith("_norm.weight") or not name.endswith(".weight") or "ffn_gate_inp" in name


def write_gguf(path, family, cfg, tensors, kind, title, tensors_per_part=0, description=None):
    """tensors: [(name, float32 array)] written as `kind` (a function name -> type for mixed files)."""
    arch = ARCH[family]
    w = gguf.GGUFWriter(path, arch, split_max_tensors=tensors_per_part)
    w.add_type("model")
    w.add_name(title)
    if description:
        w.add_description(description)
    w.add_context_length(cfg.max_position_embeddings)
    w.add_embedding_length(cfg.hidden_size)
    w.add_block_count(cfg.num_hidden_layers)
    w.add_feed_forward_length(cfg.intermediate_size)
    w.add_head_count(cfg.num_attention_heads)
    w.add_head_count_kv(cfg.num_key_value_heads)
    w.add_layer_norm_rms_eps(cfg.rms_norm_eps)
    w.add_rope_freq_base(cfg.rope_theta)
    if getattr(cfg, "head_dim", None):
        w.add_key_length(cfg.head_dim)
        w.add_value_length(cfg.head_dim)
    if arch == "llama":
        w.add_vocab_size(cfg.vocab_size)
        w.add_rope_dimension_count(head_dim(cfg))
    scaling = getattr(cfg, "rope_scaling", None) or {}
    if scaling.get("rope_type") in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(scaling["rope_type"]))
        w.add_rope_scaling_factor(scaling["factor"])
        if scaling["rope_type"] == "yarn":
            w.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
    experts = getattr(cfg, "num_experts", getattr(cfg, "num_local_experts", 0))
    if experts:
        w.add_expert_count(experts)
        w.add_expert_used_count(cfg.num_experts_per_tok)
    if family in ("qwen2_moe", "qwen3_moe"):
        w.add_expert_feed_forward_length(cfg.moe_intermediate_size)
    if family == "qwen2_moe":
        w.add_expert_shared_feed_forward_length(cfg.shared_expert_intermediate_size)
    tokens, merges = vocabulary(cfg.vocab_size)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL if t in SPECIAL else gguf.TokenType.NORMAL for t in tokens])
    w.add_token_merges(merges)
    w.add_eos_token_id(cfg.vocab_size - 4)
    w.add_pad_token_id(cfg.vocab_size - 1)
    w.add_add_bos_token(False)
    quantised = False
    for name, x in tensors:
        if isinstance(x, tuple):  # already in blocks: (type, bytes [rows][row size])
            t, data = x
        else:
            t = gguf.GGMLQuantizationType.F32 if always_f32(name, x) else gguf.GGMLQuantizationType[kind]
            data = gguf.quants.quantize(np.ascontiguousarray(x), t)
        quantised |= t not in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.BF16)
        w.add_tensor(name, data, raw_dtype=t)
    w.add_file_type(FILE_TYPE[kind])
    if quantised:
        w.add_quantization_version(2)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
