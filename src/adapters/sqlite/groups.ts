import type { SqliteConsumption } from './consumption.ts';
import type { Tables, Topic } from './tables.ts';

/** The readers of one group that want a topic. The first one has it, the others wait for it. */
interface Queue {
  group: string;
  topic: Topic;
  readers: SqliteConsumption[];
}

/** Gives each topic to one reader of a group at a time. */
export class Groups {
  readonly #tables: Tables;
  readonly #queues = new Map<string, Queue>();

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  join(group: string, topics: readonly Topic[], reader: SqliteConsumption): void {
    for (const topic of topics) {
      const id = JSON.stringify([group, topic.name]);
      const queue = this.#queues.get(id) ?? { group, topic, readers: [] };
      this.#queues.set(id, queue);
      queue.readers.push(reader);
      if (queue.readers[0] === reader) this.#give(queue);
    }
  }

  leave(reader: SqliteConsumption): void {
    for (const [id, queue] of this.#queues) {
      const index = queue.readers.indexOf(reader);
      if (index === -1) continue;
      queue.readers.splice(index, 1);
      if (queue.readers.length === 0) this.#queues.delete(id);
      else if (index === 0) this.#give(queue);
    }
  }

  /** Tells the readers of topics that these have new records. */
  wake(topics: ReadonlyMap<string, unknown>): void {
    for (const { topic, readers } of this.#queues.values()) if (topics.has(topic.name)) readers[0]?.wake();
  }

  #give({ group, topic, readers }: Queue): void {
    readers[0]?.hold(topic, this.#tables.position(group, topic)!);
  }
}
