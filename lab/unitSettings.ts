/** Which settings of a systemd unit a vial can live with: tried in a guest, and the table of docs/services.md. systemd.exec(5). */

export interface UnitSetting {
  readonly setting: string
  /** By an ordinary user; `works`, or what is said instead. */
  readonly rootless: 'works' | RegExp
  /** In root mode, by root. Default: not tried, as it is meant for users, or the same. */
  readonly rootMode?: 'works' | RegExp
  /** For the table: what the vial does of this itself, or why it cannot live with it. */
  readonly why: string
}

const newUser = /cannot make a user namespace: Operation not permitted/
const proc = /cannot mount proc on \/proc: Operation not permitted/
const hostName = /cannot set the host name vial: Operation not permitted/
/** Killed by SIGSYS, which is 31. */
const killed = /^159$/

const theSame = 'the vial does it'

export const unitSettings: readonly UnitSetting[] = [
  { setting: 'User=ordinary', rootless: 'works', why: 'who the payload is outside' },
  { setting: 'DynamicUser=yes', rootless: 'works', why: 'an account that lasts as long as the service' },
  { setting: 'NoNewPrivileges=yes', rootless: 'works', rootMode: 'works', why: theSame },
  {
    setting: 'RestrictSUIDSGID=yes',
    rootless: 'works',
    rootMode: 'works',
    why: 'it refuses openat2(2): the vial then walks each path itself',
  },
  {
    setting: 'LockPersonality=yes',
    rootless: 'works',
    rootMode: 'works',
    why: 'its filter refuses those that weaken a program',
  },
  {
    setting: 'MemoryDenyWriteExecute=yes',
    rootless: 'works',
    rootMode: 'works',
    why: 'the vial needs no such memory; a payload that compiles as it runs does (Node.js, Java)',
  },
  { setting: 'PrivateDevices=yes', rootless: 'works', rootMode: 'works', why: theSame },
  { setting: 'PrivateTmp=yes', rootless: 'works', rootMode: 'works', why: theSame },
  { setting: 'PrivateIPC=yes', rootless: 'works', rootMode: 'works', why: theSame },
  {
    setting: 'PrivateNetwork=yes',
    rootless: 'works',
    rootMode: 'works',
    why: '`network: "none"` does it',
  },
  {
    setting: 'PrivateUsers=yes',
    rootless: 'works',
    rootMode: /identity\.uid or identity\.gid has no meaning/,
    why: 'root mode needs ids of the host',
  },
  {
    setting: 'ProtectSystem=strict',
    rootless: 'works',
    rootMode: 'works',
    why: 'what the policy shows writable, ReadWritePaths= has to name too',
  },
  { setting: 'ProtectHome=yes', rootless: 'works', rootMode: 'works', why: theSame },
  { setting: 'ProtectKernelModules=yes', rootless: 'works', rootMode: 'works', why: theSame },
  { setting: 'ProtectControlGroups=yes', rootless: 'works', rootMode: 'works', why: theSame },
  { setting: 'ProtectClock=yes', rootless: 'works', rootMode: 'works', why: theSame },
  { setting: 'ProtectProc=invisible', rootless: 'works', rootMode: 'works', why: theSame },
  {
    setting: 'ProtectKernelTunables=yes',
    rootless: proc,
    rootMode: 'works',
    why: 'the kernel gives a user namespace a /proc only where nothing covers parts of the old one; the vial does it',
  },
  { setting: 'ProtectKernelLogs=yes', rootless: proc, rootMode: 'works', why: 'as above' },
  {
    setting: 'ProtectHostname=yes',
    rootless: hostName,
    rootMode: hostName,
    why: 'the vial sets a host name of its own; with `namespaces.uts: "host"` it does not',
  },
  {
    setting: 'RestrictNamespaces=yes',
    rootless: newUser,
    rootMode: /cannot make a time namespace: Operation not permitted/,
    why: 'a sandbox is made of them; what is inside cannot make any, by its filter',
  },
  {
    setting: 'RestrictNamespaces=user mnt pid net ipc uts cgroup',
    rootless: 'works',
    rootMode: 'works',
    why: 'all that systemd knows: the same as none',
  },
  {
    setting: 'CapabilityBoundingSet=',
    rootless: 'works',
    rootMode: /cannot make a time namespace: Operation not permitted/,
    why: 'a rootless vial needs none; root mode needs root',
  },
  { setting: 'SystemCallArchitectures=native', rootless: 'works', rootMode: 'works', why: theSame },
  {
    setting: 'SystemCallFilter=@system-service',
    rootless: killed,
    rootMode: killed,
    why: 'lacks mounts and the host name; the payload gets a filter of the vial',
  },
  {
    setting: 'SystemCallFilter=@system-service @mount sethostname setdomainname',
    rootless: 'works',
    rootMode: 'works',
    why: 'what the vial calls, and most services',
  },
  {
    setting: 'RestrictAddressFamilies=AF_UNIX',
    rootless: /cannot bring the loopback device up/,
    rootMode: /cannot bring the loopback device up/,
    why: 'the loopback is brought up by a socket of AF_INET',
  },
  {
    setting: 'RestrictAddressFamilies=AF_UNIX AF_INET',
    rootless: 'works',
    rootMode: 'works',
    why: 'and AF_INET6, if the payload needs it',
  },
  {
    setting: 'TasksMax=2',
    rootless: /cannot start the payload: Resource temporarily unavailable/,
    why: "two are the vial's: its monitor and its pid 1",
  },
  { setting: 'TasksMax=3', rootless: 'works', why: 'the payload, alone' },
]

/** The table of docs/services.md. */
export function settingsTable(): string {
  const word = (one: UnitSetting['rootless'] | undefined) =>
    one === undefined ? '' : one === 'works' ? 'works' : '**breaks**'
  return [
    '| setting of the unit | rootless | root mode | |',
    '| --- | --- | --- | --- |',
    ...unitSettings.map(
      ({ setting, rootless, rootMode, why }) => `| \`${setting}\` | ${word(rootless)} | ${word(rootMode)} | ${why} |`,
    ),
    '',
  ].join('\n')
}
