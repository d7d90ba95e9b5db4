"""Runs a command and prints what the system says it took, all its processes together, as one JSON line.

    python bench/watch.py COMMAND…

`wall` and `cpu` in seconds, `peak_mb` the largest resident memory of any of its processes.
"""

import json
import resource
import subprocess
import sys
import time

start = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
wall = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps(dict(
    code=done.returncode, wall=wall, cpu=used.ru_utime + used.ru_stime, peak_mb=used.ru_maxrss / 1024,
    stdout=done.stdout, stderr=done.stderr[-2000:],
)))
