// A lane: many operations as few messages on one Execute stream, and nobody left in doubt when the server stops.
//
//   1. Nothing is sent before the server has sent its initial metadata, dstk-stream: open. What is written earlier may never
//      arrive, and nothing tells whether it has.
//   2. Each message is answered whole, by its id; answers may overtake one another. An operation that a router refused with
//      RetryInfo had no effect: it is sent again after that time.
//   3. A server that stops says how many messages of the stream it has taken. Those are still answered. The others had no
//      effect: they go onto a new stream. The caller ends its side, or is cut off after two seconds.
//   4. A stream that breaks without a word leaves what was sent and not answered in doubt: AMBIGUOUS.
'use strict';

const { grpc, ofStatus, DstkError } = require('./dstk');

const AMBIGUOUS = 'WRITE_AMBIGUOUS';
const RECONNECT_MILLISECONDS = 100;
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

class Lane {
  constructor(client) {
    this.client = client;
    this.resent = 0; // messages that went onto a second stream, for they were not taken on the first
    this.stream = null;
    this.opening = null;
  }

  // Results in the order of the operations, each {etag, value, ...} or a DstkError. Rejects when the outcome is not known.
  async execute(operations, milliseconds = 10000) {
    const deadline = Date.now() + milliseconds;
    const results = (await this.send(operations, deadline)).map(outcome);
    const refused = results.flatMap((result, at) => (isRefusal(result) ? [at] : []));
    if (refused.length === 0) return results;
    const wait = Math.max(...refused.map((at) => results[at].retryAfter));
    if (Date.now() + wait >= deadline) return results;
    await pause(wait);
    const again = await this.execute(refused.map((at) => operations[at]), deadline - Date.now());
    refused.forEach((at, index) => { results[at] = again[index]; });
    return results;
  }

  // One message, on as many streams as it takes until one of them takes it.
  async send(operations, deadline) {
    for (;;) {
      const stream = await this.opened(deadline);
      const answer = await stream.send(operations);
      if (answer) return answer;
      this.resent += 1;
    }
  }

  // The stream in use; all callers wait for the same new one.
  async opened(deadline) {
    while (!this.stream || this.stream.closing) {
      this.opening ??= this.open();
      if (!(await this.opening) && Date.now() >= deadline) {
        throw new DstkError(grpc.status.UNAVAILABLE, 'no server takes the stream', {});
      }
    }
    return this.stream;
  }

  async open() {
    const stream = new Stream(this.client);
    const taken = await stream.opened;
    if (taken) this.stream = stream;
    else await pause(RECONNECT_MILLISECONDS);
    this.opening = null;
    return taken;
  }

  close() {
    if (this.stream) this.stream.call.end();
  }
}

// One Execute stream. `opened` tells whether the server has it.
class Stream {
  constructor(client) {
    this.closing = false;
    this.sent = 0;
    this.waiting = new Map(); // by id, which is also the number of the message on this stream
    this.call = client.Execute();
    this.opened = new Promise((resolve) => {
      this.call.on('metadata', (metadata) => resolve(metadata.get('dstk-stream').includes('open')));
      this.call.on('close', () => resolve(false));
      this.call.on('error', (error) => { resolve(false); this.broke(error); });
    });
    this.call.on('data', (response) => this.heard(response));
    this.call.on('end', () => this.broke(null));
  }

  // The results; null when the server has not taken the message, which then had no effect.
  send(operations) {
    this.sent += 1;
    const id = this.sent;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.call.write({ id: String(id), operations });
    });
  }

  heard(response) {
    if (response._taken === 'taken') {
      this.closing = true;
      for (const id of this.waiting.keys()) if (id > Number(response.taken)) this.settle(id, null);
      this.call.end();
    } else {
      this.settle(Number(response.id), response.results);
    }
  }

  settle(id, results) {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    waiting.resolve(results);
  }

  broke(error) {
    this.closing = true;
    const why = error ? error.details : 'the stream ended before the answer';
    for (const { reject } of this.waiting.values()) {
      reject(Object.assign(new DstkError(grpc.status.UNKNOWN, why, {}), { reason: AMBIGUOUS }));
    }
    this.waiting.clear();
  }
}

function outcome(result) {
  if (result.code === 0) return result;
  // a key without a record says no more than that
  return result.status.length ? ofStatus(result.status) : new DstkError(result.code, 'no record', {});
}

// Nothing was done, and the server says when to ask again.
function isRefusal(result) {
  return result instanceof DstkError && result.retryAfter !== null;
}

module.exports = { Lane, AMBIGUOUS };
