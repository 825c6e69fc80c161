"""sluice healthcheck: what a container's health command says of a server, well or not."""
import json
import socket
import threading

from harness import Server, checkpoint, stretched, temporary
from test_program import sluice

MODEL = checkpoint("qwen3moe-gqa")


def test_a_server_that_is_ready():
    with Server(MODEL, "--admin", "127.0.0.1:0") as s:
        for environment in ({"SLUICE_PORT": str(s.port)}, {"SLUICE_PORT": str(s.port), "SLUICE_HOST": "0.0.0.0"},
                            {"SLUICE_ADMIN": f"127.0.0.1:{s.admin}"}, {"SLUICE_ADMIN": f"0.0.0.0:{s.admin}", "SLUICE_PORT": "1"}):
            for more in ((), ("--live",)):
                r = sluice("healthcheck", *more, env=environment)
                assert (r.returncode, r.stdout, r.stderr) == (0, "ok\n", ""), (environment, more, r)
        assert sluice("healthcheck", f"localhost:{s.port}").returncode == 0
        assert sluice("healthcheck", "--port", s.port).returncode == 0
        with temporary(json.dumps({"model": "/not/read", "queue": 3, "port": s.port})) as f:  # the server's own file
            assert sluice("healthcheck", env={"SLUICE_CONFIG": f}).returncode == 0
            assert sluice("healthcheck", "--config", f).returncode == 0
            assert sluice("healthcheck", "--config", f, "--port", "1").returncode == 1


def test_a_key_is_not_asked_for():
    with temporary("secret\n") as keys, Server(MODEL, "--api-key-file", keys) as s:
        assert s.get("/v1/models")[0] == 401
        assert sluice("healthcheck", "--port", s.port).returncode == 0


def test_a_server_that_drains_lives_and_is_not_ready():
    with Server(stretched("qwen3moe-gqa"), "--ctx", 65536, "--admin", "127.0.0.1:0") as s:
        c = s.open_stream(prompt="Hello", max_tokens=60000, ignore_eos=True)
        c.recv(4096)
        s.process.terminate()
        s.until(lambda: s.get("/readyz", port=s.admin)[0] == 503, what="draining")
        r = sluice("healthcheck", "--admin", f"127.0.0.1:{s.admin}")
        assert r.returncode == 1 and "/readyz is 503: draining" in r.stderr, r
        assert sluice("healthcheck", "--live", "--admin", f"127.0.0.1:{s.admin}").returncode == 0
        c.close()


def test_who_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        r = sluice("healthcheck", "--port", port, "--timeout", 1)  # nobody accepts
        assert r.returncode == 1 and "no answer in time" in r.stderr, r
        listener.accept()[0].close()  # it waits in the backlog still

        def speak(answer):
            c, _ = listener.accept()
            c.recv(4096)
            c.sendall(answer)
            c.close()

        for answer, says in ((b"SSH-2.0-x\r\n", "does not speak HTTP"), (b"", "does not speak HTTP"), (b"x" * 100000, "does not speak HTTP"),
                             (b"HTTP/1.1 500 No\r\n\r\nbroken\r\nmore", "/readyz is 500: broken"), (b"HTTP/1.1 200", None)):
            t = threading.Thread(target=speak, args=(answer,))
            t.start()
            r = sluice("healthcheck", "--port", port)
            t.join()
            assert r.returncode == (1 if says else 0) and (says or "") in r.stderr, (answer[:40], r)
    r = sluice("healthcheck", "--port", port)
    assert r.returncode == 1 and "refused" in r.stderr, r


def test_misuse():
    for arguments in (("nowhere",), ("a:b",), ("--admin", "9090"), ("--timeout", "0"), ("--prot", "1"), ("a:1", "b:2")):
        assert sluice("healthcheck", *arguments).returncode == 2, arguments
    assert "--live" in sluice("healthcheck", "--help").stdout
