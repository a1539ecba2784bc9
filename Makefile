# What you do with smail's source, each a single word. `install` uses PREFIX and DESTDIR.
PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo

bindir = $(DESTDIR)$(PREFIX)/bin
mandir = $(DESTDIR)$(PREFIX)/share/man
sharedir = $(DESTDIR)$(PREFIX)/share
target = $(or $(CARGO_TARGET_DIR),target)

.PHONY: all demo test test-crash bench check generate install install-sendmail clean

all:
	$(CARGO) build --release --locked

# A loopback server, a message to it, the session and what arrived.
demo:
	$(CARGO) build --locked --quiet
	$(CARGO) run --locked --quiet --example demo

# All tests; also against real servers if tests/install.sh has been run and the user is root.
test:
	$(CARGO) test --locked --no-fail-fast

# Disturbs the queue at every system call, where `test` does so at some. Takes minutes; needs strace, and root for disks.
test-crash:
	SMAIL_TEST_CRASH=full $(CARGO) test --locked --no-fail-fast --test crash -- --nocapture

# Compares smail with its peers on this machine: prints one table and writes benches/RESULTS.md. BENCH="--only start,send" runs a part.
bench: all
	tests/install.sh
	python3 benches/run.py --smail "$(target)/release/smail" --write benches/RESULTS.md $(BENCH)

# Also checks that smail compiles for macOS, if that target is installed; this needs no OpenSSL and no linker.
MAC = aarch64-apple-darwin
check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	@if pkg-config --exists dbus-1; then $(CARGO) clippy --locked --all-targets --features keyring -- -D warnings; \
	else echo "make check: not checked with the keyring: libdbus-1-dev is not installed" >&2; fi
	@if rustup target list --installed 2>/dev/null | grep -qx $(MAC); then \
	  $(CARGO) check --locked --lib --bins --features keyring --target $(MAC); \
	else echo "make check: not checked for macOS: rustup target add $(MAC)" >&2; fi

# Generates the committed files from the rows of flags and settings. A file is replaced only by a complete one.
generate:
	$(CARGO) build --locked --quiet
	for pair in man:man/smail.1 man-config:man/smail-config.5 config:config.example.toml \
	    bash:completions/smail.bash zsh:completions/_smail fish:completions/smail.fish; do \
	  "$(target)/debug/smail" --generate "$${pair%%:*}" >"$${pair#*:}.new" && mv "$${pair#*:}.new" "$${pair#*:}" || exit 1; \
	done

install:
	@test -x "$(target)/release/smail" || { echo "make install: run make first" >&2; exit 1; }
	install -D -m 755 "$(target)/release/smail" "$(bindir)/smail"
	install -D -m 644 man/smail.1 "$(mandir)/man1/smail.1"
	install -D -m 644 man/smail-config.5 "$(mandir)/man5/smail-config.5"
	install -D -m 644 config.example.toml "$(sharedir)/doc/smail/config.example.toml"
	install -D -m 644 completions/smail.bash "$(sharedir)/bash-completion/completions/smail"
	install -D -m 644 completions/_smail "$(sharedir)/zsh/site-functions/_smail"
	install -D -m 644 completions/smail.fish "$(sharedir)/fish/vendor_completions.d/smail.fish"

# Links sendmail and related names to smail. An existing program stays, and is reported.
install-sendmail: install
	for link in sbin/sendmail lib/sendmail bin/mailq bin/newaliases bin/mail bin/mailx; do \
	  place="$(DESTDIR)$(or $(MTA_PREFIX),/usr)/$$link"; \
	  if [ -e "$$place" ] && [ "$$(readlink "$$place")" != "$(PREFIX)/bin/smail" ]; then \
	    echo "make install-sendmail: $$place is another program; not replaced" >&2; continue; \
	  fi; \
	  install -d "$${place%/*}" && ln -sf "$(PREFIX)/bin/smail" "$$place" || exit 1; \
	done

clean:
	$(CARGO) clean
