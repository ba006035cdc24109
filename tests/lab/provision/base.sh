#!/bin/sh
# Runs inside the new root filesystem, once, while the image is built.
set -eu

mask() { for unit in "$@"; do ln -sf /dev/null "/etc/systemd/system/$unit"; done; }

# Each of these costs seconds of an emulated boot, or acts when the clock of a restored machine jumps.
mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer logrotate.timer man-db.timer systemd-tmpfiles-clean.timer getty@tty1.service \
    serial-getty@ttyS0.service nvmefc-boot-connections.service nvmf-autoconnect.service \
    systemd-networkd-wait-online.service systemd-logind.service systemd-binfmt.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-pstore.service \
    systemd-random-seed.service systemd-sysusers.service uuidd.socket \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    proc-sys-fs-binfmt_misc.automount systemd-ask-password-wall.path
# tgt would take port 3260 away from LIO; its tools stay for tests that start it on another port.
mask tgt.service

only_on() { # unit, host pattern
    mkdir -p "/etc/systemd/system/$1.d"
    printf '[Unit]\nConditionHost=%s\n' "$2" > "/etc/systemd/system/$1.d/lab.conf"
}
for unit in multipathd.service multipathd.socket iscsid.socket iscsid.service open-iscsi.service; do only_on "$unit" 'web*'; done
only_on rtslib-fb-targetctl.service silo
ln -sf /lib/systemd/system/multi-user.target /etc/systemd/system/default.target
systemctl enable lab-identity.service lab-network.service ssh.service \
    multipathd.service open-iscsi.service rtslib-fb-targetctl.service

mkdir -p /etc/target /var/lib/extendctl/volumes
sed -i 's/^node.startup = .*/node.startup = automatic/' /etc/iscsi/iscsid.conf
chmod 0440 /etc/sudoers.d/lab
chmod 0755 /usr/lib/lab/identity /usr/lib/lab/network
chmod 0600 /usr/lib/lab/machines/*/etc/ssh/ssh_host_ed25519_key
chown -R root:root /etc/sudoers.d /usr/lib/lab
rm -f /etc/ssh/ssh_host_* /etc/machine-id
printf 'uninitialized\n' > /etc/machine-id

install -d -m 0700 /root/.ssh
cp /usr/lib/lab/keys/root.pub /root/.ssh/authorized_keys
for user in ops nosudo pwsudo; do
    useradd --create-home --shell /bin/bash "$user"
    printf '%s:%s\n' "$user" "$user" | chpasswd
    install -d -m 0700 -o "$user" -g "$user" "/home/$user/.ssh"
    install -m 0600 -o "$user" -g "$user" /usr/lib/lab/keys/users.pub "/home/$user/.ssh/authorized_keys"
done
rm -rf /var/cache/apt/* /var/lib/apt/lists/*
