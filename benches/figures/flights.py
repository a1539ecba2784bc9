"""How many round trips the same message takes each program, and how long that takes if a round trip is 50 ms."""
from dataclasses import replace

from . import programs
from .measure import Failed
from .servers import Proxy

TITLE = "Round trips"
MODES = {"plain": "plain", "tls": "implicit TLS 1.3, login", "starttls": "STARTTLS, login"}
# Not "rcpt…": a header line that could be a command is not sent together with the envelope.
CROWD = tuple("person%02d@example.com" % number for number in range(50))
COUNTING, ONE_WAY = 30, 25  # milliseconds; the first must be longer than a program takes between two writes
ROUNDS = 5


def measure(bench):
    yield "A round trip is a group of the client's bytes that the server answers. Connecting does not count; QUIT does, unless it was sent"
    yield "with the dot. Wall time is measured through a proxy of 25 ms in each direction, connecting included.\n"
    flights, wall = {}, {}
    for mode in MODES:
        ways = [("", name) for name in ("smail", *programs.PEERS)] + [("+chunking", "smail")]
        for chunking, name in ways:
            row = "smail, CHUNKING offered" if chunking else name
            flights.setdefault(row, {})[mode] = counted(bench, name, mode, chunking)
            wall.setdefault(row, {})[mode] = timed(bench, name, mode, chunking)
            both = flights[row][mode]
            if name == "smail" and all(isinstance(count, int) for count in both):
                bench.figure("flights.%s%s" % (mode, chunking), max(both))
    heads = " | ".join(MODES.values())
    yield "| round trips, 1 / 50 recipients | %s |" % heads
    yield "|---|" + "---:|" * len(MODES)
    for row, found in flights.items():
        yield "| %s | %s |" % (row, " | ".join(" / ".join(map(str, counts)) for counts in found.values()))
    yield "\n| ms at 50 ms round trip, one recipient | %s |" % heads
    yield "|---|" + "---:|" * len(MODES)
    for row, found in wall.items():
        yield "| %s | %s |" % (row, " | ".join(found.values()))


def counted(bench, name, mode, chunking):
    """Round trips for one recipient and for fifty."""
    counts = []
    for recipients in ((programs.TO,), CROWD):
        with Proxy(bench.server.ports[mode + chunking], COUNTING) as proxy:
            try:
                bench.runner.once(command(bench, name, mode, proxy.port, recipients))
                counts.append(proxy.flights())
            except programs.Cannot:
                counts.append("cannot")
            except Failed:
                counts.append("fails")
    return counts


def timed(bench, name, mode, chunking):
    with Proxy(bench.server.ports[mode + chunking], ONE_WAY) as proxy:
        try:
            told = {name: command(bench, name, mode, proxy.port, (programs.TO,))}
        except programs.Cannot:
            return "cannot"
        took = bench.runner.in_turns(told, ROUNDS, warm=False)[name]
    return "%.0f" % took.median if took.wall else "fails"


def command(bench, name, mode, port, recipients):
    task = replace(bench.task(mode, port), login=mode != "plain", recipients=recipients)
    return programs.smail(task, bench.smail) if name == "smail" else programs.PEERS[name][0](task)
