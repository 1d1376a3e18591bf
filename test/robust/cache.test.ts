/** The cache: full, not ours, tampered with, on a noexec mount, and used by many at once. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { callers, ordinary, root, workDirectory } from '../support/user.js'

/** Enough for `echo`, and quicker to compile than the preset. */
const plain: Policy = {
  filesystem: [
    { bind: '/usr' },
    ...['bin', 'lib', 'lib64'].map((name) => ({ symlink: `/${name}`, to: `usr/${name}` })),
  ],
}
const isRoot = process.getuid?.() === 0

for (const caller of callers) {
  describe(`the cache of ${caller.name}`, () => {
    const own = (path: string) => isRoot && chownSync(path, caller.uid, caller.gid)
    const other = caller.uid === 0 ? ordinary : root

    test('a directory that is not safe is refused, and the error says what to do', async () => {
      const base = workDirectory(caller, 'unsafe')
      const directories: Record<string, RegExp> = {
        writable: /others can write to .*writable: chmod o-w/,
        'writable/below': /others can write to .*writable: chmod o-w/,
        file: /is not a directory/,
        'file/below': /is not a directory/,
        ...(isRoot ? { foreign: /foreign belongs to another user/ } : {}),
        // An ordinary user trusts root, and cannot write there.
        ...(caller.uid === 0 ? { 'foreign/below': /foreign belongs to another user/ } : {}),
        ...(caller.uid === 0 ? {} : { readonly: /Permission denied/ }),
      }
      for (const name of ['writable', 'foreign', 'readonly']) mkdirSync(join(base, name), { mode: 0o700 })
      writeFileSync(join(base, 'file'), '')
      for (const name of ['writable', 'readonly', 'file']) own(join(base, name))
      chmodSync(join(base, 'writable'), 0o777)
      chmodSync(join(base, 'readonly'), 0o500)
      if (isRoot) chownSync(join(base, 'foreign'), other.uid, other.gid)
      const told = await evaluate(
        caller,
        async ({ sandbox }, { base, names }) => {
          const told: string[] = []
          for (const name of names) {
            process.env.VIAL_CACHE = `${base}/${name}`
            for (const attempt of [() => sandbox({}).compile(), () => sandbox({}).run('x')])
              told.push(
                await attempt().then(
                  () => 'done',
                  (error) => error.message,
                ),
              )
          }
          return told
        },
        { base, names: Object.keys(directories) },
      )
      Object.entries(directories).forEach(([name, reason], index) => {
        for (const message of told.slice(2 * index, 2 * index + 2)) {
          assert.match(message, /^(the vial|a status file) cannot be stored in .*\n +set VIAL_CACHE to /, name)
          assert.match(message, reason, name)
        }
      })
    })

    test('a vial that was tampered with is never executed', async () => {
      const directory = workDirectory(caller, 'tampered')
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { directory, policy }) => {
          const fs = await import('node:fs')
          const evil = '#!/bin/sh\necho evil\n'
          const again = async () => {
            const one = sandbox(policy)
            return [await one.compile(), (await one.run('echo', ['good'])).stdout].join(' ')
          }
          const good = await again()
          const files = fs.readdirSync(directory).map((name) => `${directory}/${name}`)
          const bytes = files.map((file) => fs.readFileSync(file))
          const replace = (content: (genuine: Buffer) => Buffer | string, mode: number) =>
            files.forEach((file, index) => {
              fs.rmSync(file)
              fs.writeFileSync(file, content(bytes[index]!))
              fs.chmodSync(file, mode)
            })
          const tamper = {
            other: () => replace(() => evil, 0o500),
            longer: () => replace((genuine) => Buffer.concat([genuine, Buffer.from('x')]), 0o500),
            shorter: () => replace((genuine) => genuine.subarray(0, -1), 0o500),
            changed: () => replace((genuine) => Buffer.from(genuine).fill(0x90, 5000, 5001), 0o500),
            empty: () => replace(() => '', 0o500),
            'other and writable': () => replace(() => evil, 0o777),
            writable: () => replace((genuine) => genuine, 0o700),
            setuid: () => replace((genuine) => genuine, 0o4500),
            link: () =>
              files.forEach((file) => {
                fs.writeFileSync(`${directory}/../evil`, evil, { mode: 0o755 })
                fs.rmSync(file)
                fs.symlinkSync('../evil', file)
              }),
          }
          const wrong: string[] = []
          for (const [name, change] of Object.entries(tamper)) {
            change()
            if ((await again()) !== good) wrong.push(`${name}: executed`)
            files.forEach((file, index) => {
              if ((fs.lstatSync(file).mode & 0o170777) !== 0o100500) wrong.push(`${name}: mode`)
              if (!fs.readFileSync(file).equals(bytes[index]!)) wrong.push(`${name}: bytes`)
            })
          }
          return { wrong, good, left: fs.readdirSync(directory).length, files: files.length }
        },
        { directory, policy: plain },
        { env: { VIAL_CACHE: directory } },
      )
      assert.match(seen.good, / good\n$/)
      assert.deepEqual([seen.wrong, seen.left, seen.files], [[], 2, 2])
    })

    test("another user's file in its place is replaced", { skip: isRoot ? false : 'needs root' }, async () => {
      const directory = workDirectory(caller, 'replaced')
      const compile = () =>
        evaluate(caller, ({ sandbox }, policy) => sandbox(policy).compile(), plain, { env: { VIAL_CACHE: directory } })
      const path = await compile()
      chownSync(path, other.uid, other.gid)
      assert.equal(await compile(), path)
      assert.deepEqual([statSync(path).uid, statSync(path).mode & 0o7777], [caller.uid, 0o500])
    })

    test('six processes store the same vials at once', async () => {
      const directory = workDirectory(caller, 'together')
      const answers = await Promise.all(
        Array.from({ length: 6 }, () =>
          evaluate(
            caller,
            async ({ sandbox }, policy) => {
              const { rmSync } = await import('node:fs')
              const said = []
              for (let round = 0; round < 9; round++) {
                const one = sandbox({ ...policy, hostname: `h${round % 3}` })
                // Another process empties the cache meanwhile.
                if (round % 4 === 3) rmSync(await one.compile(), { force: true })
                said.push((await one.run('uname', ['-n'])).stdout.trim())
              }
              return said.join(' ')
            },
            plain,
            { env: { VIAL_CACHE: directory } },
          ),
        ),
      )
      assert.deepEqual([...new Set(answers)], [Array(3).fill('h0 h1 h2').join(' ')])
      for (const name of readdirSync(directory)) assert.match(name, /^[0-9a-f]{40}$/)
    })
  })
}

describe('a cache on a mount of its own', { skip: isRoot ? false : 'needs root' }, () => {
  /** In a mount namespace that ends with it, so that nothing is left. */
  const wrapped = (options: string, directory: string, uid: number) => {
    const drop = uid === 0 ? 'exec "$@"' : `exec setpriv --reuid ${uid} --regid ${uid} --clear-groups "$@"`
    return [
      'unshare',
      '-m',
      'sh',
      '-c',
      `mount -t tmpfs -o ${options},uid=${uid},gid=${uid},mode=700 none ${directory} && ${drop}`,
      'sh',
    ]
  }
  const attempt = async (caller: typeof root, options: string) => {
    const directory = workDirectory(caller, 'mounted')
    return evaluate(
      caller,
      async ({ sandbox }, { directory, policy }) => {
        const { readdirSync } = await import('node:fs')
        const told = []
        for (const attempt of [() => sandbox(policy).compile(), () => sandbox(policy).run('true')])
          told.push(
            await attempt().then(
              () => 'done',
              (error) => error.message as string,
            ),
          )
        return { told, left: readdirSync(directory) }
      },
      { directory, policy: plain },
      { env: { VIAL_CACHE: directory }, wrapper: wrapped(options, directory, caller.uid) },
    )
  }

  for (const caller of callers) {
    test(`full, by ${caller.name}`, async () => {
      for (const options of ['size=4096', 'nr_inodes=1']) {
        const { told, left } = await attempt(caller, options)
        for (const message of told)
          assert.match(
            message,
            /^(the vial|a status file) cannot be stored in .*: No space left on device\n +set VIAL_CACHE to /,
          )
        assert.deepEqual(left, [])
      }
    })

    test(`noexec, by ${caller.name}`, async () => {
      const { told } = await attempt(caller, 'noexec')
      assert.equal(told[0], 'done')
      assert.match(
        told[1]!,
        /^cannot start the vial: Permission denied\n +the cache may be mounted noexec: set VIAL_CACHE/,
      )
    })

    test(`read-only, by ${caller.name}`, async () => {
      const { told } = await attempt(caller, 'ro')
      for (const message of told)
        assert.match(
          message,
          /^(the vial|a status file) cannot be stored in .*: Read-only file system\n +set VIAL_CACHE to /,
        )
    })
  }
})
