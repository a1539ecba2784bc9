"""A slow mail server: it accepts everything, and answers every message after a number of milliseconds.

Prints its port on standard output, and ends when its standard input does.
"""
import socketserver
import sys
import threading
import time


class Dialogue(socketserver.StreamRequestHandler):
    def say(self, line):
        self.request.sendall(line + b"\r\n")

    def handle(self):
        self.say(b"220 localhost ESMTP")
        text = False
        for line in self.rfile:
            verb = line[:4].upper()
            if text:
                text = line != b".\r\n"
                if not text:
                    time.sleep(self.server.late)
                    self.say(b"250 2.0.0 thanks")
            elif verb == b"EHLO":
                self.say(b"250-localhost\r\n250 PIPELINING")
            elif verb == b"DATA":
                text = True
                self.say(b"354 go on")
            elif verb == b"QUIT":
                return self.say(b"221 2.0.0 bye")
            else:
                self.say(b"250 2.0.0 ok")


class Port(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 1000


def main():
    port = Port(("127.0.0.1", 0), Dialogue)
    port.late = int(sys.argv[1]) / 1000
    threading.Thread(target=port.serve_forever, daemon=True).start()
    print(port.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
