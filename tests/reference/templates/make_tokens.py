#!/usr/bin/env python3
"""Writes tokens.json: which special tokens transformers gives a chat template, by what a folder's files say.

usage: make_tokens.py          (needs transformers and tokenizers of ../requirements.txt; no model, no network)
Each folder has the tokenizer.json and config.json of checkpoints/qwen3moe-gqa, and the files of the entry; "text" is what its
apply_chat_template(tokenize=False) makes of one message with the template."""
import json
import os
import shutil
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "image_token", "other_token"]
TEMPLATE = ("".join("{{ %s | default('-') }} " % n for n in NAMES) + "{{ additional_special_tokens | default([]) | join(',') }}"
            "{% for m in messages %} {{ m.content }}{% endfor %}")
END, START, STOP, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"


def token(text, **more):
    return {**more, "content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}


def folders():
    plain = {"tokenizer_class": "PreTrainedTokenizerFast"}
    listed = {"added_tokens_decoder": {"284": {**token(END), "special": True}}}
    special = {"bos_token": token(START), "eos_token": STOP, "unk_token": END, "additional_special_tokens": [PAD, token(STOP)]}
    yield {**plain, "bos_token": START, "eos_token": token(STOP, __type="AddedToken"), "other_token": PAD, "add_bos_token": True}, None
    yield plain, special
    yield {**plain, "bos_token": PAD, "sep_token": PAD, "additional_special_tokens": [START, PAD]}, special
    yield {**plain, **listed, "bos_token": PAD}, special
    yield {**plain, "extra_special_tokens": {"image_token": PAD}}, None
    yield {"tokenizer_class": "Qwen2TokenizerFast"}, None
    yield {"tokenizer_class": "GPT2Tokenizer", "bos_token": None, "eos_token": STOP}, {"eos_token": START}
    yield {}, None
    yield {}, {"eos_token": STOP}


def main():
    source, made = os.path.join(HERE, "..", "checkpoints", "qwen3moe-gqa"), []
    for config, special in folders():
        with tempfile.TemporaryDirectory() as d:
            for name in "tokenizer.json", "config.json":
                shutil.copy(os.path.join(source, name), d)
            json.dump(config, open(os.path.join(d, "tokenizer_config.json"), "w"))
            if special:
                json.dump(special, open(os.path.join(d, "special_tokens_map.json"), "w"))
            text = AutoTokenizer.from_pretrained(d).apply_chat_template([{"role": "user", "content": "x"}], chat_template=TEMPLATE, tokenize=False)
            made.append({"tokenizer_config.json": config, "special_tokens_map.json": special, "text": text})
            print(text)
    with open(os.path.join(HERE, "tokens.json"), "w") as f:
        json.dump({"template": TEMPLATE, "folders": made}, f, indent=1)
        f.write("\n")


main()
