import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import test from 'node:test'
import { type Abi, abiFacts, abiSyscalls } from '../../src/kernel/abis.js'

/** Headers of the other ABIs, and what their compiler would define. */
const headers: Partial<Record<Abi, { header: string; flags: readonly string[]; base: string }>> = {
  i386: { header: '/usr/include/x86_64-linux-gnu/asm/unistd_32.h', flags: [], base: '' },
  x32: {
    header: '/usr/include/x86_64-linux-gnu/asm/unistd_x32.h',
    flags: ['-D__X32_SYSCALL_BIT=0x40000000'],
    base: '',
  },
  arm32: {
    header: '/usr/arm-linux-gnueabihf/include/asm/unistd.h',
    flags: ['-nostdinc', '-D__ARM_EABI__', '-I/usr/arm-linux-gnueabihf/include'],
    base: '__ARM_NR_',
  },
}
/** The newest that Linux 6.1's headers know, and x64's own later ones, which x32 shares. */
const newest = 450
const newerNames = ['uretprobe', 'uprobe']

for (const [abi, { header, flags, base }] of Object.entries(headers) as [Abi, (typeof headers)['i386'] & object][]) {
  const skip = existsSync(header) && existsSync('/usr/bin/gcc') ? {} : { skip: `${header} or gcc is not installed` }
  test(`system calls are those of the ${abi} header, each of them`, skip, () => {
    const ours = abiSyscalls(abi)
    const names = new Set(
      [
        ...execFileSync('gcc', ['-E', '-dM', ...flags, '-include', header, '-x', 'c', '/dev/null'], {
          encoding: 'utf8',
        }).matchAll(new RegExp(`^#define (?:__NR_${base === '' ? '' : `|${base}`})(\\w+)`, 'gm')),
      ]
        .map((match) => match[1]!)
        .filter((name) => !['SYSCALL_BASE', 'SYSCALL_MASK', 'OABI_SYSCALL_BASE', 'BASE'].includes(name)),
    )
    // Expanded by the preprocessor, and added up here.
    const asked = [...names].map((name) => `@ ${name} ${base !== '' && !ours.has(name) ? name : `__NR_${name}`}`)
    const text = execFileSync('gcc', ['-E', '-P', ...flags, '-include', header, '-x', 'c', '-'], {
      input: asked.join('\n'),
      encoding: 'utf8',
    })
    const found = new Map(
      [...text.matchAll(/^@ (\w+) (.+)$/gm)].map(([, name, sum]) => [
        name!,
        sum!
          .replace(/[()]/g, '')
          .split('+')
          .reduce((all, part) => all + Number(part.trim()), 0),
      ]),
    )
    assert.ok(found.size > 340)
    const wrong = [...found].filter(([name, number]) => Number.isFinite(number) && ours.get(name) !== number)
    assert.deepEqual(wrong, [])
    const unknown = [...ours].filter(
      ([name, number]) =>
        !found.has(name) &&
        number - abiFacts[abi].base <= newest &&
        number < 0xf0000 === (abi !== 'x32') &&
        !newerNames.includes(name),
    )
    assert.deepEqual(unknown, [])
  })
}
