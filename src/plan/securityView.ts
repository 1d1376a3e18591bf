/** A plan, and the questions that are asked of it to say what stands between the payload and the host. */
import { join } from 'node:path'
import { PROGRAMS } from '../fill/system.js'
import type { AnySyscallName } from '../kernel/abis.js'
import type { CapabilityName } from '../kernel/capabilities.js'
import type { NamespaceName } from '../kernel/namespaces.js'
import { isWithin } from '../policy/path.js'
import { letsThrough } from '../seccomp/answer.js'
import { type Plan, stepsOf } from './plan.js'
import type { Step, StepKind } from './step.js'

/** What the plan does not show: who holds the sandbox to the limits of its policy. */
export interface Beside {
  /** Limits, and who holds the sandbox to each. */
  readonly limits?: readonly HeldLimit[]
}
export interface HeldLimit {
  /** The limit's key. */
  readonly name: string
  /** Its value, as text. */
  readonly value: string
  /** `none`: nothing does. */
  readonly by: string
}

/** Says what stands where the condition holds, and else what is open. */
export type Say = (condition: unknown, stands: string, open?: string) => void
/** One kind of attack, and what is said of it. */
export type Judgement = readonly [attack: string, judge: (view: View, say: Say, beside: Beside) => void]

export const list = (places: readonly string[]) => places.join(', ')

/** A place of a plan as a path inside. */
export const place = (path: string) => (path === '.' ? '/' : `/${path}`)

/** As `Step<Kind>`, in a form that narrows. */
type StepOf<Kind extends StepKind> = Extract<Step, { do: Kind }>

export class View {
  readonly steps: readonly Step[]
  constructor(readonly plan: Plan) {
    this.steps = Object.values(stepsOf(plan)).flat()
  }
  all<Kind extends StepKind>(kind: Kind): StepOf<Kind>[] {
    return this.steps.filter((step): step is StepOf<Kind> => step.do === kind)
  }
  first<Kind extends StepKind>(kind: Kind): StepOf<Kind> | undefined {
    return this.all(kind)[0]
  }
  makes(namespace: NamespaceName): boolean {
    return this.plan.world.clone.namespaces.includes(namespace)
  }
  /** Descriptors of the sandbox itself, which the payload does not get. */
  get own(): readonly (number | undefined)[] {
    const watched = [...this.all('cpuTime'), ...this.all('watchMemory')].map(({ fd }) => fd)
    return [this.plan.start.statusFd, ...watched, ...(this.first('enterGroup')?.group.fds ?? [])]
  }
  /** Why a namespace is not the sandbox's own. */
  notOwn(namespace: NamespaceName): string {
    const joined = this.all('join').find((step) => step.namespace === namespace)
    return joined === undefined ? "the host's" : `that of ${joined.from}`
  }
  /** A system call filter, of whatever kind: `what` says which. */
  get filter(): Step | undefined {
    return this.steps.find(({ do: kind }) => ['filter', 'seccomp'].includes(kind))
  }
  /** Whether the filter lets a call through, by the machine's own numbers; of one that came by a descriptor nothing is known. */
  lets(name: AnySyscallName, ...args: readonly (number | bigint)[]): boolean {
    const filter = this.first('filter')
    return filter === undefined || letsThrough(filter.program, name, args)
  }
  /** What is shown of the host: each bind but those of single device nodes. */
  get shown(): readonly (StepOf<'bind'> | StepOf<'rootBind'>)[] {
    return [...this.all('bind'), ...this.all('rootBind')].filter(({ flags }) => flags.nodev)
  }
  /** Where it is shown, inside. */
  at(step: StepOf<'bind'> | StepOf<'rootBind'>): string {
    return step.do === 'rootBind' ? '/' : place(step.place.path)
  }
  /** Binds with the host's own /proc, where no other proc is mounted over it. */
  get hostProc(): readonly (StepOf<'bind'> | StepOf<'rootBind'>)[] {
    const covered = this.all('mount').flatMap((step) => (step.type === 'proc' ? [place(step.place.path)] : []))
    return this.shown.filter((step) => {
      if (typeof step.source !== 'string') return false
      if (step.source === '/') return step.recursive && !covered.includes(join(this.at(step), 'proc'))
      return step.source === '/proc' || step.source.startsWith('/proc/')
    })
  }
  /** Binds outside of where a system has its programs: services have their sockets there. */
  get elsewhere(): readonly (StepOf<'bind'> | StepOf<'rootBind'>)[] {
    const quiet = [...PROGRAMS, '/etc', '/proc', '/sys']
    return this.shown.filter(
      ({ source }) => typeof source !== 'string' || !quiet.some((place) => isWithin(source, place)),
    )
  }
  get kept(): readonly CapabilityName[] | undefined {
    const keep = this.first('capabilities')?.keep
    return keep === undefined || 'without' in keep ? undefined : keep
  }
  get rootMode(): boolean {
    return this.first('newUser') === undefined && this.all('join').every(({ namespace }) => namespace !== 'user')
  }
  get landlock(): string {
    return this.first('landlock')?.required ? 'Landlock' : 'Landlock, where the kernel has it'
  }
}
