/** What to do about something that this host, or this process, lacks. */
export interface Repair {
  /** A command, or what else to do. */
  readonly repair: string
  /** What comes after it: in other shells, or to keep it where it ends with the boot. */
  readonly further?: string
}

/** Several as one. */
export function together(repairs: readonly Repair[]): Repair {
  const further = [...new Set(repairs.flatMap((one) => one.further ?? []))]
  return {
    repair: [...new Set(repairs.map(({ repair }) => repair))].join('; and '),
    ...(further.length > 0 ? { further: further.join('; ') } : {}),
  }
}
