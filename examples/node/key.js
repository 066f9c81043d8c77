// Typed tuples as keys, as docs/key-encoding.md describes them. An element is null, a boolean, a BigInt or an integer Number (an
// int), {float: 2.5}, {micros: 0n} (a datetime), a string, a Buffer (bytes), {uuid: "..."}, or an array (a nested tuple).
'use strict';

const SIGN = 1n << 63n;
const ALL = (1n << 64n) - 1n;
const NAN_BITS = 0x7ff8000000000000n;

function encode(...parts) {
  return Buffer.concat(parts.map(encodePart));
}

function encodePart(part) {
  if (part === null) return Buffer.from([0x01]);
  if (typeof part === 'boolean') return Buffer.from([part ? 0x03 : 0x02]);
  if (typeof part === 'bigint') return encodeInt(part);
  if (Number.isSafeInteger(part) && !Object.is(part, -0)) return encodeInt(BigInt(part));
  if (typeof part === 'string') return encodeText(part);
  if (Buffer.isBuffer(part)) return Buffer.concat([Buffer.from([0x1a]), terminated(part)]);
  if (Array.isArray(part)) return Buffer.concat([Buffer.from([0x1c]), encode(...part), Buffer.from([0])]);
  if (part && typeof part.float === 'number') return encodeFloat(part.float);
  if (part && typeof part.micros === 'bigint') return Buffer.concat([Buffer.from([0x18]), eightBytes(part.micros + SIGN)]);
  if (part && typeof part.uuid === 'string') return Buffer.from('1b' + part.uuid.replaceAll('-', ''), 'hex');
  throw new TypeError(`no element of a key: ${String(part)}; a number that is no int is written {float: 2.5}`);
}

function encodeInt(value) {
  let magnitude = (value < 0n ? -value : value).toString(16);
  if (magnitude.length % 2) magnitude = '0' + magnitude;
  let bytes = value === 0n ? Buffer.alloc(0) : Buffer.from(magnitude, 'hex');
  const size = bytes.length;
  if (value < 0n) bytes = complement(bytes);
  if (size <= 8) return Buffer.concat([Buffer.from([value < 0n ? 0x0d - size : 0x0d + size]), bytes]);
  const count = Buffer.from([size >> 8, size & 0xff]);
  return Buffer.concat([Buffer.from([value < 0n ? 0x04 : 0x16]), value < 0n ? complement(count) : count, bytes]);
}

function encodeFloat(value) {
  const bits = Buffer.alloc(8);
  bits.writeDoubleBE(value);
  const read = Number.isNaN(value) ? NAN_BITS : bits.readBigUInt64BE();
  return Buffer.concat([Buffer.from([0x17]), eightBytes(read ^ (read & SIGN ? ALL : SIGN))]);
}

function encodeText(text) {
  if (/\p{Surrogate}/u.test(text)) throw new TypeError('text with a lone surrogate has no UTF-8');
  return Buffer.concat([Buffer.from([0x19]), terminated(Buffer.from(text, 'utf8'))]);
}

// Each 00 is followed by ff, and a lone 00 is the end.
function terminated(bytes) {
  const pieces = [];
  for (const byte of bytes) pieces.push(byte, ...(byte === 0 ? [0xff] : []));
  return Buffer.from([...pieces, 0]);
}

function complement(bytes) {
  return Buffer.from(bytes.map((byte) => byte ^ 0xff));
}

function eightBytes(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

// The range of all tuples that begin with these elements: what a scan wants.
function prefixRange(...parts) {
  const start = encode(...parts);
  return { start, end: Buffer.concat([start, Buffer.from([0x20])]) };
}

module.exports = { encode, prefixRange };
