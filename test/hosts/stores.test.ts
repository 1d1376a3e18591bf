/** NixOS and Guix: programs lie in a store, /bin and /usr have a link each, and /etc is links to links. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { callers } from '../support/user.js'
import { type Host, makeHost, noHosts } from './host.js'

const programs = ['sh', 'cat', 'env', 'ls']

/** What both have: a script, settings behind links, the addresses of name servers in /run, and secrets. */
const settings = (store: string) => ({
  // Builders of a group add to it.
  directories: { [store]: 0o1775 },
  compiled: { [`${store}/greet/bin/greet`]: '#include <stdio.h>\nint main(void) { return puts("greetings") < 0; }' },
  links: {
    '/bin/sh': `${store}/tools/bin/sh`,
    '/usr/bin/env': `${store}/tools/bin/env`,
    '/etc/static': `${store}/etc`,
    '/etc/os-release': 'static/os-release',
    '/etc/ssl/certs/ca-certificates.crt': '/etc/static/ssl/certs/ca-certificates.crt',
    '/etc/resolv.conf': '/run/resolvconf/resolv.conf',
    [`${store}/profile/bin/greet`]: `${store}/greet/bin/greet`,
    ...Object.fromEntries(programs.map((one) => [`${store}/profile/bin/${one}`, `${store}/tools/bin/${one}`])),
  },
  files: {
    [`${store}/etc/os-release`]: 'ID=store\n',
    [`${store}/etc/ssl/certs/ca-certificates.crt`]: 'certificates\n',
    [`${store}/profile/bin/hello`]: { content: '#!/usr/bin/env sh\necho hello\n', mode: 0o755 },
    '/run/resolvconf/resolv.conf': 'nameserver 192.0.2.1\n',
    '/run/secrets/key': 'secret\n',
    '/etc/shadow': { content: 'secret\n', mode: 0o640 },
    '/home/other/file': 'secret\n',
  },
})

const hosts: Readonly<Record<string, Host>> = {
  NixOS: (() => {
    const { links, files, ...rest } = settings('/nix/store')
    return {
      store: '/nix/store/tools',
      ...rest,
      programs,
      files: { ...files, '/nix/store/zone/Berlin': 'zone\n' },
      links: {
        ...links,
        '/run/current-system': '/nix/store/system',
        '/nix/store/system/sw': '/nix/store/profile',
        '/etc/localtime': '/etc/zoneinfo/Berlin',
        '/etc/zoneinfo': '/nix/store/zone',
      },
    }
  })(),
  Guix: (() => {
    const { links, files, ...rest } = settings('/gnu/store')
    return {
      store: '/gnu/store/tools',
      ...rest,
      programs,
      files: { ...files, '/gnu/store/zone/Berlin': 'zone\n' },
      links: {
        ...links,
        '/run/current-system': '/gnu/store/system',
        '/gnu/store/system/profile': '/gnu/store/profile',
        '/etc/localtime': '/gnu/store/zone/Berlin',
      },
    }
  })(),
}

for (const [name, host] of Object.entries(hosts)) {
  describe(`on a host like ${name}`, { skip: noHosts }, () => {
    let vial: ReturnType<typeof makeHost>
    before(() => {
      vial = makeHost(name, host)
    })
    // What is in a store names the store's libraries; these are copies of another system's programs, which do not.
    const libraries = ['--env', `LD_LIBRARY_PATH=${host.store}/lib`]
    const script =
      'hello && cat /etc/os-release /etc/ssl/certs/ca-certificates.crt /etc/localtime && ls -d /run/* /home/* /etc/shadow'

    for (const caller of callers) {
      test(`the preset system, by ${caller.name}`, () => {
        // Twice: the second time the vial of the first is found again.
        for (const turn of [1, 2]) {
          const { stdout, stderr } = vial(caller, ['run', ...libraries, '--', 'sh', '-c', script])
          const shown = 'hello\nID=store\ncertificates\nzone\n/home/vial\n/run/current-system\n'
          assert.equal(stdout, shown, `turn ${turn}: ${stderr}`)
          assert.match(stderr, /\/etc\/shadow.*No such file/)
        }
      })

      test(`its network, by ${caller.name}`, () => {
        const words = ['run', ...libraries, '--network', 'host', '--', 'cat', '/etc/resolv.conf']
        const { stdout, stderr } = vial(caller, words)
        assert.equal(stdout, 'nameserver 192.0.2.1\n', stderr)
      })

      test(`all of it, by ${caller.name}`, () => {
        const { stdout, stderr } = vial(caller, ['run', ...libraries, '--ro', '/', '--', 'hello'])
        assert.equal(stdout, 'hello\n', stderr)
      })

      test(`what a program needs, by ${caller.name}`, () => {
        const { stdout, stderr } = vial(caller, ['run', '--fill', 'greet', '--', 'greet'])
        assert.equal(stdout, 'greetings\n', stderr)
      })
    }
  })
}
