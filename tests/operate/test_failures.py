"""The short forms of the figures: what clients see while replicas are restarted, killed, flooded and held up. Times are printed,
not judged: the machine may have other work. The long forms judge them."""
import multiprocessing

import flood
import kill
import restart
import slow


def test_a_rolling_restart_loses_nothing():
    """/* Promise 3 */"""
    table, restarts, bad = in_child(restart.run, 24, 3)
    assert not bad and table["ok"] >= 24 and restarts >= 3, (table, restarts, bad)


def test_a_killed_replica_breaks_only_what_it_was_sending():
    """/* Promise 3 */"""
    wrong = in_child(kill.run, 20, 1)
    assert not wrong, wrong


def test_a_flood_is_answered():
    wrong, _ = flood.run(300)
    assert not wrong, wrong


def test_slow_readers_and_drips_break_nobody():
    wrong, _ = slow.run(60, 30, 1)
    assert not wrong, wrong


def in_child(function, *arguments):
    """In a process of its own, as it makes itself nice."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, arguments)
