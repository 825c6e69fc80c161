"""deploy/kubernetes: the overlays as kubectl builds them, against the schemas of the API (kubernetes-validate); what the files say
against each other; and a pod's environment and probes against the program itself. What lies in no schema here: the custom
resources (ServiceMonitor, PrometheusRule, ScaledObject, EndpointPickerConfig). Nothing is applied to a cluster."""
import copy
import functools
import json
import os
import re
import shutil
import subprocess

import harness
from harness import Server

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FOLDER = os.path.join(ROOT, "deploy", "kubernetes")
OVERLAYS = ("default-model", "production", "production-keda")
VERSIONS = ("1.29", "1.37")
CUSTOM = {"ServiceMonitor", "ScaledObject"}


def load(text):
    import yaml
    return [d for d in yaml.safe_load_all(text) if d]


def read(*path):
    with open(os.path.join(ROOT, *path)) as f:
        return load(f.read())


@functools.lru_cache(maxsize=None)
def build(overlay):
    """The overlay's documents by kind and name; kustomize's own merge, of components (kubectl 1.21 and newer have it)."""
    if shutil.which("kustomize"):
        command = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
        version = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True).stdout
        minor = re.search(r"v1\.(\d+)", version)
        if minor and int(minor.group(1)) < 21:
            raise ImportError("kubectl is older than 1.21: the overlays of deploy/kubernetes are NOT tested")
    else:
        raise ImportError("neither kustomize nor kubectl is installed: the overlays of deploy/kubernetes are NOT tested")
    done = subprocess.run([*command, os.path.join(FOLDER, "overlays", overlay)], capture_output=True, text=True)
    assert done.returncode == 0 and "deprecated" not in done.stderr, done.stderr
    documents = load(done.stdout)
    assert len(documents) == len({(d["kind"], d["metadata"]["name"]) for d in documents})
    return {(d["kind"], d["metadata"]["name"]): d for d in documents}


def container(documents):
    return documents["Deployment", "sluice"]["spec"]["template"]["spec"]["containers"][0]


def environment(documents):
    return {e["name"]: e["value"] for e in container(documents)["env"]}


def size(text):
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi|M|G)", text).groups()
    return int(number) * {"M": 10**6, "G": 10**9, "Mi": 1 << 20, "Gi": 1 << 30}[unit]


def test_schemas():
    """Every document of every overlay, and the base, against the API's own schemas; and a wrong one is refused."""
    import kubernetes_validate as k
    checked, seen = {}, set()
    documents = [d for o in OVERLAYS for d in build(o).values()]
    files = [f for f in os.listdir(os.path.join(FOLDER, "base")) if f != "kustomization.yaml"]
    documents += [d for f in files for d in read("deploy", "kubernetes", "base", f)]
    for d in documents:
        text = json.dumps({**d, "metadata": {**d["metadata"], "namespace": "sluice"}}, sort_keys=True)
        if d["kind"] not in CUSTOM and text not in seen:
            for version in VERSIONS:
                k.validate(d, version, strict=True)
            seen.add(text)
            checked[d["kind"]] = d
    assert set(checked) == {"Namespace", "ServiceAccount", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy",
                            "PersistentVolumeClaim", "HorizontalPodAutoscaler"}, set(checked)
    for change in (lambda d: d["spec"]["template"]["spec"].update(enableServiceLink=False),
                   lambda d: d["spec"]["template"]["spec"]["containers"][0].update(args="serve")):
        wrong = copy.deepcopy(checked["Deployment"])
        change(wrong)
        try:
            k.validate(wrong, VERSIONS[0], strict=True)
        except k.ValidationError:
            continue
        raise AssertionError("a wrong Deployment is valid")


test_schemas.slow = True


def test_pods():
    """What an operator relies on, in every overlay."""
    for overlay in OVERLAYS:
        documents = build(overlay)
        pod = documents["Deployment", "sluice"]["spec"]["template"]["spec"]
        c = container(documents)
        env = environment(documents)
        assert all(d["metadata"].get("namespace") == "sluice" for (kind, _), d in documents.items() if kind != "Namespace")
        assert documents["Namespace", "sluice"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

        # restricted, as the Pod Security Standards have it, and a root that nobody writes to
        s = pod["securityContext"]
        assert s["runAsNonRoot"] is True and s["runAsUser"] == s["runAsGroup"] == 65532
        assert s["seccompProfile"] == {"type": "RuntimeDefault"}
        assert c["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                        "capabilities": {"drop": ["ALL"]}}
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False

        # probes: on the admin port, which is another one than clients have
        ports = {p["name"]: p["containerPort"] for p in c["ports"]}
        assert ports == {"http": int(env["SLUICE_PORT"]), "admin": int(env["SLUICE_ADMIN"].split(":")[1])}
        for probe, path in (("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
            assert c[probe]["httpGet"] == {"path": path, "port": "admin"}, probe
        start = c["startupProbe"]["periodSeconds"] * c["startupProbe"]["failureThreshold"]
        assert start < documents["Deployment", "sluice"]["spec"]["progressDeadlineSeconds"]

        # the drain ends before the kubelet kills
        drain = int(env["SLUICE_DRAIN_DELAY"]) + int(env["SLUICE_DRAIN_SECONDS"])
        assert pod["terminationGracePeriodSeconds"] >= drain + 10
        seen = c["readinessProbe"]["periodSeconds"] * c["readinessProbe"]["failureThreshold"]
        assert int(env["SLUICE_DRAIN_DELAY"]) >= seen + 5

        # nobody is evicted or throttled for what he is entitled to
        assert c["resources"]["requests"] == c["resources"]["limits"] and c["resources"]["limits"]["cpu"].isdigit()
        if "SLUICE_MODEL" in env:
            weights, rest = 17.3 * 2**30, 2**30
            assert c["resources"]["limits"]["memory"] == "29Gi"
            assert 1.1 * (weights + size(env["SLUICE_KV_MEMORY"]) + rest) <= size("29Gi")
            mount = next(m for m in c["volumeMounts"] if m["name"] == "models")
            assert env["SLUICE_MODEL"].startswith(mount["mountPath"] + "/") and mount["readOnly"] is True

        # keys: the Secret as a folder
        mount = next(m for m in c["volumeMounts"] if m["name"] == "keys")
        assert "subPath" not in mount and mount["readOnly"] is True
        assert env["SLUICE_API_KEY_FILE"] == mount["mountPath"] + "/api-keys"
        assert env["SLUICE_ADMIN_KEY_FILE"] == mount["mountPath"] + "/admin-key"

        # selectors meet
        labels = documents["Deployment", "sluice"]["spec"]["template"]["metadata"]["labels"]
        assert not set(documents["Deployment", "sluice"]["spec"]["selector"]["matchLabels"].items()) - set(labels.items())
        for key in (("Service", "sluice"), ("Service", "sluice-admin")):
            assert not set(documents[key]["spec"]["selector"].items()) - set(labels.items())
        for key in (("PodDisruptionBudget", "sluice"), ("NetworkPolicy", "sluice")):
            spec = documents[key]["spec"]
            match = spec.get("selector", spec.get("podSelector"))["matchLabels"]
            assert match and not set(match.items()) - set(labels.items())
        policy = documents["NetworkPolicy", "sluice"]["spec"]
        assert policy["egress"] == [] and "Egress" in policy["policyTypes"]

        # one autoscaler at most, and then the number of replicas is its own
        scalers = [kind for kind, _ in documents if kind in ("HorizontalPodAutoscaler", "ScaledObject")]
        assert len(scalers) == (overlay != "default-model")
        assert ("replicas" in documents["Deployment", "sluice"]["spec"]) == (not scalers)
        if ("HorizontalPodAutoscaler", "sluice") in documents:
            spec = documents["HorizontalPodAutoscaler", "sluice"]["spec"]
            rules = read("deploy", "kubernetes", "components", "autoscale", "prometheus-adapter.yml")[0]["rules"]
            asked = [m["pods"]["metric"]["name"] for m in spec["metrics"]]
            assert asked == ["sluice_requests_waiting", "sluice_requests_running"]
            assert asked == [r["name"]["matches"] for r in rules] == [r["seriesQuery"].split("{")[0] for r in rules]
            assert int(spec["metrics"][1]["pods"]["target"]["averageValue"]) < int(env["SLUICE_MAX_SEQUENCES"])


test_pods.slow = True


def test_monitor_and_rules():
    """The operator's resources say what deploy/prometheus says."""
    monitor = build("production")["ServiceMonitor", "sluice"]["spec"]
    jobs = {j["job_name"]: j for j in read("deploy", "prometheus", "prometheus.yml")[0]["scrape_configs"]}
    assert len(monitor["endpoints"]) == len(jobs) == 2
    for e in monitor["endpoints"]:
        job = jobs[next(r["replacement"] for r in e["relabelings"] if r["targetLabel"] == "job")]
        assert e["path"] == job["metrics_path"] and e["interval"] == job.get("scrape_interval", "15s")
        there, here = e["metricRelabelings"][0], job["metric_relabel_configs"][0]
        assert (there["regex"], there["action"], there["sourceLabels"]) == (here["regex"], here["action"], here["source_labels"])
        assert e["authorization"]["credentials"] == {"name": "sluice-keys", "key": "admin-key"}
    admin = build("production")["Service", "sluice-admin"]
    assert not set(monitor["selector"]["matchLabels"].items()) - set(admin["metadata"]["labels"].items())
    assert admin["spec"]["publishNotReadyAddresses"] is True and admin["spec"]["clusterIP"] == "None"

    script = os.path.join(ROOT, "deploy", "prometheus", "prometheusrule")
    out = subprocess.run(["sh", script], capture_output=True, text=True, check=True)
    rule = load(out.stdout)[0]
    groups = [g for f in ("sluice.rules.yml", "sluice.alerts.yml") for g in read("deploy", "prometheus", f)[0]["groups"]]
    assert rule["kind"] == "PrometheusRule" and rule["spec"]["groups"] == groups


test_monitor_and_rules.slow = True


def test_a_pod_starts():
    """The program with the base's environment: the default model within its memory, probes without a key, a drain as it is meant."""
    deployment = read("deploy", "kubernetes", "base", "deployment.yaml")[0]
    documents = {("Deployment", "sluice"): deployment}
    env = environment(documents)
    model = os.path.join(ROOT, "models", "default.gguf")
    plan = json.loads(subprocess.run([harness.BINARY, "inspect", model, "--json"], env={**os.environ, **env}, capture_output=True,
                                     text=True, check=True).stdout)["plan"]
    limit = size(container(documents)["resources"]["limits"]["memory"])
    assert 1.1 * (plan["weights_bytes"] + plan["private_bytes"]) <= limit, plan

    with harness.temporary("a-client\n") as keys, harness.temporary("a-scraper") as admin_key:
        assert container(documents)["args"] == ["serve"]
        here = {**env, "SLUICE_HOST": "127.0.0.1", "SLUICE_ADMIN": "127.0.0.1:0", "SLUICE_API_KEY_FILE": keys,
                "SLUICE_ADMIN_KEY_FILE": admin_key, "SLUICE_DRAIN_DELAY": "1"}
        del here["SLUICE_PORT"]  # Server takes a free one
        with Server(model, "--threads", 1, env=here) as s:
            assert "warn" not in s.text(), s.text()  # no variable that it does not know
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert s.get(container(documents)[probe]["httpGet"]["path"], port=s.admin)[0] == 200
            assert s.get("/metrics", port=s.admin)[0] == 401
            assert s.get("/metrics", port=s.admin, headers={"Authorization": "Bearer a-scraper"})[0] == 200
            assert s.get("/metrics", headers={"Authorization": "Bearer a-client"})[0] == 404
            body = {"prompt": "And it came to pass", "max_tokens": 4}
            assert s.request("POST", "/v1/completions", body)[0] == 401
            assert s.request("POST", "/v1/completions", body, headers={"Authorization": "Bearer a-client"})[0] == 200
            s.process.terminate()
            s.until(lambda: s.get("/readyz", port=s.admin)[0] == 503, what="not ready at once")
            # Balancers have not heard of it yet: work is still taken.
            assert s.request("POST", "/v1/completions", body, headers={"Authorization": "Bearer a-client"})[0] == 200


test_a_pod_starts.slow = True
