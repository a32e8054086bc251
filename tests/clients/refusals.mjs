// What a relay has to refuse, how it says so, and that it goes on serving afterwards.

import assert from 'node:assert/strict'
import { finalizeEvent, nip11 } from 'nostr-tools'
import { authors, signed, START } from './events.mjs'
import { check, Raw, startsWith, within } from './harness.mjs'

/** Filters that are refused, as JSON, with the prefix of the reason. */
const FILTERS = [
  ['"text"', 'invalid:'],
  ['[]', 'invalid:'],
  ['{"kinds":1}', 'invalid:'],
  ['{"kinds":["1"]}', 'invalid:'],
  ['{"kinds":[65536]}', 'invalid:'],
  ['{"kinds":[-1]}', 'invalid:'],
  ['{"kinds":[1.0]}', 'invalid:'],
  ['{"kinds":[1e0]}', 'invalid:'],
  ['{"kinds":[01]}', 'invalid:'],
  ['{"kinds":[1,]}', 'invalid:'],
  ['{"kinds":[1],"kinds":[1]}', 'invalid:'],
  ['{"limit":-1}', 'invalid:'],
  ['{"limit":"1"}', 'invalid:'],
  ['{"since":null}', 'invalid:'],
  ['{"until":18446744073709551616}', 'invalid:'],
  ['{"ids":["abcd"]}', 'invalid:'],
  [`{"ids":["${'AB'.repeat(32)}"]}`, 'invalid:'],
  [`{"authors":["${'g'.repeat(64)}"]}`, 'invalid:'],
  [`{"authors":["${'a'.repeat(65)}"]}`, 'invalid:'],
  ['{"#e":["short"]}', 'invalid:'],
  [`{"#p":["${'AB'.repeat(32)}"]}`, 'invalid:'],
  ['{"#t":"topic"}', 'invalid:'],
  ['{"#t":[1]}', 'invalid:'],
  ['{"#t":["\\ud800"]}', 'invalid:'],
  ['{"#topic":["a"]}', 'unsupported:'],
  ['{"#é":["a"]}', 'unsupported:'],
  ['{"#1":["a"]}', 'unsupported:'],
  ['{"#":["a"]}', 'unsupported:'],
  ['{"search":["words"]}', 'invalid:'],
  ['{"kindz":[1]}', 'unsupported:'],
]

/** Messages that are answered with a NOTICE, with the prefix of its text. */
const MESSAGES = [
  ['hello', 'invalid:'],
  ['', 'invalid:'],
  ['[', 'invalid:'],
  ['{}', 'invalid:'],
  ['[]', 'invalid:'],
  ['null', 'invalid:'],
  ['[["REQ"]]', 'invalid:'],
  ['["EVENT"]', 'invalid:'],
  ['["EVENT","text"]', 'invalid:'],
  ['["EVENT",{}]', 'invalid:'],
  ['["REQ"]', 'invalid:'],
  ['["REQ",{}]', 'invalid:'],
  ['["REQ","",{}]', 'invalid:'],
  [`["REQ","${'x'.repeat(65)}",{}]`, 'invalid:'],
  ['["CLOSE"]', 'invalid:'],
  ['["NONSENSE","x"]', 'unsupported:'],
  ['["event",{}]', 'unsupported:'],
  [`${'['.repeat(10_000)}${']'.repeat(10_000)}`, 'invalid:'],
]

/** The event with its id and signature made right again. */
const again = (event, change) => finalizeEvent({ ...event, ...change }, authors[0].secret)

async function events(url, relay, stored) {
  const good = () => signed(0, 1, START + 7_000, [['t', 'refused']], `${Math.random()}`)
  const refused = async (event, start) => {
    await assert.rejects(relay.publish(event), ({ message }) => {
      startsWith(message, start)
      return true
    })
    assert.equal(await within(relay.count([{ ids: [event.id] }], {}), 'COUNT'), 0)
  }
  await check('an event with a wrong id is refused', async () => {
    await refused({ ...good(), content: 'changed' }, 'invalid:')
    await refused({ ...good(), id: 'ab'.repeat(32) }, 'invalid:')
  })
  await check('an event with a wrong signature is refused', async () => {
    await refused({ ...good(), sig: good().sig }, 'invalid:')
    await refused({ ...good(), sig: '0'.repeat(128) }, 'invalid:')
    await refused({ ...good(), sig: 'f'.repeat(128) }, 'invalid:')
  })
  await check('an event of another key is refused', async () => {
    await refused({ ...good(), pubkey: authors[1].pubkey }, 'invalid:')
  })
  await check('an event from the future is refused', async () => {
    const now = Math.floor(Date.now() / 1000)
    await refused(again(good(), { created_at: now + 3_600 }), 'invalid:')
    assert.equal(await relay.publish(again(good(), { created_at: now + 60 })), '')
  })
  await check('an event that is too large is refused, and the largest is not', async () => {
    const { limitation } = await nip11.fetchRelayInformation(url)
    const content = 'x'.repeat(limitation.max_content_length)
    await refused(again(good(), { content: `${content}x` }), 'invalid:')
    assert.equal(await relay.publish(again(good(), { content })), '')
  })
  await check('an event whose fields are of a wrong type is refused by its id', async () => {
    for (const change of [{ kind: 70_000 }, { kind: 1.5 }, { created_at: -1 }, { tags: [[1]] }, { content: 7 }]) {
      await refused({ ...good(), ...change }, 'invalid:')
    }
  })
  await check('what was refused left nothing behind', async () => {
    assert.equal(await relay.count([{ '#t': ['refused'] }], {}), 2)
    startsWith(await relay.publish(stored[1]), 'duplicate:')
  })
}

async function messages(url) {
  const raw = await Raw.open(url)
  for (const [message, start] of MESSAGES) {
    await check(`message ${message.slice(0, 40)}`, async () => {
      const [verb, text] = await raw.ask(message)
      assert.equal(verb, 'NOTICE')
      startsWith(text, start)
    })
  }
  for (const [filter, start] of FILTERS) {
    await check(`filter ${filter.slice(0, 40)}`, async () => {
      for (const verb of ['REQ', 'COUNT']) {
        const [closed, id, text] = await raw.ask(`["${verb}","q",${filter}]`)
        assert.deepEqual([closed, id], ['CLOSED', 'q'])
        startsWith(text, start)
      }
    })
  }
  await check('requests without filters and with too many are refused', async () => {
    for (const filters of [[], Array(21).fill({})]) {
      const [closed, id, text] = await raw.ask(['REQ', 'n', ...filters])
      assert.deepEqual([closed, id], ['CLOSED', 'n'])
      startsWith(text, 'invalid:')
    }
  })
  await check('an id in capitals is refused in an event too', async () => {
    const event = signed(0, 1, START + 7_100)
    const [verb, text] = await raw.ask(['EVENT', { ...event, id: event.id.toUpperCase() }])
    assert.equal(verb, 'NOTICE')
    startsWith(text, 'invalid:')
    const [ok, id, accepted] = await raw.ask(['EVENT', { ...event, pubkey: event.pubkey.toUpperCase() }])
    assert.deepEqual([ok, id, accepted], ['OK', event.id, false])
  })
  await check('after all that the connection serves', async () => {
    const id = '"é\\'.padEnd(64, 'x')
    raw.send(['REQ', id, { limit: 3 }])
    assert.equal((await raw.until('EOSE', id)).length, 4)
    await raw.close()
  })
}

async function subscriptions(url, relay) {
  const note = (kind, text) => signed(0, kind, START + 7_200, [['t', 'subscriptions']], text)
  const open = async (raw, id, filter) => {
    raw.send(['REQ', id, { '#t': ['subscriptions'], limit: 0, ...filter }])
    await raw.until('EOSE', id)
  }
  /** Of all subscriptions only the one called `open` is alive. */
  const onlyOpen = async (raw, texts) => {
    // Two events: what came twice or to another would stand before the second.
    for (const text of texts) await relay.publish(note(1, text))
    for (const text of texts) {
      const [verb, id, { content }] = await raw.next('a live event')
      assert.deepEqual([verb, id, content], ['EVENT', 'open', text])
    }
    await raw.close()
  }
  await check('nothing comes after CLOSE', async () => {
    const raw = await Raw.open(url)
    await open(raw, 'ended')
    await open(raw, 'open')
    raw.send(['CLOSE', 'ended'])
    raw.send(['CLOSE', 'never opened'])
    // Messages are taken in turn: once this is answered, CLOSE was taken.
    assert.deepEqual(await raw.ask(['COUNT', 'c', { ids: [] }]), ['COUNT', 'c', { count: 0 }])
    await onlyOpen(raw, ['one', 'two'])
  })
  await check('a REQ with a known id takes its place', async () => {
    const raw = await Raw.open(url)
    await open(raw, 'open', { kinds: [7] })
    await open(raw, 'open', { kinds: [1] })
    await relay.publish(note(7, 'three'))
    await onlyOpen(raw, ['four', 'five'])
  })
  await check('a REQ that is refused ends the one with its id', async () => {
    const raw = await Raw.open(url)
    await open(raw, 'ended')
    await open(raw, 'open')
    raw.send(['REQ', 'ended', { '#topic': ['x'] }])
    await raw.until('CLOSED', 'ended')
    await onlyOpen(raw, ['six', 'seven'])
  })
}

async function frames(url) {
  await check('a message in bytes ends the connection with 1003', async () => {
    const raw = await Raw.open(url)
    raw.send(new TextEncoder().encode('["REQ","x",{}]'))
    assert.equal(await within(raw.closed, 'the end'), 1003)
  })
  await check('a message that is too long ends the connection with 1009', async () => {
    const raw = await Raw.open(url)
    raw.send(`["CLOSE","${'x'.repeat(200_000)}"]`)
    assert.equal(await within(raw.closed, 'the end'), 1009)
  })
}

/** Runs all of it. `relay` is a connection of nostr-tools, `stored` what the relay holds. */
export async function refusals(url, relay, stored) {
  await events(url, relay, stored)
  await messages(url)
  await subscriptions(url, relay)
  await frames(url)
}
