"""The bell of one machine: it wakes one worker, never blocks who rings, and minds no stale or foreign thing in its folder."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aegis.core.wake import local

SOON = 2.0  # seconds to wait for what must come
NOTHING = 0.05  # seconds to wait for what must not


@pytest.fixture
def hang(tmp_path: Path) -> Iterator[Callable[..., local.Ear]]:
    """Hangs a bell: `hang()`, or in another folder."""
    made: list[local.Ear] = []

    def make(folder: Path = tmp_path / "bells") -> local.Ear:
        made.append(local.Ear(folder))
        return made[-1]

    yield make
    for ear in made:
        ear.close()


def test_one_ring_wakes_one_of_several(hang: Callable[..., local.Ear], tmp_path: Path) -> None:
    ears = [hang() for _ in range(3)]

    assert local.ring(tmp_path / "bells")

    assert sorted(ear.wait(NOTHING) is not None for ear in ears) == [False, False, True]


def test_rings_that_come_together_are_one_and_the_next_is_another(hang: Callable[..., local.Ear], tmp_path: Path) -> None:
    ear = hang()
    for _ in range(5):
        local.ring(tmp_path / "bells")

    assert ear.wait(SOON) == local.HOPS
    assert ear.wait(NOTHING) is None

    local.ring(tmp_path / "bells")
    assert ear.wait(SOON) == local.HOPS


def test_a_ring_comes_while_nobody_listens_and_is_heard_after(hang: Callable[..., local.Ear], tmp_path: Path) -> None:
    ear = hang()

    local.ring(tmp_path / "bells")

    assert ear.wait(SOON) is not None


def test_nobody_to_hear_is_told(tmp_path: Path) -> None:
    assert not local.ring(tmp_path / "never made")
    (tmp_path / "bells").mkdir()
    assert not local.ring(tmp_path / "bells")


def test_a_worker_that_never_listens_blocks_nobody(hang: Callable[..., local.Ear], tmp_path: Path) -> None:
    """Frozen, its socket fills up: the ringer goes to the next, or on its way."""
    frozen = hang()
    for _ in range(5000):
        assert local.ring(tmp_path / "bells")

    other = hang()
    for _ in range(50):
        local.ring(tmp_path / "bells")

    assert other.wait(SOON) is not None
    assert frozen.wait(SOON) is not None


def test_the_bell_of_a_killed_worker_is_taken_down_by_who_finds_it(hang: Callable[..., local.Ear], tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from aegis.core.wake.local import Ear; Ear(Path(sys.argv[1])); os._exit(9)"
    )
    root = Path(__file__).resolve().parents[2]
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "bells")], cwd=root, check=False)
    assert len(list((tmp_path / "bells").iterdir())) == 3
    assert not local.ring(tmp_path / "bells")
    assert list((tmp_path / "bells").iterdir()) == []

    ear = hang()
    assert local.ring(tmp_path / "bells")
    assert ear.wait(SOON) is not None


def test_only_this_user_may_ring(hang: Callable[..., local.Ear], tmp_path: Path) -> None:
    ear = hang()

    assert stat.S_IMODE((tmp_path / "bells").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "bells" / ear.name).stat().st_mode) == 0o600


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="long paths are shortened through /proc")
def test_a_folder_too_deep_for_a_socket_address_serves_as_well(hang: Callable[..., local.Ear], tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30) / "bells"
    assert len(os.fsencode(deep)) > 108
    ear = hang(deep)

    assert local.ring(deep)

    assert ear.wait(SOON) is not None
    ear.close()
    assert list(deep.iterdir()) == []


def test_foreign_files_and_foreign_messages_do_no_harm(hang: Callable[..., local.Ear], tmp_path: Path) -> None:
    ear = hang()
    (tmp_path / "bells" / "notes.txt").write_text("hello")
    (tmp_path / "bells" / "1-file.bell").write_text("not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for message in (b"", b"99999999999999", b"\xff\x00", b"-1", "٣".encode()):
            stranger.sendto(message, str(tmp_path / "bells" / ear.name))

    assert ear.wait(SOON) == local.HOPS  # bounded, whatever a message asks for

    assert local.ring(tmp_path / "bells")
    assert ear.wait(SOON) is not None
    assert (tmp_path / "bells" / "notes.txt").exists()


def test_a_ring_passed_on_goes_to_another_and_has_an_end(hang: Callable[..., local.Ear], tmp_path: Path) -> None:
    full, other = hang(), hang()

    assert local.ring(tmp_path / "bells", hops=2, but=full.name)

    assert full.wait(NOTHING) is None
    assert other.wait(SOON) == 2


def test_a_folder_that_cannot_be_used_is_an_error_for_the_worker_only(tmp_path: Path) -> None:
    (tmp_path / "bells").write_text("a file")

    with pytest.raises(OSError, match="bells"):
        local.Ear(tmp_path / "bells")
    assert not local.ring(tmp_path / "bells")
