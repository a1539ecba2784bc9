"""Speaks SMTP with a program over its standard input and output, by Python's smtplib.

Usage: smtplib_pipe.py PROGRAM [ARGUMENT...], as in `smtplib_pipe.py smail --as sendmail -bs`.

Sends two messages in one session. The first has three recipients, one of them no address (`a..b c@x.example`), which must be refused
while the others are taken; the second has a dot at the start of a line, eight-bit text and DSN parameters. Prints what it
saw, one line a fact, and fails (status 1) when the program wrote to its standard error or did not end with status 0.
"""

import smtplib
import subprocess
import sys

PATIENCE = 30


class Pipe:
    """What smtplib needs of a socket."""

    def __init__(self, process):
        self.process = process

    def sendall(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def makefile(self, mode):
        return self.process.stdout

    def close(self):
        self.process.stdin.close()


class PipeSMTP(smtplib.SMTP):
    """An SMTP client whose server is a child process."""

    def __init__(self, argv):
        self.argv = argv
        super().__init__(host="pipe", local_hostname="client.example")

    def _get_socket(self, host, port, timeout):
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(self.argv, **streams)
        return Pipe(self.process)


FIRST = b"Subject: first\r\n\r\nbody\r\n"
SECOND = "Subject: second\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n.dot\r\n..dots\r\ngr\u00fc\u00dfe\r\n".encode()


def main():
    client = PipeSMTP(sys.argv[1:])
    client.ehlo()
    print("extensions:", " ".join(sorted(client.esmtp_features)))
    print("noop:", client.noop()[0])
    print("vrfy:", client.verify("root")[0])

    everybody = ["one@x.example", "a..b c@x.example", "two@x.example"]
    refused = client.sendmail("sender@x.example", everybody, FIRST)
    print("first refused:", {name: code for name, (code, _) in refused.items()})

    options = ["BODY=8BITMIME", "RET=HDRS", "ENVID=q+2B1"]
    refused = client.sendmail("sender@x.example", ["root"], SECOND, options, ["NOTIFY=FAILURE,DELAY"])
    print("second refused:", refused)

    print("rset:", client.rset()[0])
    print("data without mail:", client.docmd("DATA")[0])
    print("quit:", client.quit()[0])

    status = client.process.wait(timeout=PATIENCE)
    errors = client.process.stderr.read().decode(errors="replace")
    print("status:", status)
    print("stderr:", repr(errors))
    return 1 if status or errors else 0


if __name__ == "__main__":
    sys.exit(main())
