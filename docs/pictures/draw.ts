/** What the pictures are made of: boxes with lines of text, and arrows between them. As wide as a phone, so that text is not shrunk there. */

export interface Theme {
  readonly ground: string
  readonly text: string
  readonly faint: string
  readonly line: string
  readonly fill: string
  readonly accent: string
  readonly writable: string
}
export const themes = {
  light: {
    ground: '#ffffff',
    text: '#1f2328',
    faint: '#59636e',
    line: '#8c959f',
    fill: '#f6f8fa',
    accent: '#0b62c4',
    writable: '#9a4b00',
  },
  dark: {
    ground: '#0d1117',
    text: '#e6edf3',
    faint: '#9da7b1',
    line: '#6e7681',
    fill: '#161b22',
    accent: '#6cb6ff',
    writable: '#f0a35e',
  },
} as const satisfies Readonly<Record<string, Theme>>
export type ThemeName = keyof typeof themes

export type Colour = Exclude<keyof Theme, 'ground' | 'fill'>
export interface Line {
  readonly text: string
  readonly colour?: Colour
  /** Program text. */
  readonly mono?: true
  readonly bold?: true
  /** From the left edge of its box. */
  readonly indent?: number
}

/** Units of the picture; about pixels. */
export const width = 400
export const lineHeight = 20
const [size, monoSize, padding] = [15, 14, 12]

/** Of an average sans-serif letter, and of any of a monospaced font, as parts of the size. */
const advance = (line: Line) => (line.mono ? 0.602 * monoSize : (line.bold ? 0.56 : 0.53) * size)

export class Picture {
  readonly #parts: string[] = []
  constructor(
    readonly title: string,
    readonly theme: Theme,
  ) {}

  /**
   * Words that do not fit go to the next line.
   * @returns where the box ends
   */
  box(x: number, y: number, wide: number, lines: readonly Line[], stroke: Colour = 'line'): number {
    const inner = wide - 2 * padding
    const rows = lines.flatMap((line) => wrapped(line, inner - (line.indent ?? 0)))
    const height = boxHeight(rows.length)
    this.frame(x, y, wide, height, stroke)
    rows.forEach((row, index) => {
      const indent = row.indent ?? 0
      this.text(x + padding + indent, baseline(y, index), row, inner - indent)
    })
    return y + height
  }

  frame(x: number, y: number, wide: number, height: number, stroke: Colour = 'line'): void {
    const { theme } = this
    this.#parts.push(
      `<rect x="${x}" y="${y}" width="${wide}" height="${height}" rx="6" fill="${theme.fill}" stroke="${theme[stroke]}" stroke-width="1.5"/>`,
    )
  }

  /** @param room what it may take; a line that takes more is a fault of the picture */
  text(x: number, y: number, line: Line, room = width - x): void {
    const long = line.text.length * advance(line)
    if (long > room) throw new Error(`"${line.text}" is ${Math.ceil(long - room)} too long`)
    const font = line.mono
      ? ` font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, monospace" font-size="${monoSize}"`
      : ''
    const weight = line.bold ? ' font-weight="600"' : ''
    const fill = this.theme[line.colour ?? 'text']
    this.#parts.push(
      `<text x="${x}" y="${y}" fill="${fill}"${font}${weight} xml:space="preserve">${escaped(line.text)}</text>`,
    )
  }

  /** Straight down, with what happens on the way beside it. */
  down(x: number, from: number, to: number, words?: string, colour: Colour = 'line'): void {
    this.path(`M${x} ${from}V${to - 7}`, colour)
    this.#parts.push(`<path d="M${x - 5} ${to - 8}L${x} ${to - 1}L${x + 5} ${to - 8}Z" fill="${this.theme[colour]}"/>`)
    if (words !== undefined) this.text(x + 14, (from + to) / 2 + 5, { text: words, colour: 'faint' })
  }

  /** Along a path that ends towards the right. */
  right(path: string, [x, y]: readonly [number, number], colour: Colour): void {
    this.path(path, colour)
    this.#parts.push(`<path d="M${x - 7} ${y - 5}L${x} ${y}L${x - 7} ${y + 5}Z" fill="${this.theme[colour]}"/>`)
  }

  path(path: string, colour: Colour, dashed = false): void {
    const dash = dashed ? ' stroke-dasharray="5 4"' : ''
    this.#parts.push(`<path d="${path}" fill="none" stroke="${this.theme[colour]}" stroke-width="1.5"${dash}/>`)
  }

  svg(height: number): string {
    return `${[
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="${size}">`,
      `<title>${escaped(this.title)}</title>`,
      `<rect width="${width}" height="${height}" fill="${this.theme.ground}"/>`,
      ...this.#parts,
      '</svg>',
    ].join('\n')}\n`
  }
}

function wrapped(line: Line, room: number): Line[] {
  if (line.mono) return [line]
  const rows: Line[] = []
  for (const word of line.text.split(' ')) {
    const last = rows.at(-1)
    const longer = { ...line, text: `${last?.text} ${word}` }
    if (last !== undefined && longer.text.length * advance(longer) <= room) rows[rows.length - 1] = longer
    else rows.push({ ...line, text: word })
  }
  return rows
}

export const boxHeight = (lines: number) => lines * lineHeight + 14
/** Of a line of a box that begins at `y`. */
export const baseline = (y: number, index: number) => y + 22 + index * lineHeight

const escaped = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
