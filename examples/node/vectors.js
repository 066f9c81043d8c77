// Checks key.js against the test vectors of the key encoding: node vectors.js FILE
'use strict';

const fs = require('node:fs');
const { encode, prefixRange } = require('./key');

const READERS = {
  none: () => null,
  bool: (value) => value,
  int: (value) => BigInt(value),
  float: (_, { bits }) => ({ float: Buffer.from(bits, 'hex').readDoubleBE() }),
  datetime: (value) => ({ micros: BigInt(value) }),
  str: (value) => value,
  bytes: (value) => Buffer.from(value, 'hex'),
  uuid: (value) => ({ uuid: value }),
  tuple: (value) => value.map(read),
};

function read(element) {
  const [[kind, value]] = Object.entries(element);
  return READERS[kind](value, element);
}

const vectors = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
let before = Buffer.alloc(0);
for (const { tuple, key } of vectors.ordered) {
  const made = encode(...tuple.map(read));
  if (made.toString('hex') !== key) throw new Error(`${JSON.stringify(tuple)}: ${made.toString('hex')}, not ${key}`);
  if (Buffer.compare(before, made) >= 0) throw new Error(`${JSON.stringify(tuple)} is not above the one before it`);
  before = made;
}
for (const { prefix, start, end } of vectors.prefix_ranges) {
  const made = prefixRange(...prefix.map(read));
  if (made.start.toString('hex') !== start || made.end.toString('hex') !== end) throw new Error(JSON.stringify(prefix));
}
console.log(`${vectors.ordered.length} keys and ${vectors.prefix_ranges.length} ranges are as they should be`);
