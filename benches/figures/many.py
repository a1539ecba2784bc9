"""Much mail at once: a full queue flushed, and one mail to thousands, compared with smtp-source over one connection."""
import os
from dataclasses import replace

from . import programs
from .measure import Command
from .queue import House, draining

TITLE = "Many"
ROUNDS = 5


def measure(bench):
    yield "smtp-source speaks over one connection (`-s 1 -d`); it neither writes nor reads a message of its own.\n"
    yield "| what | smail | smtp-source | smail ÷ smtp-source |"
    yield "|---|---:|---:|---:|"
    with bench.sink() as sink:
        yield flushed(bench, sink)
        if "--to-file" not in bench.runner.output([bench.smail, "--help"]):
            yield "| one mail to thousands | this smail has no `--to-file` | | |"
            return
        for number, key in ((1_000, "many.1k"), (100_000, "many.100k")):
            yield recipients(bench, sink, number, key)
    yield from memory(bench)


def flushed(bench, sink):
    many = 100 if bench.quick else 1_000
    rates = []
    for turn in range(1 if bench.quick else 3):
        folder = bench.disk_folder("flush")
        rates.append(draining(House(bench.smail, folder, "drain"), folder, many)[1])
    source = bench.runner.in_turns({"source": smtp_source(sink, many, 1)}, ROUNDS)["source"]
    rate, other = sorted(rates)[len(rates) // 2], many / source.median * 1000
    bench.figure("many.flush", rate / other)
    return "| %d waiting mails flushed | %.0f/s | %.0f/s | %.2f |" % (many, rate, other, rate / other)


def recipients(bench, sink, number, key):
    """smtp-source sends messages of a hundred recipients each, the size of groups for a server that states no limit."""
    told = {"smail": listed(bench, sink.port, number), "source": smtp_source(sink, number // 100, 100)}
    took = bench.runner.in_turns(told, ROUNDS, seconds=60)
    if took["smail"].failure:
        return "| one mail to %d | fails: %s | | |" % (number, took["smail"].failure[-200:].replace("|", "/"))
    ours, other = (number / took[name].median * 1000 for name in ("smail", "source"))
    bench.figure(key, ours / other)
    return "| one mail to %d recipients | %.0f recipients/s | %.0f recipients/s | %.2f |" % (number, ours, other, ours / other)


def listed(bench, port, number):
    path = os.path.join(bench.folder, "list-%d" % number)
    with open(path, "w") as file:
        file.write("".join("recipient%06d@example.com\n" % one for one in range(number)))
    told = programs.smail(bench.task("plain", port), bench.smail)
    return replace(told, words=[*told.words[:-1], "--to-file", path])


def smtp_source(sink, mails, recipients):
    words = ["smtp-source", "-4", "-s", "1", "-d", "-m", str(mails), "-r", str(recipients), "-l", "1000"]
    return Command([*words, "-f", programs.FROM, "-t", programs.TO, "127.0.0.1:%d" % sink.port])


def memory(bench):
    with bench.sink() as sink:
        few, lots = (bench.runner.peak(listed(bench, sink.port, number)) for number in (1_000, 100_000))
    bench.figure("many.memory", lots)
    octets = os.path.getsize(os.path.join(bench.folder, "list-100000")) / 1e6
    yield "\nPeak memory: %.1f MB for 1,000 recipients, %.1f MB for 100,000, with a list of %.1f MB." % (few, lots, octets)
