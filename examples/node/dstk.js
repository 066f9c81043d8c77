// The contract, loaded from proto/, and what an error of DSTK says.
'use strict';

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

const PROTO = process.env.DSTK_PROTO || path.join(__dirname, '..', '..', 'proto');
const FILES = ['dstk/v1/kv.proto', 'dstk/v1/errors.proto', 'google/rpc/status.proto', 'google/rpc/error_details.proto'];

// 64-bit numbers, such as etags, as text: a Number holds 53 bits.
const OPTIONS = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true, includeDirs: [PROTO] };
const { KeyValue } = grpc.loadPackageDefinition(loader.loadSync(FILES, OPTIONS)).dstk.v1;

// The messages by themselves: errors carry them as bytes.
const messages = new protobuf.Root();
messages.resolvePath = (_, file) => (file.startsWith('google/protobuf/') ? file : path.join(PROTO, file));
messages.loadSync(FILES, { keepCase: true });

// A client of host:port, a router's. Proxies are for the web.
function connect(address) {
  return new KeyValue(address, grpc.credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
}

// A unary call as a promise: call(client, 'Get', {key}, 2000). Rejects with DstkError.
function call(client, method, request, milliseconds = 5000) {
  return new Promise((resolve, reject) => {
    client[method](request, { deadline: Date.now() + milliseconds }, (error, answer) => {
      if (error) reject(ofCall(error));
      else resolve(answer);
    });
  });
}

class DstkError extends Error {
  // reason: as docs/errors.md lists them, such as ETAG_MISMATCH; '' when it does not come from DSTK.
  // details: by message name, such as {'dstk.v1.EtagMismatch': {current_etag: '7'}}.
  constructor(code, message, details) {
    super(message);
    this.code = code;
    this.details = details;
    const info = details['google.rpc.ErrorInfo'];
    this.reason = info && info.domain === 'dstk' ? info.reason : '';
  }

  // Milliseconds after which the server wants to be asked again, or null: nothing was done when it says so.
  get retryAfter() {
    const info = this.details['google.rpc.RetryInfo'];
    if (!info || !info.retry_delay) return null;
    return Number(info.retry_delay.seconds) * 1000 + info.retry_delay.nanos / 1e6;
  }
}

// Of a failed call: the status travels in the trailers.
function ofCall(error) {
  const [status] = (error.metadata && error.metadata.get('grpc-status-details-bin')) || [];
  return status ? ofStatus(status) : new DstkError(error.code, error.details, {});
}

// Of a serialized google.rpc.Status: each detail is an Any, whose type_url names its message.
function ofStatus(bytes) {
  const status = decoded('google.rpc.Status', bytes);
  const details = {};
  for (const { type_url: url, value } of status.details) {
    const name = url.split('/').pop();
    if (messages.lookup(name)) details[name] = decoded(name, value);
  }
  return new DstkError(status.code, status.message, details);
}

function decoded(name, bytes) {
  const type = messages.lookupType(name);
  return type.toObject(type.decode(bytes), { longs: String, enums: String, defaults: true });
}

module.exports = { grpc, connect, call, ofCall, ofStatus, DstkError };
