// Drives a relay with NDK, as applications for people do: node ndk.mjs ws://127.0.0.1:7777
//
//   publish --> fetch by several filters --> live --> replace --> delete --> private messages
//
// The relay has to be empty. The last line says `N passed, 0 failed`; the exit status is 1 if a check failed.
// NDK shows what it publishes to its own subscriptions at once; so one instance publishes and another asks.

import assert from 'node:assert/strict'
import WebSocket from 'ws'
import { answer, authors, order, START } from './events.mjs'
import { check, DEADLINE_MS, Inbox, same, sameSet, summary, within } from './harness.mjs'

const url = process.argv[2]
if (!url) {
  console.error('usage: node ndk.mjs ws://ADDR:PORT')
  process.exit(2)
}
// Node 20 has none of its own, and NDK looks for it when it is loaded.
globalThis.WebSocket = WebSocket
const { default: NDK, NDKEvent, NDKPrivateKeySigner, NDKRelayAuthPolicies } = await import('@nostr-dev-kit/ndk')

/** An instance of NDK with the key of this author, connected. */
async function connect(author, auth) {
  const ndk = new NDK({
    explicitRelayUrls: [url],
    signer: new NDKPrivateKeySigner(Buffer.from(authors[author].secret).toString('hex')),
    enableOutboxModel: false,
    autoConnectUserRelays: false,
    // Every event is verified, not a sample of them.
    initialValidationRatio: 1,
    lowestValidationRatio: 1,
  })
  const [relay] = ndk.pool.relays.values()
  if (auth) relay.authPolicy = NDKRelayAuthPolicies.signIn({ ndk })
  const ready = new Promise((resolve) => relay.once(auth ? 'authed' : 'ready', resolve))
  void ndk.connect()
  await within(ready, 'a connection')
  return ndk
}

/** A signed event of whoever `ndk` belongs to. */
async function made(ndk, kind, created_at, tags = [], content = '') {
  const event = new NDKEvent(ndk, { kind, created_at, tags, content })
  await event.sign()
  return event
}

async function publish(...events) {
  for (const event of events) {
    const relays = await within(event.publish(undefined, 2 * DEADLINE_MS), 'OK')
    assert.equal(relays.size, 1)
  }
}

const refused = (event, why) =>
  assert.rejects(within(event.publish(undefined, 2 * DEADLINE_MS), 'OK'), ({ relayErrors, errors }) => {
    const said = [...(errors ?? relayErrors).values()].map(({ message }) => message)
    assert.ok(said.length === 1 && said[0].includes(why), `${said}`)
    return true
  })

const OPTIONS = { groupable: false, closeOnEose: true }
const fetchAll = async (ndk, filters, options = OPTIONS) => [...(await within(ndk.fetchEvents(filters, options), 'EOSE'))]
const ids = (events) => events.map(({ id }) => id)

/** A live subscription, once it has had EOSE. */
async function subscribe(ndk, filters) {
  const inbox = new Inbox()
  await within(
    new Promise((resolve) => {
      const onEvent = (event) => inbox.put(event)
      inbox.sub = ndk.subscribe(filters, { groupable: false, closeOnEose: false }, { onEvent, onEose: resolve })
    }),
    'EOSE',
  )
  return inbox
}

const [alice, bob, reader] = [await connect(0), await connect(1), await connect(2)]
const keys = authors.map(({ pubkey }) => pubkey)

assert.deepEqual(await fetchAll(reader, {}), [], 'the relay has to be empty')

// ---------------------------------------------------------------------------------- publish and fetch

const notes = []
for (let i = 0; i < 60; i += 1) {
  const tags = [['t', `topic${i % 3}`], ['p', keys[i % 5]]]
  notes.push(await made(i % 2 ? bob : alice, i % 4 ? 1 : 30_023, START + i, i % 4 ? tags : [...tags, ['d', `${i}`]], `Ünïcode 🦩 ${i}`))
}
const raw = notes.map((note) => note.rawEvent())

await check('events are accepted', () => publish(...notes))

const FILTERS = {
  'everything': {},
  'notes': { kinds: [1] },
  'an author': { authors: [keys[0]] },
  'an author and kinds': { authors: [keys[1]], kinds: [1, 7] },
  'a tag': { '#t': ['topic1'] },
  'two tags': { '#t': ['topic1', 'topic2'], '#p': [keys[3]] },
  'a time': { since: START + 10, until: START + 20 },
  'ids': { ids: ids(notes.slice(5, 25)) },
  'an address': { kinds: [30_023], authors: [keys[0]], '#d': ['8'] },
  'a limit': { kinds: [1], limit: 7 },
  'several filters': [{ kinds: [30_023] }, { '#t': ['topic0'], limit: 5 }, { authors: [keys[1]], until: START + 30 }],
  'nothing': { authors: [keys[4]] },
}

for (const [name, filters] of Object.entries(FILTERS)) {
  await check(`fetch: ${name}`, async () => {
    sameSet(ids(await fetchAll(reader, filters)), answer(raw, [filters].flat()))
  })
}

await check('questions that NDK puts together are answered each', async () => {
  const asked = keys.slice(0, 2).map((key) => ({ kinds: [1], authors: [key] }))
  const found = await Promise.all(asked.map((filter) => fetchAll(reader, filter, { groupable: true, closeOnEose: true })))
  found.forEach((events, i) => sameSet(ids(events), answer(raw, [asked[i]])))
})

await check('events come back as they were published', async () => {
  const found = (await fetchAll(reader, { limit: 1000 })).map((event) => event.rawEvent())
  assert.deepEqual(found.sort(order), [...raw].sort(order))
})

await check('one event is fetched by its id and by its address', async () => {
  const byId = await within(reader.fetchEvent(notes[3].id, OPTIONS), 'the event')
  assert.equal(byId.content, notes[3].content)
  const byAddress = await within(reader.fetchEvent(notes[8].encode(), OPTIONS), 'the event')
  assert.equal(byAddress.id, notes[8].id)
})

await check('COUNT is the number of events', async () => {
  assert.equal((await within(reader.count({ kinds: [1] }, { timeout: 2 * DEADLINE_MS }), 'COUNT')).count, 45)
})

// ---------------------------------------------------------------------------------- live

await check('live events come to who subscribed, each once, until the end of the subscription', async () => {
  const [live, fence] = [await subscribe(reader, { '#t': ['live'] }), await subscribe(reader, { '#t': ['fence'] })]
  assert.deepEqual(live.items, [])
  const said = []
  for (let i = 0; i < 20; i += 1) said.push(await made(i % 2 ? alice : bob, 1, START + 100 + i, [['t', i % 4 ? 'live' : 'other']], `${i}`))
  const wanted = ids(said.filter(({ tags }) => tags[0][1] === 'live'))
  await publish(...said.slice(0, 10))
  await live.until(() => live.items.length === 7, 'live events')
  await publish(...said.slice(10))
  await live.until(() => live.items.length === wanted.length, 'live events')
  sameSet(ids(live.items), wanted)
  live.sub.stop()
  await publish(await made(alice, 1, START + 150, [['t', 'live']], 'too late'), await made(alice, 1, START + 151, [['t', 'fence']]))
  await fence.until(() => fence.items.length === 1, 'the fence')
  sameSet(ids(live.items), wanted)
  fence.sub.stop()
})

// ---------------------------------------------------------------------------------- replace and delete

await check('a profile is replaced by a newer one, and not by an older one', async () => {
  const profile = (at, name) => made(alice, 0, START + at, [], JSON.stringify({ name }))
  const [second, third, first] = [await profile(10, 'second'), await profile(20, 'third'), await profile(5, 'first')]
  await publish(second)
  const live = await subscribe(reader, { kinds: [0] })
  // NIP-01 calls it accepted: the newest profile is there.
  await publish(third, first)
  await live.until(() => live.items.some(({ id }) => id === third.id), 'the new profile')
  assert.deepEqual(ids(await fetchAll(reader, { kinds: [0] })), [third.id])
  assert.equal((await fetchAll(reader, { ids: [second.id, first.id] })).length, 0)
  const user = reader.getUser({ pubkey: keys[0] })
  assert.equal((await within(user.fetchProfile(OPTIONS), 'the profile')).name, 'third')
  live.sub.stop()
})

await check('an article is replaced where its address is the same', async () => {
  const article = (at, d) => made(bob, 30_023, START + at, [['d', d]], `${at}`)
  const [a, b, newer] = [await article(200, 'a'), await article(201, 'b'), await article(202, 'a')]
  await publish(a, b, newer)
  sameSet(ids(await fetchAll(reader, { kinds: [30_023], authors: [keys[1]], since: START + 200 })), ids([b, newer]))
})

await check('publishReplaceable makes a version that takes the place of the one before', async () => {
  const list = await made(alice, 10_000, START, [['p', keys[1]]])
  await publish(list)
  list.tags.push(['p', keys[2]])
  await within(list.publishReplaceable(undefined, 2 * DEADLINE_MS), 'OK')
  const [found, ...more] = await fetchAll(reader, { kinds: [10_000] })
  assert.deepEqual([found.tags.length, more.length], [2, 0])
})

await check('a note and an article that are deleted are gone, and stay so', async () => {
  const [note, article] = [notes.find(({ kind, pubkey }) => kind === 1 && pubkey === keys[1]), notes.find(({ kind }) => kind === 30_023)]
  const live = await subscribe(reader, { kinds: [5] })
  const requests = [await within(note.delete('a mistake'), 'OK'), await within(article.delete(), 'OK')]
  assert.ok(requests[1].tags.some(([name]) => name === 'a'), 'an article is deleted by its address')
  await live.until(() => live.items.length === 2, 'the requests')
  assert.deepEqual(await fetchAll(reader, { ids: ids([note, article]) }), [])
  await refused(note, 'blocked:')
  await refused(article, 'blocked:')
  live.sub.stop()
})

await check('nobody deletes what others wrote', async () => {
  const note = notes.find(({ kind, pubkey }) => kind === 1 && pubkey === keys[0])
  await refused(await made(bob, 5, START + 300, [['e', note.id]]), 'invalid:')
  assert.deepEqual(ids(await fetchAll(reader, { ids: [note.id] })), [note.id])
})

// ---------------------------------------------------------------------------------- private

await check('NDK signs in, and a direct message comes to its parties only', async () => {
  const message = await made(alice, 4, START + 400, [['p', keys[3]]], 'sealed')
  await publish(message)
  for (const [author, sees] of [[3, 1], [0, 1], [4, 0]]) {
    const client = await connect(author, true)
    assert.equal((await fetchAll(client, { kinds: [4] })).length, sees, `author ${author}`)
    client.pool.disconnect?.()
    client.pool.relays.forEach((relay) => relay.disconnect())
  }
  assert.deepEqual(await fetchAll(reader, { ids: [message.id] }), [])
})

process.exit(summary())
