/** A line chart as SVG. */

export interface Chart {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly lines: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[]
}

const [width, height] = [720, 420]
const margin = { left: 60, right: 80, top: 40, bottom: 50 }
const colours = ['#1b7f5c', '#b0413e', '#30638e']

export function chart({ title, x, y, lines }: Chart): string {
  const all = lines.flatMap(({ points }) => points)
  const [stepX, stepY] = [0, 1].map((axis) => niceStep(Math.max(...all.map((point) => point[axis]!)))) as [
    number,
    number,
  ]
  const [mostX, mostY] = [5 * stepX, 5 * stepY]
  const left = (value: number) => round(margin.left + (value / mostX) * (width - margin.left - margin.right))
  const top = (value: number) => round(height - margin.bottom - (value / mostY) * (height - margin.top - margin.bottom))
  const ticks = [0, 1, 2, 3, 4, 5]
  const drawn = lines.flatMap(({ name, points }, index) => {
    const colour = colours[index % colours.length]!
    const places = points.map(([a, b]) => `${left(a)},${top(b)}`)
    const [lastX, lastY] = points.at(-1)!
    return [
      `<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...points.map(([a, b]) => `<circle cx="${left(a)}" cy="${top(b)}" r="3" fill="${colour}"/>`),
      text(left(lastX) + 8, top(lastY) + 4, name, 'start', colour),
    ]
  })
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(width / 2, 24, title, 'middle'),
    ...ticks.flatMap((tick) => [
      `<path d="M${margin.left} ${top(tick * stepY)}H${width - margin.right}" stroke="#ddd"/>`,
      text(margin.left - 8, top(tick * stepY) + 4, String(round(tick * stepY)), 'end'),
      text(left(tick * stepX), height - margin.bottom + 20, String(round(tick * stepX)), 'middle'),
    ]),
    text(width / 2, height - 10, x, 'middle'),
    text(margin.left - 8, margin.top - 12, y, 'end'),
    ...drawn,
    '</svg>',
  ].join('\n')}\n`
}

/** A fifth of the axis: 1, 2 or 5 times a power of ten. */
function niceStep(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / 5))
  return power * [1, 2, 5, 10].find((factor) => 5 * factor * power >= most)!
}

const round = (value: number) => Math.round(value * 100) / 100

const text = (x: number, y: number, content: string, anchor: string, colour = '#333') =>
  `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="${colour}">${content}</text>`
