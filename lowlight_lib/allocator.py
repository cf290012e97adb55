"""Keep freed memory in the process: glibc gives large blocks back, and PyTorch wants them again.

glibc maps every large block of its own and unmaps it when it is freed. A network frees and asks for
such blocks all the time, and each new one costs a page fault for every 4 KB. A thread's own arena
has no room for blocks above 64 MB and maps them whatever is asked, so all threads share one. So
commands and trainings of this project ask glibc to keep its pages; results stay the same to the
last bit. `import lowlight_lib` alone changes nothing, and LOWLIGHT_MALLOC=system leaves all as it
comes.

Source: mallopt(3).
"""

from __future__ import annotations

import ctypes
import os
import platform

VARIABLE = "LOWLIGHT_MALLOC"
_SETTINGS = {  # the environment's name: (the option's number in <malloc.h>, its value)
    "MALLOC_MMAP_MAX_": (-4, 0), "MALLOC_TRIM_THRESHOLD_": (-1, 2**31 - 1),
    "MALLOC_TOP_PAD_": (-2, 64 * 2**20), "MALLOC_ARENA_MAX": (-8, 1),
}  # fmt: skip

# The same for a process that is started with this environment, from its first block on.
ENVIRONMENT = {name: str(value) for name, (_, value) in _SETTINGS.items()}


def keep_pages() -> bool:
    """Ask the C library to keep what is freed, for the rest of this process.

    Returns:
        Whether it does now: False where it is not glibc, or LOWLIGHT_MALLOC=system.
    """
    if not wanted():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(*setting) for setting in _SETTINGS.values()])


def wanted() -> bool:
    """Whether pages are to be kept here: on glibc, unless LOWLIGHT_MALLOC=system."""
    return os.environ.get(VARIABLE, "") != "system" and platform.libc_ver()[0] == "glibc"
