"""deploy/prometheus as an operator uses it: promtool reads it, a real Prometheus scrapes three replicas with it, and what the
dashboard, the autoscalers and the endpoint picker ask for is there. Debian's prometheus; without it all of this is skipped."""
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

import harness
from harness import Server, checkpoint, stretched, together

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DEPLOY = os.path.join(ROOT, "deploy", "prometheus")
CLIENT, SCRAPER = "key-of-a-client", "key-of-the-scraper"


def need(program):
    if not shutil.which(program):
        raise ImportError(f"{program} is not installed (sh deploy/install test): deploy/prometheus is NOT tested")


def promtool(*arguments, folder=DEPLOY):
    need("promtool")
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_and_alerts():
    """promtool checks the configuration, and plays every alert: quiet before its time, firing after, and no other."""
    with copy() as folder:
        out = promtool("check", "config", "prometheus.yml", folder=folder)
        assert "SUCCESS" in out and "FAILED" not in out, out
    promtool("test", "rules", os.path.join(os.path.dirname(os.path.abspath(__file__)), "prometheus_rules.yml"))
    with open(os.path.join(DEPLOY, "sluice.alerts.yml")) as f:
        alerts = re.split(r"^      - alert: ", f.read(), flags=re.M)[1:]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "prometheus_rules.yml")) as f:
        scenarios = f.read()
    with open(os.path.join(ROOT, "docs", "prometheus.md")) as f:
        page = f.read()
    assert len(alerts) > 10
    for alert in alerts:
        name = alert.split()[0]
        assert f'alertname="{name}"' in scenarios, f"{name} is in no scenario"
        assert f"**{name}**" in page, f"docs/prometheus.md does not speak of {name}"
        for word in ("severity: ", "summary: ", "runbook: "):
            assert word in alert, (name, word)


test_rules_and_alerts.slow = True


@contextlib.contextmanager
def copy(targets=None, faster=False):
    """deploy/prometheus in a folder of its own, with a scraper's key; faster: 3 seconds instead of 15, 5 instead of 60 (not
    less: a scrape may take as long as its interval, and machines that run tests are busy)."""
    with tempfile.TemporaryDirectory() as folder:
        for name in os.listdir(DEPLOY):
            with open(os.path.join(DEPLOY, name)) as f:
                text = f.read()
            if faster and name.endswith(".yml"):
                text = text.replace("interval: 15s", "interval: 3s").replace("interval: 60s", "interval: 5s")
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        if targets:
            with open(os.path.join(folder, "targets.yml"), "w") as f:
                json.dump(targets, f)  # JSON is YAML
        with open(os.path.join(folder, "scrape-key"), "w") as f:
            f.write(SCRAPER + "\n")
        yield folder


class Prometheus:
    """A running Prometheus on a free port, with a configuration of `folder`. Stopped by its process id."""

    def __init__(self, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{self.port}", "--storage.tsdb.path=data",
             "--log.level=warn"], cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
            env={**os.environ, "GOMAXPROCS": "1"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def text(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def get(self, path, **parameters):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            c.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
            answer = json.loads(c.getresponse().read())
            assert answer["status"] == "success", (parameters, answer)
            return answer["data"]
        finally:
            c.close()

    def ready(self):
        try:
            return bool(self.get("targets"))
        except (OSError, ValueError, http.client.HTTPException):
            assert self.process.poll() is None, self.text()
            return False

    def query(self, expr):
        return self.get("query", query=expr)["result"]

    def number(self, expr):
        found = self.query(expr)
        return float(found[0]["value"][1]) if found else None


class Load(threading.Thread):
    """Everything that clients do, again and again until stop(), a little at a time: what is right, what is wrong, what is too
    much, and hang-ups in the queue, in prefill and in decode."""

    def __init__(self, servers):
        super().__init__()
        self.servers, self.over, self.failure, self.rounds = servers, threading.Event(), None, 0

    def run(self):
        try:
            while not self.over.is_set():
                together([lambda s=s: self.round(s) for s in self.servers])
                self.rounds += 1
                self.over.wait(0.5)
        except Exception as e:  # noqa: B902: raised by stop
            self.failure = e

    def stop(self):
        self.over.set()
        self.join()
        if self.failure:
            raise self.failure

    def ask(self, server, key=CLIENT, path="/v1/completions", raw=None, **fields):
        return server.request("POST", path, raw if raw is not None else fields, headers={"Authorization": "Bearer " + key})[0]

    def begin(self, server, **fields):
        """A socket that has asked, and reads nothing."""
        body = json.dumps({"ignore_eos": True, **fields})
        return server.raw((f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CLIENT}\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n{body}").encode())

    def round(self, server):
        r = self.rounds
        shared = [7] * 96
        assert self.ask(server, prompt=shared + [r % 200], max_tokens=12, ignore_eos=True) == 200
        assert self.ask(server, prompt=shared + [r % 200, 1], max_tokens=2, stop=["e", "a", "i", "o", "s", "t", " "]) == 200
        assert self.ask(server, key="nobody's", prompt=[1]) == 401
        assert self.ask(server, raw="{") == 400
        assert self.ask(server, prompt=[1] * 70000, max_tokens=1) == 400
        # Two places in the batch, one in the queue: a fourth is too much. Those in the batch read nothing and are not asked to; their
        # answers are as long as can be, so that the first has not ended when the third is asked for.
        many = []
        for name in ("running", "running", "waiting"):
            many.append(self.begin(server, prompt=[3] * 40, max_tokens=32000))
            server.until(lambda: total(server, f"sluice_requests_{name}") >= min(len(many), 2) - (name == "waiting"), 20, name)
        assert self.ask(server, prompt=[3], max_tokens=1) == 429
        for c in reversed(many):  # first the one in the queue
            c.close()
            server.until(lambda: total(server, "sluice_requests_waiting") == 0, 20, "its client is gone")
        assert self.ask(server, prompt=[4] * 30, max_tokens=4, ignore_eos=True) == 200


MOVES = """sluice_requests_total sluice_rows_total{kind=prefill} sluice_rows_total{kind=decode} sluice_generation_tokens_total
sluice_step_rows_count sluice_step_seconds_count{phase=decode} sluice_step_seconds_count{phase=prefill} sluice_prefix_cache_hits_total
sluice_prefix_cache_queries_total sluice_expert_tokens_total sluice_expert_groups_total sluice_expert_compute_seconds_total
sluice_expert_group_seconds_total sluice_expert_latency_seconds_count sluice_time_to_first_token_seconds_count
sluice_inter_token_latency_seconds_count sluice_e2e_request_latency_seconds_count sluice_request_queue_time_seconds_count
sluice_request_prompt_tokens_count sluice_request_generation_tokens_count sluice_prompt_tokens_total{source=computed}
sluice_prompt_tokens_total{source=cached} sluice_requests_rejected_total{reason=queue_full} sluice_requests_rejected_total{reason=too_long}
sluice_requests_rejected_total{reason=auth} sluice_requests_rejected_total{reason=bad_request} sluice_requests_finished_total{reason=stop}
sluice_requests_finished_total{reason=length}
sluice_requests_finished_total{reason=cancelled_queue} sluice_requests_finished_total{reason=cancelled_decode}
sluice_prefix_cache_pages sluice_expert_imbalance_ratio sluice_experts_touched process_cpu_seconds_total
process_minor_page_faults_total process_open_fds process_resident_memory_bytes""".split()


def see(prometheus, moved):
    """Adds to `moved` what has moved by now in Prometheus' view, all replicas together; returns what of MOVES is missing."""
    for found in prometheus.query('sum by (__name__, kind, phase, source, reason) ({__name__=~"sluice_.*|process_.*"}) > 0'):
        name = found["metric"].pop("__name__")
        moved |= {name} | {f"{name}{{{k}={v}}}" for k, v in found["metric"].items()}
    return [m for m in MOVES if m not in moved]


def dashboard_queries():
    """(title, query) of every panel, list and annotation, with the variables as Grafana fills them in for "All"."""
    with open(os.path.join(DEPLOY, "dashboard.json")) as f:
        board = json.load(f)
    found = [(p["title"], t["expr"]) for p in board["panels"] for t in p.get("targets", [])]
    found += [(a["name"], a["expr"]) for a in board["annotations"]["list"]]
    values = {"__rate_interval": "30s", **{v["name"]: ".*" for v in board["templating"]["list"]}}
    lists = []
    for v in board["templating"]["list"]:
        if v["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", v["query"]["query"]).groups()
            lists.append((v["label"], fill(f"count by ({label}) ({series})", values)))
    assert len(found) > 50, len(found)
    return [(title, fill(expr, values)) for title, expr in found] + lists


def fill(expr, values):
    expr = re.sub(r"\$\{?(\w+)\}?", lambda m: values[m.group(1)], expr)
    assert "$" not in expr, expr
    return expr


def adapter_queries():
    """What prometheus-adapter and KEDA ask Prometheus for, as deploy/kubernetes configures them."""
    folder = os.path.join(ROOT, "deploy", "kubernetes")
    with open(os.path.join(folder, "components", "autoscale", "prometheus-adapter.yml")) as f:
        rules = f.read()
    found = []
    for series, query in re.findall(r"seriesQuery: '(.*)'\n(?:.*\n)*?.*metricsQuery: (.*)", rules):
        name = series.split("{")[0]
        found.append(("adapter: " + series, series))
        found.append(("adapter: " + query, query.replace("<<.Series>>", name).replace("<<.LabelMatchers>>", 'namespace="sluice",pod=~".+"')
                      .replace("<<.GroupBy>>", "pod")))
    with open(os.path.join(folder, "components", "autoscale-keda", "scaledobject.yaml")) as f:
        found += [("KEDA: " + q, q) for q in re.findall(r"query: (.*)", f.read())]
    assert len(found) >= 6, found
    return found


def test_three_replicas_scraped():
    """The dashboard's every query has data, no series is counted twice, and a replica that goes is seen."""
    need("prometheus")
    with contextlib.ExitStack() as stack:
        keys = stack.enter_context(harness.temporary(CLIENT + "\n"))
        admin_keys = stack.enter_context(harness.temporary(SCRAPER + "\n"))
        servers = [stack.enter_context(Server(stretched("qwen3moe-gqa"), "--admin", "127.0.0.1:0", "--threads", 1, "--max-sequences", 2,
                                              "--queue", 1, "--api-key-file", keys, "--admin-key-file", admin_keys)) for _ in range(3)]
        # The labels that a ServiceMonitor gives.
        targets = [{"targets": [f"127.0.0.1:{s.admin}"], "labels": {"namespace": "sluice", "service": "sluice-admin", "pod": f"sluice-{i}"}}
                   for i, s in enumerate(servers)]
        folder = stack.enter_context(copy(targets, faster=True))
        prometheus = stack.enter_context(Prometheus(folder))
        load = Load(servers)
        load.start()
        try:
            servers[0].until(prometheus.ready, 60, "prometheus is ready:\n" + prometheus.text())
            wait(load, lambda: [] if prometheus.number('sum(up{job=~"sluice|sluice-experts"})') == 6 else ["six targets are up"])
            moved = set()
            wait(load, lambda: see(prometheus, moved))
            # The first value of a counter is no increase: two scrapes, and a rule's evaluation, later there is data. The two
            # annotations have none, since nothing is wrong and nothing starts again: they are asked for without an error.
            quiet = ("Alerts", "Starts")
            assert not [x for x in dashboard_queries() if x[0] in quiet and prometheus.query(x[1])]
            empty = [x for x in dashboard_queries() + adapter_queries() if x[0] not in quiet]

            def without_data():
                empty[:] = [(title, q) for title, q in empty if not has_data(prometheus.query(q))]
                return empty

            wait(load, without_data)
        finally:
            load.stop()

        # Rules and alerts are evaluated without an error, and none fires.
        for group in prometheus.get("rules")["groups"]:
            for rule in group["rules"]:
                assert rule["health"] == "ok" and not rule.get("lastError"), rule
        assert not prometheus.query('ALERTS{alertstate="firing", severity="page"}')

        # Each series comes from one job, so that sums are what the replicas themselves say.
        named = 'label_replace({__name__=~"sluice_.*|process_.*"}, "name", "$1", "__name__", "(.+)")'
        assert not prometheus.query(f"count without (job) ({named}) > 1")
        assert prometheus.number(f"sum(count without (job) ({named}))") > 1000
        for metric in ("sluice_expert_tokens_total", "sluice_rows_total", "sluice_generation_tokens_total"):
            there = sum(total(s, metric) for s in servers)
            servers[0].until(lambda: prometheus.number(f"sum({metric})") == there, 60, f"{metric}: {there}")

        # A replica that stops: its alert waits for its time.
        servers[2].stop()
        gone = f'ALERTS{{alertname="SluiceReplicaDown", alertstate="pending", instance="127.0.0.1:{servers[2].admin}"}}'
        servers[0].until(lambda: has_data(prometheus.query(gone)) and prometheus.number('sum(up{job="sluice"})') == 2, 60, "an alert")

        # A wrong key is a target that is down, and says why.
        with open(os.path.join(folder, "scrape-key"), "w") as f:
            f.write("another\n")
        targets = lambda: prometheus.get("targets", state="active")["activeTargets"]  # noqa: E731
        servers[0].until(lambda: any("401" in t["lastError"] for t in targets()), 60, "401")


test_three_replicas_scraped.slow = True


def wait(load, missing):
    """Until nothing is missing, while clients go on."""
    end = time.monotonic() + 120
    while missing():
        assert load.is_alive(), "the load has ended"  # and load.stop() says why
        assert time.monotonic() < end, missing()
        load.over.wait(0.3)


def has_data(result):
    return any(x["value"][1] != "NaN" for x in result)


def total(server, metric):
    status, _, page = server.request("GET", "/metrics/experts" if "expert" in metric else "/metrics", port=server.admin,
                                     headers={"Authorization": "Bearer " + SCRAPER})
    assert status == 200
    return sum(float(x) for x in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", page.decode(), flags=re.M))


def test_names_in_the_files_are_metrics():
    """Every name of a metric in deploy/ and in the pages about it is one that the program has, or that a rule records."""
    with Server(checkpoint("qwen3moe-gqa")) as s:
        page = (s.get("/metrics")[2] + s.get("/metrics/experts")[2]).decode()
    names = set(re.findall(r"^# TYPE (\S+)", page, flags=re.M))
    folders = [os.path.join(ROOT, "deploy", top) for top in ("prometheus", "kubernetes")]
    files = [os.path.join(d, f) for top in folders for d, _, fs in os.walk(top) for f in fs]
    files += [os.path.join(ROOT, "docs", f) for f in ("prometheus.md", "kubernetes.md")]
    recorded, seen = set(), 0
    with open(os.path.join(DEPLOY, "sluice.rules.yml")) as f:
        recorded = set(re.findall(r"record: (\S+)", f.read()))
    for path in files:
        with open(path) as f:
            text = f.read()
        for name in re.findall(r"\b(?:service|instance):sluice_\w+:\w+", text):
            assert name in recorded, (path, name)
        for name in re.findall(r"(?<![:\w.-])(?:sluice|process)_[a-z0-9_]+", text):
            seen += 1
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in names or base in names or name.endswith("_"), (path, name)
    assert seen > 100, seen
