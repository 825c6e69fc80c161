"""Clients that others wrote, as their users call them: llm, litellm and langchain-openai. tests/run installs them in an environment
of their own, whose interpreter runs the few lines of each; what they should get is what a plain request gets."""
import json
import os
import subprocess
import tempfile

from harness import temporary
from test_chat import HELLO, chat_server, post

ENVIRONMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".cache", "venv-clients")
LONG = "Tell me of the north wind and the sun, and who of them was the stronger one."  # a page of 32 tokens, and more


def program(name):
    path = os.path.join(ENVIRONMENT, "bin", name)
    if not os.path.exists(os.path.join(ENVIRONMENT, "has")):  # all of them, says tests/run
        raise ImportError("llm, litellm and langchain-openai could not be installed: what they get is NOT tested")
    return path


def lines_of(s, lines):
    """What the lines leave in `said`; they find the server's address in `base`."""
    setup = "import json, sys\nbase, said = sys.argv[1], {}\n"
    r = subprocess.run([program("python"), "-c", setup + lines + "\nprint('\\n' + json.dumps(said))", f"http://127.0.0.1:{s.port}/v1"],
                       capture_output=True, timeout=300, env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
    assert r.returncode == 0, r.stderr.decode()
    return json.loads(r.stdout.decode().splitlines()[-1])


def answer(s, messages, **fields):
    status, _, body = post(s, messages=messages, max_tokens=12, temperature=0, **fields)
    assert status == 200, body
    return body


def text(body, choice=0):
    return body["choices"][choice]["message"]["content"]


def probabilities(body):
    return [[t["logprob"] for t in c["logprobs"]["content"]] for c in body["choices"]]


def turns(s):
    """A conversation of two turns, as it goes on with what the model says."""
    first = text(answer(s, [{"role": "user", "content": LONG}]))
    messages = [{"role": "user", "content": LONG}, {"role": "assistant", "content": first}, {"role": "user", "content": "Go on."}]
    return [first, text(answer(s, messages))]


def test_litellm():
    lines = """
import litellm
def ask(messages, **more):
    return litellm.completion(**{"model": "openai/m", "api_base": base, "api_key": "none", "messages": messages, "max_tokens": 12,
                                 "temperature": 0, **more})
hello = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
said["whole"] = ask(hello).choices[0].message.content
said["stream"] = [c.choices[0].delta.content or "" for c in ask(hello, stream=True)]
two = ask(hello, n=2, logprobs=True, top_logprobs=2)
said["two"] = [c.message.content for c in two.choices]
said["logprobs"] = [[t.logprob for t in c.logprobs.content] for c in two.choices]
talk, said["turns"] = [], []
for words in LONG, "Go on.":
    talk.append({"role": "user", "content": words})
    got = ask(talk)
    said["turns"].append(got.choices[0].message.content)
    talk.append({"role": "assistant", "content": said["turns"][-1]})
said["cached"] = got.usage.prompt_tokens_details.cached_tokens
try:
    ask(hello, max_tokens=1000)
except litellm.ContextWindowExceededError as e:
    said["error"] = str(e)
try:
    ask(hello, model="openai/other")
except litellm.NotFoundError as e:
    said["other"] = str(e)
""".replace("LONG", repr(LONG))
    with chat_server() as s:
        said = lines_of(s, lines)
        two = answer(s, HELLO, n=2, logprobs=True, top_logprobs=2)
        assert said["whole"] == "".join(said["stream"]) == text(answer(s, HELLO)) and len(said["stream"]) > 2, said
        assert said["two"] == [text(two), text(two, 1)] and said["logprobs"] == probabilities(two), said
        assert said["turns"] == turns(s) and said["cached"] >= 32, said
        assert "maximum context length is 256 tokens" in said["error"] and "other" in said["other"], said


def test_langchain_openai():
    lines = """
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
def model(**more):
    return ChatOpenAI(**{"model": "m", "base_url": base, "api_key": "none", "max_tokens": 12, "temperature": 0, "max_retries": 0, **more})
hello = [SystemMessage("Be brief."), HumanMessage("Hello")]
said["whole"] = model().invoke(hello).content
chunks = list(model(stream_usage=True).stream(hello))
said["stream"] = [c.content for c in chunks]
said["tokens"] = sum(c.usage_metadata["output_tokens"] for c in chunks if c.usage_metadata)
two = model(n=2, logprobs=True, top_logprobs=2).generate([hello]).generations[0]
said["two"] = [g.message.content for g in two]
said["logprobs"] = [[t["logprob"] for t in g.message.response_metadata["logprobs"]["content"]] for g in two]
talk, said["turns"] = [], []
for words in LONG, "Go on.":
    talk += [HumanMessage(words)]
    talk += [model().invoke(talk)]
    said["turns"].append(talk[-1].content)
said["cached"] = talk[-1].usage_metadata["input_token_details"]["cache_read"]
for name, more in ("error", {"max_tokens": 1000}), ("tools", {"model_kwargs": {"tools": [{"type": "function", "function": {"name": "f"}}]}}):
    try:
        model(**more).invoke(hello)
    except Exception as e:
        said[name] = [e.status_code, str(e)]
""".replace("LONG", repr(LONG))
    with chat_server() as s:
        said = lines_of(s, lines)
        two = answer(s, HELLO, n=2, logprobs=True, top_logprobs=2)
        assert said["whole"] == "".join(said["stream"]) == text(answer(s, HELLO)) and len(said["stream"]) > 2, said
        assert said["tokens"] == 12 and said["two"] == [text(two), text(two, 1)] and said["logprobs"] == probabilities(two), said
        assert said["turns"] == turns(s) and said["cached"] >= 32, said
        assert said["error"][0] == 400 and "maximum context length is 256 tokens" in said["error"][1], said
        assert said["tools"][0] == 400 and "tools" in said["tools"][1], said


def test_llm():
    """Its log of answers is read too: in what it prints white space at the end is not seen."""
    with tempfile.TemporaryDirectory() as folder, chat_server() as s:
        with open(os.path.join(folder, "extra-openai-models.yaml"), "w") as f:
            f.write(f"- model_id: sluice\n  model_name: m\n  api_base: http://127.0.0.1:{s.port}/v1\n")

        def llm(*arguments, status=0):
            r = subprocess.run([program("llm"), *arguments], capture_output=True, timeout=300,
                               env={**os.environ, "LLM_USER_PATH": folder, "OPENAI_API_KEY": "none"})
            assert r.returncode == status, r
            return r.stderr.decode() if status else r.stdout.decode()

        asked = (["-m", "sluice", "-s", "Be brief.", "--no-stream", "Hello"], ["-m", "sluice", "-s", "Be brief.", "Hello"],
                 ["-m", "sluice", LONG], ["-c", "Go on."])
        printed = [llm(*a, "-o", "temperature", "0", "-o", "max_tokens", "12") for a in asked]
        logged = [entry["response"] for entry in json.loads(llm("logs", "list", "--json", "-n", "4"))]
        assert [p.rstrip("\n") for p in printed] == [x.rstrip("\n") for x in logged], (printed, logged)
        assert logged == [text(answer(s, HELLO))] * 2 + turns(s), logged
        assert "maximum context length is 256 tokens" in llm("-m", "sluice", "-o", "max_tokens", "1000", "Hello", status=1)


for test in test_litellm, test_langchain_openai, test_llm:
    test.slow = True  # these programs take seconds to start
del test
