"""What the machine gives this process."""

import math
import os
import shutil
import subprocess

import pytest

from transfer_lab.system import host


def quota(folder, groups: str, files: dict[str, str]) -> float:
    """What is allowed where these are the groups of the process and the files of the system."""
    (folder / "cgroup").write_text(groups)
    for name, text in files.items():
        path = folder / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return host._quota(folder / "cgroup", folder / "sys")


@pytest.mark.parametrize(
    ("groups", "files", "allowed"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/outside/of/here\n", {"cpu.max": "300000 100000\n"}, 3),
        (
            "4:cpu,cpuacct:/pod\n1:name=systemd:/\n",
            {
                "cpu,cpuacct/pod/cpu.cfs_quota_us": "250000\n",
                "cpu,cpuacct/pod/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "1\n"}, math.inf),
        ("1:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "1\n", "cpu/cpu.cfs_period_us": "1\n"}, math.inf),
        ("0::/\n", {"cpu.max": "nonsense\n"}, math.inf),
        ("0::/\n", {}, math.inf),
    ],
)
def test_the_time_that_control_groups_allow(tmp_path, groups, files, allowed):
    assert quota(tmp_path, groups, files) == allowed


def test_without_control_groups_nothing_is_limited(tmp_path):
    assert host._quota(tmp_path / "none", tmp_path) == math.inf


@pytest.mark.parametrize(("allowed", "share"), [(0.2, 1), (1.5, 2), (3.0, 3), (9.0, 4), (None, 4)])
def test_cores_are_those_bound_and_no_more_than_their_time(monkeypatch, allowed, share):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(host, "_quota", lambda: math.inf if allowed is None else allowed)
    assert host.cores() == share


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_asking_git_for_changes_writes_nothing_into_the_checkout(tmp_path):
    """A grid that is killed while git writes would leave a lock behind, and no commit could be
    made any more."""
    quiet = {"check": True, "capture_output": True}
    subprocess.run(["git", "init", tmp_path], **quiet)
    (tmp_path / "file").write_text("as it was")
    subprocess.run(["git", "-C", tmp_path, "add", "file"], **quiet)
    os.utime(tmp_path / "file", (1, 1))  # so that git has something to learn
    index = tmp_path / ".git" / "index"
    before = index.read_bytes()
    assert host._git(tmp_path, "status", "--porcelain").split() == ["A", "file"]
    assert index.read_bytes() == before
