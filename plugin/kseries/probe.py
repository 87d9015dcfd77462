"""Whether KVM works here: a guest says so, not /dev/kvm."""

from __future__ import annotations

from .errors import GuestCrashed, InfraError
from .guest import Guest

# Wall seconds that it has to boot; where KVM works it takes one or two.
_DEADLINE_S = 20.0


def what_fails(guest: Guest) -> str | None:
    """Boot a guest that is to use KVM, and end it; return what went wrong, None for nothing."""
    try:
        guest.boot(deadline_s=_DEADLINE_S)
    except GuestCrashed as crash:
        return f"a probe guest did not boot with it: {crash.kind}"
    except InfraError as error:
        return f"a probe guest did not start with it: {str(error).splitlines()[0].rstrip(':')}"
    finally:
        guest.close()
    # Where /dev/kvm fails to open, virtme-ng quietly emulates instead.
    if "Hypervisor detected: KVM" not in guest.console_log.read_text(errors="replace"):
        return "QEMU fell back to emulation"
    return None
