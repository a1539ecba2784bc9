#!/usr/bin/env python3
"""Compares smail with its peers on this machine, prints one table, and with `--write FILE` saves it.

The figures come in groups, each a module of `figures/`; `--only start,flights` measures some, and keeps the other figures of
FILE. `--quick` is for writing benches, not for figures. `--full` adds what takes long: 1 GB, a cold build.
"""
import argparse
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import flights, goals, many, micro, octets, programs, queue, send, size, start
from figures.measure import Failed, Runner
from figures.servers import Certificate, Server, Sink

GROUPS = {"start": start, "send": send, "flights": flights, "bytes": octets, "many": many, "queue": queue, "size": size}
GROUPS["micro"] = micro
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The Debian packages whose versions go into the results; not every program prints its own.
PACKAGES = [package for _, package in programs.PEERS.values()]
PACKAGES += ["postfix", "openssl", "libssl3", "strace", "valgrind"]


class Bench:
    """What the groups share: the binary, the servers, the directories, and the figures that have a goal."""

    def __init__(self, options, folder, before):
        self.smail = os.path.abspath(options.smail)
        self.folder, self.disk, self.before = folder, options.folder or folder, before
        self.quick, self.full, self.figures = options.quick, options.full, {}
        self.runner = Runner(folder, options.quick)
        self.certificate = Certificate(folder)
        self.server = Server(self.certificate)
        self.ready = os.path.join(folder, "small.eml")
        with open(self.ready, "wb") as file:
            file.write(programs.MESSAGE)

    def figure(self, key, value):
        if key not in goals.GOALS:
            raise KeyError(key)
        self.figures[key] = value

    def sink(self):
        return Sink(self.folder)

    def task(self, mode, port):
        return programs.Task(mode, port, self.certificate.ca, self.folder, ready=self.ready)

    def disk_folder(self, name):
        """A new directory on the disk under measurement."""
        return tempfile.mkdtemp(prefix=name + "-", dir=self.disk)

    def yardstick(self, name):
        """A program of `yardsticks/`, compiled on first use."""
        binary = os.path.join(self.folder, name)
        if not os.path.exists(binary):
            source = os.path.join(ROOT, "benches", "yardsticks", name + ".rs")
            subprocess.run(["rustc", "--edition=2021", "-O", "-C", "strip=symbols", "-o", binary, source], check=True)
        return binary


def machine(bench):
    with open("/proc/cpuinfo") as file:
        models = re.findall(r"^model name\s*: (.*)$", file.read(), re.M)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    yield "- Machine: %d × %s, Linux %s, %s" % (os.cpu_count(), (models or ["?"])[0], platform.release(), system)
    yield "- smail: %s" % bench.runner.output([bench.smail, "--version"]).splitlines()[0]
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES]
    said = subprocess.run(query, capture_output=True, text=True).stdout.split("\n")
    yield "- Packages: %s" % ", ".join(line for line in said if " " in line.strip())
    yield "- Rust: %s" % bench.runner.output(["rustc", "--version"], **os.environ).strip()


def commands(bench):
    yield "`empty` and `copy` are the yardsticks of `benches/yardsticks/`; `$DIR` is a directory of the run.\n"
    yield "```sh"
    shortened = [(bench.smail, "smail"), (bench.folder, "$DIR"), (bench.disk, "$DISK")]
    for command in bench.runner.commands.values():
        yield programs.shown(command.words, shortened) + (" <text" if command.stdin else "")
    yield "```"


def old_parts(before):
    """The sections of an older file by their heading, and its rows of goals."""
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", before, re.M | re.S))
    rows = re.findall(r"^\| (?:%s) \| .*$" % "|".join(GROUPS), sections.get("Goals", ""), re.M)
    return sections, rows


def whole(bench, fresh):
    """The new file: what was measured now, and the old figures of the other groups."""
    sections, rows = old_parts(bench.before)
    now = list(goals.rows(bench.figures))
    told = {tuple(row.split(" | ")[:2]) for row in now}
    rows = now + [row for row in rows if tuple(row.split(" | ")[:2]) not in told]
    order = [tuple(("| %s | %s" % (goal.group, goal.what)).split(" | ")) for goal in goals.GOALS.values()]
    rows = sorted((row for row in rows if tuple(row.split(" | ")[:2]) in order), key=lambda row: order.index(tuple(row.split(" | ")[:2])))
    yield "# smail beside its peers\n"
    yield "Written by `make bench`. The programs took turns within each round; a figure is the median over the rounds. ÷ smail is"
    yield "a program's median divided by smail's (above 1: smail is faster). curl and msmtp only transfer: they get"
    yield "ready-made messages; the others write theirs. Times include starting a process: see the empty program.\n"
    yield from machine(bench)
    yield "\n## Goals\n"
    yield "| group | what | goal | figure | met |"
    yield "|---|---|---:|---:|---|"
    yield from rows
    for module in GROUPS.values():
        text = fresh.get(module.TITLE) or sections.get(module.TITLE, "").strip()
        if text:
            yield "\n## %s\n\n%s" % (module.TITLE, text)
    yield "\n## Commands\n"
    yield from commands(bench) if len(fresh) == len(GROUPS) else [sections.get("Commands", "").strip()]


def parse():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--smail", default=os.path.join(ROOT, "target", "release", "smail"), help="the binary to measure")
    options.add_argument("--write", metavar="FILE", help="a Markdown file for the result")
    options.add_argument("--only", metavar="GROUPS", help="some of " + ",".join(GROUPS))
    options.add_argument("--quick", action="store_true", help="three rounds of everything, for writing benches")
    options.add_argument("--full", action="store_true", help="1 GB and a cold build too")
    options.add_argument("--in", dest="folder", metavar="DIRECTORY", help="a directory on the disk whose queue is measured")
    options = options.parse_args()
    options.only = options.only.split(",") if options.only else list(GROUPS)
    unknown = set(options.only) - set(GROUPS)
    if unknown:
        sys.exit("run.py: unknown group %s; expected %s" % (", ".join(unknown), ", ".join(GROUPS)))
    return options


def before(path):
    if path and os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            return file.read()
    return ""


def main():
    options = parse()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    with tempfile.TemporaryDirectory(prefix="smail-bench-") as folder:
        os.chmod(folder, 0o755)
        bench = Bench(options, folder, before(options.write or os.path.join(ROOT, "benches", "RESULTS.md")))
        fresh = {}
        try:
            for name in options.only:
                print("measuring: " + name, file=sys.stderr, flush=True)
                try:
                    fresh[GROUPS[name].TITLE] = "\n".join(GROUPS[name].measure(bench)).strip()
                except Failed as failure:
                    fresh[GROUPS[name].TITLE] = "Not measured: %s" % failure
            text = "\n".join(whole(bench, fresh)) + "\n"
        finally:
            bench.server.close()
    print(text)
    if options.write:
        with open(options.write + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(options.write + ".new", options.write)


main()
