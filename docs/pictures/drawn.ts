/** All pictures, by the names of their files. */
import { type ThemeName, themes } from './draw.js'
import { factsOf, pictures } from './pictures.js'

export function drawn(): ReadonlyMap<string, string> {
  const facts = factsOf()
  return new Map(
    Object.entries(pictures).flatMap(([name, draw]) =>
      (Object.keys(themes) as ThemeName[]).map(
        (theme) => [`${name}-${theme}.svg`, draw(facts, themes[theme])] as const,
      ),
    ),
  )
}
