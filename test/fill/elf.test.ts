import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { test } from 'node:test'
import { readElf } from '../../src/fill/readElf.js'
import { notInstalled } from '../support/needs.js'
import { makeElf, output, withDirectory } from './tools.js'

const SOME = [
  '/usr/bin/bash',
  '/usr/bin/ls',
  '/usr/bin/env',
  '/usr/bin/python3',
  '/usr/bin/perl',
  '/usr/bin/git',
  '/usr/bin/gcc',
  '/usr/bin/ld',
  '/usr/bin/node',
  '/usr/bin/java',
  '/usr/bin/bwrap',
  '/lib/x86_64-linux-gnu/libc.so.6',
  '/lib/x86_64-linux-gnu/libssl.so.3',
  '/lib/x86_64-linux-gnu/libstdc++.so.6',
  '/lib64/ld-linux-x86-64.so.2',
  '/sbin/ldconfig',
]

for (const file of SOME) {
  const skip = fs.existsSync(file) ? notInstalled('readelf') : `no ${file} here`
  test(`reads ${file} as readelf does`, { skip }, () => {
    const elf = readElf(file)
    assert.ok(elf)
    const text = output('readelf', ['-W', '-h', '-l', '-d', file])
    const all = (kind: string) => [...text.matchAll(new RegExp(`\\(${kind}\\) .*\\[(.*)\\]`, 'g'))].map((one) => one[1])
    assert.deepEqual(elf.needed, all('NEEDED'))
    assert.equal(elf.soname, all('SONAME')[0])
    assert.equal(elf.rpath, all('RPATH')[0])
    assert.equal(elf.runpath, all('RUNPATH')[0])
    assert.equal(elf.interpreter, /program interpreter: (.*)\]/.exec(text)?.[1])
    assert.equal(elf.class, Number(/Class: +ELF(\d+)/.exec(text)?.[1]))
    assert.equal(elf.type === 3, /Type: +DYN/.test(text))
  })
}

test('reads 32-bit libraries too', { skip: !fs.existsSync('/lib/i386-linux-gnu/libc.so.6') && 'none here' }, () => {
  assert.equal(readElf('/lib/i386-linux-gnu/libc.so.6')?.class, 32)
})

test('reads what the maker of tests writes', () =>
  withDirectory((directory) => {
    const file = path.join(directory, 'a')
    fs.writeFileSync(
      file,
      makeElf({ interpreter: '/lib/ld', needed: ['b', 'c'], rpath: 'r', runpath: 's', soname: 'd' }),
    )
    assert.deepEqual(readElf(file), {
      class: 64,
      littleEndian: true,
      machine: 62,
      type: 3,
      interpreter: '/lib/ld',
      soname: 'd',
      needed: ['b', 'c'],
      rpath: 'r',
      runpath: 's',
      noDefaultLibraries: false,
    })
  }))

test('what is no ELF file gives undefined', () =>
  withDirectory((directory) => {
    const file = path.join(directory, 'a')
    fs.writeFileSync(file, '#!/bin/sh\n')
    assert.equal(readElf(file), undefined)
    fs.writeFileSync(file, '')
    assert.equal(readElf(file), undefined)
    assert.equal(readElf(directory), undefined)
    assert.equal(readElf(path.join(directory, 'absent')), undefined)
    assert.equal(readElf('/dev/zero'), undefined)
    fs.symlinkSync('loop', path.join(directory, 'loop'))
    assert.equal(readElf(path.join(directory, 'loop')), undefined)
  }))

test('a file cut off anywhere gives undefined or an error that names it', () =>
  withDirectory((directory) => {
    const whole = makeElf({ interpreter: '/lib/ld', needed: ['libb.so', 'libc.so.6'], runpath: '$ORIGIN' })
    const file = path.join(directory, 'cut')
    for (let length = 0; length < whole.length - 1; length++) {
      fs.writeFileSync(file, whole.subarray(0, length))
      if (length < 4) assert.equal(readElf(file), undefined)
      else assert.throws(() => readElf(file), { message: new RegExp(`^${file}: damaged ELF file: `) })
    }
  }))

test('changed bytes never do worse than an error that names the file', () =>
  withDirectory((directory) => {
    const whole = makeElf({ interpreter: '/lib/ld', needed: ['libb.so'], runpath: '$ORIGIN' })
    const file = path.join(directory, 'changed')
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0, 0x7f, 0xff]) {
        const bytes = Buffer.from(whole)
        bytes[at] = value
        fs.writeFileSync(file, bytes)
        try {
          readElf(file)
        } catch (error) {
          assert.match((error as Error).message, /: damaged ELF file: /)
        }
      }
    }
  }))
