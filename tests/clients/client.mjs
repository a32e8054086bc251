// A connection of nostr-tools, and what is asked of the relay through it.
//
//   connect --> relay --subscribe--> Inbox: stored events, then live ones      ask: the stored ones, and then CLOSE

import assert from 'node:assert/strict'
import { finalizeEvent, verifyEvent } from 'nostr-tools'
import { AbstractRelay } from 'nostr-tools/abstract-relay'
import WebSocket from 'ws'
import { authors } from './events.mjs'
import { DEADLINE_MS, Inbox, within } from './harness.mjs'

/** nostr-tools checks each event that it gets, in milliseconds; the same JSON is checked once. */
const verified = new Set()
function verifyOnce(event) {
  const json = JSON.stringify(event)
  if (!verified.has(json) && !verifyEvent(event)) return false
  verified.add(json)
  return true
}

export async function connect(url) {
  const relay = new AbstractRelay(url, { verifyEvent: verifyOnce, websocketImplementation: WebSocket })
  // What it would otherwise take for an EOSE or an OK after some seconds without one.
  relay.baseEoseTimeout = relay.publishTimeout = 2 * DEADLINE_MS
  relay.onnotice = (text) => assert.fail(`NOTICE ${text}`)
  await within(relay.connect(), 'a connection')
  return relay
}

/** A subscription whose events go to an inbox; `eose` resolves to what was stored. */
export function subscribe(relay, filters) {
  const inbox = new Inbox()
  const stored = new Promise((resolve, reject) => {
    inbox.sub = relay.subscribe(filters, {
      onevent: (event) => inbox.put(event),
      oninvalidevent: (event) => reject(new Error(`not asked for: ${JSON.stringify(event)}`)),
      oneose: () => resolve([...inbox.items]),
      onclose: (reason) => reject(new Error(reason)),
    })
  })
  inbox.eose = within(stored, `EOSE for ${JSON.stringify(filters).slice(0, 200)}`)
  // A rejection after EOSE is the end of the subscription, which nobody waits for.
  inbox.eose.catch(() => {})
  return inbox
}

export async function ask(relay, filters) {
  const inbox = subscribe(relay, filters)
  const events = await inbox.eose
  inbox.sub.close()
  return events
}

export const has = (inbox, event) => () => inbox.items.some(({ id }) => id === event.id)
export const ids = (events) => events.map(({ id }) => id)

/** Authenticates as this author. */
export async function authenticate(client, author) {
  // An answer comes behind the challenge, which `connect` does not wait for.
  await ask(client, [{ limit: 0 }])
  const sign = async (template) => finalizeEvent(template, authors[author].secret)
  await within(client.auth(sign), 'the OK to AUTH')
}
