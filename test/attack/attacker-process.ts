import { type ChildProcess, fork } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import type { Order, Report, Statuses } from './attacker.ts';
import type { Attack } from './attacks.ts';

interface AttackOrder {
  seconds: number;
  port: number;
  addresses: string[];
  /** Each request once and alone, in place of the attack. */
  alone: boolean;
}

/** The attacker's process. */
export interface Attacker {
  /** Makes what will be sent, so that no time of the attack goes to it. */
  prepare(attack: Attack, routes: string[]): Promise<void>;
  /** Resolves when all its sockets are closed. */
  attack(order: AttackOrder): Promise<Statuses>;
  stop(): void;
}

/** Milliseconds in which the attacker must have answered, beyond those of an attack. */
const PATIENCE_MS = 60_000;

export function startAttacker(): Attacker {
  const child = fork(join(import.meta.dirname, 'attacker.ts'), { execArgv: [] });
  // A real one has a machine of its own: here it must not take the processor from the client whose times are judged.
  setPriority(child.pid!, constants.priority.PRIORITY_LOW);
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  return {
    async prepare(attack, routes) {
      await ask(child, { say: 'prepare', attack: attack.name, routes }, PATIENCE_MS);
    },
    async attack(order) {
      const report = await ask(child, { say: 'attack', ...order }, order.seconds * 1000 + PATIENCE_MS);
      return report.say === 'done' ? report.statuses : {};
    },
    stop() {
      process.off('exit', end);
      end();
    },
  };
}

function ask(child: ChildProcess, order: Order, patience: number): Promise<Report> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      clearTimeout(timer);
      child.off('message', onMessage);
      child.off('exit', onExit);
      act();
    };
    const onMessage = (report: Report) => settle(() => resolve(report));
    const onExit = () => settle(() => reject(new Error('the attacker ended')));
    const timer = setTimeout(
      () => settle(() => reject(new Error(`no answer to ${order.say} from the attacker in ${patience} ms`))),
      patience,
    );
    child.on('message', onMessage);
    child.on('exit', onExit);
    child.send(order);
  });
}
