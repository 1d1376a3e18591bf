/** What others cannot read is not shown because a file names it: the program that is filled may be a stranger's, its caller's files are not. */
import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { test } from 'node:test'
import { closure } from '../../src/fill/closure.js'
import { makeElf, withDirectory } from './tools.js'

/** Writes a file, and the directories above it, with these modes whatever the umask is. */
function write(file: string, content: string | Buffer, mode = 0o644): string {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, content)
  fs.chmodSync(file, mode)
  return file
}

const elf = makeElf({ type: 2 })
const library = makeElf({ soname: 'libkey.so' })

/** What of `directory` a program shows; or what is wrong. */
function shown(directory: string, program: string | string[], options = {}): string[] | string {
  try {
    return closure(program, options).flatMap((one) =>
      'bind' in one && one.bind.startsWith(directory) ? [one.bind] : [],
    )
  } catch (error) {
    return (error as Error).message
  }
}

/** Ways of a file into the closure of a program that lies in `tree`: each says of what kind the file is, and names it. */
const ways: Record<string, { content: string | Buffer; name: (tree: string, file: string) => string }> = {
  'a link in a directory of its language': {
    content: 'text',
    name: (tree, file) => {
      fs.mkdirSync(path.join(tree, 'lib/python3.9'), { recursive: true })
      fs.symlinkSync(file, path.join(tree, 'lib/python3.9/x.py'))
      return write(path.join(tree, 'bin/python3.9'), elf, 0o755)
    },
  },
  'a link to what is called a library': {
    content: 'text',
    name: (tree, file) => {
      fs.mkdirSync(path.join(tree, 'lib/python3.9'), { recursive: true })
      fs.symlinkSync(file, path.join(tree, 'lib/python3.9/x.so'))
      return write(path.join(tree, 'bin/python3.9'), elf, 0o755)
    },
  },
  DT_RUNPATH: {
    content: library,
    name: (tree, file) =>
      write(
        path.join(tree, 'bin/prog'),
        makeElf({ type: 2, needed: ['libkey.so'], runpath: path.dirname(file) }),
        0o755,
      ),
  },
  'DT_NEEDED with a path': {
    content: library,
    name: (tree, file) => write(path.join(tree, 'bin/prog'), makeElf({ type: 2, needed: [file] }), 0o755),
  },
  PT_INTERP: {
    content: elf,
    name: (tree, file) => write(path.join(tree, 'bin/prog'), makeElf({ type: 2, interpreter: file }), 0o755),
  },
  'the #! line': {
    content: elf,
    name: (tree, file) => write(path.join(tree, 'bin/prog'), `#!${file}\n`, 0o755),
  },
  'a linker script': {
    content: 'text',
    name: (tree, file) => {
      write(path.join(tree, 'lib/libc.so'), `GROUP ( ${file} )\n`)
      return write(path.join(tree, 'bin/x86_64-linux-gnu-gcc-9'), elf, 0o755)
    },
  },
}

for (const [way, { content, name }] of Object.entries(ways)) {
  test(`${way}: only what others can read`, () =>
    withDirectory((directory) => {
      // For root, a file can be executed if any user may execute it.
      for (const [mode, above, visible] of [
        [0o755, 0o755, true],
        [0o755, 0o711, true],
        [0o755, 0o700, false],
        [0o755, 0o750, false],
        [0o750, 0o755, false],
        [0o700, 0o755, false],
      ] as const) {
        const file = write(path.join(directory, `${mode}-${above}/below/libkey.so`), content, mode)
        const program = name(path.join(directory, `${mode}-${above}-tree`), file)
        fs.chmodSync(path.join(directory, `${mode}-${above}`), above)
        const seen = shown(directory, program)
        assert.equal(
          typeof seen !== 'string' && seen.includes(file),
          visible,
          `${mode.toString(8)} below ${above.toString(8)}`,
        )
      }
    }))
}

test('a directory in which a program lies that the caller named is no wall to what lies beside it', () =>
  withDirectory((directory) => {
    const home = path.join(directory, 'home')
    const program = write(
      path.join(home, 'tool/bin/prog'),
      makeElf({ type: 2, needed: ['libkey.so'], runpath: '$ORIGIN/../lib' }),
      0o755,
    )
    const file = write(path.join(home, 'tool/lib/libkey.so'), library)
    fs.chmodSync(home, 0o700)
    assert.deepEqual(shown(directory, program), [program, file])
    // Each directory that the program does not lie in counts, and the file itself.
    fs.chmodSync(path.dirname(file), 0o700)
    assert.match(String(shown(directory, program)), /needs .*libkey\.so: .*tool\/lib is closed to others.*chmod o\+rX/)
    fs.chmodSync(path.dirname(file), 0o755)
    fs.chmodSync(file, 0o600)
    assert.match(String(shown(directory, program)), /libkey\.so is closed to others/)
    // The program itself is what the caller asked for.
    fs.chmodSync(file, 0o644)
    fs.chmodSync(program, 0o700)
    assert.deepEqual(shown(directory, program), [program, file])
  }))

test("a language's directories beside the program are the caller's to show, whatever the umask was, but not through links", () =>
  withDirectory((directory) => {
    const home = path.join(directory, 'home')
    const program = write(path.join(home, 'env/bin/python3.9'), elf, 0o700)
    const module = write(path.join(home, 'env/lib/python3.9/os.py'), '', 0o600)
    for (const one of ['env/lib/python3.9', 'env/lib', 'env/bin', 'env', '.']) fs.chmodSync(path.join(home, one), 0o700)
    assert.deepEqual(shown(directory, program), [program, path.dirname(module)])
    const private_ = write(path.join(home, 'env/private/os.py'), '', 0o600)
    fs.chmodSync(path.dirname(private_), 0o700)
    fs.rmSync(path.dirname(module), { recursive: true })
    fs.symlinkSync('../private', path.dirname(module))
    assert.deepEqual(shown(directory, program), [program])
  }))

test('an interpreter that is closed to others is shown when it is named as well', () =>
  withDirectory((directory) => {
    const interpreter = write(path.join(directory, 'home/versions/bin/interpreter'), elf, 0o755)
    fs.chmodSync(path.join(directory, 'home'), 0o750)
    const program = write(path.join(directory, 'tree/bin/prog'), `#!${interpreter}\n`, 0o755)
    assert.match(String(shown(directory, program)), /home is closed to others.*name it by fill\.program too/)
    assert.deepEqual(shown(directory, [program, interpreter]), [interpreter, program].sort())
    // A link that the caller names leads to what it leads to.
    const link = path.join(directory, 'link')
    fs.symlinkSync(interpreter, link)
    assert.deepEqual(shown(directory, link), [interpreter])
    // So does a program that lies where the caller says that programs are.
    const script = write(path.join(directory, 'tree/bin/script'), '#!/usr/bin/env interpreter\n', 0o755)
    assert.deepEqual(shown(directory, script, { path: path.dirname(interpreter) }), [interpreter, script].sort())
  }))
