"""A process that has imported the runner once, and becomes a new runner for each line ``FOLDER JOBS`` on standard input.

A runner prints its process' number when it starts, and ends with 0, or with 130 where it was interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from sciml.benchmark.executors import LocalPool
from sciml.benchmark.ledger import Ledger
from sciml.benchmark.process import Limits
from sciml.benchmark.runner import Job, run_jobs


def run(folder, jobs):
    limits = Limits(cpu_seconds=20, memory=1, wall_seconds=60)
    jobs = [Job(key, key, "group", function, payload, limits, {"seed": 0}) for key, function, payload in jobs]
    with Ledger(folder, suite="small", digest="abc", version="1.0") as ledger, LocalPool(2) as pool:
        ledger.begin_session()
        run_jobs(jobs, ledger, pool)


def main():
    for line in sys.stdin:
        runner = os.fork()
        if runner == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                run(*json.loads(line))
                os._exit(0)
            except KeyboardInterrupt:
                os._exit(130)
            except BaseException as error:
                print(error, file=sys.stderr, flush=True)
                os._exit(1)
        print(runner, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(runner, 0)[1]), flush=True)


main()
