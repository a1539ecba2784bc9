"""What a run costs before it does anything: wall time above an empty program, system calls, instructions."""
import os
import re
import shutil

from . import programs
from .measure import Command, Failed

TITLE = "Start"
ROUNDS = 60


def measure(bench):
    dry = [bench.smail, "--no-config", "-d", "-r", programs.FROM, "-s", "subject", "-S", "smtp=127.0.0.1", programs.TO]
    settings = os.path.join(bench.folder, "config.toml")
    with open(settings, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write('smtp = "smtps://smtp.example.com"\nfrom = "%s"\nauth-user = "me"\nsignature = "me"\n' % programs.FROM)
    told = {
        "an empty Rust program": Command([bench.yardstick("empty")]),
        "smail --version": Command([bench.smail, "--version"]),
        "smail --dry-run": Command(dry, programs.TEXT),
        "smail --show-settings": Command([bench.smail, "--config", settings, "--show-settings"]),
        "true": Command(["true"]),
        "curl --version": Command(["curl", "--version"]),
        "msmtp --version": Command(["msmtp", "--version"]),
        "s-nail --version": Command(["s-nail", "--version"]),
        "mutt -v": Command(["mutt", "-v"]),
        "mail.mailutils --version": Command(["mail.mailutils", "--version"]),
        "swaks --version": Command(["swaks", "--version"]),
    }
    took = bench.runner.in_turns(told, ROUNDS)
    base = took["an empty Rust program"]
    yield "| program | median ms | fastest ms | above empty, ms | runs |"
    yield "|---|---:|---:|---:|---:|"
    for name, one in took.items():
        if one.failure:
            yield "| %s | fails | | | |" % name
            continue
        yield "| `%s` | %.2f | %.2f | %+.2f | %d |" % (name, one.median, one.fastest, one.median - base.median, len(one.wall))
    for key, name in (("start.version", "smail --version"), ("start.dry-run", "smail --dry-run")):
        if took[name].median is not None:
            bench.figure(key, took[name].median - base.median)
    yield ""
    yield from counts(bench, dry)


def counts(bench, dry):
    """System calls by strace, instructions by callgrind where it is installed: these do not depend on how busy the machine is."""
    with bench.sink() as sink:
        task = bench.task("plain", sink.port)
        secure = bench.task("tls", bench.server.ports["tls"])
        told, _ = programs.commands(bench.smail, task, ("curl", "msmtp", "s-nail"))
        told = {"%s, plain send" % name: command for name, command in told.items()}
        told = {
            "smail, --version": Command([bench.smail, "--version"]),
            "smail, --dry-run": Command(dry, programs.TEXT),
            **told,
            "smail, TLS send": programs.smail(secure, bench.smail),
            "curl, TLS send": programs.curl(secure),
        }
        yield "| what | system calls | instructions | since the figures before |"
        yield "|---|---:|---:|---:|"
        for name, command in told.items():
            try:
                calls, instructions = system_calls(bench, command), callgrind(bench, command)
            except Failed as failure:
                yield "| %s | fails: %s | | |" % (name, str(failure)[-100:])
                continue
            shown = "{:,}".format(instructions) if instructions else ""
            yield "| %s | %d | %s | %s |" % (name, calls, shown, change(bench.before, name, instructions))


def system_calls(bench, command):
    """How many, of the process and all its threads."""
    log = os.path.join(bench.folder, "calls")
    bench.runner.once(Command(["strace", "-f", "-c", "-o", log, *command.words], command.stdin))
    with open(log) as file:
        total = [line.split() for line in file if line.rstrip().endswith("total")][-1]
    return int(total[3] if len(total) > 3 else total[2])


def callgrind(bench, command):
    """Instructions in user space; of valgrind, whose count is the same on every machine with these libraries."""
    if not shutil.which("valgrind", path="/usr/bin"):
        return None
    words = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--trace-children=no"]
    said = bench.runner.output([*words, *command.words], command.stdin)
    found = re.search(r"Collected : (\d+)", said)
    return int(found.group(1)) if found else None


def change(before, name, instructions):
    """The change in percent since RESULTS.md; explain more than five on the plain send in the commit message."""
    old = re.search(r"^\| %s \| \d+ \| ([\d,]+) \|" % re.escape(name), before, re.M)
    if not old or not instructions:
        return ""
    percent = 100 * (instructions / int(old.group(1).replace(",", "")) - 1)
    return "%+.1f%%%s" % (percent, " (to be explained)" if percent > 5 and name.startswith("smail") else "")
