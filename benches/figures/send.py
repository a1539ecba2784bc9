"""One line of text to one recipient on this machine: in clear, with the queue, over TLS."""
import os
from dataclasses import replace

from . import programs
from .measure import Command

TITLE = "One mail, on loopback"
ROUNDS = 40
SYSTEM = "/etc/ssl/certs"


def measure(bench):
    yield from plain(bench)
    yield from secure(bench)
    yield from system_roots(bench)


def plain(bench):
    with bench.sink() as sink:
        task = bench.task("plain", sink.port)
        told, cannot = programs.commands(bench.smail, task)
        told["smail, queue on"] = programs.smail(replace(task, queue=bench.disk_folder("send")), bench.smail)
        told["an empty Rust program"] = Command([bench.yardstick("empty")])
        took = bench.runner.in_turns(told, ROUNDS)
    yield "\n### In clear, to smtp-sink\n"
    yield from table(took, cannot)
    if took["curl"].wall and took["smail"].wall:
        bench.figure("send.plain", took["smail"].median / took["curl"].median)


def secure(bench):
    task = bench.task("tls", bench.server.ports["tls"])
    told, cannot = programs.commands(bench.smail, task)
    told["a bare handshake"] = handshake(task)
    told["smail, queue on"] = programs.smail(replace(task, queue=bench.disk_folder("send-tls")), bench.smail)
    took = bench.runner.in_turns(told, ROUNDS)
    yield "\n### Implicit TLS, one root\n"
    yield from table(took, cannot)
    yield "\nThe bare handshake is `openssl s_client -quiet`, which then sends QUIT."
    if took["smail"].wall and took["a bare handshake"].wall:
        bench.figure("send.tls.cpu", took["smail"].processor / took["a bare handshake"].processor)
    against(bench, "send.tls.wall", took)


def system_roots(bench):
    """As on a real system: the root is one of more than a hundred, in a bundle and in a hashed directory."""
    bundle, folder = os.path.join(SYSTEM, "ca-certificates.crt"), bench.runner.fresh("roots")
    if not os.path.exists(bundle):
        return
    own = os.path.join(bench.folder, "bundle.pem")
    with open(own, "wb") as file:
        for path in (bundle, bench.certificate.ca):
            with open(path, "rb") as part:
                file.write(part.read())
    for name in os.listdir(SYSTEM):
        if name.endswith(".0"):
            os.symlink(os.path.realpath(os.path.join(SYSTEM, name)), os.path.join(folder, name))
    mark = bench.runner.output(["openssl", "x509", "-noout", "-hash", "-in", bench.certificate.ca]).strip()
    os.symlink(bench.certificate.ca, os.path.join(folder, mark + ".0"))
    task = replace(bench.task("tls", bench.server.ports["tls"]), ca=own)
    told, cannot = programs.commands(bench.smail, task)
    told["smail"] = programs.smail(replace(task, ca=""), bench.smail)
    # What smail does by itself if the hashed directory is in its usual place and neither variable is set.
    told["smail"].environment.update({"SSL_CERT_DIR": folder, "SSL_CERT_FILE": os.devnull})
    took = bench.runner.in_turns(told, ROUNDS)
    yield "\n### Implicit TLS, the roots of the system\n"
    yield from table(took, cannot)
    yield "\nThe roots are copies of the system's own with that of the bench added. smail looks it up in the hashed directory, as it does in"
    yield "`/etc/ssl/certs`; the others get the bundle, where Debian's builds of them look."
    against(bench, "send.roots.wall", took)


def handshake(task):
    words = ["openssl", "s_client", "-connect", task.server, "-servername", "localhost", "-quiet"]
    return Command([*words, "-CAfile", task.ca, "-verify_return_error"], b"QUIT\r\n")


def against(bench, key, took):
    """The wall time of smail, of that of the fastest peer."""
    peers = [one.median for name, one in took.items() if name in programs.PEERS and one.wall]
    if peers and took["smail"].wall:
        bench.figure(key, took["smail"].median / min(peers))


def table(took, cannot):
    base = took["smail"].median
    yield "| program | median ms | fastest ms | ÷ smail | processor ms | runs |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, one in took.items():
        if one.failure:
            yield "| %s | fails: %s | | | | |" % (name, one.failure.split("ended with")[-1].replace("|", "/")[:120])
            continue
        ratio = "%.2f" % (one.median / base) if base else ""
        yield "| %s | %.2f | %.2f | %s | %.2f | %d |" % (name, one.median, one.fastest, ratio, one.processor, len(one.wall))
    for name, why in cannot.items():
        yield "| %s | %s | | | | |" % (name, why)
