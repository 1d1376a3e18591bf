/** What to do about something that this host, or this process, lacks. */
export interface Repair {
  /** A command, or what else to do. */
  readonly repair: string
  /** What comes after it: in other shells, or to keep it where it ends with the boot. */
  readonly further?: string
}
