"""Where and with what a run was made: host, versions, commit, memory. No torch."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import resource
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path


@cache
def host() -> str:
    """Name, processor and core count of this machine."""
    return f"{name()} ({_processor()}, {cores()} cores)"


def name() -> str:
    """Name of this machine in its network."""
    return platform.node()


def cores() -> int:
    """Processors this process may use: those it is bound to, and no more than its time allows."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(bound or 1, _quota())))


def busy() -> float:
    """Processes that want a processor, for each that there is, over the last minute; 0 where the
    system does not say."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getloadavg()[0] / cores()
    return 0.0


def _quota(groups: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> float:
    """Processors' worth of time that the control groups around this process allow, in a container
    above all; infinite where none says. Both versions of the interface."""
    allowed = math.inf
    with contextlib.suppress(OSError):
        for line in groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                roots = [mount, mount / "unified"]
            elif "cpu" in controllers.split(","):
                roots = [mount / controllers, mount / "cpu"]
            else:
                continue
            inner = Path(path.lstrip("/"))
            places = {root / folder for root in roots for folder in (inner, *inner.parents)}
            allowed = min([allowed, *map(_quota_of, places)])
    return allowed


def _quota_of(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = map(float, (group / "cpu.max").read_text().split())  # 'max' is no number
        return quota / period
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota = float((group / "cpu.cfs_quota_us").read_text())
        if quota > 0:  # -1 is no limit
            return quota / float((group / "cpu.cfs_period_us").read_text())
    return math.inf


@cache
def version(package: str) -> str:
    """Installed version of a package, or 'absent'."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


@cache
def commit() -> str | None:
    """Commit of this code, marked `-dirty` if files differ from it; None outside a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        _git(folder, "ls-files", "--error-unmatch", Path(__file__).name)
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("-dirty" if changed else "")


def reset_peak_memory() -> None:
    """Start a new peak, where the system can (Linux): workers are reused between runs."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Peak resident memory in MiB since the last reset, or of the process where there is none."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass  # not Linux: getrusage knows the process's peak
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _git(folder: Path, *words: str) -> str:
    # Git would write what it has learnt into its index: a grid that is killed meanwhile would leave
    # a lock behind, and no commit could be made any more.
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
