"""Attacks on signed bundles, by the names that The Update Framework gives them."""

from __future__ import annotations

import pytest

from converge.bundle import check, keyring, minisign
from converge.bundle.check import Seen, Signed, fresh, verify
from converge.bundle.minisign import SignatureError
from unit.bundles import LATER, NOW, packed, signed, stated

ONE, TWO, THREE, FOREIGN = (minisign.generate() for _ in range(4))
ROOT = keyring.ring([ONE.public], 1)
PAIR = keyring.ring([ONE.public, TWO.public, THREE.public], 2)


@pytest.fixture
def bundle(tmp_path):
    return packed(tmp_path / "web")


def change(old, new, version, signers):
    ring = keyring.ring([key.public for key in new], 1, version)
    document = ring.document()
    signatures = "".join(minisign.sign(key, document.encode(), "keys") for key in signers)
    return keyring.change(document, signatures)


def test_a_good_bundle(bundle):
    believed = verify(signed(bundle, ONE), ROOT, "web")
    assert believed.statement == stated()
    fresh(believed.statement, "d", Seen(sequence=6, digest="c"), NOW)


def test_arbitrary_software(bundle):
    with pytest.raises(SignatureError, match="does not fit the file"):
        verify(signed(bundle, ONE).replace(content=bundle + b"x"), ROOT, "web")
    with pytest.raises(SignatureError, match="not signed"):
        verify(Signed(content=bundle), ROOT, "web")


def test_wrong_key(bundle):
    with pytest.raises(SignatureError, match="0 of 1 signatures are good: it is signed by key"):
        verify(signed(bundle, FOREIGN), ROOT, "web")


def test_wrong_key_with_a_known_id(bundle):
    imposter = FOREIGN.replace(id=ONE.id)
    with pytest.raises(SignatureError, match="does not fit"):
        verify(signed(bundle, imposter), ROOT, "web")


def test_tampered_trusted_comment(bundle):
    good = signed(bundle, ONE)
    for old, new in (("sequence=7", "sequence=8"), ("name=web", "name=db"), ("=2030", "=2090")):
        assert old in good.signatures
        with pytest.raises(SignatureError, match="trusted comment is not what"):
            verify(good.replace(signatures=good.signatures.replace(old, new)), ROOT, "")


def test_rollback(bundle):
    with pytest.raises(SignatureError, match="rollback"):
        fresh(stated(sequence=6), "d", Seen(sequence=7, digest="c"), NOW)


def test_equivocation():
    """Two bundles of one sequence: some containers would have one, some the other, for ever."""
    fresh(stated(), "d", Seen(sequence=7, digest="d"), NOW)
    with pytest.raises(SignatureError, match="another bundle with sequence 7"):
        fresh(stated(), "e", Seen(sequence=7, digest="d"), NOW)


def test_freeze():
    with pytest.raises(SignatureError, match="expired"):
        fresh(stated(), "d", Seen(), LATER)


def test_freeze_by_a_clock_that_was_never_set():
    with pytest.raises(SignatureError, match="clock"):
        fresh(stated(), "d", Seen(), 12.0)


def test_mix_and_match(bundle):
    with pytest.raises(SignatureError, match="signed as db, not as web"):
        verify(signed(bundle, ONE, statement=stated(name="db")), ROOT, "web")


def test_threshold(bundle):
    verify(signed(bundle, ONE, THREE), PAIR, "web")
    with pytest.raises(SignatureError, match="1 of 2"):
        verify(signed(bundle, ONE), PAIR, "web")
    with pytest.raises(SignatureError, match="1 of 2"):
        verify(signed(bundle, ONE, FOREIGN), PAIR, "web")


def test_threshold_by_one_key_twice(bundle):
    with pytest.raises(SignatureError, match="1 of 2"):
        verify(signed(bundle, ONE, ONE), PAIR, "web")


def test_threshold_by_two_statements(bundle):
    """Signatures count together only if they state the same."""
    both = (
        signed(bundle, ONE).signatures
        + signed(bundle, TWO, statement=stated(sequence=8)).signatures
    )
    with pytest.raises(SignatureError, match="1 of 2"):
        verify(Signed(content=bundle, signatures=both), PAIR, "web")


def test_key_rotation(bundle):
    changes = change(ROOT, [TWO], 1, [ONE, TWO]) + change(ROOT, [THREE], 2, [TWO, THREE])
    believed = verify(signed(bundle, THREE, changes=changes), ROOT, "web")
    assert believed.keyring.version == 2
    for old in (ONE, TWO):
        with pytest.raises(SignatureError, match="0 of 1"):
            verify(signed(bundle, old, changes=changes), ROOT, "web")
    again = verify(signed(bundle, THREE, changes=changes), believed.keyring, "web")
    assert again.keyring == believed.keyring, "what was followed already is passed over"


def test_key_rotation_is_not_undone_where_the_changes_are_withheld(bundle):
    now = keyring.follow(ROOT, change(ROOT, [TWO], 1, [ONE, TWO]))
    with pytest.raises(SignatureError, match="0 of 1"):
        verify(signed(bundle, ONE), now, "web")


@pytest.mark.parametrize(
    ("version", "signers"),
    [(1, [TWO]), (1, [ONE]), (1, [FOREIGN, TWO]), (2, [ONE, TWO])],
    ids=["new-alone", "old-alone", "foreign", "a-version-left-out"],
)
def test_key_rotation_by_the_wrong(version, signers):
    with pytest.raises(SignatureError):
        keyring.follow(ROOT, change(ROOT, [TWO], version, signers))


def test_endless_data():
    with pytest.raises(SignatureError, match="larger"):
        keyring.follow(ROOT, " " * (keyring.MOST_BYTES + 1))
    with pytest.raises(SignatureError, match="more than 64"):
        keyring.follow(ROOT, "{}\n" * 65)
    with pytest.raises(SignatureError, match="four lines"):
        minisign.signatures("x\n" * 4 * (minisign.MOST_SIGNATURES + 1))


def test_truncation(bundle):
    good = signed(bundle, ONE)
    for end in range(0, len(good.signatures) - 1, 7):
        with pytest.raises(SignatureError):
            verify(good.replace(signatures=good.signatures[:end]), ROOT, "web")


def test_every_flipped_bit_of_a_signature(bundle):
    good = signed(bundle, ONE).signatures.encode()
    signed_part = good.index(b"\n") + 1  # the first line is the untrusted comment
    for at in range(signed_part, len(good) - 1):
        for bit in (1, 4):
            flipped = bytearray(good)
            flipped[at] ^= bit
            text = flipped.decode("latin-1")
            with pytest.raises(SignatureError):
                verify(Signed(content=bundle, signatures=text), ROOT, "web")


@pytest.mark.parametrize(
    "comment",
    [
        "", "timestamp:1\tfile:x", "name=web sequence=7", "name=web sequence=-1 expires=x",
        "name=../x sequence=7 expires=2030-01-01T00:00:00Z",
        "name=web sequence=99999999999999999999 expires=2030-01-01T00:00:00Z",
        "name=web sequence=7 expires=2030-01-01T00:00:00Z and more",
        "name=web sequence=7 expires=2030-13-01T00:00:00Z",
    ],
)  # fmt: skip
def test_statements_that_are_none(bundle, comment):
    text = minisign.sign(ONE, bundle, comment)
    with pytest.raises(SignatureError):
        verify(Signed(content=bundle, signatures=text), ROOT, "web")


@pytest.mark.parametrize(("keys", "threshold"), [([], 0), ([], 1), ([ONE], 2), ([ONE, ONE], 2)])
def test_keyrings_that_cannot_be_satisfied(keys, threshold):
    with pytest.raises(SignatureError):
        keyring.ring([key.public for key in keys], threshold)


def test_the_module_is_pure():
    assert not hasattr(check, "time")
