"""POST /v1/completions: fields, answers, refusals. The model is a tiny random one: its text means nothing."""
import json
import math
import random
import time

from harness import Server, checkpoint, stretched, together

MODEL = checkpoint("qwen3moe-gqa")


def expected(name="qwen3moe-gqa"):
    with open(checkpoint("../expected/" + name + ".json")) as f:
        return json.load(f)


def test_greedy_equals_reference():
    """/* Promise 2 */ greedy tokens are those of transformers, for every prompt whose margins are clear."""
    with Server(MODEL, "--kv-type", "f32", "--model-name", "m") as s:
        for p in expected()["prompts"]:
            want = p["greedy"]
            clear = 0
            while clear < len(want) and p["greedy_margins"][clear] > 1e-3:
                clear += 1
            got = s.complete(prompt=p["ids"], max_tokens=len(want), temperature=0, ignore_eos=True, return_token_ids=True)
            assert clear and got["choices"][0]["token_ids"][:clear] == want[:clear], p["ids"]


def test_answer_has_the_shape_that_clients_expect():
    with Server(MODEL, "--model-name", "tiny,alias") as s:
        a = s.complete(model="alias", prompt="Hello", max_tokens=5, ignore_eos=True)
        assert a["object"] == "text_completion" and a["model"] == "tiny" and a["id"].startswith("cmpl-")
        c = a["choices"][0]
        assert c["index"] == 0 and c["logprobs"] is None and c["finish_reason"] == "length"
        u = a["usage"]
        assert u["completion_tokens"] == 5 and u["total_tokens"] == u["prompt_tokens"] + 5
        assert s.complete(prompt="Hello", ignore_eos=True)["usage"]["completion_tokens"] == 16


def test_prompt_shapes_and_choices():
    with Server(MODEL) as s:
        one = s.complete(prompt=[1, 2, 3], max_tokens=4, seed=5, ignore_eos=True, return_token_ids=True)
        two = s.complete(prompt=[[1, 2, 3], [4, 5]], n=2, max_tokens=4, seed=5, ignore_eos=True, return_token_ids=True)
        assert [c["index"] for c in two["choices"]] == [0, 1, 2, 3]
        assert two["choices"][0]["token_ids"] == one["choices"][0]["token_ids"]
        assert two["usage"]["prompt_tokens"] == 5 and two["usage"]["completion_tokens"] == 16
        sixth = s.complete(prompt=[1, 2, 3], max_tokens=4, seed=6, ignore_eos=True, return_token_ids=True)
        assert two["choices"][1]["token_ids"] == sixth["choices"][0]["token_ids"]  # choice i is the request with seed + i
        texts = s.complete(prompt=["ab", "cd"], max_tokens=1, echo=True)
        assert texts["choices"][0]["text"].startswith("ab") and texts["choices"][1]["text"].startswith("cd")


def test_log_probabilities():
    with Server(MODEL) as s:
        a = s.complete(prompt=[1, 2, 3], max_tokens=6, temperature=0, logprobs=3, ignore_eos=True, return_token_ids=True,
                       return_tokens_as_token_ids=True)
        lp = a["choices"][0]["logprobs"]
        assert len(lp["tokens"]) == len(lp["token_logprobs"]) == len(lp["top_logprobs"]) == len(lp["text_offset"]) == 6
        for token, value, top, id in zip(lp["tokens"], lp["token_logprobs"], lp["top_logprobs"], a["choices"][0]["token_ids"]):
            assert token == f"token_id:{id}" and top[token] == value == max(top.values()) and len(top) == 3
            assert -30 < value <= 0
        whole = s.complete(prompt=[1, 2, 3], max_tokens=0, echo=True, logprobs=2)["choices"][0]
        assert whole["logprobs"]["token_logprobs"][0] is None and len(whole["logprobs"]["tokens"]) == 3
        both = s.complete(prompt=[1, 2, 3], max_tokens=1, echo=True, logprobs=2, temperature=0)["choices"][0]["logprobs"]
        assert len(both["tokens"]) == 4 and both["token_logprobs"][:3] == whole["logprobs"]["token_logprobs"]


def test_scores_of_a_prompt_are_those_of_its_generation():
    """The log probability of a generated token is the same float when the text is scored with echo."""
    with Server(MODEL) as s:
        a = s.complete(prompt=[7, 8, 9], max_tokens=8, temperature=1, seed=3, logprobs=0, ignore_eos=True, return_token_ids=True)
        ids = a["choices"][0]["token_ids"]
        b = s.complete(prompt=[7, 8, 9] + ids, max_tokens=0, echo=True, logprobs=0)
        assert b["choices"][0]["logprobs"]["token_logprobs"][3:] == a["choices"][0]["logprobs"]["token_logprobs"]


def test_stop_strings():
    with Server(MODEL) as s:
        plain = s.complete(prompt=[1, 2, 3], max_tokens=40, temperature=0, ignore_eos=True)["choices"][0]["text"]
        stop = plain[7:10]
        at = plain.index(stop)
        c = s.complete(prompt=[1, 2, 3], max_tokens=40, temperature=0, ignore_eos=True, stop=["never there", stop])["choices"][0]
        assert c["text"] == plain[:at] and c["finish_reason"] == "stop" and c["stop_reason"] == stop
        kept = s.complete(prompt=[1, 2, 3], max_tokens=40, temperature=0, ignore_eos=True, stop=stop,
                          include_stop_str_in_output=True)["choices"][0]
        assert kept["text"] == plain[:at] + stop
        streamed = "".join(e["choices"][0]["text"] for e in s.stream(prompt=[1, 2, 3], max_tokens=40, temperature=0,
                                                                     ignore_eos=True, stop=stop))
        assert streamed == plain[:at]


def test_stop_tokens_bias_and_bans():
    with Server(MODEL) as s:
        ids = s.complete(prompt=[5], max_tokens=8, temperature=0, ignore_eos=True, return_token_ids=True)["choices"][0]["token_ids"]
        c = s.complete(prompt=[5], max_tokens=8, temperature=0, ignore_eos=True, stop_token_ids=[ids[2]],
                       return_token_ids=True)["choices"][0]
        cut = ids.index(ids[2])
        assert c["token_ids"] == ids[:cut + 1] and c["finish_reason"] == "stop" and c["stop_reason"] == ids[2]
        only = s.complete(prompt=[5], max_tokens=4, logit_bias={"42": 100}, ignore_eos=True, return_token_ids=True)
        assert only["choices"][0]["token_ids"] == [42] * 4
        off = s.complete(prompt=[5], max_tokens=8, temperature=0, ignore_eos=True, logit_bias={str(ids[0]): -100},
                         return_token_ids=True)
        assert ids[0] not in off["choices"][0]["token_ids"]
        late = s.complete(prompt=[5], max_tokens=8, temperature=0, ignore_eos=True, stop_token_ids=ids[:1], min_tokens=3,
                          return_token_ids=True)
        assert len(late["choices"][0]["token_ids"]) > 3


def test_equal_prompts_are_independent_unless_a_seed_is_given():
    ask = {"prompt": [[1, 2, 3]] * 6, "max_tokens": 12, "temperature": 1, "ignore_eos": True}
    with Server(MODEL) as s:
        drawn = [c["text"] for c in s.complete(**ask)["choices"]]
        assert len(set(drawn)) == 6, drawn
        assert len({c["text"] for c in s.complete(**ask, n=2)["choices"]}) == 12
        given = s.complete(**ask, n=2, seed=5)["choices"]
        alone = [s.complete(**{**ask, "prompt": [1, 2, 3]}, seed=seed)["choices"][0]["text"] for seed in (5, 6)]
        assert [c["text"] for c in given] == alone * 6  # choice i of every prompt is the request with seed + i
        drawn = [c["text"] for _ in range(2) for c in s.complete(**ask, seed=-1)["choices"]]  # -1 asks for a random one
        assert len(set(drawn)) == 12, drawn


def is_greedy(logprobs):
    """As lm-eval judges it, from the parallel arrays alone."""
    return all(value == max(top.values()) for value, top in zip(logprobs["token_logprobs"], logprobs["top_logprobs"]))


def test_no_alternative_is_lost_for_its_name():
    """Most tokens of this vocabulary are single bytes that are no UTF-8: each has a name of its own."""
    with Server(MODEL) as s:
        for seed in range(3):
            a = s.complete(prompt=[1, 2], max_tokens=30, temperature=2, seed=seed, logprobs=20, ignore_eos=True,
                           return_token_ids=True)["choices"][0]
            byte_names = 0
            for token, value, top, id in zip(*(a["logprobs"][k] for k in ("tokens", "token_logprobs", "top_logprobs")), a["token_ids"]):
                assert len(top) in (20, 21) and top[token] == value
                byte_names += sum(name.startswith("bytes:\\x") for name in top)
                assert "\ufffd" not in "".join(top)
            assert byte_names > 30
            scored = s.complete(prompt=[1, 2] + a["token_ids"], max_tokens=0, echo=True, logprobs=1)["choices"][0]["logprobs"]
            for name, value, top in list(zip(scored["tokens"], scored["token_logprobs"], scored["top_logprobs"]))[2:]:
                assert (value == max(top.values())) == (len(top) == 1), (name, top)
        greedy = s.complete(prompt=[1, 2], max_tokens=30, temperature=0, logprobs=5, ignore_eos=True)["choices"][0]["logprobs"]
        assert is_greedy(greedy)


def test_offsets_are_where_tokens_begin():
    """With every token's bytes from the vocabulary, the text is put together by Python and each offset compared."""
    with Server(MODEL) as s:
        eos, start, end, _ = range(284, 288)
        for skip in (True, False):
            for seed in range(4):
                ask = {"prompt": [104, 105, start, 230, 160, end, 10], "max_tokens": 40, "temperature": 2, "seed": seed, "echo": True,
                       "logprobs": 0, "skip_special_tokens": skip, "ignore_eos": True, "logit_bias": {str(end): 4, "230": 4},
                       "return_token_ids": True}
                c = s.complete(**ask)["choices"][0]
                offset = c["logprobs"]["text_offset"]
                assert offset == [x for e in s.stream(**ask) for x in e["choices"][0]["logprobs"]["text_offset"]]
                for ids, at, base in ((ask["prompt"], offset[:7], 0), (c["token_ids"], offset[7:], None)):
                    shown = [i for i in ids if not (skip and i >= eos)]
                    text = s.post("/detokenize", {"tokens": shown})[1]["prompt"]
                    base = base if base is not None else len(c["text"]) - len(text)
                    assert c["text"][base:base + len(text)] == text
                    for k, id in enumerate(ids):  # a token begins where the text before it, given its character, ends
                        before = s.post("/detokenize", {"tokens": [i for i in ids[:k] if not (skip and i >= eos)]})[1]["prompt"]
                        unfinished = before.endswith("\ufffd") and not text.startswith(before)
                        assert at[k] - base in (len(before), len(before) - 1), (k, id, before, text)
                        if not before.endswith("\ufffd"):
                            assert at[k] - base == len(before), (k, id, before, text)


def test_special_tokens_stop():
    """A stop string that spells a special token, alone or among other text; special tokens are shown or not."""
    start, end = 285, 286
    with Server(MODEL) as s:
        ask = {"prompt": [1, 2, 3], "max_tokens": 40, "temperature": 0, "frequency_penalty": 2,
               "logit_bias": {"87": 90, str(end): 90, str(start): 89}}
        full = s.complete(**ask, skip_special_tokens=False)["choices"][0]["text"]
        plain = s.complete(**ask)["choices"][0]["text"]
        names = ("<|im_start|>", "<|im_end|>")

        def shown(text):
            for name in names:
                text = text.replace(name, "")
            return text

        assert names[0] in full and names[1] in full and plain == shown(full)
        x = shown(full)[0]
        at = full.index(names[1])
        stops = [names[1], names[0], full[at - 1:at + len(names[1])], full[at:at + len(names[1]) + 1],
                 full[at - 1:at + len(names[1]) + 1], ["never", names[1]], [x + x + "never", full[at:at + len(names[1]) + 1]]]
        for stop in stops:
            which = stop if isinstance(stop, str) else stop[1]
            cut = full.index(which)
            for keep in (False, True):
                for skip in (False, True):
                    more = {"stop": stop, "include_stop_str_in_output": keep, "skip_special_tokens": skip}
                    c = s.complete(**ask, **more)["choices"][0]
                    want = (shown(full[:cut]) if skip else full[:cut]) + (which if keep else "")
                    assert c["finish_reason"] == "stop" and c["stop_reason"] == which and c["text"] == want, (more, c, full)
                    events = s.stream(**ask, **more)
                    assert "".join(e["choices"][0]["text"] for e in events) == want
                    assert events[-1]["choices"][0]["stop_reason"] == which
        late = s.complete(**ask, stop=names[1], min_tokens=9, return_token_ids=True)["choices"][0]
        assert end not in late["token_ids"][:9] and late["token_ids"][-1] == end and late["stop_reason"] == names[1]
        eos = s.complete(prompt=[1], max_tokens=5, logit_bias={"284": 100}, stop="<|endoftext|>")["choices"][0]
        assert eos["text"] == "" and eos["finish_reason"] == "stop" and eos["stop_reason"] == "<|endoftext|>"
        eos = s.complete(prompt=[1], max_tokens=5, logit_bias={"284": 100}, stop="<|endoftext|>", ignore_eos=True)["choices"][0]
        assert eos["finish_reason"] == "stop" and eos["stop_reason"] == "<|endoftext|>"


def test_refusals_name_the_field():
    bad = [({"prompt": "a", "temperature": 3}, "temperature"), ({"prompt": "a", "top_p": -1}, "top_p"),
           ({"prompt": "a", "max_tokens": -2}, "max_tokens"), ({"prompt": "a", "max_tokens": "5"}, "max_tokens"),
           ({"prompt": "a", "n": 0}, "n"), ({"prompt": "a", "logprobs": 21}, "logprobs"), ({}, "prompt"),
           ({"prompt": 5}, "prompt"), ({"prompt": []}, "prompt"), ({"prompt": [[]]}, "prompt"),
           ({"prompt": [1, "a"]}, "prompt"), ({"prompt": [1, 10**7]}, "prompt"), ({"prompt": [-1]}, "prompt"),
           ({"prompt": "a", "n": 3, "best_of": 4}, "best_of"), ({"prompt": "a", "stream_options": {}}, "stream_options"),
           ({"prompt": "a", "suffix": "b"}, "suffix"), ({"prompt": "a", "guided_json": {}}, "guided_json"),
           ({"prompt": "a", "logit_bias": {"x": 1}}, "logit_bias"), ({"prompt": "a", "logit_bias": {"1": 101}}, "logit_bias"),
           ({"prompt": "a", "echo": 1}, "echo"), ({"prompt": ["a"] * 200, "n": 2}, "prompt"),
           ({"prompt": "a", "response_format": {"type": "json_object"}}, "response_format"),
           ({"prompt": "a", "temperature": True}, "temperature"), ({"prompt": "a", "seed": 1.5}, "seed")]
    with Server(MODEL) as s:
        for body, field in bad:
            status, answer = s.post("/v1/completions", body)
            assert status == 400, (body, status, answer)
            e = answer["error"]
            assert e["param"] == field and e["type"] == "invalid_request_error" and field in e["message"], (body, e)
        for text in ["", "{", "[]", "null", "{\"prompt\": \"a\"} x", "{\"prompt\": \"a\", \"prompt\": \"b\"}",
                     "[" * 100000, "{\"prompt\": 1e999}", "\xff\xfe"]:
            status, _, data = s.request("POST", "/v1/completions", text.encode("latin-1"))
            assert status == 400 and json.loads(data)["error"]["message"], (text[:40], status)
        status, answer = s.post("/v1/completions", {"model": "other", "prompt": "a"})
        assert status == 404 and answer["error"]["code"] == "model_not_found"
        assert s.value("sluice_requests_rejected_total", reason="bad_request") > 0


def test_too_long_a_prompt_gives_both_numbers():
    with Server(MODEL, "--ctx", 64) as s:
        status, answer = s.post("/v1/completions", {"prompt": [1] * 60, "max_tokens": 10})
        assert status == 400 and answer["error"]["code"] == "context_length_exceeded"
        assert "64" in answer["error"]["message"] and "70" in answer["error"]["message"]
        assert s.complete(prompt=[1] * 60, max_tokens=4, ignore_eos=True)["usage"]["completion_tokens"] == 4
        assert s.complete(prompt=[1] * 60, ignore_eos=True)["usage"]["completion_tokens"] == 4
        assert s.complete(prompt=[1] * 30, ignore_eos=True, max_tokens=-1)["usage"]["completion_tokens"] == 34
        assert s.stream(prompt=[1] * 30, ignore_eos=True, max_tokens=-1)[-1]["choices"][0]["finish_reason"] == "length"
        assert s.value("sluice_requests_rejected_total", reason="too_long") == 1


def test_harmless_neutral_and_unknown_fields():
    fine = {"user": "u", "metadata": {"a": 1}, "store": False, "best_of": 1, "tools": [], "suffix": None,
            "response_format": {"type": "text"}, "length_penalty": 1.0, "use_beam_search": False, "frequency_penalty": 0}
    with Server(MODEL) as s:
        status, headers, _ = s.request("POST", "/v1/completions", {"prompt": "a", "max_tokens": 1, **fine})
        assert status == 200 and "x-sluice-ignored" not in headers
        status, headers, _ = s.request("POST", "/v1/completions", {"prompt": "a", "max_tokens": 1, "brand_new": 1})
        assert status == 200 and headers["x-sluice-ignored"] == "brand_new"
    with Server(MODEL, "--strict") as s:
        status, answer = s.post("/v1/completions", {"prompt": "a", "brand_new": 1})
        assert status == 400 and answer["error"]["param"] == "brand_new"


def test_any_integer_in_any_field():
    """Whatever number stands in whatever field: 200 or 400, and the server lives."""
    fields = ["max_tokens", "min_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "n", "best_of", "logprobs",
              "presence_penalty", "frequency_penalty", "repetition_penalty", "stop", "stop_token_ids", "logit_bias", "echo",
              "stream_options", "prompt"]
    values = [0, -1, 1, 2**31 - 1, 2**31, -2**31, 2**63 - 1, -2**63, 2**64, 0.5, -0.0, 1e308, 1e-320, [2**63 - 1], [-1],
              {"1": 2**63 - 1}, {str(2**63): 1}, {"-1": 1}, [[2**40]], True, "", "1"]
    rng = random.Random(1)
    with Server(MODEL, "--ctx", 128) as s:
        for f in fields:
            for v in rng.sample(values, 12):
                body = {"prompt": [1, 2], "max_tokens": 2, f: v}
                status, answer = s.post("/v1/completions", body)
                assert status in (200, 400), (body, status, answer)
        assert s.get("/readyz")[0] == 200


def test_penalties_change_what_repeats():
    with Server(MODEL) as s:
        plain = s.complete(prompt=[3], max_tokens=60, temperature=0, ignore_eos=True, return_token_ids=True)
        ids = plain["choices"][0]["token_ids"]
        for penalty in ({"frequency_penalty": 2}, {"presence_penalty": 2}, {"repetition_penalty": 2}):
            other = s.complete(prompt=[3], max_tokens=60, temperature=0, ignore_eos=True, return_token_ids=True, **penalty)
            assert len(set(other["choices"][0]["token_ids"])) >= len(set(ids))


def test_nothing_is_printed_that_is_no_number():
    with Server(MODEL) as s:
        text = s.request("POST", "/v1/completions", {"prompt": [1], "max_tokens": 3, "logprobs": 20, "ignore_eos": True,
                                                    "logit_bias": {"1": -100}})[2].decode()
        def refuse(x):
            raise AssertionError(x)
        values = json.loads(text, parse_constant=refuse)["choices"][0]["logprobs"]["token_logprobs"]
        assert all(math.isfinite(v) for v in values)


def test_tokenize_and_detokenize():
    with Server(MODEL) as s:
        status, a = s.post("/tokenize", {"prompt": "héllo 🙂", "return_token_strs": True})
        assert status == 200 and a["count"] == len(a["tokens"]) == len(a["token_strs"])
        status, b = s.post("/detokenize", {"tokens": a["tokens"]})
        assert status == 200 and b["prompt"] == b["content"] == "héllo 🙂"
        status, c = s.post("/tokenize", {"content": "ab", "with_pieces": True})
        assert status == 200 and "".join(t["piece"] for t in c["tokens"]) == "ab"
        status, c = s.post("/tokenize", {"content": "a🙂", "with_pieces": True})  # bytes that are no text, as llama-server
        pieces = [t["piece"] for t in c["tokens"]]
        assert b"".join(p.encode() if isinstance(p, str) else bytes(p) for p in pieces) == "a🙂".encode()
        assert any(isinstance(p, list) for p in pieces)
        status, c = s.post("/tokenize", {"prompt": "🙂", "return_token_strs": True})
        assert c["token_strs"] == [f"bytes:\\x{b:02x}" for b in "🙂".encode()]
        assert s.post("/tokenize", {})[0] == 400 and s.post("/detokenize", {"tokens": [-1]})[0] == 400
        big = "word " * 50000
        status, d = s.post("/tokenize", {"prompt": big})
        assert status == 200
        assert s.post("/detokenize", {"tokens": d["tokens"]})[1]["prompt"] == big


def test_a_model_without_a_name_is_the_served_one():
    with Server(MODEL, "--model-name", "m") as s:
        assert s.complete(model="", prompt="a", max_tokens=1)["model"] == "m"
        assert s.complete(model=None, prompt="a", max_tokens=1)["model"] == "m"
        assert s.post("/tokenize", {"model": "", "prompt": "a"})[0] == 200
        assert s.post("/v1/completions", {"model": " ", "prompt": "a"})[0] == 404


def test_what_clients_of_vllm_ask_for():
    """lm-eval takes the server's tokenizer when /tokenizer_info names an eos_token and /tokenize gives a list."""
    with Server(MODEL) as s:
        status, _, data = s.get("/tokenizer_info")
        info = json.loads(data)
        assert status == 200 and info["eos_token"] == "<|endoftext|>" and info["bos_token"] is None and info["tokenizer_class"]
        ids = s.post("/tokenize", {"prompt": info["eos_token"], "add_special_tokens": False})[1]["tokens"]
        assert ids == [284]
        assert list(json.loads(s.get("/version")[2])) == ["version"]
        for path in ("/health", "/v1/health", "/ping"):
            status, _, data = s.get(path)
            assert status == 200 and json.loads(data)["status"] == "ok", path


def test_an_output_too_large_for_memory_is_no_matter_of_context():
    with Server(stretched("qwen3moe-gqa")) as s:
        status, answer = s.post("/v1/completions", {"prompt": [1], "max_tokens": 30000, "n": 64, "logprobs": 20})
        assert status == 400 and answer["error"]["code"] == "output_too_large" and answer["error"]["param"] == "max_tokens", answer
        assert s.value("sluice_requests_rejected_total", reason="too_long") == 0


def test_a_large_answer_comes_in_pieces_and_is_the_same():
    """Small answers have a Content-Length; a large one is put together piece by piece, and says what the stream says."""
    with Server(stretched("qwen3moe-gqa")) as s:
        status, headers, _ = s.request("POST", "/v1/completions", {"prompt": "a", "max_tokens": 2})
        assert status == 200 and "content-length" in headers
        text = "héllo 🙂 <|im_start|>\u2028" * 600
        ask = {"prompt": [text, [104, 230, 105] * 1000], "n": 2, "max_tokens": 30, "echo": True, "seed": 3, "ignore_eos": True,
               "return_token_ids": True}
        status, headers, data = s.request("POST", "/v1/completions", ask, timeout=300)
        assert status == 200 and "content-length" not in headers and headers["content-type"] == "application/json"
        whole = json.loads(data)["choices"]
        assert len(data) > 100000 and [c["index"] for c in whole] == [0, 1, 2, 3]
        assert all(c["text"].startswith(text) for c in whole[:2])
        streamed = [""] * 4
        ids = [[], [], [], []]
        for e in s.stream(**ask):
            c = e["choices"][0]
            streamed[c["index"]] += c["text"]
            ids[c["index"]] += c["token_ids"]
        assert streamed == [c["text"] for c in whole] and ids == [c["token_ids"] for c in whole]
        assert whole[2]["prompt_token_ids"] == [104, 230, 105] * 1000
        scored = s.complete(prompt=[7] * 3000, max_tokens=0, echo=True, logprobs=20)["choices"][0]["logprobs"]
        assert all(len(scored[k]) == 3000 for k in ("tokens", "token_logprobs", "top_logprobs", "text_offset"))


def test_a_hopeless_prompt_holds_nobody():
    """Promise 3: twelve prompts of four megabytes that can never fit, and another client's of six kilobytes."""
    with Server(MODEL, "--queue", 100) as s:
        hopeless = json.dumps({"prompt": "word " * 800000, "max_tokens": 1})
        began = time.monotonic()
        answers = together([lambda: s.post("/v1/completions", hopeless)] * 12 +
                           [lambda: (time.sleep(0.05), s.post("/v1/completions", {"prompt": "x" * 200, "max_tokens": 1}))[1]])
        assert all(status in (400, 429) for status, _ in answers[:12]), answers
        refused = [a["error"] for status, a in answers[:12] if status == 400]
        assert refused and all(e["code"] == "context_length_exceeded" and "maximum context length is 256" in e["message"] for e in refused)
        assert answers[12][0] == 200
        assert time.monotonic() - began < 30


def test_a_full_queue_is_said_before_anything_is_read():
    """Promise 3: a body that is not even JSON gets the 429."""
    with Server(stretched("qwen3moe-gqa"), "--max-sequences", 1, "--queue", 1) as s:
        streams = [s.open_stream(prompt=[1], max_tokens=20000, ignore_eos=True) for _ in range(2)]
        s.until(lambda: s.value("sluice_requests_waiting") == 1, what="a full queue")
        for body in (b"{", json.dumps({"prompt": "a " * 40000}).encode()):
            status, headers, data = s.request("POST", "/v1/completions", body)
            assert status == 429 and int(headers["retry-after"]) >= 1 and json.loads(data)["error"]["code"] == "queue_full"
        for c in streams:
            c.close()


def test_many_values_in_a_small_body_are_refused():
    """Promise 4: one body of 4 MiB of [{},{},…] would take hundreds of megabytes."""
    with Server(MODEL) as s:
        body = b'{"prompt": "a", "metadata": [' + b"{}," * 1300000 + b"{}]}"
        status, _, data = s.request("POST", "/v1/completions", body)
        assert status == 413 and json.loads(data)["error"]["code"] == "request_too_large"
        assert s.value("process_resident_memory_bytes") < 400e6
        assert s.complete(prompt=[[1] * 100] * 100, max_tokens=1)["usage"]["prompt_tokens"] == 10000


def test_times_begin_when_the_request_arrives():
    """The head comes, the body half a second later: that is in the time to the first token, in the whole and in the log."""
    with Server(MODEL) as s:
        body = json.dumps({"prompt": [1], "max_tokens": 2, "ignore_eos": True}).encode()
        c = s.raw(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        time.sleep(0.5)
        c.sendall(body)
        while c.recv(65536):
            pass
        for name in ("time_to_first_token", "e2e_request_latency", "request_queue_time"):
            assert s.value(f"sluice_{name}_seconds_sum") > 0.45, name
        s.until(lambda: "first_token_seconds" in s.text(), what="the log line")
        line = next(line for line in s.text().splitlines() if "first_token_seconds" in line)
        assert all(float(line.split(f"{key}=")[1].split()[0]) > 0.45 for key in ("queue_seconds", "first_token_seconds", " seconds")), line


def test_models():
    with Server(MODEL, "--model-name", "a/b,c") as s:
        status, _, data = s.get("/v1/models")
        assert status == 200
        cards = json.loads(data)["data"]
        assert [c["id"] for c in cards] == ["a/b", "c"] and cards[0]["max_model_len"] > 0
        assert s.get("/v1/models/a/b")[0] == 200 and s.get("/v1/models/nope")[0] == 404
