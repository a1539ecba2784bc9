"""Large attachments: throughput compared with s-nail, curl and a plain copy of the same bytes, peak memory, and the size of writes."""
import base64
import os
import re
from dataclasses import replace

from . import programs
from .measure import Command, Failed

TITLE = "Bytes"
ROUNDS = 5
WRITTEN = re.compile(r", (\d+)(?:, \w+, NULL, 0)?\) += (\d+)$")
LARGE = 64 << 10  # a write of this many bytes is not small


def measure(bench):
    for megabytes in (100, 1000) if bench.full else (100,):
        blob, ready, dialogue = fill(bench.folder, megabytes)
        with bench.sink() as sink:
            yield from one(bench, "clear, to smtp-sink", bench.task("plain", sink.port), megabytes, blob, ready, dialogue)
            if megabytes == 100:
                yield from writes(bench, replace(bench.task("plain", sink.port), attach=blob))
        yield from one(bench, "TLS", bench.task("tls", bench.server.ports["tls"]), megabytes, blob, ready, dialogue)
        for path in (blob, ready, dialogue):
            os.unlink(path)


def one(bench, way, task, megabytes, blob, ready, dialogue):
    task = replace(task, attach=blob, ready=ready)
    # Takes minutes a run, and shows no more than the smaller file.
    hopeless = task.mode == "tls" and megabytes > 100
    told, _ = programs.commands(bench.smail, task, ("curl",) if hopeless else ("s-nail", "curl"))
    queue = bench.disk_folder("bytes")
    told["smail, queue on"] = programs.smail(replace(task, queue=queue), bench.smail)
    told["a plain copy"] = copy(bench, task, dialogue)
    took = bench.runner.in_turns(told, ROUNDS if megabytes == 100 else 3, seconds=60, warm=megabytes == 100)
    yield "\n### %d MB in %s\n" % (megabytes, way)
    yield "| program | median ms | MB/s | throughput of smail ÷ | processor ms | peak MB | runs |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name, one in took.items():
        if one.failure:
            yield "| %s | fails: %s | | | | | |" % (name, one.failure.split("ended with")[-1].replace("|", "/")[:120])
            continue
        peak = bench.runner.peak(told[name])
        rate, ratio = megabytes * 1000 / one.median, one.median / took["smail"].median
        row = (name, one.median, rate, ratio, one.processor, peak, len(one.wall))
        yield "| %s | %.0f | %.0f | %.2f | %.0f | %.1f | %d |" % row
        for wanted, key in (("smail", "bytes.peak"), ("smail, queue on", "bytes.peak.queue")):
            if name == wanted:
                bench.figure(key, max(peak, bench.figures.get(key, 0)))
    if megabytes == 100 and took["s-nail"].wall and took["smail"].wall:
        bench.figure("bytes." + task.mode, took["s-nail"].median / took["smail"].median)


def copy(bench, task, dialogue):
    """The same bytes, copied without looking at them."""
    if task.mode == "plain":
        return Command([bench.yardstick("copy"), str(task.port), dialogue])
    words = ["openssl", "s_client", "-connect", task.server, "-servername", "localhost", "-quiet", "-CAfile", task.ca]
    return Command(["sh", "-c", 'exec "$@" <"$0"', dialogue, *words])


def writes(bench, task):
    """How many of the writes to the socket are small."""
    log = os.path.join(bench.folder, "writes")
    told = programs.smail(task, bench.smail)
    watch = ["strace", "-f", "-qq", "-y", "-e", "trace=write,writev,sendto,sendmsg,sendfile,splice", "-o", log]
    try:
        bench.runner.once(Command([*watch, *told.words], told.stdin))
    except Failed as failure:
        yield "\nThe writes could not be counted: %s" % failure
        return
    with open(log, errors="replace") as file:
        found = [WRITTEN.search(line) for line in file if "socket:" in line or "TCP:" in line]
    asked = [(int(one.group(1)), int(one.group(2))) for one in found if one]
    # After a partial write the rest is written again; that does not count as a write of smail.
    rest = {at + 1 for at, (wanted, taken) in enumerate(asked) if taken < wanted}
    small = [wanted for at, (wanted, _) in enumerate(asked) if wanted < LARGE and at not in rest]
    bench.figure("bytes.small", len(small))
    yield "\nWrites to the socket: %d, of %d bytes on average; %d under 64 KiB, besides %d rests of larger ones." % (
        len(asked), sum(taken for _, taken in asked) / max(1, len(asked)), len(small), len(rest),
    )


def fill(folder, megabytes):
    """Bytes that do not compress, the message that holds them, and the whole session that transfers it."""
    blob, ready, dialogue = (os.path.join(folder, "%s-%d" % (name, megabytes)) for name in ("blob", "ready", "dialogue"))
    block = os.urandom(1_000_000)
    with open(blob, "wb") as file:
        for _ in range(megabytes):
            file.write(block)
    text = base64.b64encode(os.urandom(57 * 1000))
    lines = b"".join(text[at : at + 76] + b"\r\n" for at in range(0, len(text), 76))
    head = b"From: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n" % programs.FROM.encode()
    envelope = "EHLO localhost\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (programs.FROM, programs.TO)
    with open(ready, "wb") as mail, open(dialogue, "wb") as whole:
        mail.write(head)
        whole.write(envelope.encode() + head)
        for _ in range(megabytes * 1_000_000 // 57_000):
            mail.write(lines)
            whole.write(lines)
        whole.write(b".\r\nQUIT\r\n")
    return blob, ready, dialogue
