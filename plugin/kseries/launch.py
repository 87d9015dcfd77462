"""The command that starts a guest: virtme-ng, and what QEMU and the kernel are told besides."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from . import insns
from .build import Image
from .errors import UsageProblem
from .lane import Lane, qemu_arguments, qemu_version
from .needs import Needs


def command(
    image: Image,
    lane: Lane,
    cpus: int,
    wanted: Needs,
    initramfs: Path,
    private: Path,
    *,
    verbose: bool,
) -> list[str]:
    """Return the command; QEMU's files lie in `private`: pid, port, console, insns.

    Raises UsageProblem where virtme-ng or QEMU is missing.
    """
    qemu_version()  # a missing QEMU is said before virtme-ng says it its own way
    empty = private / "root"  # for a guest that mounts none anyway
    empty.mkdir()
    line = " ".join(_kernel_words(lane, wanted, verbose=verbose))
    qemu = [*qemu_arguments(lane), "-no-reboot", "-pidfile", f"{private}/pid"]
    qemu += ["-initrd", str(initramfs)]
    qemu += _exact_devices(line, private, image.vmlinux) if lane is Lane.EXACT else _port(private)
    found = [_tool("vng"), "--run", str(image.bzimage), "--force-9p", "--root", str(empty)]
    found += ["--disable-microvm", "--disable-monitor", "--cpus", str(cpus)]
    found += ["--memory", f"{wanted.memory_mib}M"]
    found += [] if lane is Lane.KVM else ["--disable-kvm"]
    return [*found, "--append", line, "--qemu-opts=" + " ".join(qemu)]


def _kernel_words(lane: Lane, wanted: Needs, *, verbose: bool) -> list[str]:
    exact = lane is Lane.EXACT
    # On a busy host an emulated timer can miss the kernel's own check of it, and then stands
    # still for a minute: no_timer_check.
    words = [f"console=ttyS{1 if exact else 0}", "nokaslr", "no_timer_check", "rdinit=/init"]
    words += [f"loglevel={7 if verbose else 5}", *wanted.words]
    if exact:
        # virtme-ng's second console answers in the host's time, and QEMU's seed is another at
        # each boot.
        words += ["initcall_blacklist=virtio_console_init"]
        words += ["random.trust_bootloader=off", "random.trust_cpu=off"]
    else:
        # Each case takes down its device and namespace: waiting for those grace periods the
        # usual way was half of a case's time (median 209 ms against 97 ms).
        words += ["rcupdate.rcu_expedited=1"]
        # A program that traces makes an instance of its own, with buffers of this size, and each
        # switch of a task is traced, too, for the names: a quarter of a case's time (median 99 ms
        # against 75 ms, run in turn).
        words += ["trace_buf_size=128K", "trace_options=norecord-cmd"]
        # Below a program's deadline, so that the kernel's own detectors speak first.
        words += [f"sysctl.kernel.hung_task_timeout_secs={15 * wanted.patience}"]
        words += ["watchdog_thresh=8"]
    return words


def _port(private: Path) -> list[str]:
    # virtme-ng has a virtio-serial for its console, too, and with each port go two queues that QEMU
    # looks at in each turn of its main loop, a thousand and more a second: by default 31 ports of
    # either device. The threads' names are for place.side_by_side().
    return [
        *("-global", "virtio-serial-device.max_ports=2", "-name", "debug-threads=on"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"socket,id=kseries,path={private}/port,server=on,wait=off"),
        *("-device", "virtserialport,chardev=kseries,name=kseries"),
    ]


def _exact_devices(line: str, private: Path, vmlinux: Path) -> list[str]:
    # The kernel's random numbers are seeded with its command line, and virtme-ng puts paths,
    # limits of the host and a random name on it. QEMU takes the last one given.
    qemu = ["-append", shlex.quote(line)]
    # A file takes each character at once. The terminal behind the first serial port does not
    # when its reader is slow, and the guest would see that.
    qemu += ["-serial", f"file:{private}/console"]
    counter = insns.plugin()
    return qemu + (insns.arguments(counter, private / "insns", vmlinux) if counter else [])


def _tool(name: str) -> str:
    """Find a program of our own Python environment, or on the PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise UsageProblem(f"{name} is missing: pip install virtme-ng (make setup does it)")
    return found
