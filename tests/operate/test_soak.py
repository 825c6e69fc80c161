"""The short form of tests/soak: some twenty seconds of everything at once."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "soak"))
import soak  # noqa: E402


def test_everything_at_once():
    wrong = soak.run(0.35, growth=8)  # so short a warm-up does not touch everything
    assert not wrong, wrong[:5]
