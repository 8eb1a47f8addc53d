"""The kind `symlink` against a fake root."""

from __future__ import annotations

import os

import pytest

from converge import kinds
from converge.provider import Spec
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan


@pytest.fixture
def system(tmp_path):
    (tmp_path / "etc").mkdir()
    return FakeSystem(tmp_path)


class TestContract(ProviderContract):
    kind = "symlink"

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [make_spec("symlink", name="/etc/localtime", target="/usr/share/zoneinfo/UTC")]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [make_spec("symlink", name="/etc/localtime", state="absent")]


def test_replaces_another_target(system, tmp_path):
    (tmp_path / "etc/a").symlink_to("x")
    spec = make_spec("symlink", name="/etc/a", target="y")
    assert [f.field for f in plan(kinds.load("symlink"), [spec], system)[0].fields] == ["target"]
    assert converge(kinds.load("symlink"), [spec], system) == []
    assert os.readlink(tmp_path / "etc/a") == "y"
