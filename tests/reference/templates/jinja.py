"""Jinja2 as transformers 5 sets it up for chat templates (utils/chat_template_utils.py), without transformers."""
import functools
import json
from datetime import datetime

import jinja2
import jinja2.ext
import jinja2.utils
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = 1767312000  # the clock of all comparisons, UTC
REASONING = ("reasoning_content", "thinking", "reasoning")


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_support"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _support(self, context, caller):
        return caller()


class TemplateDict:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)

    def fromkeys(self, *args, **kwargs):
        return dict.fromkeys(*args, **kwargs)


class Namespace(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attrs = dict(*args, **kwargs)
        for name in attrs:
            Namespace._check_name(name)
        jinja2.utils.Namespace.__init__(self, attrs)

    def __setitem__(self, name, value):
        Namespace._check_name(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check_name(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError("underscore")


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: datetime.utcfromtimestamp(NOW).strftime(format)
    env.globals["dict"] = TemplateDict()
    env.globals["namespace"] = Namespace
    return env


ENVIRONMENT = environment()


@functools.lru_cache(maxsize=64)
def compiled(template):
    try:
        return ENVIRONMENT.from_string(template)
    except Exception as e:  # not only TemplateError: Python's compiler complains too
        return e


def prepare(messages):
    """What apply_chat_template does to messages before a template sees them."""
    ready = []
    for message in messages:
        message = {key: value for key, value in message.items() if value is not None}
        reasoning = next((message[key] for key in REASONING if message.get(key) is not None), None)
        if reasoning is not None:
            message = {"thinking": reasoning, **message, "reasoning_content": reasoning}
        ready.append(message)
    return ready


def render(template, variables):
    """(text, None) or (None, what was raised)."""
    values = {"tools": None, "documents": None, "add_generation_prompt": False, **variables}
    if isinstance(values.get("messages"), list) and all(isinstance(m, dict) for m in values["messages"]):
        values["messages"] = prepare(values["messages"])
    try:
        parsed = compiled(template)
        if isinstance(parsed, Exception):
            raise parsed
        return parsed.render(**values), None
    except Exception as e:  # whatever a template can raise
        return None, "%s: %s" % (type(e).__name__, e)
