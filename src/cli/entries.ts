/** What is bundled (see build/bundle.js): each is loaded when it is asked for. */
export const entries = {
  vial: () => import('./vial.js'),
  front: () => import('./bwrap/front.js'),
}
