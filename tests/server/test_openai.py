"""The openai package as a client would use it."""
from harness import Server, checkpoint, temporary

MODEL = checkpoint("mixtral-gqa.gguf")


def client(s, key="none"):
    import openai
    return openai.OpenAI(base_url=f"http://127.0.0.1:{s.port}/v1", api_key=key, max_retries=0)


def test_completion():
    with Server(MODEL, "--model-name", "m") as s:
        a = client(s).completions.create(model="m", prompt="Hello", max_tokens=5, logprobs=2, n=2, temperature=0)
        assert len(a.choices) == 2 and a.choices[0].text == a.choices[1].text
        assert a.usage.total_tokens == a.usage.prompt_tokens + a.usage.completion_tokens
        assert len(a.choices[0].logprobs.tokens) == a.usage.completion_tokens // 2


def test_stream():
    with Server(MODEL, "--model-name", "m") as s:
        events = list(client(s).completions.create(model="m", prompt="Hello", max_tokens=8, stream=True,
                                                   stream_options={"include_usage": True}, extra_body={"ignore_eos": True}))
        assert events[-1].choices == [] and events[-1].usage.completion_tokens == 8
        assert events[-2].choices[0].finish_reason == "length"


def test_errors():
    import openai
    with Server(MODEL, "--model-name", "m") as s:
        for wanted, fields in ((openai.BadRequestError, {"model": "m", "prompt": "a", "temperature": 9}),
                               (openai.NotFoundError, {"model": "x", "prompt": "a"})):
            try:
                client(s).completions.create(**fields)
            except wanted as e:
                assert e.body["message"]
            else:
                raise AssertionError(wanted)


def test_keys():
    import openai
    with temporary("# comment\nfirst-key\nsecond-key\n") as keys, Server(MODEL, "--api-key-file", keys, "--model-name", "m") as s:
        assert client(s, "second-key").completions.create(model="m", prompt="a", max_tokens=1).choices
        try:
            client(s, "third-key").models.list()
        except openai.AuthenticationError as e:
            assert e.status_code == 401
        else:
            raise AssertionError("a wrong key was accepted")
        assert s.get("/livez")[0] == s.get("/readyz")[0] == s.get("/health")[0] == 200
        assert s.get("/metrics")[0] == 401 and s.get("/v1/models")[0] == 401


def test_models():
    with Server(MODEL, "--model-name", "m") as s:
        assert [m.id for m in client(s).models.list()] == ["m"]
        assert client(s).models.retrieve("m").id == "m"
