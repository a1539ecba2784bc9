"""A mail server for measuring: accepts everything, keeps nothing, and replies briefly.

Where `smtp-sink` of Postfix serves, it is used; it knows neither TLS nor a login. This one listens on six ports, one for every
way of getting to TLS, without and with CHUNKING, says on its standard output as one line of JSON which they are, and ends when
its standard input does. It checks nothing: a program that does not speak SMTP is not what is measured here.
"""
import json
import socket
import socketserver
import ssl
import sys
import threading

MODES = ("plain", "tls", "starttls")
END = b"\r\n.\r\n"
PIECE = 1 << 18


class Gone(Exception):
    """The client has closed."""


class Dialogue(socketserver.BaseRequestHandler):
    """One connection. What was read and not yet used is `rest`, as commands come in groups."""

    def setup(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line, self.rest, self.secure = self.request, b"", False

    def handle(self):
        try:
            if self.server.mode == "tls":
                self.encrypt()
            self.say(b"220 localhost ESMTP")
            while self.obey(self.command()):
                pass
            if self.secure:
                self.line.unwrap()
        except (Gone, OSError, ValueError):
            pass  # a client that leaves without QUIT, or does not trust the certificate

    def encrypt(self):
        self.line, self.rest, self.secure = self.server.context.wrap_socket(self.line, server_side=True), b"", True

    def say(self, *lines):
        self.line.sendall(b"".join(line + b"\r\n" for line in lines))

    def more(self):
        piece = self.line.recv(PIECE)
        if not piece:
            raise Gone
        return piece

    def command(self):
        while b"\n" not in self.rest:
            self.rest += self.more()
        line, self.rest = self.rest.split(b"\n", 1)
        return line.rstrip(b"\r")

    def obey(self, line):
        """Whether the session goes on."""
        verb, _, words = line.partition(b" ")
        verb = verb.upper()
        if verb == b"EHLO":
            self.say(*self.greeting())
        elif verb == b"STARTTLS":
            self.say(b"220 2.0.0 go on")
            self.encrypt()
        elif verb == b"AUTH":
            self.login(words.split())
        elif verb == b"DATA":
            self.say(b"354 go on")
            self.data()
            self.say(b"250 2.0.0 thanks")
        elif verb == b"BDAT":
            self.chunk(int(words.split()[0]))
            self.say(b"250 2.0.0 thanks")
        elif verb == b"QUIT":
            self.say(b"221 2.0.0 bye")
        else:
            self.say(b"250 2.0.0 ok")
        return verb != b"QUIT"

    def greeting(self):
        words = [b"localhost", b"PIPELINING", b"8BITMIME", b"SIZE 0", b"ENHANCEDSTATUSCODES"]
        if self.server.chunking:
            words.append(b"CHUNKING")
        if self.secure:
            words.append(b"AUTH PLAIN LOGIN")
        elif self.server.mode == "starttls":
            words.append(b"STARTTLS")
        return [b"250-" + word for word in words[:-1]] + [b"250 " + words[-1]]

    def login(self, words):
        # LOGIN asks twice, PLAIN once, and neither when the answer came with the command.
        wanted = {b"LOGIN": 2, b"PLAIN": 1}.get(words[0].upper(), 1) - (len(words) - 1)
        asks = (b"334 UGFzc3dvcmQ6", b"334 VXNlcm5hbWU6") if words[0].upper() == b"LOGIN" else (b"334 ",)
        for ask in reversed(asks[:wanted]):
            self.say(ask)
            self.command()
        self.say(b"235 2.7.0 ok")

    def data(self):
        """Reads to the dot. In a large piece the end is looked for near its end only: what follows it is a command."""
        before = b"\r\n" + self.rest
        while True:
            near = before if len(before) < PIECE // 4 else before[-4096:]
            at = near.find(END)
            if at >= 0:
                self.rest = near[at + len(END) :]
                return
            before = before[-4:] + self.more()

    def chunk(self, octets):
        while len(self.rest) < octets:
            octets -= len(self.rest)
            self.rest = self.more()
        self.rest = self.rest[octets:]


class Port(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 1000
    allow_reuse_address = True


def main():
    pem, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    ports = {}
    for mode in MODES:
        for chunking in (False, True):
            port = Port(("127.0.0.1", 0), Dialogue)
            port.mode, port.chunking, port.context = mode, chunking, context
            threading.Thread(target=port.serve_forever, daemon=True).start()
            ports[mode + "+chunking" * chunking] = port.server_address[1]
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
