/** Who sends what cannot be answered. */

/**
 * No port of a program. A sandbox that may make packets of its own (CAP_NET_RAW) can say that one comes from there, and Node.js throws
 * where it is to answer.
 */
export const unanswerable = 0
