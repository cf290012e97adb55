"""The course run as a person runs it, for tests of what it leaves."""

import os
import subprocess
import sys


def smoke_run(root, out, data, only, limit):
    """Run notebooks in the smoke profile through the command line into `out`; what it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LOWLIGHT_")}
    command = [sys.executable, "-m", "lowlight_lib.cli", "course", "run", "--profile", "smoke"]
    command += ["--only", only, "-p", f"limit={limit}", "--data", str(data), "--out", str(out)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
