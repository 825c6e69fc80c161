"""Promise 1 over sockets: 64 clients at once get what each would get alone, to the last bit."""
import random

from harness import Server, checkpoint, together


def requests(count):
    rng = random.Random(7)
    for i in range(count):
        yield {"prompt": [rng.randrange(5, 200) for _ in range(rng.choice([1, 3, 17, 60, 130]))],
               "max_tokens": rng.choice([1, 8, 24, 40]), "seed": i, "temperature": rng.choice([0, 0.7, 1.3]),
               "top_p": rng.choice([1, 0.9]), "top_k": rng.choice([0, 20]), "min_p": rng.choice([0, 0.02]),
               "frequency_penalty": rng.choice([0, 0.5]), "repetition_penalty": rng.choice([1, 1.2]),
               "logprobs": 3, "return_token_ids": True, "stop": ["zz"]}


def fingerprint(events):
    choices = [e["choices"][0] for e in events]
    return ("".join(c["text"] for c in choices), [i for c in choices for i in c["token_ids"]],
            choices[-1]["finish_reason"],
            [x for c in choices for x in c["logprobs"]["token_logprobs"]],
            [x for c in choices for x in c["logprobs"]["top_logprobs"]])


def same(model, *arguments):
    wanted = list(requests(64))
    with Server(model, "--threads", 1) as s:
        alone = [fingerprint(s.stream(**r)) for r in wanted]
    for threads in (1, 2):
        with Server(model, "--threads", threads, *arguments) as s:
            crowd = together([lambda r=r: fingerprint(s.stream(**r)) for r in wanted])
        for i, (a, b) in enumerate(zip(alone, crowd)):
            assert a == b, (threads, i, wanted[i], a, b)


def test_64_clients_routed_model():
    """/* Promise 1 */"""
    same(checkpoint("qwen3moe-gqa"), "--max-sequences", 64)


def test_64_clients_gguf_small_batch_and_few_pages():
    """/* Promise 1 */ with a batch that is too small for all and so few pages that sequences are preempted."""
    same(checkpoint("mixtral-gqa.gguf"), "--max-sequences", 24, "--ctx", 192, "--kv-memory", "512K")


test_64_clients_gguf_small_batch_and_few_pages.slow = True
