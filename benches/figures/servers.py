"""Starts and ends the servers that the programs talk to. Each ends by its process id, or at the end of its input."""
import json
import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Helper:
    """A Python program of the benches that prints its port first and ends with its input."""

    def __init__(self, script, *words):
        command = [sys.executable, os.path.join(HERE, script), *map(str, words)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline()
        if not self.said:
            raise SystemExit("run.py: %s did not start" % script)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Server(Helper):
    """Ours: `ports` holds a port for every mode, as in `tls` and `starttls+chunking`."""

    def __init__(self, certificate):
        super().__init__("server.py", certificate.pem, certificate.key)
        self.ports = json.loads(self.said)


class Proxy(Helper):
    """A line to a port, late by so many milliseconds in each direction."""

    def __init__(self, port, late):
        super().__init__("proxy.py", port, late)
        self.port = int(self.said)

    def flights(self):
        """Round trips since the last call; waits until no connection is open."""
        opened = closed = flights = 0
        while not closed or opened != closed:
            word, *number = self.process.stdout.readline().split()
            opened += word == "open"
            if word == "closed":
                closed, flights = closed + 1, flights + int(number[0])
        return flights


class Late(Helper):
    """A server in clear that answers every message after a number of milliseconds."""

    def __init__(self, late):
        super().__init__("late.py", late)
        self.port = int(self.said)


class Sink:
    """Postfix's smtp-sink: the fastest there is, without TLS and login."""

    def __init__(self, folder, port=None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port or 0))
            self.port = probe.getsockname()[1]
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = ["/usr/sbin/smtp-sink", "-4", *user, "127.0.0.1:%d" % self.port, "1000"]
        try:
            self.process = subprocess.Popen(command, cwd=folder)
        except OSError:
            raise SystemExit("run.py: no smtp-sink (package postfix)") from None
        # There is no event to wait for when another program starts.
        end = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < end:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
        raise SystemExit("run.py: smtp-sink did not start")

    def close(self):
        self.process.terminate()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Down:
    """A port that refuses, and that nobody else can take."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        return self.socket.getsockname()[1]

    def __exit__(self, *_):
        self.socket.close()


class Certificate:
    """An authority in one file, and a certificate of its own making for this machine, with a key of P-256."""

    def __init__(self, folder):
        self.ca, self.pem, self.key = (os.path.join(folder, name) for name in ("ca.pem", "server.pem", "server.key"))
        new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
        signing, request = os.path.join(folder, "ca.key"), os.path.join(folder, "server.csr")
        authority = ["-subj", "/CN=Bench CA", "-addext", "keyUsage=critical,keyCertSign", "-keyout", signing, "-out", self.ca]
        self.make([*new, *authority])
        new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost".split()
        self.make([*new, "-keyout", self.key, "-out", request])
        names = os.path.join(folder, "names")
        with open(names, "w") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        sign = ["openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", signing, "-CAcreateserial"]
        self.make([*sign, "-days", "2", "-extfile", names, "-out", self.pem])

    @staticmethod
    def make(words):
        ended = subprocess.run(words, capture_output=True, text=True)
        if ended.returncode:
            raise SystemExit("run.py: openssl: %s" % ended.stderr)
