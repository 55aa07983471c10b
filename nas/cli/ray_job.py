"""The entry point of a submitted job, on the head of a cluster: runs `nas-run`, and sends the run folder home."""

from __future__ import annotations

import sys
from pathlib import Path

from nas.run.archive import EXIT_MARK, FOLDER_MARK, JOB_FILE, packed


def main() -> int:
    """Runs the job file in the working directory."""
    from nas.cli.run import main as nas_run

    folder = Path("run")
    code = nas_run(["--config", JOB_FILE, "--out", str(folder), "--ray-address", "auto"])
    sys.stderr.flush()
    if folder.is_dir():
        for line in packed(folder):
            print(FOLDER_MARK + line)
    print(f"{EXIT_MARK}{code}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
