"""Where a model's chat template comes from, and what is said of one that cannot be used."""
import contextlib
import json
import os
import struct
import tempfile

from harness import Server, checkpoint, temporary

import gguf_file

SAYS = "{%% for m in messages %%}{{ m.content }}{%% endfor %%}%s"
HELLO = [{"role": "user", "content": "x"}]


@contextlib.contextmanager
def folder(files, config=None, own=None):
    """A tiny model with these files beside its own, and these members in its tokenizer_config.json, or in another than its own."""
    source = checkpoint("qwen3moe-gqa")
    with tempfile.TemporaryDirectory() as d:
        for name in os.listdir(source):
            if name != "tokenizer_config.json":
                os.symlink(os.path.abspath(os.path.join(source, name)), os.path.join(d, name))
        if own is None:
            own = json.load(open(os.path.join(source, "tokenizer_config.json")))
        own.pop("chat_template", None)
        json.dump({**own, **(config or {})}, open(os.path.join(d, "tokenizer_config.json"), "w"))
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(d, name)), exist_ok=True)
            with open(os.path.join(d, name), "w") as f:
                f.write(text)
        yield d


@contextlib.contextmanager
def gguf(keys):
    """A tiny GGUF model with more keys, which are strings."""
    path = checkpoint("qwen3moe-gqa.gguf")
    file = gguf_file.File(path)
    file.keys = {k: v for k, v in file.keys.items() if not k.startswith("tokenizer.chat_template")}
    whole = gguf_file.File(path)
    more = b"".join(struct.pack("<Q", len(k)) + k.encode() + struct.pack("<IQ", 8, len(v.encode())) + v.encode() for k, v in keys.items())
    end = 24
    whole.at = 24
    for _ in whole.keys:
        whole.text(), whole.value(whole.number("I"))
    for _ in whole.tensors:
        whole.info()
    end, align = whole.at, whole.keys.get("general.alignment", 32)
    head = whole.data[:16] + struct.pack("<Q", len(whole.keys) + len(keys)) + more + whole.data[24:end]
    with tempfile.NamedTemporaryFile(suffix=".gguf") as f:
        f.write(head + b"\0" * (-len(head) % align) + whole.data[-(-end // align) * align:])
        f.flush()
        yield f.name


def template_line(log):
    return next(line.split(" template ", 1)[1] for line in log.splitlines() if " info  template " in line)


def prompt(model, *arguments):
    with Server(model, *arguments) as s:
        status, _, body = s.request("POST", "/apply-template", {"messages": HELLO})
        return (json.loads(body)["prompt"] if status == 200 else (status, json.loads(body)["error"]["message"])), s.text()


def test_files_before_the_tokenizers_configuration():
    named = [{"name": "default", "template": SAYS % "list"}, {"name": "tool_use", "template": SAYS % "tools"}]
    with folder({"chat_template.jinja": SAYS % "file", "chat_template.json": json.dumps({"chat_template": SAYS % "json"})}, {"chat_template": SAYS % "config"}) as d:
        assert prompt(d)[0] == "xfile"
        with temporary(SAYS % "{{ bos_token }}given") as file:
            assert prompt(d, "--chat-template", file)[0].endswith("given")
    with folder({"chat_template.json": json.dumps({"chat_template": SAYS % "json"})}, {"chat_template": named}) as d:
        text, log = prompt(d)
        assert text == "xlist" and template_line(log) == "tokenizer_config.json: default; not used: tool_use (--chat-template)", log
    with folder({"chat_template.json": json.dumps({"chat_template": SAYS % "json"})}) as d:
        assert prompt(d)[0] == "xjson"
    with folder({"additional_chat_templates/default.jinja": SAYS % "more", "additional_chat_templates/rag.jinja": SAYS % "rag"}, {"chat_template": named}) as d:
        assert prompt(d)[0] == "xmore"


def test_several_without_a_default():
    with folder({"additional_chat_templates/a.jinja": "a", "additional_chat_templates/b.jinja": "b"}) as d:
        (status, message), log = prompt(d)
        assert status == 400 and "is called default" in message, message
        assert "none of the model's chat templates is called default (a, b)" in log, log
        assert "none that can be used" in template_line(log), log
    with folder({}, {"chat_template": [{"name": "tool_use", "template": "tools"}]}) as d:  # transformers takes no other either
        (status, message), log = prompt(d)
        assert status == 400 and "is called default (tool_use)" in message, message


def test_gguf_keys():
    with gguf({"tokenizer.chat_template": SAYS % "main", "tokenizer.chat_template.tool_use": SAYS % "tools"}) as f:
        assert prompt(f)[0] == "xmain"
    with gguf({"tokenizer.chat_template.default": SAYS % "named", "tokenizer.chat_template.rag": SAYS % "rag"}) as f:
        assert prompt(f)[0] == "xnamed"


def test_one_that_cannot_be_parsed():
    """The server starts, completions work, chat says why, with the line."""
    with folder({"chat_template.jinja": "a\n{% include 'x' %}"}) as d:
        with Server(d) as s:
            status, _, body = s.request("POST", "/v1/chat/completions", {"messages": HELLO})
            assert status == 400 and "line 2: {% include %} is not supported" in json.loads(body)["error"]["message"], body
            assert s.complete(prompt="x", max_tokens=1)["choices"]
            assert "line 2: {% include %} is not supported" in s.text()


def test_what_it_cannot_do_is_said_at_the_start():
    source = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no systems') }}{% endif %}{{ m.content }}{% endfor %}\n{% if tools %}{{ 2 ** 64 }}{% endif %}"
    with folder({"chat_template.jinja": source}) as d:
        text, log = prompt(d)
        assert text == "x\n"[:len(text)] and text.startswith("x")
        assert "fails at a system message: line 1: no systems" in log, log
        assert "fails at tools: line" in log and "64 bits" in log, log


def test_special_tokens_are_transformers():
    """tests/reference/templates/tokens.json: what transformers gives the template by what stands in a folder's files."""
    with open(os.path.join(os.path.dirname(checkpoint("x")), "..", "templates", "tokens.json")) as f:
        made = json.load(f)
    for entry in made["folders"]:
        files = {"chat_template.jinja": made["template"]}
        if entry["special_tokens_map.json"]:
            files["special_tokens_map.json"] = json.dumps(entry["special_tokens_map.json"])
        with folder(files, entry["tokenizer_config.json"], own={}) as d:
            text, log = prompt(d)
            assert text == entry["text"] and template_line(log) == "chat_template.jinja (--chat-template)", (entry, text)
