"""The queue: what storing costs, how fast it drains, and how it copes with fifty thousand messages.

The bare store it is compared with does what any store must: write, fsync, rename, fsync of the folder, of the same bytes in
the same folder. The two take turns.
"""
import json
import os
import re
import resource
import statistics
import subprocess
import time
import zlib

from .measure import Failed
from .programs import FROM, TO
from .servers import Down, Late, Sink

TITLE = "The queue"
STORED, MANY, STORM = 40, 1_000, 500
HUGE = 50_000


class House:
    """A separate home directory, with its queue on the disk under measurement."""

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
            raise Failed("%s ended with %d: %s" % (words, ended.returncode, ended.stderr.decode()))
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


def storing(house, port, size, rounds):
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
    for number in range(rounds):
        times["bare"].append(bare(aside, data, number))
        times["queue"].append(house.run(words, text)[0])
        times["no queue"].append(house.run(["--no-queue", *words], text, (75,))[0])
        steps.append(stored_in(house, words, text, log))
    return len(data), {name: statistics.median(values) for name, values in times.items()}, statistics.median(steps)


def stored_in(house, words, text, log):
    """The time that the calls of storing took, from the making of the file to the sync of its directory."""
    calls = "openat,write,fdatasync,fsync,renameat2,rename,flock,fstat"
    watch = ["strace", "-f", "-qq", "-T", "-ttt", "-y", "-e", "trace=" + calls, "-o", log]
    ended = subprocess.run([*watch, house.smail, *words], input=text, env=house.environment, capture_output=True)
    if ended.returncode != 0:
        raise Failed("strace: %s" % ended.stderr.decode())
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
    raise Failed("storing was not seen in the calls of smail")


def draining(house, folder, many):
    """Mails a second over one connection to smtp-sink."""
    with Down() as port:
        for begin in range(0, many, 50):
            for child in [house.mail(port, wait=False) for _ in range(50)]:
                child.wait()
    ids = house.ids()
    assert len(ids) == many, len(ids)
    with Sink(folder, port):
        took, _ = house.run(["--no-config", "--flush", *ids])
    assert not house.ids()
    return took, many / took * 1000


def storm(house, folder, up):
    """Seconds for all of them together."""
    with Down() as port:
        sink = None
        if up:
            sink = Sink(folder)
            port = sink.port
        begin = time.perf_counter()
        children = [house.mail(port, wait=False) for _ in range(STORM)]
        statuses = [child.wait() for child in children]
        took = time.perf_counter() - begin
        if sink:
            sink.close()
    assert statuses == [0] * STORM, statuses
    return took, len(house.ids())


def turns(house, many, port):
    """Seconds of wall and of processor, of all together, for so many at once at a server that needs a second for each."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    children = [house.mail(port, wait=False) for _ in range(many)]
    statuses = [child.wait() for child in children]
    took, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert statuses == [0] * many and not house.ids(), statuses
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def waiting(bench, folder):
    """More than may send at the same time: the ideal is a second for every twenty, and no work while waiting."""
    for many, key in ((200, "queue.turns"), (400, "queue.turns.more")):
        with Late(1000) as late:
            took, processor = turns(House(bench.smail, folder, "turns%d" % many), many, late.port)
        bench.figure(key, took / (many / 20))
        bench.figure(key + ".cpu", processor / many * 1000)
        yield "| %d at once, 20 at a time, a server that needs 1 s: %.1f s | %.2f s of processor | |" % (many, took, processor)


def multiply(house, port, many):
    """So many mails, made from one that smail wrote: another id, and the sum that belongs to it."""
    house.mail(port)
    room = os.path.join(house.queue, "q")
    (model,) = house.ids()
    with open(os.path.join(room, model + ".msg"), "rb") as file:
        whole = file.read()
    with open(os.path.join(room, model + ".log"), "rb") as file:
        journal = file.read()
    body = whole[: whole.rindex(b"END ")]
    length = whole[len(body) :].split(b" ")[1]
    # Deferred for an hour, so that a flush has to look at all and send none (days ahead would pass for a clock that jumped).
    later = int(time.time() * 1000) + 3_600_000
    lines = [line[9:] for line in journal.splitlines()]
    event = json.loads(lines[-1])
    event["next"] = later
    lines[-1] = json.dumps(event, separators=(",", ":")).encode()
    journal = b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines)
    for number in range(many - 1):
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


def huge(house, folder, many):
    """List, a flush with nothing due, and how long a flush takes to its first mail when one is due."""
    with Down() as port:
        multiply(house, port, many)
        listing, ended = house.run(["--no-config", "--queue"])
        lines = ended.stdout.count(b"\n")
        nothing, _ = house.run(["--no-config", "--flush"])
        listed, flushed = house.peak(["--no-config", "--queue"]), house.peak(["--no-config", "--flush"])
        due = house.ids()[many // 2]
        house.run(["--no-config", "--release", due])
    with Sink(folder, port):
        first, _ = house.run(["--no-config", "--flush"])
    assert due not in house.ids()
    return lines, listing, listed, nothing, flushed, first


def measure(bench):
    folder = bench.disk_folder("queue")
    stored, many, huge_many = (5, 50, 500) if bench.quick else (STORED, MANY, HUGE)
    yield "The queue was on %s.\n" % kind(folder)
    yield "| what | figure | |"
    yield "|---|---:|---:|"
    with Down() as port:
        for size, key in ((1_000, "queue.store"), (100_000, "queue.store.large")):
            octets, times, steps = storing(House(bench.smail, folder, key), port, size, stored)
            bench.figure(key, steps / times["bare"])
            row = (octets, times["bare"], steps, steps / times["bare"])
            yield "| storing %d bytes: bare store %.2f ms; smail's calls %.2f ms | × %.2f | |" % row
            more = times["queue"] - times["no queue"]
            row = (times["queue"], times["no queue"], more)
            yield "| … the whole process, server down: %.1f ms; with `--no-queue` %.1f ms | + %.1f ms | |" % row
    took, rate = draining(House(bench.smail, folder, "drain"), folder, many)
    bench.figure("queue.drain", rate)
    yield "| flushing %d mails over one connection: %.0f ms | %.0f/s | |" % (many, took, rate)
    took, left = storm(House(bench.smail, folder, "dead"), folder, False)
    bench.figure("queue.dead", took)
    yield "| %d at once, dead server | %.1f s | %d wait |" % (STORM, took, left)
    took, left = storm(House(bench.smail, folder, "healthy"), folder, True)
    yield "| %d at once, healthy server | %.1f s | %d wait |" % (STORM, took, left)
    yield from waiting(bench, folder)
    yield from crowd(bench, House(bench.smail, folder, "huge"), folder, huge_many)


def crowd(bench, house, folder, many):
    lines, listing, listed, nothing, flushed, first = huge(house, folder, many)
    bench.figure("queue.list", listing)
    bench.figure("queue.memory", max(listed, flushed))
    bench.figure("queue.first", first)
    yield "| listing %d mails (%d lines) | %.0f ms | %.0f MB |" % (many, lines, listing, listed)
    yield "| a flush of %d mails, none due | %.0f ms | %.0f MB |" % (many, nothing, flushed)
    yield "| a flush of %d mails, one due and sent | %.0f ms | |" % (many, first)


def kind(folder):
    said = subprocess.run(["df", "--output=fstype", folder], capture_output=True, text=True).stdout.split()
    return said[-1] if said else "?"
