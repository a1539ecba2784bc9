#!/usr/bin/env python3
"""Measures smail's queue on this machine: what storing costs, how fast it drains, and how it bears fifty thousand mails.

The bare store it is compared with does what any store must: write, fsync, rename, fsync of the folder, of the same bytes in
the same folder. The two take turns. `--write FILE` appends the table, in the place of an older one.
"""
import argparse
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zlib

HEADING = "# The queue"
FROM, TO = "sender@example.com", "rcpt@example.com"
STORED, MANY, STORM = 40, 1_000, 500
HUGE = 50_000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Down:
    """A port that refuses, and that nobody else can take."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        return self.socket.getsockname()[1]

    def __exit__(self, *_):
        self.socket.close()


class SmtpSink:
    """Postfix's smtp-sink, ended by its process number."""

    def __init__(self, folder, port):
        program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin") or sys.exit("queue.py: no smtp-sink (package postfix)")
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen([program, "-4", *user, "127.0.0.1:%d" % port, "1000"], cwd=folder)
        end = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit("queue.py: smtp-sink did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class House:
    """A home of its own, whose queue is on the disk under measurement."""

    def __init__(self, smail, folder, name):
        self.smail, self.path = smail, os.path.join(folder, name)
        self.queue = os.path.join(self.path, "state", "smail")
        os.makedirs(self.path)
        state = os.path.join(self.path, "state")
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": self.path, "XDG_STATE_HOME": state, "LC_ALL": "C.UTF-8"}

    def mail(self, port, text=b"one line of text\n", wait=True):
        words = ["--no-config", "-S", "smtp=127.0.0.1:%d" % port, "-S", "tls=none", "-r", FROM, "-s", "subject", TO]
        if wait:
            return self.run(words, text)
        pipe = subprocess.PIPE
        child = subprocess.Popen([self.smail, *words], stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment)
        child.stdin.write(text)
        child.stdin.close()
        return child

    def run(self, words, text=b"", statuses=(0,)):
        begin = time.perf_counter()
        ended = subprocess.run([self.smail, *words], input=text, env=self.environment, capture_output=True)
        took = (time.perf_counter() - begin) * 1000
        if ended.returncode not in statuses:
            sys.exit("queue.py: %s\nended with %d: %s" % (words, ended.returncode, ended.stderr.decode()))
        return took, ended

    def ids(self):
        return sorted(name[:-4] for name in os.listdir(os.path.join(self.queue, "q")) if name.endswith(".msg"))

    def peak(self, words):
        """Megabytes at the peak, by time(1): a child of this Python would inherit its peak."""
        note = os.path.join(self.path, "peak")
        subprocess.run(["/usr/bin/time", "-f", "%M", "-o", note, self.smail, *words], env=self.environment, capture_output=True)
        with open(note) as file:
            return int(file.read().split()[-1]) / 1024


def bare(folder, data, number):
    """The least that makes bytes durable under a name; in milliseconds."""
    begin = time.perf_counter()
    temporary, final = os.path.join(folder, "tmp.%d" % number), os.path.join(folder, "bare.%d" % number)
    file = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.write(file, data)
    os.fsync(file)
    os.close(file)
    os.rename(temporary, final)
    place = os.open(folder, os.O_RDONLY)
    os.fsync(place)
    os.close(place)
    return (time.perf_counter() - begin) * 1000


STEP = re.compile(r"^(\d+) +([\d.]+) (\w+)\((.*)\) += .*<([\d.]+)>$")


def storing(house, port, size):
    """Medians in milliseconds: bare, smail's own storing steps as strace sees them, and the whole process with and without."""
    text = b"x" * 70 + b"\n"
    text = text * max(1, size // len(text))
    times = {"bare": [], "queue": [], "no queue": []}
    house.mail(port, text)
    data = open(os.path.join(house.queue, "q", house.ids()[0] + ".msg"), "rb").read()
    aside = os.path.join(house.queue, "bare")
    os.makedirs(aside)
    words = ["--no-config", "-S", "smtp=127.0.0.1:%d" % port, "-S", "tls=none", "-r", FROM, "-s", "subject", TO]
    log = os.path.join(house.path, "trace")
    steps = []
    for number in range(STORED):
        times["bare"].append(bare(aside, data, number))
        times["queue"].append(house.run(words, text)[0])
        times["no queue"].append(house.run(["--no-queue", *words], text, (75,))[0])
        steps.append(stored_in(house, words, text, log))
    return len(data), {name: statistics.median(values) for name, values in times.items()}, statistics.median(steps)


def stored_in(house, words, text, log):
    """The time that the calls of storing took, from the making of the file to the sync of its folder."""
    calls = "openat,write,fdatasync,fsync,renameat2,rename,flock,fstat"
    watch = ["strace", "-f", "-qq", "-T", "-ttt", "-y", "-e", "trace=" + calls, "-o", log]
    ended = subprocess.run([*watch, house.smail, *words], input=text, env=house.environment, capture_output=True)
    if ended.returncode != 0:
        sys.exit("queue.py: strace: %s" % ended.stderr.decode())
    spent, inside = 0.0, False
    with open(log) as file:
        for line in file:
            step = STEP.match(line.strip())
            if not step:
                continue
            name, arguments, took = step.group(3), step.group(4), float(step.group(5))
            inside = inside or (name == "openat" and '"tmp.' in arguments)
            if inside:
                spent += took
                if name == "fsync":
                    return spent * 1000
    sys.exit("queue.py: storing was not seen in the calls of smail")


def draining(house, folder):
    """Mails a second over one connection to smtp-sink."""
    with Down() as port:
        for begin in range(0, MANY, 50):
            for child in [house.mail(port, wait=False) for _ in range(50)]:
                child.wait()
    ids = house.ids()
    assert len(ids) == MANY, len(ids)
    with SmtpSink(folder, port):
        took, _ = house.run(["--no-config", "--flush", *ids])
    assert not house.ids()
    return took, MANY / took * 1000


def storm(house, folder, up):
    """Seconds for all of them together."""
    with Down() as port:
        sink = None
        if up:
            port = free_port()
            sink = SmtpSink(folder, port)
        begin = time.perf_counter()
        children = [house.mail(port, wait=False) for _ in range(STORM)]
        statuses = [child.wait() for child in children]
        took = time.perf_counter() - begin
        if sink:
            sink.__exit__()
    assert statuses == [0] * STORM, statuses
    return took, len(house.ids())


def multiply(house, port):
    """Fifty thousand mails, made from one that smail wrote: another id, and the sum that belongs to it."""
    house.mail(port)
    room = os.path.join(house.queue, "q")
    (model,) = house.ids()
    with open(os.path.join(room, model + ".msg"), "rb") as file:
        whole = file.read()
    with open(os.path.join(room, model + ".log"), "rb") as file:
        journal = file.read()
    body = whole[: whole.rindex(b"END ")]
    length = whole[len(body) :].split(b" ")[1]
    # Deferred for four hours (more would count as a clock that jumped), so that a flush has to look at all and send none.
    later = int(time.time() * 1000) + 4 * 3_600_000
    lines = [line[9:] for line in journal.splitlines()]
    event = json.loads(lines[-1])
    event["next"] = later
    lines[-1] = json.dumps(event, separators=(",", ":")).encode()
    journal = b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines)
    for number in range(HUGE - 1):
        name = model[:9] + "%08d" % number
        head = body.replace(model.encode(), name.encode(), 1)
        with open(os.path.join(room, name + ".msg"), "wb", opener=private) as file:
            file.write(head + b"END %s %08x\n" % (length, zlib.crc32(head)))
        with open(os.path.join(room, name + ".log"), "wb", opener=private) as file:
            file.write(journal)
    os.unlink(os.path.join(room, model + ".msg"))
    os.unlink(os.path.join(room, model + ".log"))


def private(path, flags):
    return os.open(path, flags, 0o600)


def huge(house, folder):
    """List, a flush with nothing due, and how long a flush takes to its first mail when one is due."""
    with Down() as port:
        multiply(house, port)
        listing, ended = house.run(["--no-config", "--queue"])
        lines = ended.stdout.count(b"\n")
        nothing, _ = house.run(["--no-config", "--flush"])
        listed, flushed = house.peak(["--no-config", "--queue"]), house.peak(["--no-config", "--flush"])
        due = house.ids()[HUGE // 2]
        house.run(["--no-config", "--release", due])
    with SmtpSink(folder, port):
        first, _ = house.run(["--no-config", "--flush"])
    assert due not in house.ids()
    return lines, listing, listed, nothing, flushed, first


def report(smail, folder):
    say = lambda text: print("measuring: " + text, file=sys.stderr)
    yield HEADING + "\n"
    yield "Appended by `make bench`; the queue lay on %s. Wanted: the right-hand column.\n" % kind(folder)
    yield "| what | figure | wanted |"
    yield "|---|---:|---:|"
    say("storing")
    with Down() as port:
        for size in (1_000, 100_000):
            octets, times, steps = storing(House(smail, folder, "store%d" % size), port, size)
            row = (octets, times["bare"], steps, steps / times["bare"])
            yield "| storing %d octets: bare store %.2f ms; smail's calls %.2f ms | × %.2f | ≤ 1.5 |" % row
            yield "| … the whole process, server down: %.1f ms; with `--no-queue` %.1f ms | + %.1f ms | |" % (
                times["queue"], times["no queue"], times["queue"] - times["no queue"],
            )
    say("draining")
    took, rate = draining(House(smail, folder, "drain"), folder)
    yield "| flushing %d mails over one connection: %.0f ms | %.0f/s | ≥ 1000/s |" % (MANY, took, rate)
    say("storms")
    took, left = storm(House(smail, folder, "dead"), folder, False)
    yield "| %d at once, dead server: %d wait | %.1f s | ≤ 10 s |" % (STORM, left, took)
    took, left = storm(House(smail, folder, "healthy"), folder, True)
    yield "| %d at once, healthy server: %d wait | %.1f s | |" % (STORM, left, took)
    say("%d mails" % HUGE)
    lines, listing, listed, nothing, flushed, first = huge(House(smail, folder, "huge"), folder)
    yield "| listing %d mails (%d lines), peak %.0f MB | %.0f ms | ≤ 2 s, 100 MB |" % (HUGE, lines, listed, listing)
    yield "| a flush of %d mails, none due, peak %.0f MB | %.0f ms | ≤ 100 MB |" % (HUGE, flushed, nothing)
    yield "| a flush of %d mails, one due and sent | %.0f ms | ≤ 1 s |" % (HUGE, first)


def kind(folder):
    said = subprocess.run(["df", "--output=fstype", folder], capture_output=True, text=True).stdout.split()
    return said[-1] if said else "?"


def append(path, text):
    """In the place of an older table."""
    with open(path, encoding="utf-8") as file:
        old = file.read()
    old = old.split("\n" + HEADING + "\n")[0].rstrip("\n") + "\n"
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(old + "\n" + text)
    os.rename(path + ".new", path)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--smail", required=True, help="the binary to measure")
    options.add_argument("--write", help="a Markdown file for the result")
    options.add_argument("--in", dest="folder", help="a folder on the disk to measure")
    options = options.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    with tempfile.TemporaryDirectory(prefix="smail-bench-", dir=options.folder) as folder:
        os.chmod(folder, 0o755)
        text = "\n".join(report(os.path.abspath(options.smail), folder)) + "\n"
    print(text)
    if options.write:
        append(options.write, text)


main()
