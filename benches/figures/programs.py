"""How each program sends the same message by the same route: one row a program.

curl and msmtp only carry: they are handed mails that are ready; the others write theirs. Every program that can is told to
check the certificate against the one authority of the bench. What a program cannot do it answers with the reason.
"""
import os
import shlex
from dataclasses import dataclass

from .measure import Command

FROM, TO = "sender@example.com", "rcpt@example.com"
USER, PASSWORD = "sender@example.com", "secret"
TEXT = b"one line of text\n"
MESSAGE = b"From: %s\r\nTo: %s\r\nSubject: subject\r\n\r\none line of text\r\n" % (FROM.encode(), TO.encode())


class Cannot(Exception):
    """The program cannot do it, and why."""


@dataclass(frozen=True)
class Task:
    """One message by one route."""

    mode: str  # plain, tls or starttls
    port: int
    ca: str  # none: smail looks where the system keeps its roots
    folder: str
    login: bool = False
    recipients: tuple = (TO,)
    attach: str = None
    ready: str = None  # the same message, complete, for a program that only transfers
    queue: str = None

    @property
    def host(self):
        return "127.0.0.1" if self.mode == "plain" else "localhost"

    @property
    def server(self):
        return "%s:%d" % (self.host, self.port)

    def file(self, name, text):
        """A settings file that only its owner can read."""
        path = os.path.join(self.folder, "%s-%s-%d" % (name, self.mode, self.port))
        with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)
        return path


def smail(task, program="smail"):
    scheme = "smtps" if task.mode == "tls" else "smtp"
    words = [program, "--no-config", "-r", FROM, "-s", "subject", "-S", "smtp=%s://%s" % (scheme, task.server)]
    words += ["-S", "tls=none"] if task.mode == "plain" else []
    words += ["-S", "tls-ca-file=" + task.ca] if task.mode != "plain" and task.ca else []
    words += ["-S", "tls=starttls"] if task.mode == "starttls" else []
    if task.login:
        secret = task.file("smail-password", PASSWORD + "\n")
        words += ["-S", "auth-user=" + USER, "-S", "auth-password-file=" + secret]
    words += ["-a", task.attach] if task.attach else []
    return Command([*words, *task.recipients], TEXT, queue=task.queue)


def curl(task):
    words = ["curl", "-s", "--mail-from", FROM]
    for recipient in task.recipients:
        words += ["--mail-rcpt", recipient]
    if task.mode != "plain":
        words += ["--cacert", task.ca]
    words += ["--ssl-reqd"] if task.mode == "starttls" else []
    words += ["-u", USER + ":" + PASSWORD] if task.login else []
    scheme = "smtps" if task.mode == "tls" else "smtp"
    return Command([*words, "-T", task.ready, "%s://%s" % (scheme, task.server)])


def msmtp(task):
    if task.attach:
        raise Cannot("reads a mail from its input; curl stands for those that only carry")
    lines = ["account default", "host " + task.host, "port %d" % task.port, "from " + FROM]
    lines += ["tls off"] if task.mode == "plain" else ["tls on", "tls_trust_file " + task.ca]
    lines += ["tls_starttls " + ("on" if task.mode == "starttls" else "off")]
    lines += ["auth plain", "user " + USER, "password " + PASSWORD] if task.login else ["auth off"]
    settings = task.file("msmtp", "\n".join(lines) + "\n")
    return Command(["msmtp", "-C", settings, *task.recipients], MESSAGE)


def s_nail(task):
    login = "%s:%s@" % (USER.replace("@", "%40"), PASSWORD) if task.login else ""
    scheme = "smtps" if task.mode == "tls" else "smtp"
    words = ["s-nail", "-:/", "-Sv15-compat", "-Ssendwait", "-r", FROM, "-s", "subject"]
    words += ["-Smta=%s://%s%s" % (scheme, login, task.server)]
    words += ["-Ssmtp-auth=plain"] if task.login else ["-Ssmtp-auth=none"]
    words += ["-Stls-ca-file=" + task.ca, "-Stls-verify=strict"] if task.mode != "plain" else []
    words += ["-Ssmtp-use-starttls"] if task.mode == "starttls" else []
    words += ["-a", task.attach] if task.attach else []
    return Command([*words, *task.recipients], TEXT)


def swaks(task):
    words = ["swaks", "--hide-all", "--from", FROM, "--to", ",".join(task.recipients), "--body", "one line of text"]
    words += ["--server", task.host, "--port", str(task.port)]
    words += {"plain": [], "tls": ["--tls-on-connect"], "starttls": ["--tls"]}[task.mode]
    words += ["--tls-verify", "--tls-ca-path", task.ca] if task.mode != "plain" else []
    words += ["--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD] if task.login else []
    words += ["--attach", "@" + task.attach] if task.attach else []
    return Command(words)


def mutt(task):
    login = USER.replace("@", "%40") + "@" if task.login else ""
    scheme = "smtps" if task.mode == "tls" else "smtp"
    lines = ["set smtp_url=%s://%s%s" % (scheme, login, task.server), "set from=" + FROM, "set use_from", "set copy=no"]
    starts = "yes" if task.mode == "starttls" else "no"
    lines += ["set ssl_starttls=" + starts, "set ssl_force_tls=" + ("no" if task.mode == "plain" else "yes")]
    lines += ["set ssl_ca_certificates_file=" + task.ca, "set certificate_file=" + task.ca] if task.mode != "plain" else []
    lines += ["set smtp_authenticators=plain", "set smtp_pass=" + PASSWORD] if task.login else []
    settings = task.file("mutt", "\n".join(lines) + "\n")
    words = ["mutt", "-n", "-F", settings, "-s", "subject"]
    words += ["-a", task.attach] if task.attach else []
    return Command([*words, "--", *task.recipients], TEXT)


def sendemail(task):
    if task.mode == "tls":
        raise Cannot("knows STARTTLS only")
    words = ["sendEmail", "-q", "-f", FROM, "-u", "subject", "-m", "one line of text", "-s", task.server]
    words += ["-o", "tls=" + ("yes" if task.mode == "starttls" else "no")]
    words += ["-xu", USER, "-xp", PASSWORD] if task.login else []
    words += ["-a", task.attach] if task.attach else []
    return Command([*words, "-t", *task.recipients])


def gnu_mail(task):
    login = "%s:%s@" % (USER.replace("@", "%40"), PASSWORD) if task.login else ""
    url = "%s://%s%s" % ("smtps" if task.mode == "tls" else "smtp", login, task.server)
    url += ";auth=plain" if task.login else ""
    url += ";notls" if task.mode == "plain" else ""
    words = ["mail.mailutils", "--no-config", "-n", "-r", FROM, "-s", "subject", "-E", "set sendmail=" + url]
    words += ["--set", "tls.ssl-ca-file=" + task.ca] if task.mode != "plain" else []
    words += ["-A", task.attach] if task.attach else []
    return Command([*words, *task.recipients], TEXT)


def git_send_email(task):
    if task.attach:
        raise Cannot("sends patches")
    patch = task.file("patch", "From: %s\nSubject: subject\n\none line of text\n" % FROM)
    words = ["git", "send-email", "--quiet", "--confirm=never", "--suppress-cc=all", "--no-validate", "--from=" + FROM]
    words += ["--to=" + recipient for recipient in task.recipients]
    words += ["--smtp-server=" + task.host, "--smtp-server-port=%d" % task.port]
    words += {"plain": [], "tls": ["--smtp-encryption=ssl"], "starttls": ["--smtp-encryption=tls"]}[task.mode]
    words += ["--smtp-ssl-cert-path=" + task.ca] if task.mode != "plain" else []
    words += ["--smtp-user=" + USER, "--smtp-pass=" + PASSWORD, "--smtp-auth=PLAIN"] if task.login else []
    # It looks for an identity, and a mail needs a name of it.
    return Command([*words, patch], environment={"EMAIL": FROM, "GIT_CONFIG_NOSYSTEM": "1"})


# In the order of the tables: the name there, the words for it, and how it says its version (of an option or of its package).
PEERS = {
    "curl": (curl, "curl"),
    "msmtp": (msmtp, "msmtp"),
    "s-nail": (s_nail, "s-nail"),
    "swaks": (swaks, "swaks"),
    "mutt": (mutt, "mutt"),
    "sendemail": (sendemail, "sendemail"),
    "GNU mail": (gnu_mail, "mailutils"),
    "git send-email": (git_send_email, "git-email"),
}


def commands(program, task, peers=PEERS):
    """The command of smail and of every peer, and why a peer has none."""
    found, cannot = {"smail": smail(task, program)}, {}
    for name in peers:
        try:
            found[name] = PEERS[name][0](task)
        except Cannot as why:
            cannot[name] = str(why)
    return found, cannot


def shown(words, shortened):
    """A command as a user would type it: the places of this run under the names of `shortened`."""
    text = shlex.join(words)
    for long, short in shortened:
        text = text.replace(long, short)
    return text if len(text) < 400 else text[:300] + " …"
