"""The metrics page: parsed by Prometheus' own parser; sums that must hold in every scrape, also under load."""
import threading
import time

import harness
from harness import Server, checkpoint, together

TABLE = """sluice_requests sluice_requests_finished sluice_requests_rejected sluice_rows sluice_requests_running
sluice_requests_waiting sluice_expected_wait_seconds sluice_prompt_tokens sluice_generation_tokens sluice_time_to_first_token_seconds
sluice_inter_token_latency_seconds sluice_e2e_request_latency_seconds sluice_request_queue_time_seconds
sluice_request_prompt_tokens sluice_request_generation_tokens sluice_step_seconds sluice_step_rows
sluice_kv_cache_usage_ratio sluice_kv_pages_usage_ratio sluice_cache_config_info sluice_preemptions sluice_prefix_cache_hits
sluice_prefix_cache_queries sluice_expert_tokens sluice_expert_groups sluice_expert_compute_seconds
sluice_expert_group_seconds sluice_expert_latency_seconds sluice_expert_imbalance_ratio sluice_experts_touched
sluice_model_info sluice_build_info sluice_cpu_throttled_seconds process_cpu_seconds process_resident_memory_bytes
process_open_fds process_start_time_seconds""".split()


def check_sums(page, per_token):
    rows = sum(s.value for s in page["sluice_rows"].samples)
    layers = {}
    for s in page["sluice_expert_tokens"].samples:
        layers[s.labels["layer"]] = layers.get(s.labels["layer"], 0) + s.value
    for layer, total in layers.items():
        assert total == rows * per_token, (layer, total, rows)
    return rows


def test_every_metric_is_there_from_the_start():
    with Server(checkpoint("qwen3moe-gqa")) as s:
        page = s.metrics()
        missing = [n for n in TABLE if n not in page]
        assert not missing, missing
        assert all(x.value == 0 for x in page["sluice_expert_tokens"].samples)
        reasons = {x.labels["reason"] for x in page["sluice_requests_finished"].samples}
        assert reasons == {"stop", "length", "error", "slow_client", "cancelled_queue", "cancelled_prefill", "cancelled_decode",
                           "timeout_queue", "timeout_prefill", "timeout_decode", "shutdown"}
        assert page["sluice_cache_config_info"].samples[0].labels["type"] == "int16_scaled"
        info = page["sluice_model_info"].samples[0].labels
        assert info["family"] == "qwen3_moe" and int(info["experts"]) == 8


def test_expert_sums_hold_in_every_scrape_under_load():
    """/* Promise 5 */ a layer's experts sum to rows times experts per token, exactly, in whole steps."""
    with Server(checkpoint("qwen3moe-gqa")) as s:
        per_token = int(s.metrics()["sluice_model_info"].samples[0].labels["experts_per_token"])
        done, scrapes = threading.Event(), [0]

        def scrape():
            while not done.is_set():
                check_sums(s.metrics(), per_token)
                check_sums(s.metrics("/metrics/experts"), per_token)
                scrapes[0] += 1

        t = threading.Thread(target=scrape)
        t.start()
        try:
            together([lambda i=i: s.complete(prompt=[i + 1] * (3 * i + 1), max_tokens=40, ignore_eos=True) for i in range(24)])
        finally:
            done.set()
            t.join()
        rows = check_sums(s.metrics(), per_token)
        assert scrapes[0] > 3
        prompt = sum(3 * i + 1 for i in range(24))
        # Each generated token but a sequence's last is a decode row.
        assert s.value("sluice_rows_total", kind="decode") == 24 * 39
        assert s.value("sluice_prompt_tokens_total") == prompt
        assert rows == s.value("sluice_rows_total", kind="prefill") + 24 * 39 + s.value("sluice_rows_total", kind="recomputed")
        assert s.value("sluice_generation_tokens_total") == 24 * 40
        assert s.value("sluice_requests_finished_total", reason="length") == 24
        assert s.value("sluice_time_to_first_token_seconds_count") == 24
        assert s.value("sluice_inter_token_latency_seconds_count") == 24 * 39
        assert s.value("sluice_requests_total", endpoint="/v1/completions", code="200") == 24
        assert s.value("sluice_expert_compute_seconds_total") > 0
        assert s.value("sluice_expert_latency_seconds_count") == s.value("sluice_expert_groups_total")


def test_latencies_begin_when_the_request_arrives():
    """A body that comes slowly is part of what its client waits for."""
    with Server(checkpoint("qwen3moe-gqa")) as s:
        body = b'{"prompt":[1,2,3],"max_tokens":2,"ignore_eos":true}'
        c = s.raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:9])
        time.sleep(1)
        c.sendall(body[9:])
        assert c.recv(65536).startswith(b"HTTP/1.1 200")
        for name in ("time_to_first_token", "e2e_request_latency", "request_queue_time"):
            assert s.value(f"sluice_{name}_seconds_sum") > 0.9, name
        assert s.value("sluice_inter_token_latency_seconds_sum") < 0.9
        c.close()


def test_a_storm_of_hang_ups_flatters_nothing():
    with Server(harness.stretched("qwen3moe-gqa"), "--max-sequences", 1) as s:
        first = s.open_stream(prompt=[1], max_tokens=20000, ignore_eos=True)
        first.recv(100)
        for _ in range(3):
            waiting = [s.open_stream(prompt=[1], max_tokens=5) for _ in range(20)]
            s.until(lambda: s.value("sluice_requests_waiting") == 20, what="waiting")
            for c in waiting:
                c.close()
            s.until(lambda: s.value("sluice_requests_waiting") == 0, what="gone")
        assert s.value("sluice_requests_finished_total", reason="cancelled_queue") == 60
        for name in ("e2e_request_latency_seconds", "request_prompt_tokens", "request_generation_tokens"):
            assert s.value(f"sluice_{name}_count") == 0, name
        assert s.value("sluice_request_queue_time_seconds_count") == 1
        assert s.value("sluice_expected_wait_seconds") > 0  # the only place is taken
        first.close()


def test_admin_listener():
    with Server(checkpoint("qwen3moe-gqa"), "--admin", "127.0.0.1:0") as s:
        assert s.get("/metrics", port=s.port)[0] == 404
        assert s.get("/metrics", port=s.admin)[0] == 200
        assert s.get("/metrics/experts", port=s.admin)[0] == 200


def test_experts_page_only():
    with Server(checkpoint("qwen3moe-gqa"), "--metrics-experts", "off") as s:
        assert "sluice_expert_tokens" not in s.metrics()
        assert "sluice_expert_tokens" in s.metrics("/metrics/experts")
        assert "sluice_experts_touched" in s.metrics()


def test_a_dense_model_has_no_experts():
    with Server(checkpoint("llama-mha-bias.gguf")) as s:
        s.complete(prompt=[1], max_tokens=2)
        assert s.get("/metrics/experts")[0] == 200
        assert not [x for x in s.metrics().get("sluice_expert_tokens", type("", (), {"samples": []})).samples]
