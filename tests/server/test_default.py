"""The default model: how it is found."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

import harness
from harness import Server, checkpoint

STAND_IN = checkpoint("olmoe-mha.gguf")


@contextlib.contextmanager
def installed(model):
    """The program as installed below a folder of its own: bin/sluice, and with a model share/sluice/default.gguf."""
    with tempfile.TemporaryDirectory() as top:
        os.mkdir(top + "/bin")
        program, binary = top + "/bin/sluice", harness.BINARY
        shutil.copy(binary, program)
        if model:
            os.makedirs(top + "/share/sluice")
            shutil.copy(model, top + "/share/sluice/default.gguf")
        harness.BINARY = program
        try:
            yield os.path.realpath(top)
        finally:
            harness.BINARY = binary


def sluice(*arguments, env=None):
    return subprocess.run([harness.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, errors="replace")


def test_without_a_default_model_commands_say_where_they_looked():
    with installed(None) as top:
        for command in (["serve"], ["run", "Hello"], ["bench"], ["inspect"], ["perplexity", "a.txt"], ["imatrix", "a.txt", "-o", "x"]):
            r = sluice(*command)
            assert r.returncode == 2, (command, r)
            assert top + "/bin/default.gguf" in r.stderr and top + "/share/sluice/default.gguf" in r.stderr, r.stderr
        r = sluice("convert")
        assert r.returncode == 2 and "no model given" in r.stderr and "default" not in r.stderr, r.stderr


def test_every_command_takes_the_default_model():
    with installed(STAND_IN) as top:
        path = top + "/share/sluice/default.gguf"
        r = sluice("run", "Hello", "--max-tokens", 4)
        assert r.returncode == 0 and "default model " + path in r.stderr, r.stderr
        assert r.stdout == sluice("run", STAND_IN, "Hello", "--max-tokens", 4).stdout
        r = sluice("inspect", "--json")
        assert r.returncode == 0 and json.loads(r.stdout)["path"] == path, r.stderr
        assert sluice("bench", "--limits", "--json").returncode == 0
        assert sluice("convert").returncode == 2
        with Server(None) as s:
            assert "loading the default model, " + path in s.text()
            assert json.loads(s.get("/v1/models")[2])["data"][0]["id"] == "sluice-default"
            assert s.complete(prompt="Hello", max_tokens=4, model="sluice-default")["model"] == "sluice-default"
        with Server(None, "--model-name", "mine") as s:
            assert json.loads(s.get("/v1/models")[2])["data"][0]["id"] == "mine"


def test_who_names_a_model_gets_that_one():
    other = checkpoint("qwen3moe-gqa")
    with installed(STAND_IN):
        for r in (sluice("run", other, "Hello", "--max-tokens", 4), sluice("run", "Hello", "--max-tokens", 4, env={"SLUICE_MODEL": other})):
            assert r.returncode == 0 and "default model" not in r.stderr, r.stderr
        r = sluice("run", other)
        assert r.returncode == 2 and "names a model" in r.stderr, r.stderr
        r = sluice("run", "mistyped.gguf")
        assert r.returncode == 2 and "names a model" in r.stderr, r.stderr
        assert sluice("run", "mistyped.gguf", "Hello").returncode == 1
        assert sluice("run", "").returncode == 2  # an empty prompt
        with Server(other) as s:
            assert json.loads(s.get("/v1/models")[2])["data"][0]["id"] == "qwen3moe-gqa"
