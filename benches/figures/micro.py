"""The micro benches of `benches/micro.rs`, in MB/s: the inner loops in memory."""
import os
import re

from .measure import Failed

TITLE = "Inner loops"
# Rows of divan: a name, four times, samples; and under it, the bytes a second of the same four.
ROW = re.compile(r"[├╰]─ (\w+)\s+([\d.]+ \S+)\s*│ ([\d.]+ \S+)\s*│ ([\d.]+ \S+)")
RATE = re.compile(r"([\d.]+) (\w?)B/s\s*│ ([\d.]+) (\w?)B/s\s*│ ([\d.]+) (\w?)B/s")
SCALE = {"": 1e-6, "K": 1e-3, "M": 1, "G": 1e3, "T": 1e6}


def measure(bench):
    words = [os.environ.get("CARGO", "cargo"), "bench", "--locked", "--quiet", "--bench", "micro", "--"]
    words += ["--sample-count", "10"] if bench.quick else []
    environment = {**os.environ, "DIVAN_BYTES_FORMAT": "decimal"}
    try:
        said = bench.runner.output(words, **environment)
    except (Failed, OSError) as failure:
        yield "The micro benches could not be run: %s" % failure
        return
    yield "| what | median | MB/s |"
    yield "|---|---:|---:|"
    name = time = None
    for line in said.splitlines():
        row, rate = ROW.search(line), RATE.search(line)
        if row:
            name, time = row.group(1), row.group(4)
        elif rate and name:
            value = float(rate.group(5)) * SCALE[rate.group(6)]
            yield "| `%s` | %s | %.0f |" % (name, time, value)
            if "bytes." + name in ("bytes.canonical", "bytes.base64"):
                bench.figure("bytes." + name, value)
            name = None
