// Writes through a lane, with many messages on their way, until its input ends (Ctrl-D), whatever happens to the router:
// node restart.js [HOST:PORT]. Then it prints how many writes were made, how many messages had to be sent again since a router
// that stopped had not taken them, and how many writes are in doubt: none, as long as routers stop in order.
'use strict';

const { connect, DstkError } = require('./dstk');
const { Lane, AMBIGUOUS } = require('./lane');
const { encode } = require('./key');

const WRITERS = 64;

async function main(address) {
  const client = connect(address);
  const lane = new Lane(client);
  const counts = { written: 0, ambiguous: 0 };
  let ended = false;
  process.stdin.on('end', () => { ended = true; }).resume();

  const write = async (writer) => {
    for (let at = 0; !ended; at += 1) {
      const operation = { kind: 'OPERATION_KIND_PUT', key: encode('restart', writer, at), value: Buffer.from(String(at)) };
      try {
        const [result] = await lane.execute([operation], 20000);
        if (result instanceof DstkError) throw result;
        counts.written += 1;
        if (counts.written === WRITERS) console.log('writing');
      } catch (error) {
        if (error.reason !== AMBIGUOUS) throw error;
        counts.ambiguous += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  lane.close();
  client.close();
  console.log(JSON.stringify({ ...counts, resent: lane.resent }));
}

main(process.argv[2] || '127.0.0.1:7000').catch((error) => {
  console.error(error);
  process.exit(1);
});
