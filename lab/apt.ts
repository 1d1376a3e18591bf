/** Debian's packages of any suite and architecture, by apt with directories of its own: nothing is installed here. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Architecture } from '../src/kernel/architecture.js'
import { debianNames } from './kernels.js'
import { call } from './shell.js'

export class Apt {
  private readonly options: readonly string[]

  private constructor(
    private readonly directory: string,
    architecture: Architecture,
  ) {
    const name = debianNames[architecture]
    // apt.conf(5). An empty status file: nothing is installed, so that a closure is whole.
    const settings = {
      'Dir::State': join(directory, 'state'),
      'Dir::State::status': join(directory, 'status'),
      'Dir::Cache': join(directory, 'cache'),
      'Dir::Etc::sourcelist': join(directory, 'sources.list'),
      'Dir::Etc::sourceparts': '-',
      'APT::Architecture': name,
      'APT::Architectures': name,
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
    }
    this.options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  }

  static async open(suite: string, architecture: Architecture, directory: string): Promise<Apt> {
    mkdirSync(join(directory, 'state', 'lists', 'partial'), { recursive: true })
    mkdirSync(join(directory, 'cache', 'archives', 'partial'), { recursive: true })
    writeFileSync(join(directory, 'status'), '')
    const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
    writeFileSync(join(directory, 'sources.list'), `deb [signed-by=${keys}] ${await mirror()} ${suite} main\n`)
    const apt = new Apt(directory, architecture)
    await call('apt-get', [...apt.options, '-q', 'update'])
    return apt
  }

  /** The package files of these and of all that they depend on; `?essential` stands for the base of the system. */
  async closure(packages: readonly string[]): Promise<string[]> {
    const install = ['install', '-q', '-y', '--download-only', '--no-install-recommends', ...packages]
    await call('apt-get', [...this.options, ...install])
    const archives = join(this.directory, 'cache', 'archives')
    return readdirSync(archives)
      .filter((name) => name.endsWith('.deb'))
      .map((name) => join(archives, name))
  }

  /** The file of the one package that a meta package depends on. */
  async behind(metaPackage: string): Promise<string> {
    const depends = await call('apt-cache', [...this.options, 'depends', metaPackage])
    const name = /^ +Depends: (\S+)$/m.exec(depends)?.[1]
    if (name === undefined) throw new Error(`the package ${metaPackage} depends on nothing`)
    await call('apt-get', [...this.options, '-q', 'download', name], this.directory)
    const file = readdirSync(this.directory).find((one) => one.startsWith(`${name}_`))
    if (file === undefined) throw new Error(`apt-get download left no file of ${name}`)
    return join(this.directory, file)
  }
}

/** The one that this host uses. */
async function mirror(): Promise<string> {
  const targets = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages', 'Label: Debian']
  const [uri] = (await call('apt-get', targets)).split('\n')
  if (!uri) throw new Error('apt knows no mirror of Debian: run apt-get update on a Debian host')
  return uri
}
