// Drives a relay with nostr-tools through what NIP-01 has not: node nips.mjs ws://127.0.0.1:7777
//
//   NIP-77 sync --> NIP-50 search --> NIP-09 deletion --> NIP-40 expiration --> NIP-17 private messages
//
// The relay has to be empty. The last line says `N passed, 0 failed`; the exit status is 1 if a check failed.

import assert from 'node:assert/strict'
import { nip17, nip77 } from 'nostr-tools'
import { ask, authenticate, connect, has, ids, subscribe } from './client.mjs'
import { answer, authors, signed, START } from './events.mjs'
import { check, DEADLINE_MS, Raw, same, sameSet, startsWith, summary, within } from './harness.mjs'

const url = process.argv[2]
if (!url) {
  console.error('usage: node nips.mjs ws://ADDR:PORT')
  process.exit(2)
}

const relay = await connect(url)
const other = await connect(url)
const count = (filter, client = relay) => within(client.count([filter], {}), 'COUNT')
const publish = (events, client = relay) => Promise.all(events.map((event) => client.publish(event)))
const fetchIds = async (filter, client = relay) => ids(await ask(client, [filter]))
const refused = (event, start) =>
  assert.rejects(relay.publish(event), ({ message }) => {
    startsWith(message, start)
    return true
  })

assert.equal(await count({}), 0, 'the relay has to be empty')

// ---------------------------------------------------------------------------------- NIP-77

/** What the relay would have to be given and what it would give, by a sync of `local`. */
async function sync(local, filter, client = relay) {
  const storage = new nip77.NegentropyStorageVector()
  local.forEach(({ created_at, id }) => storage.insert(created_at, id))
  storage.seal()
  const [have, need] = [[], []]
  const done = new Promise((resolve, reject) => {
    const session = new nip77.NegentropySync(client, storage, filter, {
      onhave: (id) => have.push(id),
      onneed: (id) => need.push(id),
      onclose: (reason) => (reason ? reject(new Error(reason)) : resolve({ have, need })),
    })
    session.start()
  })
  return within(done, 'the end of a sync')
}

const notes = []
for (let i = 0; i < 400; i += 1) notes.push(signed(i % 5, 1, START + Math.floor(i / 3), [['t', `sync${i % 2}`]], `${i}`))
/** Of ten: one is here only, two are there only. */
const [onlyHere, onlyThere] = [notes.filter((_, i) => i % 10 === 0), notes.filter((_, i) => i % 10 === 1 || i % 10 === 2)]
const here = notes.filter((note) => !onlyThere.includes(note))

await check('sync with an empty relay: it has nothing and needs all', async () => {
  const { have, need } = await sync(here, { kinds: [1] })
  sameSet(have, ids(here))
  same(need, [])
})

await publish(notes.filter((note) => !onlyHere.includes(note)))

await check('sync says what is missing on either side', async () => {
  const { have, need } = await sync(here, { kinds: [1] })
  sameSet(have, ids(onlyHere))
  sameSet(need, ids(onlyThere))
})

await check('sync with nothing here needs all', async () => {
  const { have, need } = await sync([], {})
  same(have, [])
  sameSet(need, ids(notes.filter((note) => !onlyHere.includes(note))))
})

await check('a filter narrows what is synchronized', async () => {
  for (const filter of [{ '#t': ['sync1'] }, { authors: [authors[1].pubkey] }, { since: START + 50, until: START + 60 }]) {
    const within = new Set(answer(notes, [{ ...filter, limit: 1000 }]))
    const { have, need } = await sync(here.filter(({ id }) => within.has(id)), filter)
    sameSet(have, ids(onlyHere).filter((id) => within.has(id)))
    sameSet(need, ids(onlyThere).filter((id) => within.has(id)))
    assert.ok(within.size > 10 && need.length > 0)
  }
})

await check('several sessions of one connection do not mix', async () => {
  const ends = await Promise.all(['sync0', 'sync1'].map((tag) => sync([], { '#t': [tag] })))
  ends.forEach(({ need }, parity) => sameSet(need, ids(notes.filter((note, i) => i % 2 === parity && !onlyHere.includes(note)))))
})

await check('what was missing is brought, and then nothing is', async () => {
  const { have, need } = await sync(here, { kinds: [1] })
  await publish(notes.filter(({ id }) => have.includes(id)))
  const fetched = await ask(relay, [{ ids: need }])
  assert.deepEqual(await sync([...here, ...fetched], { kinds: [1] }), { have: [], need: [] })
  assert.equal(await count({ kinds: [1] }), notes.length)
})

await check('sessions that cannot be are refused', async () => {
  const raw = await Raw.open(url)
  for (const rest of [[{}, 'zz'], [{}, '62'], [{}, ''], [{ kindz: [1] }, '6100000200'], [{}]]) {
    const [verb, id, why] = await raw.ask(['NEG-OPEN', 'n', ...rest])
    if (rest.length === 2 && rest[1] === '62') {
      // Another version is answered with ours, which is how they agree on one.
      assert.deepEqual([verb, id, why], ['NEG-MSG', 'n', '61'])
    } else {
      assert.ok(verb === 'NEG-ERR' || verb === 'NOTICE', verb)
      startsWith(verb === 'NOTICE' ? id : why, rest[0].kindz ? 'unsupported:' : 'invalid:')
    }
  }
  const [verb, id, why] = await raw.ask(['NEG-MSG', 'never opened', '6100'])
  assert.deepEqual([verb, id], ['NEG-ERR', 'never opened'])
  startsWith(why, 'closed:')
  await raw.close()
})

// ---------------------------------------------------------------------------------- NIP-50

const TEXTS = [
  'The ostrich is the largest living bird',
  'A café for every OSTRICH and every rhea',
  'The largest bird is no rhea: it is the ostrich',
  'Birds of prey', '東京タワー at night',
]
const texts = TEXTS.map((text, i) => signed(i % 2, 1, START + 1_000 + i, [['t', 'words']], text))
const article = signed(2, 30_023, START + 1_010, [['d', 'words'], ['title', 'Ratites: the emu']], 'It cannot fly.')
const searched = [...texts, article]
/** What is searched for, and numbers of the texts that have it. */
const SEARCHES = [
  ['ostrich', [0, 1, 2]], ['OSTRICH cafe', [1]], ['bird largest', [0, 2]], ['"largest living"', [0]],
  ['"living largest"', []], ['bir', []], ['rhea ostrich', [1, 2]], ['東京', [4]], ['emu', [5]], ['fly ratites', [5]],
  ['ostrich language:en', [0, 1, 2]], ['penguin', []],
]

await publish(searched)

for (const [search, found] of SEARCHES) {
  await check(`search: ${search}`, async () => {
    sameSet(await fetchIds({ search }), found.map((i) => searched[i].id))
    assert.equal(await count({ search }), found.length)
  })
}

await check('search with other conditions, and a limit', async () => {
  same(await fetchIds({ search: 'ostrich', authors: [authors[1].pubkey] }), [texts[1].id])
  same(await fetchIds({ search: 'ostrich', kinds: [30_023] }), [])
  same(await fetchIds({ search: 'ostrich', until: START + 1_000 }), [texts[0].id])
  assert.equal((await fetchIds({ search: 'ostrich', limit: 2 })).length, 2)
})

await check('a search without a word is as if it were not there', async () => {
  same(await fetchIds({ search: 'language:en', '#t': ['words'] }), answer(searched, [{ '#t': ['words'] }]))
})

await check('new events that have the words come live', async () => {
  const live = subscribe(relay, [{ search: 'emu egg', kinds: [1] }])
  assert.deepEqual(await live.eose, [])
  const said = ['an emu', 'the Egg of an Emu', 'egg, emu'].map((text, i) => signed(3, 1, START + 1_100 + i, [], text))
  for (const note of said) await other.publish(note)
  await live.until(has(live, said[2]), 'the last note')
  same(ids(live.items), ids(said.slice(1)))
  live.sub.close()
})

// ---------------------------------------------------------------------------------- NIP-09

const deletion = (author, at, tags) => signed(author, 5, START + at, tags, 'a mistake')
const address = (author, d) => `30023:${authors[author].pubkey}:${d}`

await check('a deletion request takes events away, for ever', async () => {
  const [gone, stays] = ['gone', 'stays'].map((text) => signed(0, 1, START + 2_000, [['t', 'delete']], text))
  await publish([gone, stays])
  const live = subscribe(other, [{ kinds: [5], authors: [gone.pubkey] }])
  await live.eose
  const request = deletion(0, 2_001, [['e', gone.id], ['k', '1']])
  assert.equal(await relay.publish(request), '')
  await live.until(has(live, request), 'the request')
  same(await fetchIds({ '#t': ['delete'] }), [stays.id])
  same(await fetchIds({ ids: [gone.id] }), [])
  assert.equal(await count({ '#t': ['delete'] }), 1)
  assert.deepEqual(await sync([], { '#t': ['delete'] }), { have: [], need: [stays.id] })
  same(await fetchIds({ search: 'gone' }), [])
  same(await fetchIds({ '#e': [gone.id] }), [request.id])
  await refused(gone, 'blocked:')
  live.sub.close()
})

await check('an event that comes after its deletion request is refused', async () => {
  const early = signed(1, 1, START + 2_010, [], 'comes late')
  await relay.publish(deletion(1, 2_011, [['e', early.id]]))
  await refused(early, 'blocked:')
  same(await fetchIds({ ids: [early.id] }), [])
})

await check('nobody deletes what others wrote', async () => {
  const note = signed(2, 1, START + 2_020, [], 'mine')
  const late = signed(2, 1, START + 2_021, [], 'mine too')
  await relay.publish(note)
  await refused(deletion(3, 2_022, [['e', note.id]]), 'invalid:')
  await refused(deletion(3, 2_022, [['a', address(2, 'words')]]), 'invalid:')
  // Whose the event is cannot be known before it comes.
  assert.equal(await relay.publish(deletion(3, 2_023, [['e', late.id]])), '')
  assert.equal(await relay.publish(late), '')
  sameSet(await fetchIds({ ids: [note.id, late.id, article.id] }), [note.id, late.id, article.id])
})

await check('an address is deleted up to the time of the request', async () => {
  const version = (at, text) => signed(4, 30_023, START + at, [['d', 'book']], text)
  const [first, second, third] = [version(3_000, '1'), version(3_010, '2'), version(3_020, '3')]
  const neighbour = signed(4, 30_023, START + 3_000, [['d', 'books']], 'another')
  await publish([second, neighbour])
  await relay.publish(deletion(4, 3_010, [['a', address(4, 'book')]]))
  const filter = { kinds: [30_023], authors: [authors[4].pubkey] }
  same(await fetchIds(filter), [neighbour.id])
  await refused(first, 'blocked:')
  await refused(second, 'blocked:')
  assert.equal(await relay.publish(third), '')
  same(await fetchIds(filter), [third.id, neighbour.id])
})

await check('a deletion request cannot be deleted', async () => {
  const note = signed(0, 1, START + 2_030, [], 'gone for good')
  const request = deletion(0, 2_031, [['e', note.id]])
  await publish([note])
  await publish([request])
  await relay.publish(deletion(0, 2_032, [['e', request.id]]))
  same(await fetchIds({ ids: [request.id, note.id] }), [request.id])
  await refused(note, 'blocked:')
})

// ---------------------------------------------------------------------------------- NIP-40

await check('an event that has expired is refused, and one that will is served', async () => {
  const now = Math.floor(Date.now() / 1000)
  const expiring = (at, text) => signed(0, 1, now, [['expiration', `${at}`], ['t', 'expiration']], text)
  await refused(expiring(now - 1, 'over'), 'invalid:')
  const later = expiring(now + 86_400, 'tomorrow')
  assert.equal(await relay.publish(later), '')
  same(await fetchIds({ '#t': ['expiration'] }), [later.id])
})

await check('an event expires while the relay runs, for every kind of question', async () => {
  // Far enough that it is stored by then, also on a busy machine.
  const at = Math.floor(Date.now() / 1000) + 3
  const note = signed(1, 1, START, [['expiration', `${at}`], ['t', 'soon']], 'ephemeralish')
  assert.equal(await relay.publish(note), '')
  assert.equal(await count({ '#t': ['soon'] }), 1)
  const started = Date.now()
  while ((await count({ '#t': ['soon'] })) !== 0) assert.ok(Date.now() - started < DEADLINE_MS, 'it does not expire')
  assert.ok(Date.now() >= at * 1000, 'it expired too early')
  same(await fetchIds({ ids: [note.id] }), [])
  same(await fetchIds({ search: 'ephemeralish' }), [])
  assert.deepEqual(await sync([], { '#t': ['soon'] }), { have: [], need: [] })
  await refused(note, 'invalid:')
})

// ---------------------------------------------------------------------------------- NIP-42 and NIP-17

await check('a private message comes to whom it is for, stored and live, and to nobody else', async () => {
  const [alice, bob, eve] = [await connect(url), await connect(url), await connect(url)]
  await authenticate(alice, 0)
  await authenticate(bob, 1)
  await authenticate(eve, 2)
  const filter = { kinds: [1059], '#p': [authors[1].pubkey] }
  const lives = [bob, eve].map((client) => subscribe(client, [filter, { kinds: [7], limit: 0 }]))
  for (const live of lives) assert.deepEqual(await live.eose, [])
  const [wrap] = nip17.wrapManyEvents(authors[0].secret, [{ publicKey: authors[1].pubkey }], 'for Bob').filter(
    ({ tags }) => tags[0][1] === authors[1].pubkey,
  )
  assert.equal(await alice.publish(wrap), '')
  // Published behind it: who has this has had whatever came before.
  const fence = signed(0, 7, START + 9_000, [], '+')
  assert.equal(await alice.publish(fence), '')
  await lives[0].until(() => has(lives[0], wrap)() && has(lives[0], fence)(), 'the message')
  await lives[1].until(has(lives[1], fence), 'the reaction')
  same(ids(lives[1].items), [fence.id])
  const [found] = await ask(bob, [filter])
  assert.equal(nip17.unwrapEvent(found, authors[1].secret).content, 'for Bob')
  for (const [client, sees] of [[bob, 1], [eve, 0], [alice, 0]]) {
    assert.equal((await fetchIds({ ids: [wrap.id] }, client)).length, sees)
    assert.equal(await count(filter, client), sees)
    assert.equal((await sync([], filter, client)).need.length, sees)
  }
  await assert.rejects(ask(relay, [filter]), /auth-required:/)
  for (const client of [alice, bob, eve]) client.close()
})

relay.close()
other.close()
process.exit(summary())
