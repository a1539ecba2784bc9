#!/usr/bin/env python3
"""Prints a mail file as JSON, as Python's email package reads it: a reader that shares no code with smail.

The bytes are judged too: the longest line, bare CRs and octets above 127 in the header, which the parser would forgive.
"""
import email
import email.policy
import hashlib
import json
import sys


def shape(part):
    """The tree of types: multipart/mixed(text/plain,image/png)."""
    if part.is_multipart() and part.get_content_maintype() == "multipart":
        return "%s(%s)" % (part.get_content_type(), ",".join(shape(p) for p in part.iter_parts()))
    return part.get_content_type()


def leaf(part):
    content = part.get_payload(decode=True) or b""
    row = {
        "type": part.get_content_type(),
        "charset": part.get_content_charset(),
        "encoding": str(part.get("Content-Transfer-Encoding", "7bit")),
        "disposition": part.get_content_disposition(),
        "filename": part.get_filename(),
        "cid": part.get("Content-ID"),
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    if part.get_content_maintype() == "text":
        row["text"] = part.get_content().replace("\r\n", "\n")
    return row


def main(path):
    with open(path, "rb") as file:
        raw = file.read()
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    defects = [repr(d) for part in mail.walk() for d in part.defects]
    defects += ["%s: %r" % (name, d) for part in mail.walk() for name, value in part.items() for d in value.defects]
    json.dump(
        {
            "headers": [[name, str(value)] for name, value in mail.items()],
            "defects": defects,
            "shape": shape(mail),
            "parts": [leaf(p) for p in mail.walk() if not p.is_multipart()],
            "longest_line": max(map(len, raw.split(b"\n"))),
            "bare_cr": raw.count(b"\r"),
            "above_127_in_header": sum(octet > 127 for octet in raw.partition(b"\n\n")[0]),
        },
        sys.stdout,
    )


main(sys.argv[1])
