"use strict";
// What comes from the relay is put into the page as text only, never as markup.
(() => {
  const at = (id) => document.getElementById(id);
  const number = new Intl.NumberFormat();
  const RESULTS = 40, SHOWN_CHARS = 1200, REFRESH_MS = 5000, PATIENCE_MS = 15000;
  const url = location.protocol.replace("http", "ws") + "//" + location.host + location.pathname;
  at("url").textContent = url;

  if (navigator.clipboard) {
    at("copy").hidden = false;
    at("copy").addEventListener("click", async () => {
      await navigator.clipboard.writeText(url);
      at("copy").textContent = "Copied";
      setTimeout(() => { at("copy").textContent = "Copy"; }, 1500);
    });
  }

  // Figures. Rates are made of two answers.
  let last = null;
  const some = (id, count, word) => {
    at(id).textContent = number.format(count);
    at(id + "-label").textContent = count === 1 ? word : word + "s";
  };
  const rate = (now, name) => {
    const seconds = now.uptime - last.uptime;
    const a_second = seconds > 0 ? Math.max(0, now[name] - last[name]) / seconds : 0;
    return a_second >= 10 || a_second === 0 ? number.format(Math.round(a_second)) : a_second.toFixed(1);
  };
  const refresh = async () => {
    if (document.hidden) return;
    try {
      const now = await (await fetch("stats.json")).json();
      some("events", now.events, "event");
      some("connections", now.connections, "connection");
      if (last && now.uptime > last.uptime) {
        at("writes").textContent = rate(now, "stored");
        at("queries").textContent = rate(now, "queries");
      }
      last = now;
      at("figures").hidden = false;
    } catch { /* the next one may come */ }
  };
  refresh().then(() => setTimeout(refresh, 1000));
  setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", refresh);

  // What the relay says of itself.
  const NIPS = {
    1: "basic protocol", 2: "follow lists", 4: "direct messages", 9: "deletion", 11: "relay information",
    13: "proof of work", 17: "private messages", 22: "comments", 26: "delegation", 28: "public chat",
    29: "groups", 33: "addressable events", 40: "expiration", 42: "authentication", 45: "counting",
    50: "search", 59: "gift wraps", 62: "vanishing", 65: "relay lists", 70: "protected events",
    77: "reconciliation", 86: "management", 94: "file metadata", 119: "and in filters",
  };
  const LIMITS = [
    ["max_message_length", "Bytes of a message"], ["max_subscriptions", "Subscriptions of a connection"],
    ["max_filters", "Filters of a request"], ["max_limit", "Stored events of a request"],
    ["max_event_tags", "Tags of an event"], ["max_content_length", "Bytes of an event's content"],
    ["min_pow_difficulty", "Least proof of work"], ["auth_required", "Authentication"],
    ["payment_required", "Payment"], ["restricted_writes", "Publishing"],
  ];
  const WORDS = {
    auth_required: ["not needed", "needed"], payment_required: ["none", "needed"],
    restricted_writes: ["open to all", "for some"],
  };
  const made = (name, text, parent) => {
    const element = document.createElement(name);
    element.textContent = text;
    parent.append(element);
    return element;
  };
  const introduce = (relay) => {
    for (const nip of relay.supported_nips || []) {
      const item = made("li", "NIP-" + String(nip).padStart(2, "0") + " ", at("nips"));
      made("small", NIPS[nip] || "", item);
    }
    const limitation = relay.limitation || {};
    for (const [name, label] of LIMITS) {
      const value = limitation[name];
      if (value === undefined || (name === "min_pow_difficulty" && value === 0)) continue;
      made("dt", label, at("limits"));
      const text = WORDS[name] ? WORDS[name][value ? 1 : 0] : number.format(value);
      made("dd", text, at("limits"));
    }
    at("about").hidden = false;
    if (relay.contact) at("operator").textContent = "Run by " + relay.contact.replace(/^mailto:/, "");
    const finds_words = (relay.supported_nips || []).includes(50);
    if (finds_words) at("words").placeholder = "words, #hashtag, npub or id";
    // A search has an address, so that it can be passed on.
    const follow = () => {
      let words = "";
      try { words = decodeURIComponent(location.hash.slice(1)); } catch { /* no words */ }
      at("words").value = words;
      search(words, finds_words);
    };
    at("search").addEventListener("submit", (event) => {
      event.preventDefault();
      const hash = "#" + encodeURIComponent(at("words").value.trim());
      if (location.hash === hash) follow(); else location.hash = hash;
    });
    addEventListener("hashchange", follow);
    at("finder").hidden = false;
    if (location.hash) follow();
  };
  fetch("nip11").then((answer) => answer.json()).then(introduce).catch(() => {});

  // The 32 bytes of an npub or a note, as hex; the checksum is not looked at: a wrong one finds nothing.
  const unbech = (text) => {
    const ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const digits = [...text.slice(text.lastIndexOf("1") + 1, -6)].map((char) => ALPHABET.indexOf(char));
    let [bits, count, hex] = [0, 0, ""];
    for (const digit of digits) {
      [bits, count] = [((bits << 5) | digit) & 0xfff, count + 5];
      if (count >= 8) {
        count -= 8;
        hex += ((bits >> count) & 0xff).toString(16).padStart(2, "0");
      }
    }
    return digits.includes(-1) || hex.length !== 64 ? null : hex;
  };
  const filters = (words, finds_words) => {
    const lower = words.toLowerCase();
    const limit = RESULTS, kinds = [1, 30023];
    if (/^[0-9a-f]{64}$/.test(lower)) return [{ ids: [lower] }, { authors: [lower], kinds, limit }];
    if (/^(npub|note)1[0-9a-z]{58}$/.test(lower)) {
      const hex = unbech(lower);
      return hex && (lower.startsWith("npub") ? [{ authors: [hex], kinds, limit }] : [{ ids: [hex] }]);
    }
    if (lower.startsWith("#")) return [{ "#t": [lower.slice(1)], kinds, limit }];
    if (finds_words) return [{ search: words, kinds, limit }];
    return /\s/.test(words) ? null : [{ "#t": [lower], kinds, limit }];
  };

  // One search at a time, over a websocket that is closed when it is over.
  let socket = null;
  const say = (text, bad) => {
    at("status").textContent = text;
    at("status").classList.toggle("bad", Boolean(bad));
  };
  const show = (event) => {
    const card = made("article", "", at("found"));
    const head = made("header", "", card);
    made("code", String(event.pubkey).slice(0, 16) + "…", head).title = String(event.pubkey);
    const when = new Date(event.created_at * 1000);
    const kind = event.kind === 1 ? "" : "kind " + event.kind + " · ";
    const date = isNaN(when) ? "" : when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    made("time", kind + date, head);
    const text = String(event.content);
    made("p", text.length > SHOWN_CHARS ? text.slice(0, SHOWN_CHARS) + "…" : text, card);
  };
  const search = (words, finds_words) => {
    if (socket) socket.close();
    at("found").replaceChildren();
    if (!words) return say("");
    const asked = filters(words, finds_words);
    if (!asked) return say("Search for a #hashtag, an npub or note, or an id or public key in hex.", true);
    say("Searching…");
    const own = new WebSocket(url);
    socket = own;
    let count = 0, over = false;
    const end = (text, bad) => {
      if (over) return;
      over = true;
      own.close();
      if (socket === own) say(text, bad);
    };
    setTimeout(() => end("The relay did not answer in time.", true), PATIENCE_MS);
    own.onopen = () => own.send(JSON.stringify(["REQ", "page", ...asked]));
    own.onerror = () => end("The relay cannot be reached.", true);
    own.onclose = () => end("The relay has closed the connection.", true);
    own.onmessage = (message) => {
      if (over || socket !== own) return;
      const [type, , body] = JSON.parse(message.data);
      if (type === "EVENT") {
        count += 1;
        if (count <= RESULTS) show(body);
      } else if (type === "EOSE") {
        end(count === 0 ? "Nothing was found." : count === 1 ? "1 event" : number.format(count) + " events");
      } else if (type === "CLOSED") {
        end(String(body), true);
      }
    };
  };
})();
