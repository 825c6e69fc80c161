"""Templates that once rendered otherwise than Jinja2 does, mostly found by fuzz.py."""

TEMPLATES = [
    "{% filter length %}x{% endfilter %}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{% filter length %}x{% endfilter %}{% endcall %}",
]
