/** All pictures, by the names of their files, and the pages that show them. */
import { type Theme, type ThemeName, themes } from './draw.js'
import { factsOf, pictures } from './pictures.js'
import { handedOut, sessions } from './sessions.js'

export function drawn(): ReadonlyMap<string, string> {
  const facts = factsOf()
  const names = handedOut()
  const all = {
    ...Object.fromEntries(Object.entries(pictures).map(([name, draw]) => [name, (theme: Theme) => draw(facts, theme)])),
    sessions: (theme: Theme) => sessions(names, theme),
  }
  return new Map(
    Object.entries(all).flatMap(([name, draw]) =>
      (Object.keys(themes) as ThemeName[]).map((theme) => [`${name}-${theme}.svg`, draw(themes[theme])] as const),
    ),
  )
}
