#!/usr/bin/env python3
"""Installs a build into a prefix, builds examples/cpp against it as a stranger would, and runs the
examples with the installed service.

Run: install_test.py SOURCE_ROOT BUILD_DIRECTORY SCRATCH_DIRECTORY [further options for cmake]
"""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

START_SECONDS = 60
EXAMPLE_SECONDS = 60


def run(*command: object, seconds: float | None = None) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=seconds, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: ended with {done.returncode}\n{done.stdout}")
    return done.stdout


def end_with_parent() -> None:
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Service:
    """The installed `mpr serve` on free ports."""

    def __init__(self, binary: pathlib.Path, directory: pathlib.Path):
        self.binary = binary
        self.ports_file = directory / "ports.json"
        self.log = directory / "service.log"
        self.env = {**os.environ, "WS_PORT": "0", "APP_PORT": "0", "MPR_BIND": "127.0.0.1",
                    "MPR_BACKEND": "memory", "MPR_PORTS_FILE": str(self.ports_file)}

    def __enter__(self) -> str:
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen([self.binary, "serve"], env=self.env, stdout=log,
                                            stderr=log, preexec_fn=end_with_parent)
        until = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < until:
            try:
                return f"ws://127.0.0.1:{json.loads(self.ports_file.read_text())['ws']}"
            except (FileNotFoundError, json.JSONDecodeError):
                time.sleep(0.01)
        self.__exit__()
        sys.exit("the installed service does not start:\n" + self.log.read_text(encoding="utf-8"))

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def expect(pattern: str, output: str, what: str) -> None:
    if not re.search(pattern, output, re.MULTILINE):
        sys.exit(f"{what} did not print {pattern!r}:\n{output}")


def main() -> None:
    source, build, scratch = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
    shutil.rmtree(scratch, ignore_errors=True)
    prefix = scratch / "prefix"
    run("cmake", "--install", build, "--prefix", prefix)
    run("cmake", "-S", source / "examples/cpp", "-B", scratch / "build",
        f"-DCMAKE_PREFIX_PATH={prefix}", *sys.argv[4:])
    run("cmake", "--build", scratch / "build")

    expect(r"^mpr \d", run(prefix / "bin/mpr", "version"), "mpr version")
    with Service(prefix / "bin/mpr", scratch) as url:
        output = run(scratch / "build/pickup", url, seconds=EXAMPLE_SECONDS)
        expect(r"^kept [-0-9a-f]{36}$", output, "pickup")
        expect(r"^acknowledged, 0 left$", output, "pickup")
        output = run(scratch / "build/callbacks", url, seconds=EXAMPLE_SECONDS)
        expect(r"^kept [-0-9a-f]{36}$", output, "callbacks")
        expect(r"^[-0-9a-f]{36} {\"ciphertext\":\"...\"}$", output, "callbacks")


if __name__ == "__main__":
    main()
