"""Confine the process that runs a model, and prove that the confinement holds.

What a confined process cannot do: open, make, rename or remove a file, use the network, start a
process or a program, send a signal to another process, or take more memory and processor time than
its limits. What it needs it must have read, imported and opened before.

Linux only: Landlock takes away the files (and TCP), a seccomp filter the system calls, resource
limits the rest. ``confine`` ends with attempts at everything that must fail; a process whose
attempt succeeds raises, and nothing untrusted is read. The kernel's own documentation describes
both: ``userspace-api/landlock`` and ``userspace-api/seccomp_filter``.
"""

import ctypes
import errno
import math
import os
import platform
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Limits", "SandboxError", "confine", "is_supported"]


class SandboxError(Exception):
    """Report that this machine cannot confine a process."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a confined process may use.

    Parameters
    ----------
    memory_bytes : int
        Address space beyond what it has when it is confined.
    cpu_seconds : int
        Processor time beyond what it took before.
    """

    memory_bytes: int = 1 << 30
    cpu_seconds: int = 60


_PR_SET_NO_NEW_PRIVS: Final = 38
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_VERSION_FLAG: Final = 1
# Rights over files and TCP ports, and what may be sent out of the domain, by version.
_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP_RIGHTS: Final = 0b11
_SCOPES: Final = 0b11

_SECCOMP_SET_MODE_FILTER, _SECCOMP_FLAG_TSYNC = 1, 1
_RET_ALLOW, _RET_KILL = 0x7FFF0000, 0x80000000
_RET_ERRNO: Final = 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_CLONE_THREAD: Final = 0x00010000


@dataclass(frozen=True, slots=True)
class _Machine:
    """System call numbers of an architecture."""

    audit_arch: int
    seccomp: int
    clone: int
    clone3: int
    denied: tuple[int, ...]


# Names, so that the numbers can be checked against the kernel's tables.
_X86_64_DENIED: Final = {
    "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "sendmsg": 46, "bind": 49,
    "listen": 50, "socketpair": 53, "fork": 57, "vfork": 58, "execve": 59, "kill": 62,
    "ptrace": 101, "setrlimit": 160, "mount": 165, "tkill": 200, "mq_open": 240, "keyctl": 250,
    "unshare": 272, "tgkill": 234, "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313, "memfd_create": 319,
    "bpf": 321, "execveat": 322, "userfaultfd": 323, "pidfd_send_signal": 424,
    "io_uring_setup": 425, "pidfd_open": 434, "pidfd_getfd": 438, "prlimit64": 302, "shmget": 29,
    "shmat": 30, "msgget": 68, "semget": 64, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93,
    "fchmodat": 268, "fchownat": 260, "utimensat": 280, "setxattr": 188, "chdir": 80, "fchdir": 81,
    "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "sendmmsg": 307,
}  # fmt: skip
_AARCH64_DENIED: Final = {
    "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "connect": 203,
    "sendto": 206, "sendmsg": 211, "kill": 129, "tkill": 130, "tgkill": 131, "ptrace": 117,
    "setrlimit": 164, "mount": 40, "mq_open": 180, "keyctl": 219, "execve": 221, "unshare": 97,
    "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270,
    "process_vm_writev": 271, "finit_module": 273, "memfd_create": 279, "bpf": 280,
    "execveat": 281, "userfaultfd": 282, "pidfd_send_signal": 424, "io_uring_setup": 425,
    "pidfd_open": 434, "pidfd_getfd": 438, "prlimit64": 261, "shmget": 194, "shmat": 196,
    "msgget": 186, "semget": 190, "fchmod": 52, "fchmodat": 53, "fchown": 55, "fchownat": 54,
    "utimensat": 88, "setxattr": 5, "chdir": 49, "fchdir": 50, "rt_sigqueueinfo": 138,
    "rt_tgsigqueueinfo": 240, "sendmmsg": 269,
}  # fmt: skip
_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, 317, 56, 435, tuple(sorted(_X86_64_DENIED.values()))),
    "aarch64": _Machine(0xC00000B7, 277, 220, 435, tuple(sorted(_AARCH64_DENIED.values()))),
}
# Calls of the x32 interface of a 64-bit kernel have this bit set.
_X32_BIT: Final = 0x40000000


def is_supported() -> bool:
    """Return whether this machine has what the sandbox is made of; `confine` proves it."""
    return sys.platform == "linux" and platform.machine() in _MACHINES and _landlock_version() > 0


def confine(limits: Limits) -> None:
    """Confine this process for the rest of its life, and prove it.

    Raises
    ------
    SandboxError
        If the machine cannot do it, or an attempt that must fail succeeds.
    """
    if not is_supported():
        raise SandboxError(
            f"the sandbox needs Linux with Landlock on x86_64 or aarch64; this is {sys.platform} "
            f"on {platform.machine()}"
        )
    libc = ctypes.CDLL(None, use_errno=True)
    _limit(limits)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _restrict_files(libc)
    _filter_calls(libc, _MACHINES[platform.machine()])
    _prove(limits)


def _limit(limits: Limits) -> None:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    used = int(pages) * resource.getpagesize()
    memory = used + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    seconds = math.ceil(time.process_time()) + limits.cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _landlock_version() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _LANDLOCK_VERSION_FLAG))


def _restrict_files(libc: ctypes.CDLL) -> None:
    version = _landlock_version()
    rights = (1 << _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]) - 1
    attributes = struct.pack(
        "QQQ", rights, _TCP_RIGHTS if version >= 4 else 0, _SCOPES if version >= 6 else 0
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    # No rule is added: none of these rights is left.
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), 0)
    _check(ruleset, "landlock_create_ruleset")
    _check(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _filter_calls(libc: ctypes.CDLL, machine: _Machine) -> None:
    program = _program(machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    result = libc.syscall(machine.seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FLAG_TSYNC, header)
    _check(result, "seccomp")


def _program(machine: _Machine) -> bytes:
    """Return the filter as instructions of classic BPF: code, jump if true, jump if false, value.

    Each test is followed by its answer, so that every jump skips one instruction.
    """
    refuse = _RET_ERRNO | errno.EPERM
    steps = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, machine.audit_arch),
        (_RETURN, 0, 0, _RET_KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, refuse),
        # Its flags cannot be read here; the C library falls back to clone.
        (_EQUAL, 0, 1, machine.clone3),
        (_RETURN, 0, 0, _RET_ERRNO | errno.ENOSYS),
    ]
    for number in machine.denied:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, refuse)]
    steps += [
        (_EQUAL, 1, 0, machine.clone),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, refuse),
        (_RETURN, 0, 0, _RET_ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _check(result: int, what: str) -> None:
    if result < 0:
        raise SandboxError(f"{what} failed: {os.strerror(ctypes.get_errno())}")


def _prove(limits: Limits) -> None:
    """Attempt what must fail.

    Raises
    ------
    SandboxError
        If an attempt succeeds.
    """
    attempts: dict[str, Callable[[], object]] = {
        "reading a file": lambda: os.open(sys.executable, os.O_RDONLY),
        "listing a folder": lambda: list(Path("/").iterdir()),
        "writing a file": lambda: os.open("/tmp/odum-sandbox", os.O_CREAT | os.O_WRONLY),  # noqa: S108
        "opening a socket": lambda: socket.socket(socket.AF_INET),
        "opening a local socket": socket.socketpair,
        "starting a process": _fork,
        "running a program": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),  # noqa: S606
        "sending a signal": lambda: os.kill(os.getppid(), 0),
        "raising a limit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        "taking memory": lambda: bytearray(2 * limits.memory_bytes),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, MemoryError, ValueError):
            continue
        raise SandboxError(f"the sandbox does not hold: {name} succeeded")


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
