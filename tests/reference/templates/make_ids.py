#!/usr/bin/env python3
"""Writes ids.json: the ids that transformers' apply_chat_template(tokenize=True) makes of conversations.

usage: make_ids.py          (needs transformers and tokenizers of ../requirements.txt; no model, no network)

    added       tokens that the tokenizers of ../tokenizers get besides their own, behind these, where a case says so: those that
                the templates write
    templates   {name: text}, in the manner of ChatML, Llama 3, Gemma, Mistral and of models that think
    talks       [messages]: random texts in many scripts, runs of white space and all, none of which spells a special token
    cases       [{"tokenizer", "added": with them?, "template", "talk": its number, "variables", "ids"}]
"""
import json
import os
import random

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENIZERS = ["gpt2", "qwen2", "llama3", "mixtral", "olmo", "flags", "metaspace", "metaspace_decoder", "o200k", "smollm"]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>"]
WRITTEN = ["<think>", "</think>"]  # added, not special: a model writes them

CHATML = """{%- if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
LLAMA3 = """{{- bos_token }}{%- for m in messages %}
{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' }}{{- m['content'] | trim }}{{- '<|eot_id|>' }}{% endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""
GEMMA = """{{ bos_token }}{% set first = '' %}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\\n\\n' %}
{%- set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}
{%- for m in rest %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}
{{ '<start_of_turn>' + role + '\\n' + (first if loop.first else '') }}{{ m['content'] | trim }}{{ '<end_of_turn>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""
MISTRAL = """{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}{% else %}
{{- '[INST] ' + m['content'] + ' [/INST]' }}{% endif %}{% endfor %}"""
THINK = """{%- for m in messages %}{%- set content = m.content %}{%- set thought = m.reasoning_content or '' %}
{%- if '</think>' in content %}{% set thought = content.split('</think>')[0].split('<think>')[-1] %}{% set content = content.split('</think>')[-1] %}{% endif %}
{{- '<|im_start|>' + m.role + '\\n' }}{% if thought %}{{ '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}{% endif %}
{{- content.lstrip('\\n') + '<|im_end|>\\n' }}{% endfor %}{{ '<|im_start|>assistant\\n<think>\\n' }}"""
STRIPS = """{% for m in messages %}<lr>{{ m.content }}<l>{{ m.role }}<r>{{ m.content }}[MASK]{% endfor %}"""
TEMPLATES = {"chatml": CHATML, "llama3": LLAMA3, "gemma": GEMMA, "mistral": MISTRAL, "think": THINK, "strips": STRIPS}

WORDS = """the a of wind sun Hello it's DON'T they'll we've 1 12 123 4567 3.14159 2026-11-27 $5.00 50% über groß cœur señor naïve cafe\u0301
привет Ξεσκεπάζω שלום مرحبا नमस्ते 你好,世界 東京都 こんにちは 한국어 😀 👨‍👩‍👧‍👦 🇩🇪 👍🏽 ½ ﬁne ＡＢＣ e\u0301\u0323 foo(bar[0]); x+=1 // {"k":[1,null]}
<b>bold</b> <|im_sta rt|> <think [INST https://example.org/a?b=c&d=e C:\\dir\\n snake_case CamelCase ___ *** ``` ... !? — “q” \u00a0 \u2028 \u200b \ufeff""".split()
SPACES = [" "] * 12 + ["", "", "  ", "   ", " " * 24, "\n", "\n\n", "\t", " \n", "\r\n", "\n    ", "\u00a0", "\u3000"]


def text(rng, longest):
    parts = [rng.choice(["", "", "", " ", "\n", "  "])]
    for _ in range(rng.randint(0, longest)):
        parts += [rng.choice(WORDS), rng.choice(SPACES)]
    return "".join(parts)


def talk(rng):
    messages = [{"role": "system", "content": text(rng, 8)}] if rng.random() < 0.5 else []
    for _ in range(rng.randint(1, 3)):
        messages.append({"role": "user", "content": text(rng, 14)})
        messages.append({"role": "assistant", "content": text(rng, 14)})
        if rng.random() < 0.4:
            messages[-1]["reasoning_content"] = text(rng, 8)
    return messages if rng.random() < 0.2 else messages[:-1]


def tokenizer(name, added):
    file = json.load(open(os.path.join(HERE, "..", "tokenizers", name + ".json")))
    have = {t["content"] for t in file["added_tokens"]}
    at = 1 + max([*file["model"]["vocab"].values(), *(t["id"] for t in file["added_tokens"])])
    for content in SPECIAL + WRITTEN if added else []:
        if content not in have:
            file["added_tokens"].append({"id": at, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                                         "normalized": False, "special": content in SPECIAL})
            at += 1
    prefix = {"add_prefix_space": True} if '"add_prefix_space": true' in json.dumps(file["pre_tokenizer"]) else {}  # or it is changed
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(file)), clean_up_tokenization_spaces=False, **prefix)


def main():
    rng = random.Random(10)
    talks = [talk(rng) for _ in range(24)]
    cases = []
    for name in TOKENIZERS:
        for template in TEMPLATES:
            if (template == "strips") != (name == "flags"):
                continue
            for added in (True, False):
                t = tokenizer(name, added)
                sp = name in ("mixtral", "metaspace", "metaspace_decoder")
                first = "<|begin_of_text|>" if name == "llama3" else "<s>" if sp else "<|endoftext|>"
                last = "<|end_of_text|>" if name == "llama3" else "</s>" if sp else "<|endoftext|>"
                variables = {"bos_token": first, "eos_token": last}
                for number in rng.sample(range(len(talks)), 3 if added else 1):
                    ids = t.apply_chat_template(talks[number], chat_template=TEMPLATES[template], tokenize=True, return_dict=False,
                                                add_generation_prompt=True, **variables)
                    cases.append({"tokenizer": name, "added": added, "template": template, "talk": number, "variables": variables, "ids": ids})
    for number in range(len(talks)):  # in `flags` one of its own would be a special string
        assert not any(s in json.dumps(talks[number]) for s in SPECIAL + WRITTEN + ["<s>", "</s>", "<l>", "<r>", "<lr>", "[MASK]"]), number
    made = {"added": [{"content": c, "special": c in SPECIAL} for c in SPECIAL + WRITTEN], "templates": TEMPLATES, "talks": talks}
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    with open(os.path.join(HERE, "ids.json"), "w") as f:
        f.write(json.dumps(made, indent=1)[:-2] + ',\n "cases": [\n' + lines + "\n]}\n")
    print(len(cases), "cases")


main()
