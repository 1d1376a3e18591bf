/** The requests that come to filer.ts, one after another: as many as are read at once. */
import { copyMemory } from '../assembly/memory.js'
import { routine } from '../assembly/routine.js'
import { own, variables } from '../assembly/variables.js'
import type { Slot } from '../machine/instruction.js'
import type { Filer } from './filesAssembler.js'
import { type FilesField, filesAnswer, filesRequest, toEnd } from './filesCall.js'
import { answer, flush } from './filesOutput.js'

const inputSize = 1 << 17

const input = own(({ b }: Filer) => b.reserve(inputSize))
/** What has come and is not yet served. `data`: how much of the request's is still to be taken. */
const state = variables('at', 'end', 'data')
const fields = variables('operation', 'flags', 'mode', 'limit', 'entries', 'directory', 'name', 'toDirectory', 'to')

export const field = ({ b }: Filer, name: 'operation' | 'flags' | 'mode' | 'limit' | 'entries'): Slot => fields(b)[name]

/** A text of the request, until its data is taken. */
export const text = ({ b }: Filer, name: (typeof filesRequest.texts)[number]): Slot => fields(b)[name]

/** Waits for a request with its texts; ends the process where there is none, or none that can be. */
export const receiveRequest = routine('receiveRequest', {}, (c: Filer) => {
  const { b } = c
  const { at, end, data } = state(b)
  const [have, wanted, length, place] = b.temporaries(4)
  b.loop(({ leave }) => {
    b.compute(have, end, 'sub', at)
    b.move(wanted, filesRequest.size)
    b.when(have, 'ge', wanted, () => {
      for (const name of filesRequest.texts) {
        b.load(length, 64, at, filesRequest.offset(name))
        b.when(length, 'gt', filesRequest.longest, () => c.exit(2))
        b.compute(wanted, wanted, 'add', length)
      }
      b.when(have, 'ge', wanted, leave)
    })
    flush(c, {})
    copyMemory(c, { to: input(c), from: at, length: have })
    b.move(at, input(c))
    b.compute(end, input(c), 'add', have)
    b.compute(length, inputSize, 'sub', have)
    c.attempt('read', 0, end, length)
    c.whenFailed(() => c.exit(2))
    b.when(c.result, 'eq', 0, () => c.exit(0))
    b.compute(end, end, 'add', c.result)
  })
  const slots = fields(b)
  for (const name of ['operation', 'flags', 'mode', 'limit', 'entries'] as const satisfies readonly FilesField[])
    b.load(slots[name], 64, at, filesRequest.offset(name))
  b.load(data, 64, at, filesRequest.offset('data'))
  b.compute(place, at, 'add', filesRequest.size)
  for (const name of filesRequest.texts) {
    b.load(length, 64, at, filesRequest.offset(name))
    b.move(slots[name], place)
    b.compute(place, place, 'add', length)
  }
  b.move(at, place)
})

/** The last answer. */
function endAll(c: Filer, status: Slot): void {
  answer(c, { kind: filesAnswer.end, status })
  flush(c, {})
  c.exit(0)
}

/** Writes the data of the request, or passes over what is left of it if `status` is -errno; the result is 0 or -errno. */
export const receiveData = routine('receiveData', { takes: ['to', 'status'] }, (c: Filer, { to, status }) => {
  const { b } = c
  const { at, end, data } = state(b)
  const part = b.temporary()
  b.loop(({ leave }) => {
    b.when(data, 'eq', 0, leave)
    // Where no end of it is known, no request is behind it.
    b.when(data, 'ge', toEnd >> 1n, () => b.when(status, 'ne', 0, () => endAll(c, status)))
    b.when(at, 'eq', end, () => {
      b.move(at, input(c))
      b.move(end, at)
      c.attempt('read', 0, at, inputSize)
      c.whenFailed(() => c.exit(2))
      b.when(c.result, 'eq', 0, () => {
        b.when(data, 'lt', toEnd >> 1n, () => c.exit(2))
        b.move(data, 0)
        leave()
      })
      b.compute(end, end, 'add', c.result)
    })
    b.compute(part, end, 'sub', at)
    b.when(part, 'gt', data, () => b.move(part, data))
    b.when(status, 'eq', 0, () => {
      c.attempt('write', to, at, part)
      c.whenFailed(
        () => b.move(status, c.result),
        () => b.move(part, c.result),
      )
    })
    b.compute(at, at, 'add', part)
    b.compute(data, data, 'sub', part)
  })
  b.move(c.result, status)
})
