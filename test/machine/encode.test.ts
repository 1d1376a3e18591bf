/** The bytes of every instruction, against binutils. */
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'
import { encode as encodeArm64 } from '../../src/machine/arm64.js'
import { assemble } from '../../src/machine/assemble.js'
import type { Layout } from '../../src/machine/code.js'
import type {
  Address,
  Arithmetic,
  Comparison,
  Instruction,
  Operand,
  Slot,
  Width,
} from '../../src/machine/instruction.js'
import { encode as encodeX64 } from '../../src/machine/x64.js'
import { interpret } from './interpreter.js'
import { binutils, execute, run, runner, withDirectory } from './tools.js'

const layout: Layout = { constants: 0x400180, code: 0x401000, slots: 0x410000, memory: 0x418000 }
const encoders = { x64: encodeX64, arm64: encodeArm64 }
const encode = (architecture: Architecture, instructions: readonly Instruction[]): Uint8Array =>
  encoders[architecture]({ instructions, constants: new Uint8Array(64), slots: 4096, memory: 65536 }, layout)

const slot = (index: number): Slot => ({ kind: 'slot', index })
const [a, b, c, far] = [slot(0), slot(1), slot(16), slot(32)]
const label = { kind: 'label', id: 0 } as const
const here: Instruction = { op: 'label', label }
const constant = (offset: number): Address => ({ kind: 'address', area: 'constants', offset })
const memory = (offset: number): Address => ({ kind: 'address', area: 'memory', offset })

const move = (to: Slot, from: Operand): Instruction => ({ op: 'move', to, from })
const load = (to: Slot, width: Width, address: Operand, offset = 0): Instruction => {
  return { op: 'load', to, width, address, offset }
}
const store = (width: Width, address: Operand, offset: number, from: Operand): Instruction => {
  return { op: 'store', width, address, offset, from }
}
const compute = (to: Slot, left: Operand, operator: Arithmetic, right: Operand): Instruction => {
  return { op: 'compute', to, left, operator, right }
}
const branch = (left: Operand, comparison: Comparison, right: Operand): Instruction => {
  return { op: 'branch', left, comparison, right, target: label }
}
const write = (...args: Operand[]): Instruction => ({ op: 'syscall', name: 'write', args, to: a })
const jump: Instruction = { op: 'jump', target: label }
const checked: Instruction = { op: 'syscall', name: 'close', args: [0], to: a, failing: label }
const call: Instruction = { op: 'call', target: label }
const big = 0x123456789abcdef0n

/** Instructions, and what they must be in the words of `objdump`, one instruction after each semicolon. */
const cases: readonly (readonly [Instruction[], Record<Architecture, string>])[] = [
  [
    [{ op: 'entry', to: a }],
    {
      x64: 'mov ebx,0x410080; mov QWORD PTR [rbx-0x80],rsp; lea rsp,[rbx-0x80]',
      arm64: 'mov x19, #0x410000; mov x9, sp; str x9, [x19]; mov sp, x19',
    },
  ],
  [[{ op: 'mark', step: 3 }, { op: 'return' }], { x64: 'ret', arm64: 'ret' }],

  // Constants, in every length.
  [[move(b, 0)], { x64: 'push 0x0; pop QWORD PTR [rbx-0x78]', arm64: 'str xzr, [x19, #8]' }],
  [[move(c, -1)], { x64: 'push 0xffffffffffffffff; pop QWORD PTR [rbx]', arm64: 'mov x9, #-1; str x9, [x19, #128]' }],
  [[move(far, 127)], { x64: 'push 0x7f; pop QWORD PTR [rbx+0x80]', arm64: 'mov x9, #127; str x9, [x19, #256]' }],
  [[move(a, 128)], { x64: 'mov QWORD PTR [rbx-0x80],0x80', arm64: 'mov x9, #128; str x9, [x19]' }],
  [
    [move(a, -0x80000000)],
    {
      x64: 'mov QWORD PTR [rbx-0x80],0xffffffff80000000',
      arm64: 'mov x9, #0xffffffffffff0000; movk x9, #0x8000, lsl #16; str x9, [x19]',
    },
  ],
  [
    [move(a, 0x80000000)],
    { x64: 'mov eax,0x80000000; mov QWORD PTR [rbx-0x80],rax', arm64: 'mov x9, #0x80000000; str x9, [x19]' },
  ],
  [
    [move(a, 0xffffff9cn)],
    { x64: 'mov eax,0xffffff9c; mov QWORD PTR [rbx-0x80],rax', arm64: 'mov w9, #0xffffff9c; str x9, [x19]' },
  ],
  [
    [move(a, big)],
    {
      x64: 'movabs rax,0x123456789abcdef0; mov QWORD PTR [rbx-0x80],rax',
      arm64:
        'mov x9, #0xdef0; movk x9, #0x9abc, lsl #16; movk x9, #0x5678, lsl #32; movk x9, #0x1234, lsl #48; str x9, [x19]',
    },
  ],
  [
    [move(a, 0xffff1234ffff5678n)],
    {
      x64: 'movabs rax,0xffff1234ffff5678; mov QWORD PTR [rbx-0x80],rax',
      arm64: 'mov x9, #0xffffffffffff5678; movk x9, #0x1234, lsl #32; str x9, [x19]',
    },
  ],
  [
    [move(slot(4095), c)],
    {
      x64: 'mov rax,QWORD PTR [rbx]; mov QWORD PTR [rbx+0x7f78],rax',
      arm64: 'ldr x9, [x19, #128]; str x9, [x19, #32760]',
    },
  ],
  [[move(a, constant(4))], { x64: 'mov QWORD PTR [rbx-0x80],0x400184', arm64: 'adr x9, .-0xe7c; str x9, [x19]' }],

  // Loads and stores: widths; addresses in slots and known; offsets in every form.
  [
    [load(a, 8, b)],
    {
      x64: 'mov rax,QWORD PTR [rbx-0x78]; movzx eax,BYTE PTR [rax]; mov QWORD PTR [rbx-0x80],rax',
      arm64: 'ldr x10, [x19, #8]; ldrb w9, [x10]; str x9, [x19]',
    },
  ],
  [
    [load(a, 32, b, 127)],
    {
      x64: 'mov rax,QWORD PTR [rbx-0x78]; mov eax,DWORD PTR [rax+0x7f]; mov QWORD PTR [rbx-0x80],rax',
      arm64: 'ldr x10, [x19, #8]; ldur w9, [x10, #127]; str x9, [x19]',
    },
  ],
  [
    [load(a, 64, b, -256)],
    {
      x64: 'mov rax,QWORD PTR [rbx-0x78]; mov rax,QWORD PTR [rax-0x100]; mov QWORD PTR [rbx-0x80],rax',
      arm64: 'ldr x10, [x19, #8]; ldur x9, [x10, #-256]; str x9, [x19]',
    },
  ],
  [
    [load(a, 64, b, 32768)],
    {
      x64: 'mov rax,QWORD PTR [rbx-0x78]; mov rax,QWORD PTR [rax+0x8000]; mov QWORD PTR [rbx-0x80],rax',
      arm64: 'ldr x10, [x19, #8]; mov x11, #0x8000; ldr x9, [x10, x11]; str x9, [x19]',
    },
  ],
  [
    [load(a, 8, constant(0), 2)],
    {
      x64: 'movzx eax,BYTE PTR [rbx-0xfefe]; mov QWORD PTR [rbx-0x80],rax',
      arm64: 'adr x10, .-0xe7e; ldrb w9, [x10]; str x9, [x19]',
    },
  ],
  [
    [store(8, b, 0, 0x1ff), store(32, b, -8, 0xffffffff)],
    {
      x64: `mov rax,QWORD PTR [rbx-0x78]; mov BYTE PTR [rax],0xff
        mov DWORD PTR [rax-0x8],0xffffffff`,
      arm64: `mov x9, #0x1ff; ldr x10, [x19, #8]; strb w9, [x10]
        mov w9, #0xffffffff; ldr x10, [x19, #8]; stur w9, [x10, #-8]`,
    },
  ],
  [
    [store(64, b, 8, -2), store(64, b, 8, big)],
    {
      x64: `mov rax,QWORD PTR [rbx-0x78]; mov QWORD PTR [rax+0x8],0xfffffffffffffffe
        movabs rcx,0x123456789abcdef0; mov QWORD PTR [rax+0x8],rcx`,
      arm64: `mov x9, #-2; ldr x10, [x19, #8]; str x9, [x10, #8]
        mov x9, #0xdef0; movk x9, #0x9abc, lsl #16; movk x9, #0x5678, lsl #32; movk x9, #0x1234, lsl #48
        ldr x10, [x19, #8]; str x9, [x10, #8]`,
    },
  ],
  [
    [store(8, memory(0), 1, a), store(32, memory(0), 0, a), store(64, memory(0), 0, 0)],
    {
      x64: `mov rcx,QWORD PTR [rbx-0x80]; mov BYTE PTR [rbx+0x7f81],cl
        mov rcx,QWORD PTR [rbx-0x80]; mov DWORD PTR [rbx+0x7f80],ecx
        mov QWORD PTR [rbx+0x7f80],0x0`,
      arm64: `ldr x9, [x19]; adr x10, .+0x16ffd; strb w9, [x10]; adr x10, .+0x16ff4; str w9, [x10]
        adr x10, .+0x16fec; str xzr, [x10]`,
    },
  ],

  // Arithmetic: in place, to another slot, and with every kind of right operand.
  [
    [compute(a, a, 'add', 1), compute(a, a, 'sub', 128), compute(a, a, 'xor', b)],
    {
      x64: `add QWORD PTR [rbx-0x80],0x1; sub QWORD PTR [rbx-0x80],0x80
        mov rcx,QWORD PTR [rbx-0x78]; xor QWORD PTR [rbx-0x80],rcx`,
      arm64: `ldr x9, [x19]; add x9, x9, #0x1; str x9, [x19]; sub x9, x9, #0x80; str x9, [x19]
        ldr x10, [x19, #8]; eor x9, x9, x10; str x9, [x19]`,
    },
  ],
  [
    [compute(a, b, 'add', -4095), compute(a, b, 'sub', -4096)],
    {
      x64: `mov rax,QWORD PTR [rbx-0x78]; add rax,0xfffffffffffff001; mov QWORD PTR [rbx-0x80],rax
        mov rax,QWORD PTR [rbx-0x78]; sub rax,0xfffffffffffff000; mov QWORD PTR [rbx-0x80],rax`,
      arm64: `ldr x9, [x19, #8]; sub x9, x9, #0xfff; str x9, [x19]
        ldr x9, [x19, #8]; mov x10, #-4096; sub x9, x9, x10; str x9, [x19]`,
    },
  ],
  [
    [compute(a, b, 'and', 7), compute(a, b, 'or', c), compute(a, a, 'and', 0xfffffffffn), compute(a, 5, 'sub', b)],
    {
      x64: `mov rax,QWORD PTR [rbx-0x78]; and rax,0x7; mov QWORD PTR [rbx-0x80],rax
        mov rax,QWORD PTR [rbx-0x78]; or rax,QWORD PTR [rbx]; mov QWORD PTR [rbx-0x80],rax
        movabs rcx,0xfffffffff; and QWORD PTR [rbx-0x80],rcx
        push 0x5; pop rax; sub rax,QWORD PTR [rbx-0x78]; mov QWORD PTR [rbx-0x80],rax`,
      arm64: `ldr x9, [x19, #8]; mov x10, #7; and x9, x9, x10; str x9, [x19]
        ldr x9, [x19, #8]; ldr x10, [x19, #128]; orr x9, x9, x10; str x9, [x19]
        mov x10, #0xffff000fffffffff; movk x10, #0x0, lsl #48; and x9, x9, x10; str x9, [x19]
        mov x9, #5; ldr x10, [x19, #8]; sub x9, x9, x10; str x9, [x19]`,
    },
  ],
  [
    [compute(a, a, 'mul', b), compute(a, b, 'mul', 10), compute(a, b, 'mul', 1000), compute(a, b, 'mul', big)],
    {
      x64: `mov rax,QWORD PTR [rbx-0x80]; imul rax,QWORD PTR [rbx-0x78]; mov QWORD PTR [rbx-0x80],rax
        mov rax,QWORD PTR [rbx-0x78]; imul rax,rax,0xa; mov QWORD PTR [rbx-0x80],rax
        mov rax,QWORD PTR [rbx-0x78]; imul rax,rax,0x3e8; mov QWORD PTR [rbx-0x80],rax
        mov rax,QWORD PTR [rbx-0x78]; movabs rcx,0x123456789abcdef0; imul rax,rcx; mov QWORD PTR [rbx-0x80],rax`,
      arm64: `ldr x9, [x19]; ldr x10, [x19, #8]; mul x9, x9, x10; str x9, [x19]
        ldr x9, [x19, #8]; mov x10, #10; mul x9, x9, x10; str x9, [x19]
        ldr x9, [x19, #8]; mov x10, #1000; mul x9, x9, x10; str x9, [x19]
        ldr x9, [x19, #8]; mov x10, #0xdef0; movk x10, #0x9abc, lsl #16; movk x10, #0x5678, lsl #32
        movk x10, #0x1234, lsl #48; mul x9, x9, x10; str x9, [x19]`,
    },
  ],
  [
    [compute(a, a, 'shl', 3), compute(a, b, 'shr', 1), compute(a, a, 'shl', 64), compute(a, 1, 'shl', b)],
    {
      x64: `shl QWORD PTR [rbx-0x80],0x3; mov rax,QWORD PTR [rbx-0x78]; shr rax,1; mov QWORD PTR [rbx-0x80],rax
        shl QWORD PTR [rbx-0x80],0x0
        push 0x1; pop rax; mov rcx,QWORD PTR [rbx-0x78]; shl rax,cl; mov QWORD PTR [rbx-0x80],rax`,
      arm64: `ldr x9, [x19]; lsl x9, x9, #3; str x9, [x19]; ldr x9, [x19, #8]; lsr x9, x9, #1; str x9, [x19]
        lsr x9, x9, #0; str x9, [x19]
        mov x9, #1; ldr x10, [x19, #8]; lsl x9, x9, x10; str x9, [x19]`,
    },
  ],
  [
    [compute(a, a, 'shr', b)],
    {
      x64: 'mov rcx,QWORD PTR [rbx-0x78]; shr QWORD PTR [rbx-0x80],cl',
      arm64: 'ldr x9, [x19]; ldr x10, [x19, #8]; lsr x9, x9, x10; str x9, [x19]',
    },
  ],

  // System calls: every argument register.
  [
    [write(0, 1, 2, 3, 4, 5)],
    {
      x64: `xor edi,edi; push 0x1; pop rsi; push 0x2; pop rdx; push 0x3; pop r10; push 0x4; pop r8; push 0x5; pop r9
        push 0x1; pop rax; syscall; mov QWORD PTR [rbx-0x80],rax`,
      arm64: `mov x0, #0; mov x1, #1; mov x2, #2; mov x3, #3; mov x4, #4; mov x5, #5; mov x8, #64; svc #0x0
        str x0, [x19]`,
    },
  ],
  [
    [write(b, -100, constant(0), 0, 0x1000, big)],
    {
      x64: `mov rdi,QWORD PTR [rbx-0x78]; push 0xffffffffffffff9c; pop rsi; mov edx,0x400180; xor r10d,r10d
        mov r8d,0x1000; movabs r9,0x123456789abcdef0; push 0x1; pop rax; syscall; mov QWORD PTR [rbx-0x80],rax`,
      arm64: `ldr x0, [x19, #8]; mov x1, #-100; adr x2, .-0xe88; mov x3, #0; mov x4, #0x1000
        mov x5, #0xdef0; movk x5, #0x9abc, lsl #16; movk x5, #0x5678, lsl #32; movk x5, #0x1234, lsl #48
        mov x8, #64; svc #0x0; str x0, [x19]`,
    },
  ],
  [
    [{ op: 'syscall', name: 'exit_group', args: [-1000, a, -1000, b, -1000, -1000], to: a }],
    {
      x64: `mov rdi,0xfffffffffffffc18; mov rsi,QWORD PTR [rbx-0x80]; mov rdx,0xfffffffffffffc18
        mov r10,QWORD PTR [rbx-0x78]; mov r8,0xfffffffffffffc18; mov r9,0xfffffffffffffc18
        mov eax,0xe7; syscall; mov QWORD PTR [rbx-0x80],rax`,
      arm64: `mov x0, #-1000; ldr x1, [x19]; mov x2, #-1000; ldr x3, [x19, #8]; mov x4, #-1000; mov x5, #-1000
        mov x8, #94; svc #0x0; str x0, [x19]`,
    },
  ],

  // Branches.
  ...(['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const).map((comparison): (typeof cases)[number] => {
    const x64 = { eq: 'je', ne: 'jne', lt: 'jb', le: 'jbe', gt: 'ja', ge: 'jae' }[comparison]
    const arm64 = { eq: 'b.eq', ne: 'b.ne', lt: 'b.cc', le: 'b.ls', gt: 'b.hi', ge: 'b.cs' }[comparison]
    return [
      [here, branch(a, comparison, 1)],
      {
        x64: `0: cmp QWORD PTR [rbx-0x80],0x1; ${x64} 0b`,
        arm64: `0: ldr x9, [x19]; cmp x9, #0x1; ${arm64} 0b`,
      },
    ]
  }),
  [
    [branch(a, 'eq', 0), branch(b, 'ne', 0), branch(a, 'lt', 0), here],
    {
      x64: 'cmp QWORD PTR [rbx-0x80],0x0; je 0f; cmp QWORD PTR [rbx-0x78],0x0; jne 0f; cmp QWORD PTR [rbx-0x80],0x0; jb 0f; 0:',
      arm64: 'ldr x9, [x19]; cbz x9, 0f; ldr x9, [x19, #8]; cbnz x9, 0f; ldr x9, [x19]; cmp x9, #0x0; b.cc 0f; 0:',
    },
  ],
  [
    [
      branch(a, 'gt', b),
      branch(1, 'gt', b),
      branch(a, 'ge', -4095),
      branch(a, 'ge', 0xfffff000),
      branch(a, 'eq', 4096),
      here,
    ],
    {
      x64: `mov rax,QWORD PTR [rbx-0x80]; cmp rax,QWORD PTR [rbx-0x78]; ja 0f
        push 0x1; pop rax; cmp rax,QWORD PTR [rbx-0x78]; ja 0f; cmp QWORD PTR [rbx-0x80],0xfffffffffffff001; jae 0f
        mov rax,QWORD PTR [rbx-0x80]; mov ecx,0xfffff000; cmp rax,rcx; jae 0f; cmp rax,0x1000; je 0f; 0:`,
      arm64: `ldr x9, [x19]; ldr x10, [x19, #8]; cmp x9, x10; b.hi 0f
        mov x9, #1; ldr x10, [x19, #8]; cmp x9, x10; b.hi 0f; ldr x9, [x19]; cmn x9, #0xfff; b.cs 0f
        mov w10, #0xfffff000; cmp x9, x10; b.cs 0f
        mov x10, #4096; cmp x9, x10; b.eq 0f; 0:`,
    },
  ],
  [[jump, here, jump], { x64: 'jmp 0f; 0: jmp 0b', arm64: 'b 0f; 0: b 0b' }],
  // A routine that calls none, and one that calls.
  [[call, here, { op: 'return' }], { x64: 'call 0f; 0: ret', arm64: 'bl 0f; 0: ret' }],
  [
    [call, here, call, { op: 'return' }],
    {
      x64: 'call 0f; 0: call 0b; ret',
      arm64: 'bl 0f; 0: str x30, [sp, #-16]!; bl 0b; ldr x30, [sp], #16; ret',
    },
  ],
  // System calls that must succeed share what looks.
  [
    [checked, checked, here, move(b, a)],
    {
      x64: `xor edi,edi; push 0x3; pop rax; call 1f; xor edi,edi; push 0x3; pop rax; call 1f
        0: mov rax,QWORD PTR [rbx-0x80]; mov QWORD PTR [rbx-0x78],rax
        1: syscall; mov QWORD PTR [rbx-0x80],rax; cmp rax,0xfffffffffffff001; jae 2f; ret; 2: pop rcx; jmp 0b`,
      arm64: `mov x0, #0; mov x8, #57; bl 1f; mov x0, #0; bl 1f
        0: ldr x9, [x19]; str x9, [x19, #8]; 1: svc #0x0; str x0, [x19]; cmn x0, #0xfff; b.cs 0b; ret`,
    },
  ],
  // What a register holds already is not loaded again: after a result, a load, a sum; but after a label it is.
  [
    [write(), move(b, a), branch(b, 'eq', 0), write(a), here, branch(b, 'eq', 0)],
    {
      x64: `push 0x1; pop rax; syscall; mov QWORD PTR [rbx-0x80],rax; mov QWORD PTR [rbx-0x78],rax; test rax,rax; je 0f
        mov rdi,QWORD PTR [rbx-0x80]; push 0x1; pop rax; syscall; mov QWORD PTR [rbx-0x80],rax
        0: cmp QWORD PTR [rbx-0x78],0x0; je 0b`,
      arm64: `mov x8, #64; svc #0x0; str x0, [x19]; str x0, [x19, #8]; cbz x0, 0f
        ldr x0, [x19]; svc #0x0; str x0, [x19]; 0: ldr x9, [x19, #8]; cbz x9, 0b`,
    },
  ],
  [
    [load(a, 8, b), store(8, c, 0, a), branch(a, 'eq', 7), move(a, 1), write(a), here],
    {
      x64: `mov rax,QWORD PTR [rbx-0x78]; movzx eax,BYTE PTR [rax]; mov QWORD PTR [rbx-0x80],rax
        mov rax,QWORD PTR [rbx]; mov rcx,QWORD PTR [rbx-0x80]; mov BYTE PTR [rax],cl; cmp QWORD PTR [rbx-0x80],0x7; je 0f
        push 0x1; pop QWORD PTR [rbx-0x80]
        mov rdi,QWORD PTR [rbx-0x80]; push 0x1; pop rax; syscall; mov QWORD PTR [rbx-0x80],rax; 0:`,
      arm64: `ldr x10, [x19, #8]; ldrb w9, [x10]; str x9, [x19]; ldr x10, [x19, #128]; strb w9, [x10]; cmp x9, #0x7; b.eq 0f
        mov x9, #1; str x9, [x19]; ldr x0, [x19]; mov x8, #64; svc #0x0; str x0, [x19]; 0:`,
    },
  ],
  [
    [move(b, a), compute(c, b, 'add', 1), store(8, memory(0), 0, c), compute(c, c, 'sub', 1), branch(c, 'ne', 1), here],
    {
      x64: `mov rax,QWORD PTR [rbx-0x80]; mov QWORD PTR [rbx-0x78],rax; add rax,0x1; mov QWORD PTR [rbx],rax
        mov BYTE PTR [rbx+0x7f80],al; sub QWORD PTR [rbx],0x1; cmp QWORD PTR [rbx],0x1; jne 0f; 0:`,
      arm64: `ldr x9, [x19]; str x9, [x19, #8]; add x9, x9, #0x1; str x9, [x19, #128]; adr x10, .+0x16ff0; strb w9, [x10]
        sub x9, x9, #0x1; str x9, [x19, #128]; cmp x9, #0x1; b.ne 0f; 0:`,
    },
  ],
  // The last distances that fit x64's byte, and the first that do not: 126 is the jump's own 2 bytes less.
  ...[126, 127, 128].map((size): (typeof cases)[number] => {
    const filler = Array.from({ length: size }, (): Instruction => ({ op: 'return' }))
    const text = 'ret; '.repeat(size)
    const [x64, arm64] = [`jmp 0f; ${text} 0: ${text} jmp 0b`, `b 0f; ${text} 0: ${text} b 0b`]
    return [[jump, ...filler, here, ...filler, jump], { x64, arm64 }]
  }),
  [
    [here, ...Array.from({ length: 16 }, () => move(a, 128)), branch(a, 'eq', 0), jump],
    {
      x64: `0: ${'mov QWORD PTR [rbx-0x80],0x80; '.repeat(16)} cmp QWORD PTR [rbx-0x80],0x0; je 0b; jmp 0b`,
      arm64: `0: ${'mov x9, #128; str x9, [x19]; '.repeat(16)} cbz x9, 0b; b 0b`,
    },
  ],
]

/** Every case starts at a multiple of this. */
const room = 2048
const unpadded = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/(00)+$/, '')
const lines = (text: string): string[] => {
  const split = text.split(/[;\n]/).map((line) => line.trim())
  return split.filter((line) => line !== '')
}
/** `push 0xffff…` is how objdump writes a sign-extended byte; `as` wants it signed. */
const signed = (line: string) =>
  line.replace(/^push 0xf{8}\w{8}$/, (all) => `push ${BigInt.asIntN(64, BigInt(all.slice(5)))}`)

/** Bytes of assembly text, by binutils. */
const reference = (architecture: Architecture, as: string, objcopy: string): Buffer =>
  withDirectory((directory) => {
    const [source, object, binary] = ['s', 'o', 'bin'].map((suffix) => path.join(directory, `cases.${suffix}`))
    const syntax = architecture === 'x64' ? '.intel_syntax noprefix\n' : ''
    const text = cases.map(
      ([, texts], i) => `.org ${i * room}, 0\n${lines(texts[architecture]).map(signed).join('\n')}\n`,
    )
    fs.writeFileSync(source!, `${syntax}${text.join('')}.org ${cases.length * room}, 0\n`)
    run(as, ['-o', object!, source!])
    run(objcopy, ['-O', 'binary', '-j', '.text', object!, binary!])
    return fs.readFileSync(binary!)
  })

const disassemble = (objdump: string, architecture: Architecture, code: Uint8Array): string[] =>
  withDirectory((directory) => {
    const file = path.join(directory, 'code.bin')
    fs.writeFileSync(file, code)
    const machine = architecture === 'x64' ? ['i386:x86-64', '-M', 'intel'] : ['aarch64']
    const out = run(objdump, ['-D', '-z', '-b', 'binary', '--no-show-raw-insn', '-m', ...machine, file])
    return out.split('\n').flatMap((line) => line.match(/^\s*[0-9a-f]+:\s+(.*)$/)?.[1] ?? [])
  })

for (const architecture of architectures) {
  const [as, objcopy, objdump] = ['as', 'objcopy', 'objdump'].map((name) => binutils(architecture, name))
  const missing = as === undefined || objcopy === undefined || objdump === undefined
  const skip = missing ? `binutils for ${architecture} is missing` : false

  test(`${architecture}: the bytes of every instruction are those of the assembler`, { skip }, () => {
    const expected = reference(architecture, as!, objcopy!)
    for (const [i, [instructions, texts]] of cases.entries()) {
      const bytes = unpadded(encode(architecture, instructions))
      const wanted = unpadded(expected.subarray(i * room, (i + 1) * room))
      assert.equal(
        bytes,
        wanted,
        `${JSON.stringify(instructions, (_, one) => (typeof one === 'bigint' ? `${one}` : one))}
        as ${texts[architecture]}`,
      )
    }
  })

  test(`${architecture}: the disassembler reads every instruction as it was meant`, { skip }, () => {
    for (const [instructions, texts] of cases) {
      const found = disassemble(objdump!, architecture, encode(architecture, instructions))
      const mnemonics = found.map((line) => line.split(/\s/)[0])
      const wanted = lines(texts[architecture].replaceAll(/[012]:/g, '')).map((line) => line.split(/\s/)[0])
      assert.deepEqual(mnemonics, wanted)
    }
  })

  test(`${architecture}: no instruction is longer than assemble reckons with`, () => {
    for (const [instructions] of cases) {
      assert.ok(encode(architecture, instructions).length <= 128 * instructions.length)
    }
    const longest: Instruction = { op: 'syscall', name: 'write', args: Array(6).fill(big), to: slot(4095) }
    assert.ok(encode(architecture, [longest]).length <= 128)
  })

  const command = runner(architecture)
  const noRunner = command === undefined ? `nothing here runs ${architecture} programs (qemu-user is missing)` : false
  test(`${architecture}: a branch reaches over more than a mebibyte, both ways`, { skip: noRunner }, () => {
    const [over, back, end] = [1, 2, 3].map((id) => ({ kind: 'label', id }) as const)
    const place = (target: typeof label | typeof over): Instruction => ({ op: 'label', label: target! })
    const program = {
      constants: new Uint8Array(0),
      slots: 2,
      memory: 0,
      instructions: [
        { op: 'entry', to: a },
        move(a, 1),
        { op: 'branch', left: a, comparison: 'eq', right: 1, target: over! },
        { op: 'return' },
        place(back!),
        compute(a, a, 'add', 2),
        { op: 'branch', left: a, comparison: 'ne', right: 0, target: end! },
        ...Array.from({ length: 110_000 }, () => move(a, big)),
        place(over!),
        compute(a, a, 'add', 4),
        { op: 'branch', left: a, comparison: 'ne', right: 0, target: back! },
        place(end!),
        compute(a, a, 'add', 8),
        { op: 'syscall', name: 'exit_group', args: [a], to: a },
      ] satisfies Instruction[],
    }
    assert.equal(interpret(program).status, 15)
    assert.equal(execute(assemble(program, architecture), command!).status, 15)
  })
}
