/** The phases in which a sandbox is made: each is what a specification asks for on one matter. */
import { entrantPhases } from './entrantPhases.js'
import type { Making } from './making.js'
import { startPhases } from './startPhases.js'
import { worldPhases } from './worldPhases.js'

/** A face says in which part of a plan they come, and in which order. */
export const phases = { ...worldPhases, ...entrantPhases, ...startPhases } satisfies Record<string, Making>
/** The mounts are one too: filesystemSteps.ts. */
export type Phase = keyof typeof phases | 'mounts'
export const phaseNames = [...Object.keys(phases), 'mounts'] as readonly Phase[]
