import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { type Harness, startGateway } from './harness.ts';
import { rawExchange, wholeReply } from './raw.ts';

/** One source for each kind of sender: what its messages call an id, a time and a device. */
const YAML = `
sources:
  things-stack:
    topic: lora
    id: [/end_device_ids/dev_eui, /uplink_message/session_key_id, /uplink_message/f_cnt]
    type: ttn.uplink
    time: /received_at
    subject: /end_device_ids/device_id
    key: /end_device_ids/dev_eui
  chirpstack:
    topic: lora
    id: [/deduplicationId]
    type: chirpstack.up
    time: /time
    subject: /deviceInfo/deviceName
    key: /deviceInfo/devEui
  shelly:
    topic: home
    id: [/src, /method, /params/ts]
    type: /method
    time: /params/ts
    subject: /src
    key: /src
  tasmota:
    topic: tasmota
    id: content
    type: tasmota.sensor
  keyed: { topic: keyed, id: [/device, /seq], key: /device }
`;

let gateway: Harness;
beforeAll(async () => {
  gateway = await startGateway({ yaml: YAML });
});
afterAll(() => gateway.close());

interface Answer {
  status: number;
  accepted: number;
  duplicates: number;
  rejected: number;
  events: { index: number; verdict: string; errors?: { code: string; pointer?: string }[] }[];
}

async function send(source: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${gateway.url}/events/${source}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: response.status, ...((await response.json()) as object) } as Answer;
}

const text = (bytes: Uint8Array | null | undefined) => (bytes ? Buffer.from(bytes).toString() : null);
const facts = (record: StoredRecord) => ({
  id: text(record.headers.ce_id),
  type: text(record.headers.ce_type),
  time: text(record.headers.ce_time),
  subject: text(record.headers.ce_subject),
  key: text(record.key),
});

async function find(topic: string, source: string): Promise<StoredRecord> {
  const found = (await gateway.read(topic)).filter(
    (record) => text(record.headers.ce_source) === `/events/${source}`,
  );
  expect(found).toHaveLength(1);
  return found[0]!;
}

/** Sends a message as is, and again: stored once, byte for byte. */
async function once(topic: string, source: string, message: string): Promise<ReturnType<typeof facts>> {
  expect((await send(source, message)).accepted).toBe(1);
  expect((await send(source, message)).duplicates).toBe(1);
  const record = await find(topic, source);
  expect(text(record.value)).toBe(message);
  return facts(record);
}

describe('messages of device platforms', () => {
  it('takes uplinks of The Things Stack: an id of device, session and frame counter', async () => {
    const uplink = `{
  "end_device_ids": {
    "device_id": "soil-07",
    "application_ids": { "application_id": "greenhouse" },
    "dev_eui": "70B3D57ED0051F2A",
    "join_eui": "0000000000000000",
    "dev_addr": "260B4C1E"
  },
  "correlation_ids": ["gs:uplink:01HQ3B6D5V9X"],
  "received_at": "2026-03-01T09:15:27.481963325Z",
  "uplink_message": {
    "session_key_id": "AY3Jq0h/0mK+v3uTq2Zc5w==",
    "f_port": 2,
    "f_cnt": 4711,
    "frm_payload": "AWcA6wJoVQ==",
    "decoded_payload": { "temperature": 23.5, "humidity": 42.50 },
    "rx_metadata": [
      {
        "gateway_ids": { "gateway_id": "roof-1", "eui": "AA555A0000000101" },
        "time": "2026-03-01T09:15:27.221Z",
        "timestamp": 3294967295,
        "rssi": -97,
        "snr": 7.25,
        "uplink_token": "CiIKIAoUcm9vZi0x"
      }
    ],
    "settings": { "data_rate": { "lora": { "bandwidth": 125000, "spreading_factor": 7 } }, "frequency": "868300000" },
    "received_at": "2026-03-01T09:15:27.273524112Z",
    "consumed_airtime": "0.056576s"
  }
}`;
    expect(await once('lora', 'things-stack', uplink)).toEqual({
      id: '70B3D57ED0051F2A:AY3Jq0h/0mK+v3uTq2Zc5w==:4711',
      type: 'ttn.uplink',
      time: '2026-03-01T09:15:27.481963325Z',
      subject: 'soil-07',
      key: '70B3D57ED0051F2A',
    });
  });

  it('takes uplinks of ChirpStack 4: its own deduplication id', async () => {
    const uplink = `{"deduplicationId":"3ac7e3c4-4401-4b8d-9386-a5c902f9202d","time":"2026-03-01T09:16:34.459375+00:00",
"deviceInfo":{"tenantId":"52f14cd4-c6f1-4fbd-8f87-4025e1d49242","tenantName":"Farm","applicationId":"17c82e96-be03-4f38-aef3-f83d48582d97",
"applicationName":"soil","deviceProfileId":"14855bf7-d10d-4aee-b618-ebfcb64dc7ad","deviceProfileName":"probe","deviceName":"Sonde Süd",
"devEui":"0101010101010101","tags":{"bed":"4"}},"devAddr":"00189440","adr":true,"dr":1,"fCnt":70,"fPort":2,"confirmed":false,
"data":"qgEC/w==","object":{"moisture":31.0},"rxInfo":[{"gatewayId":"0016c001f153a14c","uplinkId":4217106255,
"gwTime":"2026-03-01T09:16:34.459375+00:00","rssi":-36,"snr":10.5,"context":"E3OWOQ=="}],
"txInfo":{"frequency":867100000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":11,"codeRate":"CR_4_5"}}}}`;
    expect(await once('lora', 'chirpstack', uplink)).toEqual({
      id: '3ac7e3c4-4401-4b8d-9386-a5c902f9202d',
      type: 'chirpstack.up',
      time: '2026-03-01T09:16:34.459375+00:00',
      subject: 'Sonde Süd',
      key: '0101010101010101',
    });
  });

  it('takes notifications of Shelly devices: their method is the type, their own clock the time', async () => {
    const status =
      '{"src":"shellyplus1pm-a8032abe54dc","dst":"shellyplus1pm-a8032abe54dc/events","method":"NotifyStatus",' +
      '"params":{"ts":1772356587.50,"switch:0":{"id":0,"apower":8.3,"aenergy":{"total":6.532,"by_minute":[45.199,47.141,88.397],"minute_ts":1772356586}}}}';
    expect(await once('home', 'shelly', status)).toEqual({
      id: 'shellyplus1pm-a8032abe54dc:NotifyStatus:1772356587.50',
      type: 'NotifyStatus',
      time: '2026-03-01T09:16:27.500Z',
      subject: 'shellyplus1pm-a8032abe54dc',
      key: 'shellyplus1pm-a8032abe54dc',
    });
  });

  it('takes sensor messages of Tasmota, which have no id: the digest of the payload is one', async () => {
    const sensor =
      '{"Time":"2026-03-01T10:16:02","ENERGY":{"TotalStartTime":"2025-11-02T12:00:00","Total":12.345,"Today":0.101,"Power":[230,17]},' +
      '"DS18B20":{"Id":"01131B123456","Temperature":20.6},"TempUnit":"C"}';
    const { id, type, key } = await once('tasmota', 'tasmota', sensor);
    expect([id, type, key]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), 'tasmota.sensor', null]);
  });

  it('keeps ids apart that would be one if their parts were only joined', async () => {
    const pairs: [unknown, unknown][] = [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['a%3Ab', 'c'],
      ['a', 1],
      ['a', '1'],
      ['a', '1.0'],
      ['', 'a'],
      ['a', ''],
      ['é😀/"\\', ' '],
    ];
    const body = pairs.map(([device, seq]) => ({ device, seq }));
    expect((await send('keyed', body)).accepted).toBe(pairs.length);
    expect((await send('keyed', body)).duplicates).toBe(pairs.length);
    const one = '{"device":"a","seq":1.0}';
    expect((await send('keyed', one)).accepted).toBe(1);
    const ids = (await gateway.read('keyed')).map((record) => text(record.headers.ce_id));
    expect(ids).toEqual([
      'a%3Ab:c',
      'a:b%3Ac',
      'a%253Ab:c',
      'a:1',
      'a:1',
      'a:1.0',
      ':a',
      'a:',
      'é😀/"\\: ',
      'a:1.0',
    ]);
  });

  it('answers for each element of a batch, and stores the good ones', async () => {
    const batch = [
      { device: 'b1', seq: 1 },
      { device: 'b1' },
      { device: 'b1', seq: true },
      { device: 'b1', seq: 1 },
      'text',
      { device: 'b1\u0007', seq: 2 },
      { device: 'b1', seq: 2 },
    ];
    const answer = await send('keyed', batch);
    expect([answer.status, answer.accepted, answer.duplicates, answer.rejected]).toEqual([207, 2, 1, 4]);
    expect(
      answer.events.map(({ index, verdict, errors }) => [
        index,
        verdict,
        errors?.[0]?.code,
        errors?.[0]?.pointer,
      ]),
    ).toEqual([
      [1, 'rejected', 'id_missing', '#/seq'],
      [2, 'rejected', 'id_invalid', '#/seq'],
      [3, 'duplicate', undefined, undefined],
      [4, 'rejected', 'not_an_object', '#'],
      [5, 'rejected', 'id_invalid', '#/device'],
    ]);
  });
});

describe('how devices speak HTTP', () => {
  const body = (seq: string) => `{"device":"http","seq":"${seq}"}`;
  const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;

  it('answers HTTP/1.0, with and without keep-alive', async () => {
    for (const connection of [[], ['connection: keep-alive']]) {
      const event = body(`1.0 ${connection}`);
      const reply = await rawExchange(
        gateway.port,
        [
          head(
            'POST /events/keyed HTTP/1.0',
            'content-type: application/json',
            `content-length: ${event.length}`,
            ...connection,
          ),
          event,
        ],
        connection.length > 0 ? wholeReply : undefined,
      );
      expect(reply).toMatch(/^HTTP\/1\.1 202 /);
      expect(reply.toLowerCase()).not.toContain('transfer-encoding');
      expect(reply).toContain('"accepted":1');
    }
  });

  it('refuses HTTP/1.1 without a host', async () => {
    const reply = await rawExchange(gateway.port, [head('POST /events/keyed HTTP/1.1', 'content-length: 0')]);
    expect(reply).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('takes chunked bodies, cut anywhere', async () => {
    const event = Buffer.from(body('stück'));
    const chunks = [...event].map((byte) => Buffer.from([0x31, 0x0d, 0x0a, byte, 0x0d, 0x0a]));
    const reply = await rawExchange(
      gateway.port,
      [
        head(
          'POST /events/keyed HTTP/1.1',
          'host: x',
          'content-type: application/json',
          'transfer-encoding: chunked',
        ),
        ...chunks,
        '0\r\n\r\n',
      ],
      wholeReply,
    );
    expect(reply).toMatch(/^HTTP\/1\.1 202 /);
    expect((await gateway.read('keyed')).map((record) => text(record.value))).toContain(body('stück'));
  });

  it('answers with nothing when the client prefers that, unless there is something to say', async () => {
    const prefer = (event: string) =>
      fetch(`${gateway.url}/events/keyed`, {
        method: 'POST',
        body: event,
        headers: { 'content-type': 'application/json', prefer: 'return=minimal' },
      });
    const good = await prefer(body('minimal'));
    expect([good.status, good.headers.get('preference-applied'), await good.text()]).toEqual([
      204,
      'return=minimal',
      '',
    ]);
    const bad = await prefer('{"device":"http"}');
    expect([bad.status, ((await bad.json()) as Answer).rejected]).toEqual([422, 1]);
  });

  it('C14 keeps the connection for the next message, longer than balancers do', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const post = (seq: string) =>
      new Promise<{ status: number; keepAlive: string; port: number }>((resolve, reject) => {
        const outgoing = request(
          `${gateway.url}/events/keyed`,
          { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
          (incoming) => {
            const { statusCode, headers, socket } = incoming;
            const port = socket.localPort!;
            incoming.resume();
            incoming.on('end', () =>
              resolve({ status: statusCode!, keepAlive: String(headers['keep-alive']), port }),
            );
          },
        );
        outgoing.on('error', reject);
        outgoing.end(body(seq));
      });
    const replies = [await post('first'), await post('second'), await post('third')];
    expect(replies.map(({ status }) => status)).toEqual([202, 202, 202]);
    expect(new Set(replies.map(({ port }) => port)).size).toBe(1);
    for (const { keepAlive } of replies)
      expect(Number(/timeout=(\d+)/.exec(keepAlive)?.[1])).toBeGreaterThan(60);
    agent.destroy();
  });
});
