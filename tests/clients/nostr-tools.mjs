// Drives a relay with nostr-tools, as web clients do: node nostr-tools.mjs ws://127.0.0.1:7777
//
//   publish 300 events --> ask in every way --> live --> refusals --> NIP-11
//
// What is asked for is compared with the naive twin in events.mjs, event for event. The relay has to
// be empty. The last line says `N passed, 0 failed`; the exit status is 1 if a check failed.

import assert from 'node:assert/strict'
import { nip11 } from 'nostr-tools'
import { SimplePool, useWebSocketImplementation } from 'nostr-tools/pool'
import WebSocket from 'ws'
import { answer, authors, count, kept, LIMIT_DEFAULT, LIMIT_MAX, made, order, signed, START } from './events.mjs'
import { ask, authenticate, connect, has, ids, subscribe } from './client.mjs'
import { check, same, sameSet, startsWith, summary, within } from './harness.mjs'
import { refusals } from './refusals.mjs'

const url = process.argv[2]
if (!url) {
  console.error('usage: node nostr-tools.mjs ws://ADDR:PORT')
  process.exit(2)
}
useWebSocketImplementation(WebSocket)

const relay = await connect(url)
const other = await connect(url)

assert.equal(await within(relay.count([{}], {}), 'COUNT'), 0, 'the relay has to be empty')

// ---------------------------------------------------------------------------------- publish

const published = made()
const { events: stored, late } = kept(published)

await check('300 events are accepted, and older versions are called duplicates', async () => {
  const answers = await Promise.all(published.map((event) => relay.publish(event)))
  assert.equal(published.length, 300)
  assert.ok(late.size > 10 && stored.length > 200, 'the events should replace one another')
  answers.forEach((text, i) => {
    if (late.has(published[i].id)) startsWith(text, 'duplicate:')
    else assert.equal(text, '')
  })
})

await check('an event published again is a duplicate, also over another connection', async () => {
  startsWith(await relay.publish(stored[0]), 'duplicate:')
  startsWith(await other.publish(stored[0]), 'duplicate:')
})

// ---------------------------------------------------------------------------------- ask

const [alice, bob] = authors.map(({ pubkey }) => pubkey)
const someNote = stored.find(({ kind }) => kind === 1)
const someReaction = stored.find(({ kind }) => kind === 7)
const reactedTo = someReaction.tags[0][1]
const none = '0'.repeat(64)
const filters = {
  'everything': [{}],
  'one id': [{ ids: [someNote.id] }],
  'ids, one of them unknown, one twice': [{ ids: [none, ...ids(stored.slice(40, 90)), stored[40].id] }],
  'an unknown id': [{ ids: [none] }],
  'an author': [{ authors: [alice] }],
  'authors': [{ authors: [alice, bob, none] }],
  'an unknown author': [{ authors: [none] }],
  'notes': [{ kinds: [1] }],
  'profiles and follow lists': [{ kinds: [0, 3] }],
  'articles': [{ kinds: [30_023] }],
  'a kind that nothing has': [{ kinds: [65_535] }],
  'a tag': [{ '#t': ['topic1'] }],
  'a tag with several values': [{ '#t': ['topic1', 'topic2', 'nothing'] }],
  'a tag in capitals is another tag': [{ '#T': ['topic0'] }],
  'a tag value is compared whole': [{ '#t': ['topic', 'TOPIC1', 'topic11'] }],
  'a tag value in Unicode': [{ '#t': ['世界'] }],
  'a tag value with quotes': [{ '#t': ['odd "one"'] }],
  'an empty tag value': [{ '#d': [''] }],
  'a long tag value': [{ '#d': ['長い'.repeat(200)] }],
  'two tags, both needed': [{ '#t': ['topic0'], '#T': ['topic0'] }],
  'reactions to a note': [{ '#e': [reactedTo] }],
  'reactions to an author': [{ '#p': [alice], kinds: [7] }],
  'all that names an author': [{ '#p': [bob] }],
  'an article by its address': [{ authors: [alice], kinds: [30_023], '#d': ['first'] }],
  'every condition': [{ authors: [alice, bob], kinds: [1, 7], '#t': ['topic0', 'topic1'], since: START, until: START + 300 }],
  'since': [{ since: START + 300 }],
  'until': [{ until: START + 120 }],
  'since and until are both in': [{ since: START + 100, until: START + 110 }],
  'one second': [{ since: START + 100, until: START + 100 }],
  'since after until': [{ since: START + 101, until: START + 100 }],
  'any time': [{ since: 0, until: Number.MAX_SAFE_INTEGER }],
  'limit 1': [{ limit: 1 }],
  'limits that cut a second in two': [{ kinds: [1], until: START + 300, limit: 7 }],
  'limit with author and kind': [{ authors: [alice], kinds: [1], limit: 5 }],
  'limit with ids': [{ ids: ids(stored), limit: 3 }],
  'limit with tags': [{ '#t': ['topic1', '世界'], limit: 10 }],
  'limit 0': [{ limit: 0 }],
  'a limit over the maximum': [{ limit: 1_000_000 }],
  'several filters, each event once': [{ kinds: [1] }, { authors: [alice] }, { '#t': ['topic1'] }, {}],
  'several filters with limits': [{ kinds: [1], limit: 4 }, { kinds: [7], limit: 4 }, { authors: [bob], limit: 4 }],
  'the same filter twice': [{ kinds: [7] }, { kinds: [7] }],
  'no ids': [{ ids: [] }],
  'no authors': [{ authors: [], kinds: [1] }],
  'no kinds': [{ kinds: [] }],
  'no tag values': [{ '#t': [], kinds: [1] }],
  'a filter that nothing matches beside one that matches': [{ ids: [] }, { kinds: [3] }],
}

for (const [name, list] of Object.entries(filters)) {
  await check(`REQ: ${name}`, async () => {
    same(ids(await ask(relay, list)), answer(stored, list))
  })
  await check(`COUNT: ${name}`, async () => {
    assert.equal(await within(relay.count(list, {}), 'COUNT'), count(stored, list))
  })
}

await check('the twin is not empty-handed, so that the comparison says something', () => {
  const empty = Object.keys(filters).filter((name) => answer(stored, filters[name]).length === 0)
  assert.equal(empty.length, 10, empty.join(', '))
})

await check('events come back as they were published', async () => {
  const found = await ask(relay, [{}])
  // nostr-tools leaves a mark on what it has verified, which is no part of an event.
  const plain = (event) => JSON.parse(JSON.stringify(event))
  assert.equal(found.length, stored.length)
  found.forEach((event, i) => assert.deepEqual(plain(event), plain(stored[i])))
})

await check('content with control characters is accepted and comes back', async () => {
  // Clients hash them as JSON.stringify writes them; NIP-01 means them to be hashed as they are.
  const note = signed(0, 1, START + 2_000, [['t', 'a\u0001b']], 'nul \u0000, escape \u001b, delete \u007f')
  assert.equal(await relay.publish(note), '')
  const [found] = await ask(relay, [{ '#t': ['a\u0001b'] }])
  assert.equal(found.content, note.content)
})

await check('replaced versions cannot be had by id either', async () => {
  const there = new Set(ids(stored))
  const replaced = ids(published).filter((id) => !there.has(id))
  assert.ok(replaced.length > 40)
  assert.deepEqual(await ask(relay, [{ ids: replaced }]), [])
})

await check('a pool asks and publishes', async () => {
  const pool = new SimplePool()
  const note = signed(2, 1, START + 2_000, [['t', 'pool']], 'through a pool')
  assert.deepEqual(await within(Promise.all(pool.publish([url], note)), 'OK'), [''])
  const [found] = await within(pool.querySync([url], { '#t': ['pool'] }), 'the answer')
  assert.equal(found.id, note.id)
  const newest = await within(pool.get([url], { kinds: [1], until: START + 1_999 }), 'the answer')
  assert.equal(newest.id, stored.find(({ kind }) => kind === 1).id)
  pool.destroy()
})

// ---------------------------------------------------------------------------------- live

/** The last event of each author: it comes behind all that this author published before. */
const fences = (tag, at) => authors.map((_, author) => signed(author, 1, at, [['t', tag]], 'fence'))
const behind = (inbox, fences) =>
  inbox.until(() => fences.every((fence) => has(inbox, fence)()), 'the last live events')

await check('live events come to who asked for them, each once', async () => {
  const [live, all] = [subscribe(relay, [{ '#t': ['live'] }, { kinds: [1], since: START + 3_000 }]), subscribe(relay, [{ limit: 0 }])]
  assert.deepEqual(await live.eose, [])
  assert.deepEqual(await all.eose, [])
  const notes = []
  for (let i = 0; i < 40; i += 1) notes.push(signed(i % 5, 1, START + 3_000, [['t', i % 2 ? 'live' : 'other']], `${i}`))
  for (let i = 0; i < 20; i += 1) notes.push(signed(i % 5, 7, START + 3_000, [['t', i % 2 ? 'live' : 'other']], `${i}`))
  const last = fences('live', START + 3_001)
  await Promise.all([...notes, ...last].map((event) => other.publish(event)))
  await Promise.all([behind(live, last), behind(all, last)])
  const wanted = notes.filter(({ kind, tags }) => kind === 1 || tags[0][1] === 'live')
  sameSet(ids(live.items), ids([...wanted, ...last]))
  sameSet(ids(all.items), ids([...notes, ...last]))
  live.sub.close()
  all.sub.close()
})

await check('a publisher gets its own events live', async () => {
  const own = subscribe(relay, [{ '#t': ['own'] }])
  await own.eose
  const note = signed(0, 1, START + 4_000, [['t', 'own']])
  await relay.publish(note)
  await own.until(has(own, note), 'the event')
  own.sub.close()
})

await check('between stored and live nothing is lost and nothing comes twice', async () => {
  const notes = []
  for (let i = 0; i < 300; i += 1) notes.push(signed(i % 5, 1, START + 5_000 + i, [['t', 'race']], `${i}`))
  const last = fences('race', START + 6_000)
  const answers = []
  const subscribed = []
  for (const [i, note] of notes.entries()) {
    answers.push(other.publish(note))
    if (i % 50 === 25) {
      // Of those before, some are stored and some under way.
      await within(answers[i - 20], 'OK')
      subscribed.push(subscribe(relay, [{ '#t': ['race'] }]))
    }
  }
  await Promise.all(answers)
  await Promise.all(last.map((event) => other.publish(event)))
  for (const inbox of subscribed) {
    const stored = await inbox.eose
    same(ids(stored), ids([...stored].sort(order)))
    await behind(inbox, last)
    sameSet(ids(inbox.items), ids([...notes, ...last]))
    inbox.sub.close()
  }
})

await check('ephemeral events are delivered and not kept', async () => {
  const live = subscribe(relay, [{ kinds: [20_001] }])
  await live.eose
  const event = signed(0, 20_001, START + 6_000, [['t', 'ephemeral']], 'now or never')
  assert.equal(await other.publish(event), '')
  await live.until(has(live, event), 'the ephemeral event')
  live.sub.close()
  assert.deepEqual(await ask(relay, [{ kinds: [20_001] }, { ids: [event.id] }]), [])
  assert.equal(await relay.count([{ '#t': ['ephemeral'] }], {}), 0)
})

await check('a new version comes live, and an older one does not', async () => {
  const live = subscribe(relay, [{ kinds: [0] }])
  const before = await live.eose
  const [newer, older] = [9_000, 8_000].map((at) => signed(0, 0, START + at, [], `${at}`))
  const fence = signed(0, 0, START + 9_001, [], 'fence')
  for (const event of [newer, older, fence]) await other.publish(event)
  await live.until(has(live, fence), 'the newest version')
  assert.deepEqual(ids(live.items.slice(before.length)), ids([newer, fence]))
  assert.deepEqual(ids(await ask(relay, [{ kinds: [0], authors: [alice] }])), [fence.id])
  live.sub.close()
})

await check('the default limit and the largest limit are what the document says', async () => {
  const total = await relay.count([{}], {})
  assert.ok(total > LIMIT_DEFAULT && total < LIMIT_MAX, `${total}`)
  const all = await ask(relay, [{ limit: LIMIT_MAX + 1 }])
  assert.equal(all.length, total)
  same(ids(all), ids([...all].sort(order)))
  same(ids(await ask(relay, [{}])), ids(all.slice(0, LIMIT_DEFAULT)))
})

// ---------------------------------------------------------------------------------- private

await check('direct messages come to their parties, and to nobody else', async () => {
  const dm = signed(3, 4, START + 9_500, [['p', authors[4].pubkey]], 'sealed')
  assert.equal(await relay.publish(dm), '')
  const asks = [{ kinds: [4] }]
  await assert.rejects(ask(other, asks), /^Error: auth-required:/)
  assert.deepEqual(await ask(other, [{ ids: [dm.id] }]), [])
  for (const author of [3, 4, 0]) {
    const client = await connect(url)
    const general = subscribe(client, [{ kinds: [1, 4], limit: 0 }])
    await general.eose
    await authenticate(client, author)
    const own = author === 0 ? [] : [dm.id]
    assert.deepEqual(ids(await ask(client, asks)), own)
    assert.deepEqual(ids(await ask(client, [{ ids: [dm.id] }])), own)
    assert.equal(await client.count(asks, {}), own.length)
    client.close()
  }
})

await check('a protected event is taken from its author', async () => {
  const event = signed(2, 1, START + 9_600, [['-'], ['t', 'protected']], 'mine')
  await assert.rejects(relay.publish(event), /auth-required:/)
  const [author, stranger] = [await connect(url), await connect(url)]
  await authenticate(stranger, 1)
  await assert.rejects(stranger.publish(event), /restricted:/)
  await authenticate(author, 2)
  assert.equal(await author.publish(event), '')
  assert.deepEqual(ids(await ask(relay, [{ '#t': ['protected'] }])), [event.id])
  author.close()
  stranger.close()
})

// ---------------------------------------------------------------------------------- the rest

await refusals(url, relay, stored)

const http = url.replace(/^ws/, 'http')
const json = { headers: { Accept: 'application/nostr+json' } }

await check('the document of NIP-11 is there and says what is so', async () => {
  const response = await fetch(http, json)
  assert.equal(response.status, 200)
  startsWith(response.headers.get('content-type'), 'application/nostr+json')
  assert.equal(response.headers.get('access-control-allow-origin'), '*')
  const document = await nip11.fetchRelayInformation(url)
  assert.deepEqual(document, await response.json())
  for (const nip of [1, 11, 42, 45, 70]) assert.ok(document.supported_nips.includes(nip))
  assert.equal(document.limitation.default_limit, LIMIT_DEFAULT)
  assert.equal(document.limitation.max_limit, LIMIT_MAX)
  for (const key of ['name', 'description', 'software', 'version']) assert.ok(document[key], key)
})

await check('without the header there is a page, and its script is allowed to run', async () => {
  const response = await fetch(http)
  assert.equal(response.status, 200)
  startsWith(response.headers.get('content-type'), 'text/html')
  const [, nonce] = response.headers.get('content-security-policy').match(/script-src 'nonce-(\w+)'/)
  const page = await response.text()
  assert.ok(page.includes(`<script nonce="${nonce}"`), 'the script')
  assert.ok(page.includes(`ws://${new URL(http).host}/`), 'the address of the relay')
})

relay.close()
other.close()
process.exit(summary())
