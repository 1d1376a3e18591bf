/** Paths of a policy. Apart from the schema, whose checker takes long to load. */
/** `/a//b/./c/` → `/a/b/c`. */
export function normal(path: string): string {
  return `/${path
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .join('/')}`
}
