"""The binary, the crates in it, what each large one is for, and how long a cold build takes."""
import os
import re
import shutil
import subprocess
import tempfile
import time

TITLE = "Size"
# Every crate with more than 50 kB in the binary: what it is for, and why it is not smaller.
REASONS = {
    "smail": "",
    "core": "Rust's library, and what was made of it for smail",
    "std": "Rust's library; with gimli, addr2line and rustc_demangle the trace of a panic, which std brings in any case",
    "alloc": "Rust's library",
    "clap_builder": "the command line and its help; without colours",
    "clap_complete": "`--generate` writes the completions from the same rows as the parser",
    "toml": "`config.toml`, with the line of every value",
    "toml_parser": "the same",
    "chrono": "Date in the user's zone: the rules of zones",
    "encoding_rs": "input in other charsets; its tables for Chinese, Japanese and Korean cannot be left out one by one",
    "lettre": "MIME and the SMTP conversation",
    "serde_json": "`--json`, and the journals of the queue",
    "serde_core": "the same, and `config.toml`",
    "idna": "domains beyond ASCII (UTS 46), with the tables of icu_normalizer and icu_properties",
    "icu_normalizer_data": "the same",
    "icu_properties_data": "the same",
    "openssl": "TLS: the bindings; the library is the system's",
    "mime_guess": "types of attachments where the system has no `mime.types`",
    "roxmltree": "the autoconfig page of `--setup`",
    "gimli": "see std",
    "addr2line": "see std",
    "rustc_demangle": "see std",
}
SHOWN = 30_000  # bytes


def measure(bench):
    octets = os.path.getsize(bench.smail)
    bench.figure("size.binary", octets / 1e6)
    cargo = os.environ.get("CARGO", "cargo")
    tree = [cargo, "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]
    crates = {line.split(" (")[0] for line in bench.runner.output(tree, **os.environ).splitlines() if line.strip()}
    direct = bench.runner.output([*tree, "--depth", "1"], **os.environ).strip().splitlines()
    libraries = bench.runner.output(["ldd", bench.smail]).splitlines()
    yield "- Binary: %d bytes" % octets
    yield "- Crates: %d named, %d in all" % (len(direct) - 1, len(crates) - 1)
    yield "- System libraries: %s" % ", ".join(
        "`%s`" % os.path.basename(line.split()[0]) for line in libraries if "vdso" not in line and line.strip()
    )
    if bench.full:
        yield from cold(bench, cargo)
    else:
        yield "- Cold build and the sizes of crates: `make bench BENCH=--full`"


def cold(bench, cargo):
    """One build from nothing, with its names left in, which gives both the time and the shares."""
    folder = tempfile.mkdtemp(prefix="cold-", dir=bench.folder)
    environment = {**os.environ, "CARGO_TARGET_DIR": folder, "CARGO_PROFILE_RELEASE_STRIP": "none"}
    begin = time.monotonic()
    subprocess.run([cargo, "build", "--release", "--locked", "--quiet", "--bin", "smail"], env=environment, check=True)
    yield "- Cold build: %.0f s on %d cores (`cargo build --release`, crates downloaded)" % (time.monotonic() - begin, os.cpu_count())
    shares = shared(os.path.join(folder, "release", "smail"))
    shutil.rmtree(folder)
    yield "\n| crate | kB of code and data by its names | what it is for |"
    yield "|---|---:|---|"
    for crate, octets in sorted(shares.items(), key=lambda share: -share[1]):
        if octets >= SHOWN:
            yield "| %s | %.0f | %s |" % (crate, octets / 1000, REASONS.get(crate, ""))


def shared(binary):
    """Bytes of the symbols of each crate. What the compiler made for one crate out of another's generic code counts for the
    crate that is named first, and what it inlined for the crate it went into."""
    said = subprocess.run(["nm", "--size-sort", "--radix=d", "-C", binary], capture_output=True, text=True, check=True).stdout
    shares = {}
    for line in said.splitlines():
        octets, _, name = line.split(" ", 2)
        found = re.match(r"<*&?(?:mut )?(?:dyn )?\(?([a-z_][a-z0-9_]*)(?:\[[0-9a-f]+\])?::", name)
        crate = found.group(1) if found else "other"
        shares[crate] = shares.get(crate, 0) + int(octets)
    return shares
