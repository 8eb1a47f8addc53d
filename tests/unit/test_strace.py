"""Reading what strace wrote (the helper of the container tests)."""

from __future__ import annotations

from container.strace import Call, command, mutations, parse

LOG = """\
12 openat(AT_FDCWD</>, "/etc/motd", O_RDONLY|O_CLOEXEC) = 3</etc/motd>
12 openat(5</etc>, ".x.tmp", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600) = 6</etc/.x.tmp>
12 fchmod(6</etc/.x.tmp>, 0644)  = 0
12 renameat(5</etc>, ".x.tmp", 5</etc>, "motd") = 0
12 mkdirat(7</run>, "converge", 0700) = -1 EEXIST (File exists)
12 unlinkat(8</var/lib/converge>, "running", 0 <unfinished ...>
13 openat(AT_FDCWD</>, "/dev/null", O_RDWR|O_CLOEXEC) = 3</dev/null<char 1:3>>
12 <... unlinkat resumed>)           = 0
12 sethostname("a \\"b\\", c", 3)   = 0
"""


def test_parses_every_call_in_order_of_its_end():
    names = [call.name for call in parse(LOG)]
    assert names == [
        *("openat", "openat", "fchmod", "renameat", "mkdirat", "openat", "unlinkat", "sethostname")
    ]


def test_puts_a_call_together_that_was_interrupted():
    call = parse(LOG)[6]
    assert call == Call("unlinkat", '8</var/lib/converge>, "running", 0', "0")


def test_paths_are_absolute():
    calls = parse(LOG)
    assert calls[1].paths == ["/etc/.x.tmp"]
    assert calls[2].paths == ["/etc/.x.tmp"]
    assert calls[3].paths == ["/etc/.x.tmp", "/etc/motd"]


def test_reading_and_failing_change_nothing():
    assert [call.name for call in parse(LOG) if not call.changes] == ["openat", "mkdirat"]


def test_mutations_leaves_out_what_lies_below_the_given_directories():
    found = mutations(parse(LOG), outside=("/var/lib/converge",))
    assert [call.name for call in found] == ["openat", "fchmod", "renameat", "sethostname"]


def test_a_directory_does_not_stand_for_its_neighbours():
    calls = parse('1 unlink("/run/converge-evil/x") = 0\n')
    assert mutations(calls, outside=("/run/converge",)) == calls


def test_a_rename_out_of_a_directory_counts():
    calls = parse('1 rename("/run/converge/x", "/etc/motd") = 0\n')
    assert mutations(calls, outside=("/run/converge",)) == calls


def test_writing_to_the_null_device_changes_nothing():
    assert mutations(parse('1 openat(AT_FDCWD</>, "/dev/null", O_WRONLY) = 1</dev/null>\n')) == []


def test_the_command_follows_children_and_tolerates_other_architectures():
    words = command("/tmp/log")
    assert words[0] == "strace"
    assert "-f" in words
    assert "?rename" in words[-1]
