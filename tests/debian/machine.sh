#!/bin/sh
# A machine for one test, as seen from inside its own namespaces: machine.sh FOLDER SMAIL, run by `unshare` as process 1.
# /dev, /etc, /usr, /var, /root and /run are this machine's own: what is written there stays in FOLDER, which is memory. Says
# `ready`, and ends when its input does; everything that runs in the machine ends with it.
set -eu
folder=$1
smail=$2

mount -t tmpfs none "$folder"
# Held before anything covers the place it was built in.
: >"$folder/smail"
mount --bind "$smail" "$folder/smail"
for name in dev etc usr var; do
    mkdir -p "$folder/$name/new" "$folder/$name/work"
    mount -t overlay -o "lowerdir=/$name,upperdir=$folder/$name/new,workdir=$folder/$name/work" none "/$name"
done
mount -t tmpfs -o mode=755 none /run
rm -f /dev/log
mount -t tmpfs -o mode=700 none /root

# smail takes the places a Debian package of it would take.
: >/usr/bin/smail
mount --bind "$folder/smail" /usr/bin/smail
for link in sbin/sendmail lib/sendmail bin/mailq bin/newaliases bin/mail bin/mailx; do
    ln -sf /usr/bin/smail "/usr/$link"
done

# No job of the real machine runs here.
rm -rf /etc/cron.* /etc/crontab /etc/anacrontab /var/spool/smail
rm -f /var/spool/cron/crontabs/* /var/spool/cron/atjobs/[!.]* /var/spool/cron/atspool/*

hostname box
printf "127.0.0.1 localhost\n127.0.1.1 box.x.example box\n" >/etc/hosts
echo x.example >/etc/mailname
printf 'root: admin@x.example\nwww-data: root\n' >/etc/aliases
mkdir -p /etc/smail

echo ready
read -r end || :
