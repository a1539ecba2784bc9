"""Runs programs and measures them.

The programs of a comparison take turns within every round, so that a busy machine affects all of them alike; a
figure is the median over the rounds. A program is started without a shell and without a fork of this Python, whose size
would count. A program that fails has no figure: its row shows the failure.
"""
import os
import re
import shlex
import signal
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

LIMIT = 300  # seconds for one run


class Failed(Exception):
    """A program ended with an unexpected status."""


@dataclass
class Command:
    words: list
    stdin: bytes = b""
    queue: str = None  # directory of waiting mail, if any
    environment: dict = field(default_factory=dict)
    statuses: tuple = (0,)


@dataclass
class Took:
    """Milliseconds, one value of each for every round."""

    wall: list = field(default_factory=list)
    cpu: list = field(default_factory=list)
    failure: str = None

    @property
    def median(self):
        return statistics.median(self.wall) if self.wall else None

    @property
    def fastest(self):
        return min(self.wall) if self.wall else None

    @property
    def processor(self):
        return statistics.median(self.cpu) if self.cpu else None


class Runner:
    """Runs commands in a separate home directory: no user's settings apply, and with CI set smail keeps nothing."""

    def __init__(self, folder, quick):
        self.folder, self.quick, self.commands = folder, quick, {}
        self.home = os.path.join(folder, "home")
        os.makedirs(self.home, exist_ok=True)
        self.base = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "HOME": self.home, "LC_ALL": "C.UTF-8"}
        # Use Debian's programs, not others of the same name on this machine.
        self.base["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"

    def environment(self, command):
        waits = {"XDG_STATE_HOME": command.queue} if command.queue else {"CI": "true"}
        return {**self.base, **waits, **command.environment}

    def once(self, command):
        """Milliseconds of wall and processor time of one run, which must succeed: a failure has no speed."""
        path = self.keep(command.stdin)
        said = os.path.join(self.folder, "said")
        files = [
            (os.POSIX_SPAWN_OPEN, 0, path, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ]
        environment = self.environment(command)
        begin = time.perf_counter()
        child = os.posix_spawn(self.program(command.words[0]), command.words, environment, file_actions=files)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.alarm(LIMIT)
        _, status, used = os.wait4(child, 0)
        took = (time.perf_counter() - begin) * 1000
        signal.alarm(0)
        if not os.WIFEXITED(status) or os.WEXITSTATUS(status) not in command.statuses:
            with open(said, errors="replace") as file:
                words = re.sub(r"\s+", " ", file.read())[-300:]
            raise Failed("%s ended with %d: %s" % (shlex.join(command.words)[:400], os.waitstatus_to_exitcode(status), words))
        return took, (used.ru_utime + used.ru_stime) * 1000

    def program(self, name):
        if "/" in name:
            return name
        for folder in self.base["PATH"].split(":"):
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK):
                return path
        raise Failed("there is no program `%s`" % name)

    def keep(self, octets):
        """A file with these bytes, for a program to read."""
        path = os.path.join(self.folder, "stdin-%x" % (hash(octets) & 0xFFFFFFFFFFFF))
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(octets)
        return path

    def in_turns(self, commands, rounds, seconds=30, warm=True):
        """The times of each command: at least three rounds, and no new one after this many seconds."""
        rounds = min(rounds, 3) if self.quick else rounds
        took, end = {name: Took() for name in commands}, time.monotonic() + seconds
        self.commands.update({shlex.join(c.words): c for c in commands.values()})
        for turn in range(-1 if warm else 0, rounds):  # the first round warms the caches and does not count
            for name, command in commands.items():
                if took[name].failure:
                    continue
                try:
                    wall, cpu = self.once(command)
                except Failed as failure:
                    took[name] = Took(failure=str(failure))
                    continue
                if turn >= 0:
                    took[name].wall.append(wall)
                    took[name].cpu.append(cpu)
            if turn >= 2 and time.monotonic() > end:
                break
        return took

    def peak(self, command):
        """Megabytes at the peak, by time(1): a child of this Python would inherit its peak."""
        note = os.path.join(self.folder, "peak")
        words = ["/usr/bin/time", "-f", "%M", "-o", note, *command.words]
        self.once(Command(words, command.stdin, command.queue, command.environment, command.statuses))
        with open(note) as file:
            return int(file.read().split()[-1]) / 1024

    def output(self, words, stdin=b"", **more):
        """The output of a tool on this machine, from standard output and error."""
        ended = subprocess.run(words, input=stdin, capture_output=True, env={**self.base, "CI": "true", **more})
        if ended.returncode:
            raise Failed("%s: %s" % (shlex.join(words), ended.stderr.decode(errors="replace")[-500:]))
        return ended.stdout.decode(errors="replace") + ended.stderr.decode(errors="replace")

    def fresh(self, name):
        """A new directory below that of this run."""
        return tempfile.mkdtemp(prefix=name + "-", dir=self.folder)
