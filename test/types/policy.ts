/** Wrong policies do not type-check: the compiler fails where an error below is missing. */
import { type FilesystemEntry, type Policy, sandbox } from '../../src/index.js'

export const good: Policy[] = [
  {},
  { preset: 'system', filesystem: [{ bind: '/a' }, { tmpfs: '/b', size: '64M' }, { proc: '/proc' }] },
  { fill: { program: ['python3', 'sh'] }, namespaces: { time: { boottime: 5 }, net: { pid: 1 }, uts: { path: 'x' } } },
  { rlimits: { nofile: 256, as: { soft: '1G', hard: 'unlimited' } }, capabilities: ['CAP_NET_RAW'], network: 'host' },
  {
    limits: {
      memory: '256MiB',
      swap: '1.05G',
      wallTime: '500ms',
      cpuTime: '1.5h',
      output: '4096',
      disk: { size: 2 ** 20 },
    },
  },
  { preset: 'system', network: 'private' },
  { identity: { uid: 0, ranges: 'subids' }, env: { set: { A: '1' }, inherit: true }, session: 'host', init: 'payload' },
]

/** An entry by itself is as strict. */
export const entries: FilesystemEntry[] = [
  { bind: '/a', writable: true },
  // @ts-expect-error two kinds at once
  { bind: '/a', proc: '/proc' },
]

export const wrong: Policy[] = [
  // @ts-expect-error no such key
  { colour: 'red' },
  // @ts-expect-error no such preset
  { preset: 'everything' },
  // @ts-expect-error no kind
  { filesystem: [{}] },
  // @ts-expect-error no such kind
  { filesystem: [{ mount: '/a' }] },
  // @ts-expect-error two kinds at once
  { filesystem: [{ bind: '/a', tmpfs: '/b' }] },
  // @ts-expect-error a key of another kind
  { filesystem: [{ bind: '/a', size: '64M' }] },
  // @ts-expect-error a key of another kind
  { filesystem: [{ tmpfs: '/a', writable: true }] },
  // @ts-expect-error the place is text
  { filesystem: [{ bind: 5 }] },
  // @ts-expect-error a flag is no text
  { filesystem: [{ bind: '/a', writable: 'yes' }] },
  // @ts-expect-error an upper layer has its work directory
  { filesystem: [{ overlay: '/a', lower: ['/b'], upper: { upper: '/c' } }] },
  // @ts-expect-error no such namespace
  { namespaces: { network: 'new' } },
  // @ts-expect-error no such setting
  { namespaces: { net: 'old' } },
  // @ts-expect-error offsets are of the time namespace
  { namespaces: { net: { boottime: 1 } } },
  // @ts-expect-error not a network
  { network: 'bridge' },
  // @ts-expect-error a number, not its digits
  { identity: { uid: '0' } },
  // @ts-expect-error no such resource
  { rlimits: { files: 5 } },
  // @ts-expect-error no such capability
  { capabilities: ['CAP_EVERYTHING'] },
  // @ts-expect-error a variable is text
  { env: { set: { A: 1 } } },
  // @ts-expect-error all or a list, not none
  { env: { inherit: false } },
  // @ts-expect-error a size has no blank
  { filesystem: [{ tmpfs: '/a', size: '256 MB' }] },
  // @ts-expect-error nor other units
  { limits: { memory: '256 megabytes' } },
  // @ts-expect-error a time's unit is s
  { limits: { wallTime: '5sec' } },
  // @ts-expect-error a time is no size
  { limits: { cpuTime: '64M' } },
  // @ts-expect-error no such word
  { rlimits: { as: 'infinite' } },
  // @ts-expect-error a misspelt kind
  { filesystem: [{ bnd: '/a' }] },
  // @ts-expect-error a misspelt key of a kind
  { filesystem: [{ bind: '/a', wriable: true }] },
  // @ts-expect-error two kinds at once
  { filesystem: [{ file: '/a', content: '', directory: '/a' }] },
  // @ts-expect-error a kind without what it needs
  { filesystem: [{ symlink: '/a' }] },
  // @ts-expect-error two ways to name a namespace
  { namespaces: { net: { pid: 1, path: 'x' } } },
  // @ts-expect-error a namespace to join has no offsets
  { namespaces: { time: { pid: 1, boottime: 5 } } },
  // @ts-expect-error a misspelt offset
  { namespaces: { time: { boottme: 5 } } },
  // @ts-expect-error soft has its hard
  { rlimits: { as: { soft: '1G' } } },
  // @ts-expect-error a misspelt limit
  { limits: { memry: '64M' } },
  // @ts-expect-error one of a union's own keys is misspelt
  { limits: { disk: { siz: '64M' } } },
  // @ts-expect-error two actions at once
  { seccomp: { default: { errno: 'EPERM', trace: 1 }, rules: [] } },
  // @ts-expect-error no such error
  { seccomp: { default: { errno: 'EPRM' }, rules: [] } },
  // @ts-expect-error two comparisons at once
  { seccomp: { default: 'allow', rules: [{ calls: ['read'], when: [{ arg: 0, eq: 1, ne: 2 }], do: 'log' }] } },
  // @ts-expect-error fill names a program
  { fill: {} },
]

export function misused(): void {
  // @ts-expect-error a command
  void sandbox({}).run()
  // @ts-expect-error arguments are a list
  void sandbox({}).run('ls', '-l')
  // @ts-expect-error a policy is no text
  void sandbox('system')
  // @ts-expect-error a time is a number of milliseconds
  void sandbox({}).run('ls', [], { timeout: '5s' })
  // @ts-expect-error nor does it pass as a value
  void sandbox({ filesystem: [{ symlink: '/a', to: 'b', from: 'c' }] })
}
