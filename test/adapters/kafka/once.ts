// Appends and reads a little, then ends: a process whose warnings a test looks at. Arguments: brokers, topic.
import { Collector } from '../../contracts/collector.ts';
import { openLog, record } from './setting.ts';

const [brokers, topic] = process.argv.slice(2) as [string, string];
const { log } = openLog(brokers, [topic]);
for (let i = 0; i < 50; i++) await log.append([record(topic, `${i}`)]);
const sink = new Collector();
await log.consume({ group: topic, topics: [topic], from: 'earliest' }, sink);
await sink.values(50);
await log.close();
process.emitWarning('another warning');
