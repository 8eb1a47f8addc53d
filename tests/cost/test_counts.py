"""What a run costs that finds nothing to do is what the repository says, or up to a tenth more.

A change that costs more says so by new numbers: `bench/counts.py --write tests/cost/counts.json`;
one that costs less does too, or its gain could be lost unseen.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from faults.needs import need, need_programs, need_strace

HERE = Path(__file__).parent
NUMBERS = json.loads((HERE / "counts.json").read_text())
CASES = [(what, case) for what, cases in NUMBERS.items() for case in cases]


@pytest.fixture(scope="module")
def counted():
    need_strace()
    need_programs("valgrind")
    path = HERE.parents[1] / "bench/counts.py"
    spec = importlib.util.spec_from_file_location("counts", path)
    need(spec is not None and spec.loader is not None, f"{path} is missing")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    return bench.counts(sys.executable)


@pytest.mark.parametrize(("what", "case"), CASES, ids=[f"{case}, {what}" for what, case in CASES])
def test_it_costs_what_it_did(counted, what, case):
    wanted, found = NUMBERS[what][case], counted[what][case]
    assert found <= 1.1 * wanted, f"{found} {what}, not {wanted}: {__doc__}"
