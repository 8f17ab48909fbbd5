// Appends and reads a little, then ends: a process whose warnings a test looks at. Arguments: brokers, topic, client.
import { Collector, record } from '../../contracts/collector.ts';
import { openLog } from './setting.ts';

const [brokers, topic, client] = process.argv.slice(2) as [string, string, 'kafkajs' | 'platformatic'];
const { log } = openLog(brokers, [topic], { client });
for (let i = 0; i < 50; i++) await log.append([record(topic, `${i}`)]);
const sink = new Collector();
await log.consume({ group: topic, topics: [topic], from: 'earliest' }, sink);
await sink.values(50);
await log.close();
process.emitWarning('another warning');
