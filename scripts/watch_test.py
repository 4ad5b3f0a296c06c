#!/usr/bin/env python3
"""Serves one function by `cargo lambda watch` against the servers of `myaku local`, and invokes it with a sample event.

The answer must be the function's own, and the lake must have the event's records. Otherwise the exit code is 1.
"""

import contextlib
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MYAKU = "target/demo/myaku"
FUNCTION = "archiver"
EVENT = "events/kinesis-archiver.json"
# `cargo lambda watch` may have to compile.
PATIENCE_SECONDS = 900
POLL_SECONDS = 0.2


def until(what, look, process, log):
    """Waits until `look` returns something. It is an error if the process ends before."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        if process.poll() is not None:
            sys.exit(f"{what} ended with the exit code {process.returncode} before it was ready. Its log:\n{log.read_text()}")
        time.sleep(POLL_SECONDS)
    sys.exit(f"{what} was not ready within {PATIENCE_SECONDS} s. Its log:\n{log.read_text()}")


@contextlib.contextmanager
def running(command, log):
    """A process in a group of its own, which ends with the block."""
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port):
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def lines(bucket):
    """The lines of every object of the lake."""
    return [line for file in bucket.rglob("*.gz") for line in gzip.open(file, "rt")]


def main():
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        local_log, watch_log = place / "local.log", place / "watch.log"
        # Python's standard library reads gzip, and not zstd.
        local = [MYAKU, "local", "--directory", directory, "--parameter", "Compression=gzip"]
        with running(local, local_log) as stack:
            until("myaku local", (place / "state.json").is_file, stack, local_log)
            settings = subprocess.run(
                [MYAKU, "env", FUNCTION, "--directory", directory], check=True, capture_output=True, text=True
            ).stdout
            (place / "function.env").write_text(settings)
            port = str(free_port())
            watch = ["cargo", "lambda", "watch", "--profile", "demo", "--ignore-changes"]
            watch += ["--invoke-address", "127.0.0.1", "--invoke-port", port]
            watch += ["--env-file", str(place / "function.env")]
            with running(watch, watch_log) as server:
                until("cargo lambda watch", lambda: listens(int(port)), server, watch_log)
                invoke = ["cargo", "lambda", "invoke", FUNCTION, "--data-file", EVENT]
                invoke += ["--invoke-address", "127.0.0.1", "--invoke-port", port]
                answer = subprocess.run(invoke, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
                if answer.returncode != 0:
                    sys.exit(f"cargo lambda invoke failed: {answer.stderr}\n{watch_log.read_text()}")
        records = len(json.loads(Path(EVENT).read_text())["Records"])
        if json.loads(answer.stdout) != {"batchItemFailures": []}:
            sys.exit(f"the answer is not the archiver's: {answer.stdout}")
        archived = len(lines(place / "s3"))
        if archived < records:
            sys.exit(f"the lake has {archived} of {records} records")
        print(f"cargo lambda watch answered, and the lake has the {archived} lines of {records} records")


if __name__ == "__main__":
    main()
