"""Reuse of keys and values between requests: the same answers to the last bit, and what is said about it."""
import json
import random
import re
import subprocess

import harness
from harness import Server, checkpoint, stretched, together

PAGE = 32
TALKS, TURNS, ANSWER = 64, 10, 6
SYSTEM = [7 + i * 5 % 180 for i in range(40)]


def question(talk, turn):
    rng = random.Random(talk * 100 + turn)
    return [rng.randrange(5, 200) for _ in range(8)]


def words(talk, turn):
    rng = random.Random(talk * 100 + turn)
    return "".join(rng.choice([" the", " sea", " and", " of", " a ship", "\n", " was", "."]) for _ in range(8))


def opening(talk):
    """Odd talks are text, the others token ids; all of a kind begin alike."""
    return "You are a sailor, and tell what you have seen. Nothing else." + words(talk, 0) if talk % 2 else SYSTEM + question(talk, 0)


def ask(s, talk, turn, prompt):
    answer = s.complete(prompt=prompt, max_tokens=ANSWER, seed=talk * TURNS + turn, temperature=0 if talk % 4 else 0.9, logprobs=2,
                        return_token_ids=True, ignore_eos=True)
    choice = answer["choices"][0]
    going_on = choice["text"] + words(talk, turn + 1) if talk % 2 else choice["token_ids"] + question(talk, turn + 1)
    return prompt + going_on, answer


def converse(s, talk):
    """All turns, one after the other: [(answer, usage)]."""
    prompt, turns = opening(talk), []
    for turn in range(TURNS):
        following, answer = ask(s, talk, turn, prompt)
        turns.append((answer["choices"][0], answer["usage"]))
        prompt = following
    return turns


def check_usage(talk, turns):
    known = 0
    for turn, (choice, usage) in enumerate(turns):
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        assert cached % PAGE == 0 and cached < usage["prompt_tokens"], (talk, turn, usage)
        if talk % 2 == 0 and turn > 0: # token ids: all that was computed is known, but for what is not a full page
            assert cached == min(known, usage["prompt_tokens"] - 1) // PAGE * PAGE, (talk, turn, usage, known)
        elif turn > 0:
            assert cached > 0 or known < 2 * PAGE, (talk, turn, usage, known)
        known = usage["prompt_tokens"] + usage["completion_tokens"] - 1


def crowd(model, alone, *arguments):
    with Server(model, *arguments) as s:
        turns = together([lambda t=t: converse(s, t) for t in range(TALKS)])
        for talk in range(TALKS):
            for turn in range(TURNS):
                assert turns[talk][turn][0] == alone[talk][turn][0], (arguments, talk, turn, turns[talk][turn], alone[talk][turn])
        prompts = sum(u["prompt_tokens"] for t in turns for _, u in t)
        cached = sum(u["prompt_tokens_details"]["cached_tokens"] for t in turns for _, u in t)
        assert s.value("sluice_prefix_cache_queries_total") == prompts
        assert s.value("sluice_prefix_cache_hits_total") == cached
        assert s.value("sluice_prompt_tokens_total", source="cached") == cached
        assert s.value("sluice_prompt_tokens_total", source="computed") == prompts - cached
        assert s.value("sluice_rows_total", kind="prefill") == prompts - cached
        assert s.value("sluice_kv_cache_usage_ratio") == 0
        return turns, s.value("sluice_prefix_cache_evicted_pages_total")


def test_64_conversations_at_once():
    """/* Promise 1 */: every turn as it is when it is asked alone with an empty cache; with pages for all conversations, and
    with so few that prefixes are given up in the middle of them."""
    model = stretched("qwen3moe-gqa", 512)
    with Server(model, "--threads", 1, "--prefix-cache", "off") as s:
        alone = [converse(s, talk) for talk in range(TALKS)]
        assert all(u["prompt_tokens_details"]["cached_tokens"] == 0 for t in alone for _, u in t)
        assert s.value("sluice_prefix_cache_queries_total") == 0 and s.value("sluice_prefix_cache_pages") == 0
    turns, evicted = crowd(model, alone, "--threads", 2, "--max-sequences", 64)
    assert evicted == 0
    for talk in range(TALKS):
        check_usage(talk, turns[talk])
    _, evicted = crowd(model, alone, "--threads", 2, "--max-sequences", 12, "--ctx", 512, "--kv-memory", "512K")
    assert evicted > 0


def cached(answer):
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def long_talk(s, seed):
    """Twelve turns of 300 tokens and answers of 20: [(answer, cached, what was known before)]."""
    rng, prompt, known, turns = random.Random(seed), [], 0, []
    for turn in range(12):
        prompt = prompt + [rng.randrange(5, 200) for _ in range(300)]
        answer = s.complete(prompt=prompt, max_tokens=20, seed=turn, temperature=0.8, logprobs=2, return_token_ids=True, ignore_eos=True)
        turns.append((answer["choices"][0], cached(answer), known // PAGE * PAGE))
        prompt = prompt + answer["choices"][0]["token_ids"]
        known = len(prompt) - 1
    return turns


def test_a_long_conversation_where_layers_have_windows():
    """/* Promise 1 */: in memory where the positions of all layers would not fit: each turn as with memory for everything, and it
    computes what is new in it; three such conversations at once get the same answers."""
    for name in ("gptoss-mixed", "mistral-window"):
        model = stretched(name, 4096)
        plan = json.loads(subprocess.run([harness.BINARY, "inspect", model, "--json"], capture_output=True, text=True, check=True).stdout)["plan"]
        pages, page, window = 4096 // PAGE, plan["page_bytes"], plan["window_page_bytes"]
        few = pages * page + 16 * window
        assert few < pages * (page + window) * (0.5 if page else 0.2), plan
        with Server(model, "--threads", 1) as s:
            alone = [long_talk(s, seed) for seed in range(3)]
        small = ("--ctx", 4096, "--kv-memory", few)
        with Server(model, *small) as s:
            turns = long_talk(s, 0)
            assert [t[0] for t in turns] == [t[0] for t in alone[0]]
            assert all(c == known for _, c, known in turns), turns
            assert s.value("sluice_preemptions_total") == 0 and s.value("sluice_prefix_cache_evicted_window_pages_total") > 0
            assert s.value("sluice_kv_pages_usage_ratio", kind="window") == s.value("sluice_kv_pages_usage_ratio", kind="full") == 0
        with Server(model, *small) as s:
            turns = together([lambda seed=seed: long_talk(s, seed) for seed in range(3)])
            assert [[t[0] for t in talk] for talk in turns] == [[t[0] for t in talk] for talk in alone]


def test_salts_isolate():
    prompt = [5 + i for i in range(100)]
    with Server(checkpoint("qwen3moe-gqa")) as s:
        for want in (0, 96):
            for salt in ("a", "b", "ü\u0000x", None):
                assert cached(s.complete(prompt=prompt, max_tokens=2, cache_salt=salt)) == want, (want, salt)
        assert cached(s.complete(prompt=prompt, max_tokens=2, cache_salt="ü\u0000y")) == 0
        for bad in ("", 5, ["a"], True):
            status, answer = s.post("/v1/completions", {"prompt": prompt, "cache_salt": bad})
            assert status == 400 and answer["error"]["param"] == "cache_salt", (bad, status, answer)


def test_what_is_said_of_reuse():
    """Usage of a stream, the line in the log, and what does not count: choices, scored prompts."""
    prompt = [5 + i for i in range(100)]
    with Server(checkpoint("qwen3moe-gqa")) as s:
        assert cached(s.complete(prompt=prompt, max_tokens=2, n=4)) == 0
        assert s.value("sluice_rows_total", kind="prefill") == 96 + 4 * 4
        assert s.value("sluice_prompt_tokens_total", source="computed") == 100
        events = s.stream(prompt=prompt, max_tokens=2, stream_options={"include_usage": True})
        assert cached(events[-1]) == 96
        assert cached(s.complete(prompt=prompt, max_tokens=2, echo=True, logprobs=1)) == 0
        assert cached(s.complete(prompt=[prompt, prompt[:70] + [4] * 30], max_tokens=2)) == 96 + 64
        assert cached(s.complete(prompt=prompt[:70] + [9] * 30, max_tokens=2)) == 64
        s.until(lambda: s.text().count("cached_tokens=") == 5, what="five lines in the log")
        text = s.text()
    lines = [dict(re.findall(r"(\w+)=(\S+)", line)) for line in text.splitlines() if "cached_tokens=" in line]
    assert [line["cached_tokens"] for line in lines] == ["0", "96", "0", "160", "64"], lines
    assert [line.get("prefix_differs_at") for line in lines] == [None, None, None, None, "70"], lines


def test_prefix_cache_off():
    prompt = [5 + i for i in range(100)]
    with Server(checkpoint("qwen3moe-gqa"), "--prefix-cache", "off") as s:
        for _ in range(2):
            assert cached(s.complete(prompt=prompt, max_tokens=2, n=3)) == 0
        assert s.value("sluice_rows_total", kind="prefill") == 2 * (96 + 3 * 4)
        for name in ("hits_total", "queries_total", "pages", "evicted_pages_total"):
            assert s.value("sluice_prefix_cache_" + name) == 0
