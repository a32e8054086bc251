// What the client tests stand on: named checks that are counted, deadlines, and a bare websocket for
// messages that no client library would send.
//
// I1. Nothing waits for time to pass: every wait is for a message, and a deadline makes it fail.

import assert from 'node:assert/strict'
import WebSocket from 'ws'

/** Milliseconds after which a message that did not come is a failure; far more than any needs. */
export const DEADLINE_MS = 30_000

let passed = 0
const failures = []

/** Runs one check; a failed one is reported and does not stop the others. */
export async function check(name, run) {
  try {
    await run()
    passed += 1
  } catch (error) {
    failures.push(name)
    console.error(`FAILED ${name}\n${error.stack ?? error}\n`)
  }
}

/** Prints the line that the caller of the script reads, and gives the exit status. */
export function summary() {
  console.log(`${passed} passed, ${failures.length} failed`)
  return failures.length === 0 ? 0 : 1
}

/** `promise`, or an error that names what did not come. */
export async function within(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), DEADLINE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** A list that others fill and that one reader waits on. */
export class Inbox {
  items = []
  #wake = () => {}

  put(item) {
    this.items.push(item)
    this.#wake()
  }

  /** Waits until `ready` holds; it is asked again after each item. */
  async until(ready, what) {
    const waited = async () => {
      while (!ready()) await new Promise((resolve) => (this.#wake = resolve))
    }
    return within(waited(), what)
  }
}

/** A websocket without a client library around it. */
export class Raw {
  #socket
  #inbox = new Inbox()
  #read = 0
  /** What the relay wants to be signed. */
  challenge
  /** Resolves to the code of the close frame. */
  closed

  constructor(socket) {
    this.#socket = socket
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString())
      // It comes before anything was asked, and is no answer.
      if (message[0] === 'AUTH') this.challenge = message[1]
      else this.#inbox.put(message)
    })
    socket.on('error', () => {}) // A close follows, and that is what tests wait for.
    this.closed = new Promise((resolve) => socket.on('close', resolve))
  }

  static async open(url) {
    const socket = new WebSocket(url)
    const raw = new Raw(socket)
    await within(new Promise((resolve) => socket.on('open', resolve)), 'a connection')
    return raw
  }

  /** Sends text or bytes as they are, anything else as JSON. */
  send(message) {
    const asItIs = typeof message === 'string' || message instanceof Uint8Array
    this.#socket.send(asItIs ? message : JSON.stringify(message))
  }

  /** The next message that was not given out yet. */
  async next(what = 'a message') {
    const [{ items }, index] = [this.#inbox, this.#read++]
    await this.#inbox.until(() => index < items.length, what)
    return items[index]
  }

  /** Sends, and gives the next message. */
  async ask(message) {
    this.send(message)
    return this.next(`the answer to ${String(message).slice(0, 80)}`)
  }

  /** All messages up to and with the first whose verb and second element are these. */
  async until(verb, second) {
    const messages = []
    for (;;) {
      const message = await this.next(`${verb} ${second}`)
      messages.push(message)
      if (message[0] === verb && message[1] === second) return messages
    }
  }

  close() {
    this.#socket.close()
    return within(this.closed, 'the close of a connection')
  }
}

/** Asserts that `text` starts with `start`, which is how the reasons of NIP-01 are read. */
export function startsWith(text, start) {
  assert.equal(typeof text, 'string')
  assert.ok(text.startsWith(start), `${JSON.stringify(text)} does not start with ${start}`)
}

/** Asserts that two lists of ids are the same in the same order, and says in short where they differ. */
export function same(found, wanted) {
  const at = wanted.findIndex((id, i) => id !== found[i])
  if (at === -1 && found.length === wanted.length) return
  const where = at === -1 ? wanted.length : at
  assert.fail(
    `${found.length} ids instead of ${wanted.length}; number ${where} is ${found[where]} instead of ${wanted[where]}`,
  )
}

/** Asserts that two lists of ids are the same but for the order: what comes twice is found. */
export function sameSet(found, wanted) {
  same([...found].sort(), [...wanted].sort())
}
