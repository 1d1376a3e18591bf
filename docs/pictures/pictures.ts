/** The pictures of how-it-works.md, drawn from what the compiler makes of one policy. */
import { type Compiled, compile } from '../../src/compile/compile.js'
import { launch } from '../../src/launcher/launch.js'
import type { Instruction, Program } from '../../src/machine/instruction.js'
import { type Plan, stepsOf } from '../../src/plan/plan.js'
import type { Step } from '../../src/plan/step.js'
import { visiblePlaces } from '../../src/policy/visible.js'
import { type Colour, type Line, Picture, type Theme, width } from './draw.js'

const policy = {
  filesystem: [
    { bind: '/usr' },
    { bind: '/work', from: '/home/me/project', writable: true },
    { tmpfs: '/tmp' },
    { proc: '/proc' },
  ],
  hostname: 'elsewhere',
}
const architecture = 'x64'

interface Facts {
  readonly compiled: Compiled
  readonly plan: Plan
  readonly program: Program
}
/** As of the command and the library. */
export function factsOf(): Facts {
  const compiled = compile(policy, { architecture, descriptors: { status: 1 } })
  return { compiled, plan: compiled.plan, program: launch(compiled.plan, architecture).program }
}

const only = <Value>(value: Value | undefined, what: string): Value => {
  if (value === undefined) throw new Error(`the plan has no ${what}`)
  return value
}
const stepOf = (steps: readonly Step[], kind: Step['do'], part = ''): Step =>
  only(
    steps.find((step) => step.do === kind && step.what.includes(part)),
    `${kind} ${part}`,
  )

const title = (text: string, rest: string): Line[] => [
  { text, bold: true },
  { text: rest, colour: 'faint' },
]
const code = (text: string, colour: Colour = 'text'): Line => ({ text, mono: true, colour })

function pipeline({ compiled, plan, program }: Facts, theme: Theme): string {
  const picture = new Picture('policy, plan, program, vial, sandbox', theme)
  const wide = width - 8
  const named = stepOf(stepsOf(plan).init, 'hostname')
  const number = compiled.steps.indexOf(
    only(
      compiled.steps.find(({ what }) => what === named.what),
      'host name',
    ),
  )
  const steps = [
    stepOf(stepsOf(plan).monitor, 'newUser'),
    stepOf(stepsOf(plan).init, 'bind', '/usr'),
    named,
    stepOf(stepsOf(plan).init, 'capabilities'),
  ]
  const boxes: readonly (readonly [lines: readonly Line[], after: string])[] = [
    [
      [
        ...title('Policy', 'what you want'),
        code('{ "filesystem": [{ "bind": "/usr" }, …],'),
        code(`  "hostname": "${policy.hostname}" }`, 'accent'),
      ],
      'is checked; presets and fill become entries',
    ],
    [
      [
        ...title('Plan', `${compiled.steps.length} steps, each with a reason`),
        ...steps.map((step) => code(step.what, step === named ? 'accent' : 'text')),
      ],
      'each step becomes instructions',
    ],
    [
      [
        ...title('Program', 'system calls, moves, branches, loops'),
        code(`step ${number}`),
        code(shown(callOf(program, 'sethostname'), program), 'accent'),
        code('  or else say that step and end'),
      ],
      'is encoded, for x86-64 or arm64',
    ],
    [
      [
        ...title('Vial', 'a static executable of a few kilobytes'),
        code(`${hex(compiled.bytes.slice(0, 10))} …`),
        code(`… ${hex(callBytes(compiled.bytes))} …`, 'accent'),
      ],
      'is executed, as often as you like',
    ],
    [
      [
        ...title('Sandbox', 'three processes, no daemon'),
        code('monitor → init → the command'),
        code('$ uname -n'),
        code(policy.hostname, 'accent'),
      ],
      '',
    ],
  ]
  let y = 4
  for (const [lines, after] of boxes) {
    const end = picture.box(4, y, wide, lines)
    y = end
    if (after === '') continue
    y += 40
    picture.down(30, end, y, after)
  }
  return picture.svg(y + 4)
}

type Call = Extract<Instruction, { op: 'syscall' }>
const callOf = ({ instructions }: Program, name: Call['name']): Call =>
  only(
    instructions.find((one): one is Call => one.op === 'syscall' && one.name === name),
    name,
  )

/** With the texts that its arguments are addresses of. */
function shown({ name, args }: Call, { constants }: Program): string {
  const words = args.map((argument, index) => {
    if (typeof argument !== 'object') return String(argument)
    if (argument.kind !== 'address') return argument.kind
    const length = Number(args[index + 1])
    return JSON.stringify(Buffer.from(constants.slice(argument.offset, argument.offset + length)).toString())
  })
  return `${name}(${words.join(', ')})`
}

const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')

/** `push 9; pop rsi; mov eax, 170`, the length of the name and the number of sethostname: in the executable, as all in the picture. */
function callBytes(bytes: Uint8Array): Uint8Array {
  const call = Buffer.from([0x6a, policy.hostname.length, 0x5e, 0xb8, 170, 0, 0, 0])
  if (!Buffer.from(bytes).includes(call)) throw new Error('the vial does not call sethostname like this')
  return call
}

function processes({ plan }: Facts, theme: Theme): string {
  const picture = new Picture('processes, namespaces, groups and descriptors of one run', theme)
  const fact = (name: string, text: string): Line[] => [
    { text: name, colour: 'faint' },
    { text, indent: 12 },
  ]
  const keep = (stepOf(stepsOf(plan).monitor, 'closeFds') as Extract<Step, { do: 'closeFds' }>).keep
  const made = stepsOf(plan).monitor.flatMap((step) =>
    step.do === 'newUser' ? ['user'] : step.do === 'newTime' ? ['time'] : [],
  )
  const late = stepsOf(plan).init.some((step) => step.do === 'loopback' && step.enter)
  const cloned = plan.world.clone.namespaces.filter((name) => !(late && name === 'net'))
  const walls = stepsOf(plan).payload.flatMap((step) =>
    step.do === 'landlock' ? ['Landlock'] : step.do === 'filter' ? ['a seccomp filter'] : [],
  )
  stepOf(stepsOf(plan).payload, 'session')
  const boxes: readonly (readonly [Line[], Colour, string])[] = [
    [
      [
        { text: 'caller', bold: true },
        { text: 'a shell, Node.js, systemd', colour: 'faint' },
        ...fact('namespaces', "the host's"),
        ...fact('descriptors', 'what it has'),
      ],
      'line',
      'starts the vial; signals go this way',
    ],
    [
      [
        { text: 'monitor', bold: true },
        { text: 'outside: waits, hands signals on, reports', colour: 'faint' },
        ...fact('namespaces', `the host's, and a new ${made.join(' and ')} one`),
        ...fact('process group', "its own; the caller's if started by hand"),
        ...fact('descriptors', `${keep.filter((fd) => fd <= 2).join(', ')}, and one for its report`),
      ],
      'line',
      `clone: new ${cloned.slice(0, 3).join(', ')}, …`,
    ],
    [
      [
        { text: 'init', bold: true },
        { text: 'pid 1 inside: builds all, then reaps', colour: 'faint' },
        ...fact('namespaces', `new: ${[...made, ...plan.world.clone.namespaces].slice(0, 4).join(', ')},`),
        { text: [...made, ...plan.world.clone.namespaces].slice(4).join(', '), indent: 12 },
        ...fact('process group', 'its own'),
        ...fact('capabilities', 'none, once the root is built'),
      ],
      'accent',
      'fork; exit statuses go back up',
    ],
    [
      [
        { text: 'payload', bold: true },
        { text: 'pid 2 inside: the command', colour: 'faint' },
        ...fact('session and process group', 'its own'),
        ...fact('descriptors', '0, 1, 2'),
        ...fact('behind', `no_new_privs, ${walls.join(', ')}`),
      ],
      'accent',
      '',
    ],
  ]
  let y = 4
  boxes.forEach(([lines, colour, after], index) => {
    const end = picture.box(4, y, width - 8, lines, colour)
    y = end
    if (after === '') return
    y += 40
    picture.down(30, end, y, after)
    // Where the sandbox begins.
    if (index === 1) picture.path(`M4 ${y - 6}H22M38 ${y - 6}H${width - 4}`, 'accent', true)
  })
  return picture.svg(y + 4)
}

function mounts({ compiled, plan }: Facts, theme: Theme): string {
  const picture = new Picture('how the root is built', theme)
  const places = only(visiblePlaces(compiled.policy, '/'), 'view')
  const wide = width - 8
  const isolated = stepOf(stepsOf(plan).init, 'isolateMounts')
  const empty = stepOf(stepsOf(plan).init, 'rootTmpfs')
  const numbered = (text: string, rest: string): Line[] => [
    { text, bold: true },
    { text: rest, colour: 'faint' },
  ]
  let y = picture.box(4, 4, wide, [
    ...numbered(`1. ${isolated.what}`, isolated.why),
    ...numbered(`2. ${empty.what}`, empty.why),
    { text: '3. attach what the policy names:', bold: true },
  ])
  // The host's tree on the left, the new one on the right, an arrow for each mount.
  const binds = places.filter(({ shows }) => shows.endsWith(' of the host'))
  const from = (shows: string) => shows.replace(/ of the host$/, '')
  const rows = places.filter(({ place }) => place !== '/')
  const top = y + 24
  picture.frame(4, top - 8, 176, (rows.length + 1) * 30 + 8, 'line')
  picture.frame(244, top - 8, width - 248, (rows.length + 1) * 30 + 8, 'accent')
  picture.text(16, top + 12, { text: "the host's /", bold: true })
  picture.text(256, top + 12, { text: 'the new /', bold: true })
  rows.forEach((row, index) => {
    const at = top + 12 + (index + 1) * 30
    const writable = row.access === 'writable'
    const colour = writable ? 'writable' : 'accent'
    picture.text(256, at, { text: row.place, mono: true, colour })
    if (binds.includes(row)) {
      picture.text(16, at, { text: from(row.shows), mono: true }, 160)
      picture.right(`M184 ${at - 5}H236`, [242, at - 5], colour)
    } else picture.text(310, at, { text: 'its own', colour: 'faint' }, 84)
  })
  y = top + (rows.length + 1) * 30 + 8
  picture.text(16, y + 12, { text: 'read-only', colour: 'accent' })
  picture.text(96, y + 12, { text: 'writable', colour: 'writable' })
  picture.text(166, y + 12, { text: 'not listed: not there', colour: 'faint' })
  y += 30
  const sealed = stepOf(stepsOf(plan).init, 'sealRoot')
  const pivot = stepOf(stepsOf(plan).init, 'pivot')
  const end = picture.box(4, y, wide, [
    ...numbered(`4. ${sealed.what}`, sealed.why),
    { text: `5. ${pivot.what}`, bold: true },
    code('pivot_root(".", ".")'),
    { text: 'the new root is /, the old lies upon it', indent: 12, colour: 'faint' },
    code('umount2(".", MNT_DETACH)'),
    { text: 'the old root is gone, and no path leads back', indent: 12, colour: 'faint' },
  ])
  return picture.svg(end + 4)
}

/** Each by the name of its file. */
export const pictures = { pipeline, processes, mounts } as const
