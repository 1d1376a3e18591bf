/** The profile `nested`: `default`, and what a sandbox inside the sandbox is built with: namespaces and mounts. */
import type { SeccompProfile } from '../profileSchema.js'
import { defaultProfile } from './default.js'
import { deviceRules } from './ioctls.js'

export const nestedProfile: SeccompProfile = {
  ...defaultProfile,
  rules: [
    {
      // biome-ignore format: a list to be read
      calls: [
        'chroot', 'clone', 'clone3', 'fsconfig', 'fsmount', 'fsopen', 'fspick', 'listmount', 'mount', 'mount_setattr', 'move_mount',
        'open_tree', 'open_tree_attr', 'pivot_root', 'setdomainname', 'sethostname', 'setns', 'statmount', 'umount2', 'unshare',
      ],
      do: 'allow',
    },
    // A program that makes a network brings its devices up.
    ...deviceRules,
    ...defaultProfile.rules,
  ],
}
