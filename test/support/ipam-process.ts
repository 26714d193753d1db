/**
 * A process of its own that takes addresses and gives them back: `node ipam-process.js HOST COUNT LANES KEEP`, on the
 * datastore of its environment. Started by ipam-churn.ts.
 */
import { formatIp } from '../../src/base/net/ip.js';
import { connectionFrom } from '../../src/datastore/connection.js';
import { openDatastore } from '../../src/datastore/open.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { hostOwner } from '../../src/ipam/owner.js';
import type { Tenure } from './ipam-churn.js';

const [host = '', count = '0', lanes = '1', keep = '0'] = process.argv.slice(2);

/** CLOCK_MONOTONIC: comparable between processes of one machine. */
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

const tenures: Tenure[] = [];
let started = 0;

interface Held {
  readonly handle: string;
  readonly ip: string;
  readonly fromUs: number;
}

async function lane(ipam: Ipam, perLane: number): Promise<void> {
  const held: Held[] = [];
  const giveBack = async ({ handle, ip, fromUs }: Held): Promise<void> => {
    tenures.push({ ip, fromUs, toUs: nowUs() });
    await ipam.releaseByHandle(handle);
  };
  while (started < Number(count)) {
    started += 1;
    const handle = `churn.${host}-${started}`;
    const { addresses, shortfall } = await ipam.assign({
      owner: hostOwner(host),
      family: 4,
      count: 1,
      handle,
      attributes: { node: host },
    });
    const [ip] = addresses;
    if (ip === undefined) throw new Error(`no address: ${shortfall}`);
    held.push({ handle, ip: formatIp(ip), fromUs: nowUs() });
    // The oldest goes, so that others are handed out in between.
    const oldest = held.length > perLane ? held.shift() : undefined;
    if (oldest !== undefined) await giveBack(oldest);
  }
  for (const { ip, fromUs } of held) tenures.push({ ip, fromUs, toUs: null });
}

await using store = await openDatastore(connectionFrom(process.env));
const ipam = new Ipam(store);
process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
const beganUs = nowUs();
const perLane = Math.floor(Number(keep) / Number(lanes));
await Promise.all(Array.from({ length: Number(lanes) }, () => lane(ipam, perLane)));
const elapsedUs = nowUs() - beganUs;
process.stdout.write(`${JSON.stringify({ elapsedUs, tenures })}\n`);
process.stdin.destroy();
