// The process of the attacker, so that its work is not in the way of who measures. It is told what to do by messages.
import { attackOf } from './attacks.ts';
import { inTurn, type Wire } from './senders.ts';

/** Messages to the attacker's process and from it. */
export type Order =
  | { say: 'prepare'; attack: string; routes: string[] }
  | { say: 'attack'; seconds: number; port: number; addresses: string[]; alone: boolean };
export type Report = { say: 'ready' } | { say: 'done'; statuses: Statuses };
/** How often each status came, by route. */
export type Statuses = Record<string, Record<string, number>>;

/** Bodies that differ in their ids only, for each route. */
const SALTS = 2;

let attack: ReturnType<typeof attackOf>;
let wires: Wire[] = [];

process.on('message', (order: Order) => {
  if (order.say === 'prepare') prepare(order);
  else void run(order);
});
process.on('disconnect', () => process.exit(0));

function prepare(order: Order & { say: 'prepare' }): void {
  attack = attackOf(order.attack);
  const routes = attack.routes.filter(({ name }) => order.routes.includes(name));
  wires = Array.from({ length: SALTS }, () => crypto.randomUUID().slice(0, 8)).flatMap((salt) =>
    routes.map((route) => ({ route: route.name, bytes: attack.wire(route, salt) })),
  );
  answer({ say: 'ready' });
}

async function run({ seconds, port, addresses, alone }: Order & { say: 'attack' }): Promise<void> {
  const statuses: Statuses = {};
  const count = (route: string, status: string) => {
    statuses[route] ??= {};
    const counts = statuses[route];
    counts[status] = (counts[status] ?? 0) + 1;
  };
  const until = performance.now() + seconds * 1000;
  // The first of each route: the others of its kind do the same.
  const some = alone ? wires.slice(0, wires.length / SALTS) : wires;
  await (alone ? inTurn : attack.send)(some, { port, addresses, until, count });
  answer({ say: 'done', statuses });
}

function answer(report: Report): void {
  process.send!(report);
}
