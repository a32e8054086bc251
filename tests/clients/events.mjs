// The events that are published, and what a relay owes for them: a naive twin in two functions.
//
//   made() --300, shuffled--> relay          kept(events)            what stays
//                                            answer(events, filters) what a REQ gives

import { finalizeEvent, getPublicKey, matchFilter } from 'nostr-tools'

/** `created_at` of the oldest event. */
export const START = 1_700_000_000

/** What a filter without a limit gives, and what any filter gives at most (NIP-11 of the relay). */
export const LIMIT_DEFAULT = 500
export const LIMIT_MAX = 1000

const secret = (n) => new Uint8Array(32).fill(n)

/** Five keys, known to all. */
export const authors = [1, 2, 3, 4, 5].map((n) => {
  return { secret: secret(n), pubkey: getPublicKey(secret(n)) }
})

/** A signed event of author number `author`. */
export function signed(author, kind, created_at, tags = [], content = '') {
  return finalizeEvent({ kind, created_at, tags, content }, authors[author].secret)
}

/** Content that has been lost or changed on the way through some store or other. */
const CONTENTS = [
  'plain',
  '',
  'Grüße, 世界, Привет, مرحبا, שלום',
  '🦩 👩‍👩‍👧‍👦 🏳️‍🌈 𝕽𝖆𝖙𝖎𝖙𝖊 \u{10ffff}',
  'quotes " \\ / and \b \f \n \r \t',
  'rare \u007f \u0080 \u2028 \u2029 \ufeff \ufffd',
  'e\u0301 is not \u00e9',
  '{"json":["in","content"]}',
]

/** Numbers that look random and are the same in every run. */
export function chance(seed) {
  let state = seed
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

/** 300 events of several kinds, in no order: newer versions come before older ones too. */
export function made() {
  const events = []
  const add = (...parts) => events.push(signed(...parts))
  for (let i = 0; i < 130; i += 1) {
    // Three notes a second: their order is then that of their ids.
    const at = START + 10 * Math.floor(i / 3)
    const tags = [['t', `topic${i % 4}`], ['T', 'topic0'], ['t', i % 2 ? '世界' : 'odd "one"'], ['empty'], []]
    add(i % 5, 1, at, tags.slice(0, i % 6), CONTENTS[i % CONTENTS.length] + (i < 8 ? '' : ` ${i}`))
  }
  const notes = [...events]
  for (let i = 0; i < 80; i += 1) {
    const note = notes[(i * 7) % notes.length]
    const tags = [['e', note.id, 'wss://relay.example', ''], ['p', note.pubkey]]
    add((i + 1) % 5, 7, note.created_at + 5 + (i % 3), tags, i % 3 ? '+' : '🤙')
  }
  for (let i = 0; i < 40; i += 1) {
    const follows = authors.slice(0, i % 5).map(({ pubkey }) => ['p', pubkey])
    // Two versions of each second: the lower id stays.
    const at = START + 100 + 10 * Math.floor(i / 20)
    add(i % 5, i % 2 ? 3 : 0, at, i % 2 ? follows : [], JSON.stringify({ name: `version ${i}` }))
  }
  for (let i = 0; i < 40; i += 1) {
    const d = [[['d', 'first']], [['d', '']], [], [['t', 'topic1'], ['d', '長い'.repeat(200)]]][i % 4]
    add(i % 5, 30_023, START + 7 * (i % 9), [...d, ['title', `${i}`]], `# Article ${i}\n\n`.repeat(20))
  }
  for (let i = 0; i < 10; i += 1) {
    add(i % 5, 1, START + 1000 + i, [['t', 'long']], `${i}`.padEnd(2_500 * i, '長い '))
  }
  const random = chance(300)
  for (let i = events.length - 1; i > 0; i -= 1) {
    const j = random(i + 1)
    ;[events[i], events[j]] = [events[j], events[i]]
  }
  return events
}

/** Newest first, of one second the lowest id first. */
export function order(a, b) {
  return b.created_at - a.created_at || (a.id < b.id ? -1 : 1)
}

/** What only one event may have, if there is such a thing. */
function place({ kind, pubkey, tags }) {
  if (kind === 0 || kind === 3 || (kind >= 10_000 && kind < 20_000)) return `${kind} ${pubkey}`
  const d = tags.find((tag) => tag[0] === 'd')?.[1] ?? ''
  return kind >= 30_000 && kind < 40_000 ? `${kind} ${pubkey} ${d}` : undefined
}

/** Which of `events` stay, and which came after what replaced them. */
export function kept(events) {
  const [places, late, regular] = [new Map(), new Set(), []]
  for (const event of events) {
    const where = place(event)
    const there = places.get(where)
    if (where === undefined) regular.push(event)
    else if (there && order(there, event) < 0) late.add(event.id)
    else places.set(where, event)
  }
  return { events: [...regular, ...places.values()].sort(order), late }
}

/** The ids that a REQ gives on a relay that keeps `events`. */
export function answer(events, filters) {
  const found = new Map()
  for (const filter of filters) {
    const limit = Math.min(filter.limit ?? LIMIT_DEFAULT, LIMIT_MAX)
    const matches = events.filter((event) => matchFilter(filter, event)).sort(order)
    matches.slice(0, limit).forEach((event) => found.set(event.id, event))
  }
  return [...found.values()].sort(order).map(({ id }) => id)
}

/** What a COUNT gives: all that match, whatever the limits. */
export function count(events, filters) {
  return events.filter((event) => filters.some((filter) => matchFilter(filter, event))).length
}
