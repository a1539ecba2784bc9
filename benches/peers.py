#!/usr/bin/env python3
"""Measures smail beside its peers on this machine: wall time and peak memory, against servers on loopback.

The programs take turns within every round, so that a busy moment of the machine meets all of them alike; a figure is the
median over the rounds. Bounded: no task is measured for longer than its share of the time (SHARE). Servers are ended by
their process number. `--write FILE` keeps the table with the machine, the versions and the commands.
"""
import argparse
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import socketserver
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

SHARE = 30  # seconds for one task, of which there are four
FROM, TO = "sender@example.com", "rcpt@example.com"
TEXT = b"one line of text\n"
MESSAGE = b"From: %s\r\nTo: %s\r\nSubject: subject\r\n\r\none line of text\r\n" % (FROM.encode(), TO.encode())
MEGABYTES = 100


class Sink(socketserver.StreamRequestHandler):
    """Accepts every mail over TLS from the first byte, and forgets it."""

    disable_nagle_algorithm = True

    def handle(self):
        try:
            stream = self.server.context.wrap_socket(self.connection, server_side=True)
            self.converse(stream.makefile("rb"), stream.sendall)
        except OSError:
            pass  # a client that checks whether the server lives, or goes without QUIT

    @staticmethod
    def converse(lines, say):
        say(b"220 sink ESMTP\r\n")
        for line in lines:
            verb = line[:4].upper()
            if verb == b"EHLO":
                say(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")
            elif verb == b"DATA":
                say(b"354 go on\r\n")
                while next(lines, b".\r\n") != b".\r\n":
                    pass
                say(b"250 2.0.0 thanks\r\n")
            elif verb == b"QUIT":
                return say(b"221 2.0.0 bye\r\n")
            else:
                say(b"250 2.0.0 ok\r\n")


class TlsServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 100


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port, process):
    """Waits until something listens; another program's start has no event to wait for."""
    end = time.monotonic() + 10
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as talk:
                return talk
        except OSError:
            time.sleep(0.02)
    sys.exit("peers.py: the server on port %d did not start" % port)


def start_sink(folder):
    port = free_port()
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin") or sys.exit("peers.py: no smtp-sink (package postfix)")
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, "-4", *user, "127.0.0.1:%d" % port, "100"], cwd=folder)
    await_port(port, process)
    return port, process


def start_tls_sink(folder):
    port, pem = free_port(), os.path.join(folder, "sink.pem")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    key = os.path.join(folder, "sink.key")
    subprocess.run([*make.split(), "-keyout", key, "-out", pem], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    child = os.fork()
    if child == 0:
        with TlsServer(("127.0.0.1", port), Sink) as server:
            server.context = context
            server.serve_forever()

    class Child:
        pid = child

        @staticmethod
        def poll():
            return None if os.waitpid(child, os.WNOHANG) == (0, 0) else 0

    await_port(port, Child)
    return port, pem, child


def tasks(smail, port, tls_port, ca, folder):
    """Each task: its name, how many rounds, whether memory counts, and a command and its input for every program."""
    here, there = "127.0.0.1:%d" % port, "localhost:%d" % tls_port
    blob, eml = os.path.join(folder, "blob.bin"), os.path.join(folder, "ready.eml")
    ready = os.path.join(folder, "small.eml")
    smail_to = [smail, "--no-config", "-r", FROM, "-s", "subject", "-S"]
    s_nail_to = ["s-nail", "-:/", "-Sv15-compat", "-Ssendwait", "-Ssmtp-auth=none", "-r", FROM, "-s", "subject"]
    curl_to = ["curl", "-s", "--mail-from", FROM, "--mail-rcpt", TO]
    msmtp_to = ["msmtp", "-C", "/dev/null", "--auth=off", "--from=" + FROM]
    swaks_to = ["swaks", "--hide-all", "--from", FROM, "--to", TO, "--body", "one line of text"]
    plain = {
        "smail": ([*smail_to, "smtp=smtp://" + here, "-S", "tls=none", TO], TEXT),
        "curl": ([*curl_to, "-T", ready, "smtp://" + here], b""),
        "msmtp": ([*msmtp_to, "--host=127.0.0.1", "--port=%d" % port, "--tls=off", TO], MESSAGE),
        "s-nail": ([*s_nail_to, "-Smta=smtp://" + here, TO], TEXT),
        "swaks": ([*swaks_to, "--server", "127.0.0.1", "--port", str(port)], b""),
    }
    tls = {
        "smail": ([*smail_to, "smtp=smtps://" + there, "-S", "tls-ca-file=" + ca, TO], TEXT),
        "curl": ([*curl_to, "--cacert", ca, "-T", ready, "smtps://" + there], b""),
        "msmtp": (
            [*msmtp_to, "--host=localhost", "--port=%d" % tls_port, "--tls=on", "--tls-starttls=off"]
            + ["--tls-trust-file=" + ca, TO],
            MESSAGE,
        ),
        "s-nail": ([*s_nail_to, "-Smta=smtps://" + there, "-Stls-ca-file=" + ca, TO], TEXT),
        "swaks": ([*swaks_to, "--server", "localhost", "--port", str(tls_port), "--tls-on-connect"], b""),
    }
    large = {
        "smail": ([*smail_to, "smtp=smtp://" + here, "-S", "tls=none", "-a", blob, TO], TEXT),
        "curl": ([*curl_to, "-T", eml, "smtp://" + here], b""),
        "s-nail": ([*s_nail_to, "-Smta=smtp://" + here, "-a", blob, TO], TEXT),
    }
    version = {name: ([name, "--version"], b"") for name in ("curl", "msmtp", "s-nail", "swaks")}
    version = {"smail": ([smail, "--version"], b""), **version, "true": (["true"], b"")}
    return [
        ("one line, in clear", 40, False, plain),
        ("one line, implicit TLS", 25, False, tls),
        ("%d MB attachment, in clear" % MEGABYTES, 5, True, large),
        ("start-up: `--version`", 40, False, version),
    ]


def fill(folder):
    """The files that are sent: 100 MB that do not compress, and mails that are ready for programs that only carry."""
    block = os.urandom(1_000_000)
    with open(os.path.join(folder, "blob.bin"), "wb") as file:
        for _ in range(MEGABYTES):
            file.write(block)
    with open(os.path.join(folder, "small.eml"), "wb") as file:
        file.write(MESSAGE)
    import base64

    text = base64.b64encode(os.urandom(57 * 1000))
    lines = b"".join(text[i : i + 76] + b"\r\n" for i in range(0, len(text), 76))
    with open(os.path.join(folder, "ready.eml"), "wb") as file:
        file.write(b"From: a@example.com\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        for _ in range(MEGABYTES * 1_000_000 // 57_000):
            file.write(lines)


def run(command, stdin, environment):
    """Milliseconds of one run, which has to succeed: the failure of a program is not its speed."""
    begin = time.perf_counter()
    ended = subprocess.run(command, input=stdin, env=environment, capture_output=True, timeout=60)
    took = (time.perf_counter() - begin) * 1000
    if ended.returncode != 0:
        sys.exit("peers.py: %s\nended with %d: %s" % (shlex.join(command), ended.returncode, ended.stderr.decode()))
    return took


def peak(command, stdin, environment, folder):
    """Megabytes. Not by wait4: there a program inherits the peak of the Python that started it."""
    note = os.path.join(folder, "peak")
    run(["/usr/bin/time", "-f", "%M", "-o", note, *command], stdin, environment)
    with open(note) as file:
        return int(file.read()) / 1024


def measure(rounds, commands, environment):
    times, end = {name: [] for name in commands}, time.monotonic() + SHARE
    for turn in range(-1, rounds):  # the first round warms the caches and does not count
        for name, (command, stdin) in commands.items():
            took = run(command, stdin, environment)
            if turn >= 0:
                times[name].append(took)
        if turn >= 2 and time.monotonic() > end:
            break
    return times


def version(command):
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
    except OSError:
        return "?"
    return re.sub(r"\s+", " ", said.strip().splitlines()[0]) if said.strip() else "?"


def machine(smail):
    with open("/proc/cpuinfo") as file:
        models = re.findall(r"^model name\s*: (.*)$", file.read(), re.M)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    yield "- Machine: %d × %s, Linux %s, %s" % (os.cpu_count(), (models or ["?"])[0], platform.release(), system)
    for name in (smail, "curl", "msmtp", "s-nail", "swaks"):
        yield "- %s: `%s`" % (os.path.basename(name), version([name, "--version"]))


def table(name, commands, times, memory):
    """One Markdown table: median, fastest, how many times smail's median, peak memory."""
    base = statistics.median(times["smail"])
    yield "\n## %s\n" % name
    yield "| program | median ms | fastest ms | ÷ smail | peak MB | runs |"
    yield "|---|---:|---:|---:|---:|---:|"
    for program in commands:
        median = statistics.median(times[program])
        heap = "%.1f" % memory[program] if program in memory else ""
        row = (program, median, min(times[program]), median / base, heap, len(times[program]))
        yield "| %s | %.1f | %.1f | %.2f | %s | %d |" % row


def report(smail, folder, ports, rows):
    yield "# smail beside its peers\n"
    yield "Written by `make bench`. The programs took turns within each round; ÷ smail is how many times smail's median a"
    yield "program took (above 1: smail is faster). Times hold what starting a process costs here: the row `true`.\n"
    yield from machine(smail)
    for name, commands, times, memory in rows:
        yield from table(name, commands, times, memory)
    yield "\n## Commands\n"
    yield "Servers: `smtp-sink` of Postfix for mail in clear; a small one in Python for TLS, whose share is the same for all."
    yield "curl and msmtp only carry: they are handed mails that are ready; the others write theirs. swaks checks no certificate.\n"
    yield "```sh"
    for _, commands, _, _ in rows:
        for command, stdin in commands.values():
            text = shlex.join(command).replace(smail, "smail").replace(folder, "$DIR")
            for word, port in ports.items():
                text = text.replace(str(port), word)
            yield ("%s < %s" % (text, "message" if stdin == MESSAGE else "text")) if stdin else text
    yield "```"


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--smail", required=True, help="the binary to measure")
    options.add_argument("--write", help="a Markdown file for the result")
    options = options.parse_args()
    smail = os.path.abspath(options.smail)
    with tempfile.TemporaryDirectory(prefix="smail-bench-") as folder:
        os.chmod(folder, 0o755)
        fill(folder)
        # Nobody's settings count; with CI set smail queues nothing, so it does what the others do.
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder, "LC_ALL": "C.UTF-8", "CI": "true"}
        port, sink = start_sink(folder)
        try:
            tls_port, ca, tls_sink = start_tls_sink(folder)
            try:
                rows = []
                for name, rounds, heavy, commands in tasks(smail, port, tls_port, ca, folder):
                    print("measuring: %s" % name, file=sys.stderr)
                    times = measure(rounds, commands, environment)
                    memory = {p: peak(*c, environment, folder) for p, c in commands.items() if heavy or p != "true"}
                    rows.append((name, commands, times, memory))
            finally:
                os.kill(tls_sink, signal.SIGTERM)
                os.waitpid(tls_sink, 0)
        finally:
            sink.terminate()
            sink.wait()
        text = "\n".join(report(smail, folder, {"$PORT": port, "$TLS_PORT": tls_port}, rows)) + "\n"
    print(text)
    if options.write:
        with open(options.write, "w", encoding="utf-8") as file:
            file.write(text)


main()
