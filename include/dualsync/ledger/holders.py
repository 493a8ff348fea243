"""Which process holds a lease, so that the lease of one that was killed need not run out.

Only a process that carries a whole run by itself says who it is. The tasks of a DAG do not: the process that took a
lease ends long before its run does.
"""

from __future__ import annotations

import os
import platform

import psutil


def this_process() -> str:
    """This process, as a lease names its holder: host, process id, and when it started, since ids come back."""
    return f"{platform.node()}|{os.getpid()}|{psutil.Process().create_time():.2f}"


def has_ended(holder: str) -> bool:
    """Whether the process that holds a lease has certainly ended; False for a process of another host."""
    host, _, process = holder.partition("|")
    if host != platform.node() or not process:
        return False
    number, _, started = process.partition("|")
    try:
        return f"{psutil.Process(int(number)).create_time():.2f}" != started
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
