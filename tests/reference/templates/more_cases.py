"""Templates that once rendered otherwise than Jinja2 does, mostly found by fuzz.py."""

TEMPLATES = [
    "{% filter length %}x{% endfilter %}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{% filter length %}x{% endfilter %}{% endcall %}",
    "{{ [1, 2] | sort(attribute='name') }}",
    "{{ people | sort(attribute='name') | map(attribute='name') | join }}{{ [[2, 'b'], [1, 'a']] | sort }}{{ ['b', 'A'] | sort(false, true) }}",
    "{{ [1] is filter }}", "{{ d is not test }}",
    "{{ {'k': 1e21 | round(0, 'ceil')} }}{{ 1e30 | round(2, 'floor') }}", "{{ ('a\\nb' | escape).splitlines() }}{{ ('a,b' | e).split(',') }}{{ ('a,b' | e).partition(',') }}",
    "{{ 'a'.splitlines((1, 'x')) }}", "{{ 'a\\nb'.splitlines(1) }}",
]
