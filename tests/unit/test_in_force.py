"""Which version of a profile from afar is in force, over a source that the test holds in its hand."""

from __future__ import annotations

import errno
import json
import os
import time

import pytest

from converge import runner, sources, stopping
from converge.bundle import in_force, keyring, memory, minisign, packing
from converge.config import Settings
from converge.engine import Run
from converge.errors import ConvergeError
from converge.reports import standing_text
from converge.runner import Asked
from converge.sources import Fetched, Source, SourceError
from converge.state import directory as state
from converge.state.store import Store
from unit.bundles import folder, signed, stated

KEY, OTHER = minisign.generate(), minisign.generate()
FUTURE = int(time.time()) + 86400


class Hand(Source):
    """A source whose content is a class attribute, or an error that is raised."""

    now: Fetched | Exception
    asked: list[str]

    def fetch(self, tag):
        Hand.asked.append(tag)
        if isinstance(Hand.now, Exception):
            raise Hand.now
        return None if tag and tag == Hand.now.tag else Hand.now


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A root with /etc, a state directory, and a source `hand://…`."""
    monkeypatch.setitem(sources.BUILT_IN, "hand", "x:y")
    monkeypatch.setattr(sources, "load", lambda url: Hand)
    Hand.asked = []
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


def settings(place, **changes):
    return Settings(
        profile="hand://somewhere/web.tar.gz", root=str(place / "root"),
        state_dir=str(place / "state"), runtime_dir=str(place / "run"),
        **{"keys": (KEY.public.text,), **changes},
    )  # fmt: skip


def profile(text, extra=()):
    return json.dumps({"resources": [{"file": "/etc/motd", "content": text}, *extra]})


BROKEN = ({"file": "/etc/motd/below", "content": "x"},)  # its parent is a file


def offer(
    place, text, sequence, *, key=KEY, extra=(), meta=None, expires=FUTURE, changes="", name="web"
):
    """Let the source have a bundle, and return its digest."""
    made = folder(place / f"bundle-{sequence}", profile(text, extra))
    content = packing.pack(str(made), meta or {})
    statement = stated(name, sequence, expires)
    Hand.now = Fetched(
        signed=signed(content, key, statement=statement, changes=changes), tag=f"t{sequence}{text}"
    )
    return content


def motd(place):
    return (place / "root/etc/motd").read_text()


def once(place, reason="once", **changes):
    return runner.once(settings(place, **changes), Asked(reason=reason))


def test_a_change_at_the_source_is_followed(place):
    offer(place, "one", 1)
    report = once(place)
    assert motd(place) == "one"
    assert report["bundle"]["sequence"] == 1
    offer(place, "two", 2)
    once(place)
    assert motd(place) == "two"
    assert once(place)["counts"]["changed"] == 0
    assert Hand.asked == ["", "t1one", "t2two"]


def test_what_is_in_force_stays_while_the_source_is_away(place):
    offer(place, "one", 1)
    once(place)
    Hand.now = SourceError("no route to host")
    (place / "root/etc/motd").write_text("drift")
    first = once(place)
    assert motd(place) == "one"
    assert first["exit_code"] == 0
    assert first["bundle"]["error"] == "no route to host"
    second = once(place)
    assert second["bundle"]["stale_since"] == first["bundle"]["stale_since"] > 0
    offer(place, "two", 2)
    assert once(place)["bundle"]["stale_since"] is None
    assert motd(place) == "two"


def test_an_event_asks_no_source(place):
    offer(place, "one", 1)
    once(place)
    offer(place, "two", 2)
    once(place, "event")
    assert motd(place) == "one"
    assert len(Hand.asked) == 1


def test_nothing_to_believe_and_nothing_from_before(place):
    Hand.now = SourceError("no route to host")
    with pytest.raises(ConvergeError, match=r"no route to host.*no last good profile"):
        once(place)
    offer(place, "one", 1, key=OTHER)
    with pytest.raises(ConvergeError, match="0 of 1 signatures"):
        once(place)
    assert not (place / "root/etc/motd").exists()


@pytest.mark.parametrize(
    "how", ["wrong-key", "rollback", "freeze", "mix-and-match", "tampered", "bomb"]
)
def test_an_attack_leaves_the_last_good_one_in_force(place, how):
    offer(place, "one", 5)
    once(place)
    match how:
        case "wrong-key":
            offer(place, "evil", 6, key=OTHER)
        case "rollback":
            offer(place, "evil", 4)
        case "freeze":
            offer(place, "evil", 6, expires=int(time.time()) - 1)
        case "mix-and-match":
            offer(place, "evil", 6, name="db")
        case "tampered":
            offer(place, "evil", 6)
            Hand.now = Hand.now.replace(signed=Hand.now.signed.replace(content=b"x"))
        case "bomb":
            import gzip

            bomb = gzip.compress(bytes(packing.MOST_UNPACKED + 1))
            Hand.now = Fetched(
                signed=signed(bomb, KEY, statement=stated("web", 6, FUTURE)), tag="b"
            )
    report = once(place)
    assert motd(place) == "one"
    assert report["bundle"]["error"]
    assert report["bundle"]["sequence"] == 5


def test_an_expired_bundle_stays_in_force_once_it_was_taken(place, monkeypatch):
    offer(place, "one", 1)
    once(place)
    Hand.now = SourceError("away for a week")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 8 * 86400)
    assert once(place)["exit_code"] == 0


def test_a_bundle_whose_run_fails_is_refused_and_not_tried_again(place):
    offer(place, "one", 1)
    once(place)
    offer(place, "two", 2, extra=BROKEN)
    report = once(place)
    assert motd(place) == "one"
    assert "refused" in report["error"]
    assert report["bundle"]["sequence"] == 1
    assert len(report["bundle"]["refused"]) == 1
    report = once(place)
    assert motd(place) == "one"
    assert report["counts"]["changed"] == 0
    offer(place, "three", 3)
    report = once(place)
    assert motd(place) == "three"
    assert report["exit_code"] == 0
    assert once(place)["bundle"]["proven"]


def test_each_of_several_that_fail_one_after_another_is_refused(place):
    """The second must not stay in force because the run before it was a failure: that was made good."""
    offer(place, "one", 1)
    once(place)
    for number, text in enumerate(("two", "three"), 2):
        offer(place, text, number, extra=BROKEN)
        assert len(once(place)["bundle"]["refused"]) == number - 1
        assert motd(place) == "one"


def test_a_repair_in_between_does_not_keep_a_bundle_that_fails(place):
    offer(place, "one", 1)
    once(place)
    (place / "root/etc/motd").write_text("drift")
    asked = Asked(reason="event", choose=lambda catalog: {"file:/etc/motd"})
    assert runner.once(settings(place), asked)["partial"]
    offer(place, "two", 2, extra=BROKEN)
    assert once(place)["bundle"]["refused"]
    assert motd(place) == "one"


def test_a_bundle_is_not_refused_as_its_first_run_was_stopped(place, monkeypatch):
    """Somebody stopped the container in the middle of a roll-out; five times."""
    offer(place, "one", 1)
    once(place)
    offer(place, "two", 2)
    for _ in range(5):
        with monkeypatch.context() as patch:
            patch.setattr(stopping, "_asked", True)
            report = once(place)
        assert report["exit_code"] == 4
        assert not report["bundle"]["refused"]
    assert motd(place) == "one"
    assert once(place)["exit_code"] == 0
    assert motd(place) == "two"


def test_a_bundle_with_too_many_deletions_is_refused(place):
    for number in range(3):
        (place / f"root/etc/{number}").touch()
    offer(place, "one", 1)
    once(place)
    gone = [{"file": f"/etc/{number}", "state": "absent"} for number in range(3)]
    offer(place, "two", 2, extra=gone)
    report = once(place, allow_deletions=2)
    assert "deletions" in report["error"]
    assert report["bundle"]["sequence"] == 1
    assert (place / "root/etc/0").exists()


class Died(BaseException):
    """The container, in the middle of a run."""


def dies(*_, **__):
    raise Died


def test_a_bundle_that_crashes_the_container_is_refused_when_three_runs_did_not_end(place):
    """It is restarted for ever: the counter of its starts is on the disk before each."""
    offer(place, "one", 1)
    once(place)
    offer(place, "two", 2)
    for _ in range(3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Run, "converge", dies)
            with pytest.raises(Died):
                once(place)
    report = once(place)
    assert motd(place) == "one"
    assert "3 runs with it began, and none ended" in report["error"]
    assert report["exit_code"] == 4
    assert once(place)["error"] == ""
    offer(place, "three", 3)
    once(place)
    assert motd(place) == "three"


def test_two_crashes_and_a_good_run_are_no_crash_loop(place):
    offer(place, "one", 1)
    once(place)
    for number, text in enumerate(("two", "three"), 2):
        offer(place, text, number)
        for _ in range(2):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Run, "converge", dies)
                with pytest.raises(Died):
                    once(place)
        once(place)
        assert once(place)["bundle"]["proven"]
        assert motd(place) == text


def test_what_failed_before_too_is_no_reason_to_go_back(place):
    offer(place, "one", 1, extra=BROKEN)
    assert once(place)["exit_code"] == 4
    offer(place, "two", 2, extra=BROKEN)
    assert once(place)["bundle"]["sequence"] == 2
    assert motd(place) == "two"


def test_a_bundle_that_does_not_compile_is_refused(place):
    offer(place, "one", 1)
    once(place)
    offer(place, "two", 2, extra=({"fiel": "/etc/x"},))
    report = once(place)
    assert motd(place) == "one"
    assert "unknown kind `fiel`" in report["error"]
    assert report["exit_code"] == 4
    assert once(place)["error"] == ""


def test_a_roll_out_that_has_not_come_here_yet(place):
    offer(place, "one", 1)
    once(place)
    offer(place, "two", 2, meta={"rollout": {"percent": 0}})
    assert "rolled out to 0%" in once(place)["bundle"]["waiting"]
    assert motd(place) == "one"
    offer(place, "three", 3, meta={"rollout": {"groups": ["canary"]}})
    once(place)
    assert motd(place) == "one"
    once(place, groups=("canary",))
    assert motd(place) == "three"


def test_a_roll_out_by_time_goes_on_without_the_source(place, monkeypatch):
    offer(place, "one", 1)
    once(place)
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    offer(place, "two", 2, meta={"rollout": {"start": start, "over": "1h"}})
    once(place)
    assert motd(place) == "one"
    Hand.now = SourceError("away")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 2 * 3600)
    once(place)
    assert motd(place) == "two"


def test_a_first_bundle_is_taken_whatever_its_roll_out(place):
    """A new container has nothing else to run."""
    offer(place, "one", 1, meta={"rollout": {"percent": 0}})
    once(place)
    assert motd(place) == "one"


def test_keys_are_changed_and_the_change_is_remembered(place):
    offer(place, "one", 1)
    once(place)
    ring = keyring.ring([OTHER.public], 1, 1)
    text = "".join(minisign.sign(key, ring.document().encode(), "keys") for key in (KEY, OTHER))
    changes = keyring.change(ring.document(), text)
    offer(place, "two", 2, key=OTHER, changes=changes)
    once(place)
    assert motd(place) == "two"
    offer(place, "evil", 3, key=KEY)
    assert once(place)["bundle"]["error"]
    assert motd(place) == "two"


def test_a_flipped_byte_of_the_kept_bundle(place):
    offer(place, "one", 1)
    once(place)
    (kept,) = (place / "state/bundles").iterdir()
    data = bytearray(kept.read_bytes())
    data[100] ^= 1
    kept.write_bytes(data)
    Hand.now = SourceError("away")
    with pytest.raises(ConvergeError, match="no last good profile"):
        once(place)
    offer(place, "one", 1)
    assert once(place)["exit_code"] == 0, "the same bundle is no rollback"


def test_no_byte_of_the_kept_bundle_can_be_another(place):
    offer(place, "one", 1)
    once(place)
    store = state.find(str(place / "state"))
    (kept,) = (place / "state/bundles").iterdir()
    whole, remembered = kept.read_bytes(), store.read_json(memory.NAME)
    Hand.now = SourceError("away")
    for at in range(len(whole)):
        kept.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ConvergeError, match="no last good profile"):
            in_force.obtain(settings(place), store)
        store.write_json(memory.NAME, remembered)
    kept.write_bytes(whole)
    assert in_force.obtain(settings(place), store).memory.current.sequence == 1


def test_a_kept_bundle_whose_signature_was_changed(place):
    offer(place, "one", 1)
    once(place)
    store = state.find(str(place / "state"))
    kept = store.read_json(memory.NAME)
    kept["current"]["signatures"] = minisign.sign(OTHER, b"x", "name=web sequence=1 expires=x")
    store.write_json(memory.NAME, kept)
    Hand.now = SourceError("away")
    with pytest.raises(ConvergeError):
        once(place)


def test_unsigned_has_to_be_allowed(place):
    content = packing.pack(str(folder(place / "b", profile("plain"))), {})
    from converge.bundle.check import Signed

    Hand.now = Fetched(signed=Signed(content=content), tag="1")
    with pytest.raises(ConvergeError, match="not signed"):
        once(place)
    with pytest.raises(ConvergeError, match="no keys are set"):
        once(place, keys=())
    once(place, keys=(), unsigned=True)
    assert motd(place) == "plain"


def test_a_profile_alone(place):
    content = profile("alone").encode()
    Hand.now = Fetched(
        signed=signed(content, KEY, statement=stated("web", 1, FUTURE)), tag="1", single=True
    )
    once(place)
    assert motd(place) == "alone"
    assert once(place)["counts"]["changed"] == 0


def test_a_dry_run_keeps_nothing(place):
    offer(place, "one", 1)
    report = runner.dry_run(settings(place))
    assert report["exit_code"] == 2
    assert report["bundle"]["sequence"] == 1
    assert not list((place / "state").iterdir())


def test_only_the_bundles_that_are_needed_are_kept(place):
    for number in range(1, 6):
        offer(place, str(number), number)
        once(place)
    assert len(list((place / "state/bundles").iterdir())) == 2


def test_the_second_run_compiles_nothing(place, monkeypatch):
    offer(place, "one", 1)
    once(place)
    monkeypatch.setattr(packing, "unpack", lambda data: pytest.fail("it was unpacked"))
    assert once(place)["exit_code"] == 0


def test_another_name_starts_afresh(place):
    offer(place, "one", 5)
    once(place)
    offer(place, "two", 1, name="db")
    once(place, bundle_name="db")
    assert motd(place) == "two"


def test_without_a_state_directory_nothing_is_remembered(place):
    offer(place, "one", 1)
    found = in_force.obtain(settings(place), None)
    assert found.read(found.profile)[1].decode() == profile("one")


def test_status_tells_of_it(place):
    offer(place, "one", 1)
    once(place)
    offer(place, "two", 2, extra=BROKEN)
    once(place)
    Hand.now = SourceError("no route to host")
    once(place)
    found = standing_text.gather(settings(place))
    told = "\n".join(standing_text.lines(found))
    assert "bundle web, sequence 1, from hand://somewhere/web.tar.gz" in told
    assert "stale for 0.0 h: no route to host" in told
    assert "refused " in told


def test_without_news_nothing_is_written(place):
    offer(place, "one", 1)
    once(place)
    file = place / "state" / memory.NAME
    before = file.stat()
    once(place)
    assert file.stat().st_ino == before.st_ino
    Hand.now = SourceError("away")
    once(place)
    away = file.stat()
    assert away.st_ino != before.st_ino, "it is stale now"
    once(place)
    assert file.stat().st_ino == away.st_ino


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("news", ["a bundle", "an error"])
def test_a_full_disk_leaves_what_was_in_force(place, news):
    offer(place, "one", 1)
    once(place)
    (place / "root/etc/motd").write_text("drift")
    if news == "a bundle":
        offer(place, "two", 2)
    else:
        Hand.now = SourceError("no route to host")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", no_room)
        report = once(place)
    assert report["bundle"]["sequence"] == 1
    assert "the state directory cannot be written: No space left" in report["bundle"]["error"]
    assert report["exit_code"] == 4, "nothing can be noted, so nothing is changed"
    assert motd(place) == "drift"
    report = once(place)
    assert report["exit_code"] == 0
    assert motd(place) == ("two" if news == "a bundle" else "one")


def test_a_full_disk_at_the_first_start_is_said(place):
    offer(place, "one", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", no_room)
        with pytest.raises(ConvergeError, match=r"No space left.*no last good profile"):
            once(place)
    assert once(place)["exit_code"] == 0


def test_a_run_says_nothing_of_a_newer_bundle_that_came_meanwhile(place):
    offer(place, "one", 1)
    once(place)
    store = state.find(str(place / "state"))
    offer(place, "two", 2)
    old = in_force.obtain(settings(place), store)
    offer(place, "three", 3)
    in_force.obtain(settings(place), store)
    assert in_force.begin(store, old, was_good=True) is None
    assert in_force.conclude(store, old, "it failed") is None
    kept = memory.load(store, "web", settings(place).profile)
    assert (kept.current.sequence, kept.refused) == (3, {})


def test_a_memory_of_another_version_of_the_agent_is_not_forgotten(place):
    offer(place, "one", 5)
    once(place)
    store = state.find(str(place / "state"))
    kept = store.read_json(memory.NAME)
    del kept["waits"]
    store.write_json(memory.NAME, {**kept, "new": 1})
    offer(place, "old", 4)
    assert "sequence" in once(place)["bundle"]["error"], "else it could be rolled back"
