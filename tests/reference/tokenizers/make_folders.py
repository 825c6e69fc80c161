#!/usr/bin/env python3
"""Writes folders.json: what transformers' AutoTokenizer makes of a folder's files together, for small folders.

usage: make_folders.py          (needs transformers and tokenizers of ../requirements.txt; no model, no network)
Each entry: the three files' contents (null: absent), texts and their ids, with and without special tokens."""
import copy, json, os, tempfile

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
from transformers import AutoTokenizer

TEXTS = ["a", "ab a", " ab", "ab<e><n><m><pad><P><bos><eos2><x><y>ab", "abababab"]


def byte_level(prefix):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": True}


def tokenizer(pre, **more):
    added = {"id": 5, "content": "<e>", "special": True, "normalized": False, "single_word": False, "lstrip": False, "rstrip": False}
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u0120": 3, "\u0120a": 4}, "merges": [["a", "b"], ["\u0120", "a"]],
             "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
             "byte_fallback": False}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [added], "normalizer": None,
            "pre_tokenizer": pre, "post_processor": None, "decoder": byte_level(True), "model": model, **more}


def token(text, special=True):
    return {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": special}


def folders():
    pres = [byte_level(True), byte_level(False)]
    pres += [{"type": "Sequence", "pretokenizers": [p]} for p in pres]
    for name in (None, "GPT2Tokenizer", "GPTNeoXTokenizerFast", "Qwen2TokenizerFast", "PreTrainedTokenizerFast", "LlamaTokenizerFast"):
        for prefix in ({}, {"add_prefix_space": True}, {"add_prefix_space": False}, {"add_prefix_space": None}):
            if name == "LlamaTokenizerFast" and prefix.get("add_prefix_space") is not None:
                continue  # is converted from a tokenizer.model, which these folders lack
            special = {"bos_token": "<e>", "eos_token": "<e>", "unk_token": "<e>", "pad_token": "<e>"}
            for pre in pres:
                yield tokenizer(pre), {**special, **prefix, **({"tokenizer_class": name} if name else {})}, {"model_type": "gpt2"}
    plain = byte_level(False)
    fast = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for model_type in ("llama", "mistral", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "qwen3"):  # the class when nothing names one
        special = {"bos_token": "<e>", "eos_token": "<e>", "unk_token": "<e>", "pad_token": "<e>"}
        yield tokenizer(byte_level(True)), special, {"model_type": model_type}
    for config in ({"added_tokens_decoder": {"6": token("<n>")}},
                   {"added_tokens_decoder": {"9": token("<n>")}},
                   {"added_tokens_decoder": {"10": token("<n>"), "9": token("<m>", False)}},
                   {"pad_token": "<pad>", "eos_token": "<e>"},
                   {"pad_token": "<pad>", "eos_token": "<eos2>", "bos_token": "<bos>", "additional_special_tokens": ["<x>", "<y>"]},
                   {"additional_special_tokens": ["ab"]},
                   {"additional_special_tokens": ["<x>"], "extra_special_tokens": {"n_token": "<n>", "m_token": "<m>"}, "pad_token": "<pad>"},
                   {"model_max_length": 2}):
        yield tokenizer(plain), {**fast, **config}, {"model_type": "gpt2"}
    padding = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<P>"}
    fixed = {**padding, "strategy": {"Fixed": 8}, "direction": "Left", "pad_token": "a"}
    cut = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    for more in ({"padding": padding}, {"padding": fixed}, {"truncation": cut}, {"truncation": cut, "padding": padding}):
        yield tokenizer(plain, **more), fast, {"model_type": "gpt2"}
    yield tokenizer(plain, padding=padding), {**fast, "pad_token": "<pad>"}, {"model_type": "gpt2"}


def main():
    out = []
    for files in folders():
        with tempfile.TemporaryDirectory() as folder:
            for name, content in zip(("tokenizer.json", "tokenizer_config.json", "config.json"), files):
                if content is not None:
                    with open(os.path.join(folder, name), "w") as f:
                        json.dump(content, f)
            t = AutoTokenizer.from_pretrained(folder)
            out.append({"files": copy.deepcopy(files), "texts": TEXTS,
                        "plain": [t.encode(x, add_special_tokens=False) for x in TEXTS], "around": [t.encode(x) for x in TEXTS]})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "folders.json"), "w") as f:
        f.write("[" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in out) + "]\n")


if __name__ == "__main__":
    main()
