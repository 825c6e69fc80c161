#!/usr/bin/env python3
"""Compares every template of a folder with Jinja2: the same text, or an error where Jinja2 has one.

usage: compare.py RENDER FOLDER [NAME-PART]
RENDER is the built template-render (render.c). Needs jinja2 (3.1.6). Prints each difference; exits 1 if there is one."""
import json, os, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import jinja
from conversations import CONVERSATIONS, MARK


FAIL = object()  # both raise an error


class Renderer:
    def __init__(self, program):
        env = dict(os.environ, TZ="UTC")
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

    def render(self, template, variables):
        job = json.dumps({"template": template, "variables": variables, "now": jinja.NOW}).encode()
        self.process.stdin.write(job + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the renderer died of: %r" % job[:2000])
        return json.loads(line)


def provenance(template, answer):
    """What is wrong about the segments, or None. Every MARK that the conversations carry in their texts is content."""
    text = answer["text"].encode()
    at, content = 0, bytearray(len(text))
    for start, length, is_content in answer["segments"]:
        if start != at or length <= 0:
            return "segments do not follow one another"
        at += length
        if is_content:
            content[start:at] = b"\1" * length
    if at != len(text):
        return "segments do not cover the text"
    mark, place = MARK.encode(), -1
    while (place := text.find(mark, place + 1)) >= 0:
        if not all(content[place:place + len(mark)]):
            return "a client's text is markup at byte %d: %r" % (place, text[max(0, place - 40):place + 40])
    return None


def check(renderer, name, template, variables):
    want, raised = jinja.render(template, variables)
    got = renderer.render(template, variables)
    if raised is not None:
        return FAIL if "error" in got else "Jinja2 raises %s; rendered %r" % (raised, got["text"][:300])
    if "error" in got:
        return "%s: %s; Jinja2 renders %r" % (got["error"], got["message"], want[:200])
    if got["text"] != want:
        at = next((i for i, (a, b) in enumerate(zip(got["text"], want)) if a != b), min(len(got["text"]), len(want)))
        return "differs at character %d: %r, Jinja2: %r" % (at, got["text"][max(0, at - 40):at + 80], want[max(0, at - 40):at + 80])
    return provenance(template, got)


def main():
    renderer = Renderer(sys.argv[1])
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    names = sorted(n for n in os.listdir(sys.argv[2]) if n.endswith(".jinja") and part in n)
    wrong = cases = failures = 0
    for name in names:
        template = open(os.path.join(sys.argv[2], name), encoding="utf-8").read()
        for title, variables in CONVERSATIONS.items():
            cases += 1
            problem = check(renderer, name, template, variables)
            if problem is FAIL:
                failures += 1
            elif problem:
                wrong += 1
                print("%s, %s: %s" % (name, title, problem))
    print("%d templates, %d conversations: %d cases, %d differ; in %d both fail" % (len(names), len(CONVERSATIONS), cases, wrong, failures))
    return 1 if wrong or not names else 0


if __name__ == "__main__":
    sys.exit(main())
