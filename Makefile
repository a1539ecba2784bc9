# Everything one does with smail's source, each a single word. PREFIX and DESTDIR are where `install` puts it.
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

# A loopback server, a mail to it, the dialogue and what arrived.
demo:
	$(CARGO) build --locked --quiet
	$(CARGO) run --locked --quiet --example demo

# Everything; against real servers too where tests/install.sh has been run and the user is root.
test:
	$(CARGO) test --locked --no-fail-fast

# The queue disturbed at every single system call, where `test` takes some of them. Minutes; wants strace, and root for disks.
test-crash:
	SMAIL_TEST_CRASH=full $(CARGO) test --locked --no-fail-fast --test queue_crash --test queue_disk --test queue_storm -- --nocapture

# smail beside its peers on this machine: prints one table and writes benches/RESULTS.md. BENCH="--only start,send" does a part.
bench: all
	tests/install.sh
	python3 benches/run.py --smail "$(target)/release/smail" --write benches/RESULTS.md $(BENCH)

# Also that it compiles for macOS, where that target is installed: no OpenSSL and no linker is needed for it.
MAC = aarch64-apple-darwin
check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	@if rustup target list --installed 2>/dev/null | grep -qx $(MAC); then \
	  $(CARGO) check --locked --lib --bins --target $(MAC); \
	else echo "make check: not checked for macOS: rustup target add $(MAC)" >&2; fi

# What is made from the rows of flags and settings, and committed. Each file is replaced only by a whole one.
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

# Lets smail stand in for sendmail and its kin. A program that is there already is left alone, and named.
install-sendmail: install
	for link in sbin/sendmail lib/sendmail bin/mailq bin/newaliases bin/mail bin/mailx; do \
	  place="$(DESTDIR)$(or $(MTA_PREFIX),/usr)/$$link"; \
	  if [ -e "$$place" ] && [ "$$(readlink "$$place")" != "$(PREFIX)/bin/smail" ]; then \
	    echo "make install-sendmail: $$place is another program; left as it is" >&2; continue; \
	  fi; \
	  install -d "$${place%/*}" && ln -sf "$(PREFIX)/bin/smail" "$$place" || exit 1; \
	done

clean:
	$(CARGO) clean
