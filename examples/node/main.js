// A tour: node main.js [HOST:PORT]
'use strict';

const { connect, call, DstkError } = require('./dstk');
const { Lane } = require('./lane');
const { encode, prefixRange } = require('./key');

async function main(address) {
  const client = connect(address);
  const paris = encode('node', 'FR', 2988507);

  const { etag } = await call(client, 'Put', { key: paris, value: Buffer.from('Paris') });
  const { record } = await call(client, 'Get', { key: paris });
  console.log('read', record.value.toString(), record.etag === etag ? 'as it was written' : 'and somebody was faster');

  // an update only if nobody else was faster, twice with the same etag: the second one is refused
  const update = { key: paris, value: Buffer.from('Lutetia'), precondition: 'PRECONDITION_IF_ETAG', if_etag: etag };
  await call(client, 'Put', update);
  await told(() => call(client, 'Put', update));
  await told(() => call(client, 'Put', { key: Buffer.alloc(0) }));
  await told(() => call(client, 'Get', { key: encode('node', 'nowhere') }));

  const lane = new Lane(client);
  const cities = Array.from({ length: 1000 }, (_, at) => encode('node', 'DE', at));
  const written = await lane.execute(cities.map((key) => ({ kind: 'OPERATION_KIND_PUT', key, value: Buffer.from('x') })));
  console.log('wrote', written.filter((result) => result.code === 0).length, 'records as one message');
  lane.close();

  let count = 0;
  let { start, end } = prefixRange('node');
  while (start) {
    const page = await call(client, 'Scan', { start, end, limit: 400 });
    count += page.records.keys.length;
    start = page._resume_key === 'resume_key' ? page.resume_key : null;
  }
  console.log('scanned', count, 'records, page by page');
  client.close();
}

async function told(attempt) {
  try {
    await attempt();
  } catch (error) {
    if (!(error instanceof DstkError)) throw error;
    const { 'google.rpc.ErrorInfo': _, ...details } = error.details;
    console.log('refused', error.reason, JSON.stringify(details));
  }
}

main(process.argv[2] || '127.0.0.1:7000').catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
