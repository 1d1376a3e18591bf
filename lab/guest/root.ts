/** The lab's own files in a guest's root. */
import type { Overlay } from '../boot.js'
import type { Boot } from '../jobs.js'

/** pid 1 of a guest without systemd: the usual mounts, all controllers on, the jobs, and off. */
const plainInit = `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t securityfs securityfs /sys/kernel/security
for place in /dev/shm /run /tmp; do mount -t tmpfs -o mode=1777 tmpfs $place; done
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
for name in $(cat /sys/fs/cgroup/cgroup.controllers); do echo +$name > /sys/fs/cgroup/cgroup.subtree_control; done
ip link set lo up
hostname vial-lab
node /vial/dist/lab/guest/main.js
busybox poweroff -f
`

const service = `[Unit]
Description=The lab's jobs
After=basic.target dbus.service systemd-logind.service
[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/usr/local/bin/node /vial/dist/lab/guest/main.js
ExecStopPost=/usr/bin/busybox poweroff -f
TimeoutStartSec=infinity
`

/** No PAM here, for nothing was configured: what pam_systemd(8) would set, without which there is no manager. */
const userManager = `[Service]
PAMName=
Environment=XDG_RUNTIME_DIR=/run/user/%i DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/%i/bus
`

/** A minute and a half, the default, is little where each instruction is translated. systemd-system.conf(5). */
const patience = '[Manager]\nDefaultTimeoutStartSec=15min\nDefaultTimeoutStopSec=15min\n'

const unwanted = ['systemd-firstboot', 'systemd-networkd-wait-online', 'apt-daily', 'fstrim', 'e2scrub_all']

/** For attacks: nothing was configured, so that no user has a password. */
const passwords = { 'etc/shadow': { text: 'root:*:20000:0:99999:7:::\n', mode: 0o600 } }

export const starts: Readonly<Record<Boot, string>> = { plain: '/lab/init', systemd: '/usr/lib/systemd/systemd' }

export function overlayOf(boot: Boot): Overlay {
  if (boot === 'plain') return { ...passwords, 'lab/init': { text: plainInit, mode: 0o755 } }
  return {
    ...passwords,
    'etc/systemd/system/lab.service': { text: service },
    'etc/systemd/system/default.target': { text: '[Unit]\nRequires=multi-user.target\nWants=lab.service\n' },
    'etc/systemd/system/user@.service.d/lab.conf': { text: userManager },
    'etc/systemd/system.conf.d/lab.conf': { text: patience },
    'etc/systemd/user.conf.d/lab.conf': { text: patience },
    ...Object.fromEntries(unwanted.map((name) => [`etc/systemd/system/${name}.service`, { text: '' }] as const)),
  }
}
