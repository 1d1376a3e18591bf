/** How often what is left to chance is tried: a part of it in each run of the tests, all of it with VIAL_TEST_SHARE=1, as by `npm run stress`. */
const share = Number(process.env.VIAL_TEST_SHARE ?? 0.25)

/** Of two ways that each of many things is tried in: one of them for each, in turn, unless all is tried. */
export const isTried = (thing: number, way: number): boolean => share >= 1 || (thing + way) % 2 === 0

export const shareOf = (most: number): number => Math.ceil(most * share)
