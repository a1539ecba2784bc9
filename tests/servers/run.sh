#!/bin/sh
# Starts Postfix and Dovecot under the folder $1, says "started", and lives until its standard input ends: that happens
# however the test ends, be it killed. Then it ends both servers by their process numbers and removes the folder.
# The test's signals do not reach it (it is a session of its own), so that nothing is left behind by Ctrl-C.
root=$1
case $root in
*/smail-real-*) ;;
*) echo "run.sh: $root is not a folder of the tests" >&2; exit 64 ;;
esac
trap '' HUP INT TERM

alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

# Ends the server whose number is in the file $1, by force if ten seconds were not enough.
end() {
    pid=$(tr -cd 0-9 2>/dev/null <"$1")
    alive "$pid" || return 0
    kill -TERM "$pid"
    for _ in $(seq 200); do
        alive "$pid" || return 0
        sleep 0.05
    done
    kill -KILL "$pid"
}

if postfix -c "$root/postfix/etc" start >>"$root/start.log" 2>&1 </dev/null &&
    dovecot -c "$root/dovecot/dovecot.conf" >>"$root/start.log" 2>&1 </dev/null; then
    echo started
else
    cat "$root/start.log"
fi
cat >/dev/null
end "$root/dovecot/run/master.pid"
end "$root/postfix/spool/pid/master.pid"
rm -rf "$root"
