"""The process of a run, as its tag names it."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from odum_assets.orchestration.run_process import (
    PROCESS_TAG,
    NotInterruptedError,
    process_of,
    process_tags,
)

RUN, OTHER = "9e2b0dcb-0c5a-474f-80c1-9cac5fd3f56d", "141ac639-5a16-4297-ab67-9e36840f1990"


def test_a_tag_says_something_about_its_own_run_only() -> None:
    tags = process_tags(RUN)
    own = process_of(RUN, tags)
    assert own is not None
    assert (own.pid, own.is_here, own.is_alive()) == (os.getpid(), True, True)
    assert process_of(OTHER, tags) is None
    for value in ("", str(os.getpid()), RUN, f"{RUN} host", f"{RUN} host no-number start"):
        assert process_of(RUN, {PROCESS_TAG: value}) is None
    assert process_of(RUN, {}) is None


def test_only_the_very_process_on_this_machine_is_interrupted() -> None:
    program = "import os, sys, time; print(open(f'/proc/{os.getpid()}/stat').read().rpartition(')')"
    program += "[2].split()[19], flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    own = process_of(RUN, process_tags(RUN))
    assert own is not None
    boot = own.started.partition("@")[2]
    process = replace(own, pid=child.pid, started=f"{child.stdout.readline().strip()}@{boot}")
    try:
        assert process.is_alive()
        with pytest.raises(NotInterruptedError, match=r"on host elsewhere runs it; stop it there"):
            replace(process, host="elsewhere").interrupt()
        for started in ("unknown", f"1@{boot}"):
            with pytest.raises(NotInterruptedError, match="it cannot be known whether"):
                replace(process, started=started).interrupt()
        assert child.poll() is None
        process.interrupt()
        assert child.wait(30) != 0
        assert not process.is_alive()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
