"""The kind `ca_certificate` against fake roots of several families."""

from __future__ import annotations

import os
import ssl

import pytest

from converge import kinds
from converge.errors import ConvergeError
from converge.provider import Spec, Unmanageable
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources.certificates import pem
from converge_resources.certificates.store import FAMILIES
from providers.fake_tree import TreeFixtures, differing, for_root, kept, mounted, obstacle
from unit.web_server import TLS

CA = (TLS / "ca.pem").read_text()
OTHER_CA = (TLS / "server.pem").read_text()
OLD = (TLS / "client.pem").read_text()
DEBIAN, FEDORA = FAMILIES[:2]


def spec_of(**declared):
    if declared.get("state") != "absent" and "source" not in declared:
        declared.setdefault("content", CA)
    return make_spec("ca_certificate", **{"name": "corp", **declared})


class CaFixtures(TreeFixtures):
    """A Debian with the certificate OLD in its bundle, and its program."""

    kind = "ca_certificate"

    @pytest.fixture(autouse=True)
    def no_variable(self, monkeypatch):
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)

    @pytest.fixture(autouse=True)
    def debian(self, root, system):
        for folder in (DEBIAN.anchors, os.path.dirname(DEBIAN.bundle), "/tmp", "/run"):
            (root / folder[1:]).mkdir(parents=True, exist_ok=True)
        for folder in [root, *root.rglob("*")]:
            if folder.is_dir():
                folder.chmod(0o755)
        self.bundle = root / DEBIAN.bundle[1:]
        self.bundle.write_text(f"# Old\n{OLD}")

        def update(argv, stdin):
            anchors = sorted((root / DEBIAN.anchors[1:]).glob("*.crt"))
            self.bundle.write_text(f"# Old\n{OLD}" + "".join(p.read_text() for p in anchors))
            return "1 added"

        system.programs["update-ca-certificates"] = update


class TestContract(CaFixtures, ProviderContract):
    @pytest.fixture
    def present(self) -> list[Spec]:
        return [spec_of(), spec_of(name="other", content=OTHER_CA)]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [spec_of(state="absent"), spec_of(name="other", state="absent", content=OTHER_CA)]


class TestTool(CaFixtures):
    def test_one_run_for_all(self, provider, system, root):
        specs = [spec_of(), spec_of(name="other", content=OTHER_CA)]
        assert converge(provider, specs, system) == []
        assert system.ran == [("/usr/bin/update-ca-certificates",)]
        anchor = root / DEBIAN.anchor("corp")[1:]
        assert anchor.read_text() == CA
        assert anchor.stat().st_mode & 0o7777 == 0o644
        assert CA in self.bundle.read_text()

    def test_in_sync_runs_nothing(self, provider, system):
        converge(provider, [spec_of()], system)
        system.ran.clear()
        windows = "text before\r\n" + CA.replace("\n", "\r\n")
        assert converge(provider, [spec_of(content=windows)], system) == []
        assert system.ran == []

    def test_what_was_only_anchored_is_put_into_the_bundle(self, provider, system, root):
        (root / DEBIAN.anchor("corp")[1:]).write_text(CA)
        assert differing(plan(provider, [spec_of()], system)) == ["trusted"]
        assert converge(provider, [spec_of()], system) == []

    def test_what_is_only_in_the_bundle_is_anchored(self, provider, system, root):
        self.bundle.write_text(CA)
        assert differing(plan(provider, [spec_of()], system)) == ["certificate"]
        assert converge(provider, [spec_of()], system) == []
        assert (root / DEBIAN.anchor("corp")[1:]).exists()

    def test_a_renewed_certificate_and_a_removed_one_need_all_links_anew(self, provider, system):
        converge(provider, [spec_of()], system)
        system.ran.clear()
        assert converge(provider, [spec_of(content=OTHER_CA)], system) == []
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert [argv[1:] for argv in system.ran] == [("--fresh",), ("--fresh",)]
        assert self.bundle.read_text() == f"# Old\n{OLD}"

    def test_a_program_that_does_nothing_is_not_believed(self, provider, system):
        system.programs["update-ca-certificates"] = lambda argv, stdin: ""
        assert differing(converge(provider, [spec_of()], system)) == ["trusted"]

    def test_fedora(self, provider, system, root):
        for path in (DEBIAN.bundle, DEBIAN.anchors):
            os.rename(root / path[1:], root / path[1:].replace("/", "-"))
        for folder in (FEDORA.anchors, os.path.dirname(FEDORA.bundle)):
            (root / folder[1:]).mkdir(parents=True)
        bundle = root / FEDORA.bundle[1:]
        bundle.write_text(OLD)
        del system.programs["update-ca-certificates"]
        system.programs["update-ca-trust"] = lambda argv, stdin: bundle.write_text(OLD + CA) and ""
        assert converge(provider, [spec_of()], system) == []
        assert system.ran == [("/usr/bin/update-ca-trust", "extract")]
        assert (root / FEDORA.anchor("corp")[1:]).read_text() == CA

    def test_of_the_distribution_it_cannot_be_taken(self, provider, system):
        spec = spec_of(state="absent", content=OLD)
        assert [change.after for change in converge(provider, [spec], system)] == [None]


class TestWithoutTheProgram(CaFixtures):
    @pytest.fixture(autouse=True)
    def distroless(self, debian, system):
        system.programs.clear()

    def test_the_bundle_is_edited(self, provider, system, root):
        assert converge(provider, [spec_of()], system) == []
        assert self.bundle.read_text() == f"# Old\n{OLD}{CA}"
        assert kept(system) == {DEBIAN.bundle: f"# Old\n{OLD}".encode()}
        assert (root / DEBIAN.anchor("corp")[1:]).exists()
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert self.bundle.read_text() == f"# Old\n{OLD}"

    def test_a_renewed_certificate_takes_the_place_of_the_old(self, provider, system):
        converge(provider, [spec_of()], system)
        assert converge(provider, [spec_of(content=OTHER_CA)], system) == []
        assert self.bundle.read_text() == f"# Old\n{OLD}{OTHER_CA}"

    def test_without_a_directory_of_anchors(self, provider, system, root):
        (root / DEBIAN.anchors[1:]).rmdir()
        assert converge(provider, [spec_of()], system) == []
        assert converge(provider, [spec_of(state="absent", content=CA)], system) == []

    def test_a_bundle_behind_a_link(self, provider, system, root):
        os.rename(self.bundle, root / "etc/real.crt")
        self.bundle.symlink_to("/etc/real.crt")
        assert converge(provider, [spec_of()], system) == []
        assert self.bundle.is_symlink()
        assert CA in (root / "etc/real.crt").read_text()

    def test_a_mounted_bundle_is_edited_although_there_is_a_program(
        self, provider, system, monkeypatch
    ):
        system.programs["update-ca-certificates"] = lambda argv, stdin: pytest.fail(
            "mv gives EBUSY"
        )
        mounted(system, monkeypatch, DEBIAN.bundle)
        inode = self.bundle.stat().st_ino
        assert converge(provider, [spec_of()], system) == []
        assert self.bundle.stat().st_ino == inode

    def test_no_trust_store(self, provider, system):
        self.bundle.unlink()
        why = obstacle(provider, system, spec_of())
        assert "no trust store" in why.reason
        assert "package: ca-certificates" in why.remedy


class TestBeside(CaFixtures):
    """A store that cannot be changed: a bundle is written where it can be."""

    ASIDE = f"/tmp/converge-ca-{os.geteuid()}/ca-certificates.crt"

    @pytest.fixture(autouse=True)
    def read_only(self, debian, system, root, monkeypatch):
        mounted(system, monkeypatch, "/etc", read_only=True)
        (root / "run").rmdir()

    def test_is_told_with_what_would_make_it_count(self, provider, system, root):
        assert obstacle(provider, system, spec_of()) is None
        provider.apply(plan(provider, [spec_of()], system), system)
        assert (root / self.ASIDE[1:]).read_text() == f"# Old\n{OLD}{CA}"
        assert self.bundle.read_text() == f"# Old\n{OLD}"
        found = provider.inspect([spec_of()], system.read_only())["corp"]
        assert isinstance(found, Unmanageable)
        assert f"SSL_CERT_FILE={self.ASIDE}" in found.remedy

    def test_counts_where_programs_are_told_of_it(self, provider, system, root, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", f"{root}{self.ASIDE}")
        specs = [spec_of(), spec_of(name="other", content=OTHER_CA)]
        assert converge(provider, specs, system) == []
        assert (root / self.ASIDE[1:]).read_text() == f"# Old\n{OLD}{CA}{OTHER_CA}"

    def test_a_declared_place(self, provider, system, root):
        spec = spec_of(bundle="/tmp/ca.crt")
        provider.apply(plan(provider, [spec], system), system)
        assert CA in (root / "tmp/ca.crt").read_text()
        assert (root / "tmp/ca.crt").stat().st_mode & 0o777 == 0o644

    @for_root
    def test_somebody_elses_file_is_not_built_upon(self, provider, system, root):
        (root / "tmp/ca.crt").write_text(OTHER_CA)
        os.chown(root / "tmp/ca.crt", 65534, 65534)
        spec = spec_of(bundle="/tmp/ca.crt")
        found = provider.inspect([spec], system.read_only())["corp"]
        assert isinstance(found, Unmanageable)
        assert "the agent alone can write" in found.reason

    @for_root
    def test_somebody_elses_directory_is_passed_over(self, provider, system, root):
        folder = root / os.path.dirname(self.ASIDE)[1:]
        folder.mkdir()
        os.chown(folder, 65534, 65534)
        assert "mounted read-only" in obstacle(provider, system, spec_of()).reason

    def test_trusted_already_needs_nothing(self, provider, system):
        self.bundle.write_text(OLD + CA)
        assert plan(provider, [spec_of()], system) == []

    def test_absent_cannot_be_had(self, provider, system):
        self.bundle.write_text(OLD + CA)
        why = obstacle(provider, system, spec_of(state="absent", content=CA))
        assert "cannot be changed" in why.reason


class TestSpec:
    @pytest.mark.parametrize(
        ("declared", "attribute"),
        [
            ({}, "content"),
            ({"content": CA, "source": "x"}, "source"),
            ({"content": "hello"}, "content"),
            ({"content": CA + OTHER_CA}, "content"),
            ({"content": CA + (TLS / "server.key").read_text()}, "content"),
            ({"content": CA.replace("M", "", 1)}, "content"),
            ({"content": CA[:100]}, "content"),
            ({"content": CA, "name": "a/b"}, "name"),
            ({"content": CA, "name": "-a"}, "name"),
            ({"content": CA, "bundle": "ca.crt"}, "bundle"),
        ],
    )
    def test_wrong(self, declared, attribute):
        from converge.language.models import validate

        _, problems = validate(kinds.load("ca_certificate").spec, {"name": "corp", **declared})
        assert attribute in [place[0] for place, _ in problems]

    def test_a_source_of_the_profiles_folder(self):
        provider = kinds.load("ca_certificate")
        spec = provider.resolve(spec_of(source="corp.pem"), lambda name: (name, CA.encode()))
        assert spec.content == CA
        with pytest.raises(ConvergeError, match=r"corp\.pem: it holds 0 certificates"):
            provider.resolve(spec_of(source="corp.pem"), lambda name: (name, b"\xff\xfe"))


class TestPem:
    def test_round_trip(self):
        assert pem.wrapped(pem.body(CA)) == CA
        assert [found for *_, found in pem.bodies(CA + OLD)] == [pem.body(CA), pem.body(OLD)]

    def test_fingerprint_is_of_the_certificate(self):
        from hashlib import sha256

        der = ssl.PEM_cert_to_DER_cert(CA)
        assert pem.fingerprint(pem.body(CA)) == sha256(der).hexdigest()
        assert pem.fingerprint("A") == "damaged"

    def test_removal_leaves_the_rest(self):
        text = f"# one\n{CA}# two\n{OLD}{CA}"
        assert pem.removed(text, pem.body(CA)) == f"# one\n# two\n{OLD}"
        assert pem.added("no break", pem.body(CA)) == f"no break\n{CA}"

    @pytest.mark.parametrize(
        "text", ["", "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"]
    )
    def test_nothing(self, text):
        assert pem.body(text) == ""
