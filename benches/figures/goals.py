"""The goals, one a row, and why a figure misses its goal. A miss stays in the table until the goal is met."""
from typing import Callable, NamedTuple


class Goal(NamedTuple):
    group: str
    what: str
    wanted: str
    met: Callable
    shown: str


def bound(group, what, sign, limit, unit, digits, met):
    return Goal(group, what, ("%s %g %s" % (sign, limit, unit)).strip(), met, ("%%.%df %s" % (digits, unit)).strip())


def at_most(group, what, limit, unit, digits=2):
    return bound(group, what, "≤", limit, unit, digits, lambda value: value <= limit)


def at_least(group, what, limit, unit, digits=2):
    return bound(group, what, "≥", limit, unit, digits, lambda value: value >= limit)


def below(group, what, limit, unit, digits=2):
    return bound(group, what, "<", limit, unit, digits, lambda value: value < limit)


def flights(what, limit):
    return at_most("flights", what, limit, "", 0)


GOALS = {
    "start.version": at_most("start", "`--version` above an empty Rust program", 2, "ms"),
    "start.dry-run": at_most("start", "`--dry-run` above an empty Rust program", 2, "ms"),
    "send.plain": at_most("send", "plain send, of curl's wall time", 0.4, "×"),
    "send.tls.cpu": at_most("send", "TLS send, of the processor time of a bare handshake", 1.3, "×"),
    "send.tls.wall": below("send", "TLS send, of the fastest peer's wall time", 1, "×"),
    "send.roots.wall": below("send", "TLS send with the system's roots, of the fastest peer's", 1, "×"),
    "flights.plain": flights("plain, one recipient or fifty", 3),
    "flights.tls": flights("implicit TLS and login, one recipient or fifty", 6),
    "flights.starttls": flights("STARTTLS and login, one recipient or fifty", 7),
    "flights.plain+chunking": flights("plain, CHUNKING offered", 2),
    "flights.tls+chunking": flights("implicit TLS and login, CHUNKING offered", 5),
    "flights.starttls+chunking": flights("STARTTLS and login, CHUNKING offered", 6),
    "bytes.canonical": at_least("bytes", "canonicalising in memory", 1000, "MB/s", 0),
    "bytes.base64": at_least("bytes", "base64 in memory", 1000, "MB/s", 0),
    "bytes.plain": at_least("bytes", "100 MB in clear, of s-nail's throughput", 4, "×"),
    "bytes.tls": at_least("bytes", "100 MB over TLS, of s-nail's throughput", 3, "×"),
    "bytes.peak": below("bytes", "peak memory of an attachment", 16, "MB", 1),
    "bytes.peak.queue": below("bytes", "peak memory of an attachment, with the queue", 16, "MB", 1),
    "bytes.small": at_most("bytes", "writes under 64 KiB for 100 MB in clear, the dialogue's own among them", 6, "", 0),
    "many.flush": at_least("many", "1,000 waiting mails flushed, of smtp-source's rate", 0.5, "×"),
    "many.1k": at_least("many", "1,000 recipients of one mail, of smtp-source's rate", 0.5, "×"),
    "many.100k": at_least("many", "100,000 recipients of one mail, of smtp-source's rate", 0.5, "×"),
    "many.memory": below("many", "peak memory for 100,000 recipients of one mail", 50, "MB", 1),
    "queue.store": at_most("queue", "storing a small mail, of a bare durable store", 1.5, "×"),
    "queue.store.large": at_most("queue", "storing 100 kB, of a bare durable store", 1.5, "×"),
    "queue.drain": at_least("queue", "flushing 1,000 mails over one connection", 1000, "/s", 0),
    "queue.dead": at_most("queue", "500 at once, dead server", 10, "s", 1),
    "queue.turns": at_most("queue", "200 at once at a server of 1 s, of the ideal 10 s", 1.2, "×"),
    "queue.turns.cpu": at_most("queue", "processor time of each of the 200", 20, "ms", 1),
    "queue.turns.more": at_most("queue", "400 at once at a server of 1 s, of the ideal 20 s", 1.2, "×"),
    "queue.turns.more.cpu": at_most("queue", "processor time of each of the 400", 20, "ms", 1),
    "queue.list": at_most("queue", "listing 50,000 mails", 2000, "ms", 0),
    "queue.memory": at_most("queue", "peak memory of listing and flushing 50,000 mails", 100, "MB", 0),
    "queue.first": at_most("queue", "a flush of 50,000 mails to its first one sent", 1000, "ms", 0),
    "size.binary": below("size", "release binary, stripped, dynamic", 4, "MB"),
}

# Why a figure misses its goal, shown beside it in the table. A reason whose goal is met again is not shown.
REASONS = {
    "send.plain": "loading OpenSSL is 0.7 ms of it, before the first line of smail runs (docs/decisions.md, Speed)",
    "bytes.plain": "smtp-sink is not faster: see the plain copy of the same bytes",
    "size.binary": "native-tls with its certificate parser, the charset detector and the names of HTML were added; there is no build without them yet",
    "many.flush": "two disk syncs a message, so that no power cut loses or doubles one; smtp-source uses no file",
}


def rows(figures):
    """One Markdown row for every goal that was measured."""
    for key, goal in GOALS.items():
        if key not in figures:
            continue
        value = figures[key]
        met = "yes" if goal.met(value) else "**no**: " + REASONS.get(key, "not yet explained")
        yield "| %s | %s | %s | %s | %s |" % (goal.group, goal.what, goal.wanted, goal.shown % value, met)
