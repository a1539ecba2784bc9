#!/bin/sh
# Installs what building, testing and benchmarking need besides Rust; this is the only list. For Debian and Ubuntu, as
# root. Can be run repeatedly: it asks apt only for what is missing. It leaves no service running; those of cron, at,
# anacron and smartmontools start at the next boot.
set -eu

packages='
pkg-config libssl-dev        # build: OpenSSL
libdbus-1-dev                # checks: the feature keyring
gcc libc6-dev make           # build
ca-certificates              # the roots of the system
python3                      # tests: reads the delivered mail; benches: measures
bash fish zsh                # tests: completions
util-linux                   # tests: setsid, unshare, nsenter, mount
strace                       # tests: kills and errors at every system call of the queue
e2fsprogs                    # tests: power cuts
postfix                      # tests: a real server; benches: smtp-sink
dovecot-core                 # tests: SASL
dovecot-submissiond          # tests: EXTERNAL
dovecot-lmtpd                # tests: LMTP
cron at anacron              # tests: jobs that mail their output
mdadm smartmontools          # tests: programs that watch disks and mail root
logwatch sudo                # tests: reports, and denied commands
git git-email                # tests: patches by mail
libmailtools-perl            # tests: Mail::Mailer; git send-email reads addresses with it
php-cli                      # tests: mail() of PHP
bsd-mailx mailutils mutt     # tests: mail programs that send through sendmail
curl msmtp s-nail swaks      # benches: the peers; tests: curl as a browser, s-nail through sendmail
sendemail                    # benches: a peer
libio-socket-ssl-perl libauthen-sasl-perl # benches: TLS and logins of the peers in Perl
valgrind                     # benches: instructions
openssl                      # benches: a certificate; tests: keys and signatures
time                         # benches: peak memory
'
wanted=$(printf '%s' "$packages" | sed 's/#.*//' | tr -s ' \n' '  ')

installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

missing=
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "tests/install.sh: run as root to install:$missing" >&2
    exit 77
fi

# Postfix replaces any other mail server. Ask before that happens.
case " $missing " in
*" postfix "*)
    other=$(dpkg-query -W -f '${Package} ${db:Status-Status} ${Provides}\n' | awk '$2 == "installed" && /mail-transport-agent/ {print $1}')
    if [ -n "$other" ] && [ "${CI:-}" != true ]; then
        echo "tests/install.sh: Postfix would replace $(echo $other); remove it first, or set CI=true to allow this" >&2
        exit 69
    fi
    ;;
esac

# Packages start their services on installation; this policy prevents it while apt runs.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
if ! installed postfix && command -v debconf-set-selections >/dev/null; then
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
fi
# If the package lists are missing or out of date, update them and try again.
install() { apt-get install -qq -y --no-install-recommends $missing >/dev/null; }
install 2>/dev/null || { apt-get update -qq && install; }
