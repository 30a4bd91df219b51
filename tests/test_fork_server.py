"""The processes that tests fork end, print and see the machine as those that are started do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fork_server import ForkServer
from tests.support.processes import alive, eventually, in_session

SCRIPT = """
import os, sys
print(os.getcwd(), sys.argv[1:], os.environ.get("EDGEML_TEST_WORD"), flush=True)
print("problem", file=sys.stderr)
sys.exit(7)
"""


def test_a_script_prints_and_ends_as_under_python(fork_server: ForkServer, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = os.environ | {"EDGEML_TEST_WORD": "word"}
    started = subprocess.run(
        [sys.executable, script, "a", "b"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert started.returncode == 7
    for arguments in ((script, "a", "b"), ("-c", SCRIPT, "a", "b")):
        forked = fork_server.python(*arguments, cwd=tmp_path, env=environment)
        assert (forked.returncode, forked.stdout, forked.stderr) == (7, started.stdout, started.stderr)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise ValueError('no')", 1),
        ("raise SystemExit('no')", 1),
        ("import os; os._exit(3)", 3),
        ("import os; os.kill(os.getpid(), 11)", -signal.SIGSEGV),
        ("raise KeyboardInterrupt", -signal.SIGINT),
    ],
)
def test_the_status_is_that_of_python(fork_server: ForkServer, code: str, status: int) -> None:
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert fork_server.python("-c", code).returncode == started.returncode == status


def test_frameworks_are_loaded_and_not_at_work(fork_server: ForkServer) -> None:
    code = "import os, sys; print('tensorflow' in sys.modules, len(os.listdir('/proc/self/task')))"
    assert fork_server.python("-c", code).stdout == "True 1\n"


def test_a_session_holds_all_that_a_process_starts(fork_server: ForkServer) -> None:
    code = "import os, time; os.fork(); os.setpgid(0, 0) if os.getpid() != os.getsid(0) else None; time.sleep(60)"
    with fork_server.popen("-c", code) as process:
        assert eventually(lambda: len(in_session(process.pid)) == 2)
        for pid in in_session(process.pid):
            os.kill(pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    assert eventually(lambda: not in_session(process.pid))
    assert not alive(process.pid)
