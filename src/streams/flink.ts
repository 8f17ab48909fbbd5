import type { StreamConfig } from '../config/stream/types.ts';
import { parsePointer } from '../json/pointer.ts';
import { parseAggregate } from './aggregate.ts';
import { expression, text } from './flink-expression.ts';

export interface FlinkOptions {
  /** host:port, joined by commas. */
  brokers: string;
}

/** Flink's functions for the aggregates that both compute in the same way. */
const FUNCTIONS: Record<string, (value: string) => string> = {
  count: () => 'COUNT(*)',
  sum: (value) => `SUM(${value})`,
  avg: (value) => `AVG(${value})`,
  min: (value) => `MIN(${value})`,
  max: (value) => `MAX(${value})`,
  distinct: (value) => `COUNT(DISTINCT ${value})`,
};
const EVENT = { event: 'map' };
const DAY_MS = 86_400_000;

/**
 * The Flink SQL of a tumbling, sliding or session stream over the same topics: statements that end in a semicolon.
 * Numbers of the data are DOUBLE. Throws an Error that names the part of the stream that Flink SQL cannot express.
 */
export function flinkSql(config: StreamConfig, { brokers }: FlinkOptions): string {
  const { name, topics, emit } = config;
  if (emit.on !== 'close') throw new Error('emit.on threshold has no counterpart in Flink SQL');
  if (config.time !== 'event') throw new Error('time arrival is not exported; Flink has its own');
  const results = Object.entries(config.aggregate).map(
    ([result, text]) => [result, aggregateSql(text)] as const,
  );
  const key = config.key === null ? '`key`' : jsonText(parsePointer(config.key));
  const source = quoted(`${name}-events`);
  const sink = quoted(`${name}-windows`);
  const where = config.filter === null ? '' : `\nWHERE ${expression(config.filter, EVENT, eventSql)}`;
  const resultTypes = Object.fromEntries(results.map(([result]) => [result, 'dyn']));
  const having =
    config.having === null
      ? ''
      : `\n  HAVING ${expression(config.having, resultTypes, (path) => havingSql(path, results))}`;
  const columns = results.map(([result, { type }]) => `  ${quoted(result)} ${type}`).join(',\n');
  const aggregates = results.map(([result, { sql }]) => `    ${sql} AS ${quoted(result)}`).join(',\n');
  return `SET 'table.local-time-zone' = 'UTC';
SET 'table.exec.source.idle-timeout' = '${config.idle} ms';

CREATE TABLE ${source} (
  \`key\` STRING,
  \`data\` STRING,
  \`headers\` MAP<STRING, BYTES> METADATA VIRTUAL,
  \`arrival\` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  \`time\` AS COALESCE(
    TRY_CAST(REPLACE(REPLACE(CAST(\`headers\`['ce_time'] AS STRING), 'T', ' '), 'Z', '') AS TIMESTAMP_LTZ(3)),
    \`arrival\`),
  WATERMARK FOR \`time\` AS \`time\` - ${interval(config.lateness)}
) WITH (
  'connector' = 'kafka',
  'topic' = ${text(topics.join(';'))},
  'properties.bootstrap.servers' = ${text(brokers)},
  'properties.group.id' = ${text(`${config.group}.flink`)},
  'scan.startup.mode' = '${config.from}-offset',
  'key.format' = 'raw',
  'key.fields' = 'key',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY'
);

CREATE TABLE ${sink} (
  \`stream\` STRING,
  \`key\` STRING,
  \`start\` TIMESTAMP_LTZ(3),
  \`end\` TIMESTAMP_LTZ(3),
${columns},
  \`headers\` MAP<STRING, BYTES> METADATA
) WITH (
  'connector' = 'kafka',
  'topic' = ${text(emit.topic)},
  'properties.bootstrap.servers' = ${text(brokers)},
  'key.format' = 'raw',
  'key.fields' = 'key',
  'value.format' = 'json',
  'value.json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TEMPORARY VIEW ${quoted(`${name}-keyed`)} AS
SELECT *, ${key} AS \`window_key\` FROM ${source}${where};

INSERT INTO ${sink}
SELECT *, MAP[
  'ce_specversion', CAST('1.0' AS BYTES),
  'ce_id', CAST(CONCAT('${name}/', \`key\`, '/', DATE_FORMAT(\`start\`, 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z''')) AS BYTES),
  'ce_source', CAST(${text(`/streams/${name}`)} AS BYTES),
  'ce_type', CAST(${text(emit.type)} AS BYTES),
  'ce_time', CAST(DATE_FORMAT(\`end\`, 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z''') AS BYTES),
  'content-type', CAST('application/json' AS BYTES)]
FROM (
  SELECT ${text(name)} AS \`stream\`, \`window_key\` AS \`key\`,
    CAST(\`window_start\` AS TIMESTAMP_LTZ(3)) AS \`start\`, CAST(\`window_end\` AS TIMESTAMP_LTZ(3)) AS \`end\`,
${aggregates}
  FROM ${windowSql(config)}
  GROUP BY \`window_key\`, \`window_start\`, \`window_end\`${having}
);
`;
}

/** The windowing table function over the view of the wanted events and their keys. */
function windowSql({ window, name }: StreamConfig): string {
  const view = quoted(`${name}-keyed`);
  const time = 'DESCRIPTOR(`time`)';
  if ('tumbling' in window) return `TABLE(TUMBLE(TABLE ${view}, ${time}, ${interval(window.tumbling)}))`;
  if ('sliding' in window)
    return `TABLE(HOP(TABLE ${view}, ${time}, ${interval(window.every)}, ${interval(window.sliding)}))`;
  if ('session' in window)
    return `TABLE(SESSION(TABLE ${view} PARTITION BY \`window_key\`, ${time}, ${interval(window.session)}))`;
  throw new Error('windows of a count have no counterpart in Flink SQL');
}

function interval(ms: number): string {
  const time = new Date(ms % DAY_MS).toISOString().slice(11, -1);
  return `INTERVAL '${Math.floor(ms / DAY_MS)} ${time}' DAY(3) TO SECOND(3)`;
}

function aggregateSql(written: string): { sql: string; type: string } {
  const name = /^\s*([a-z]+)/.exec(written)?.[1] ?? '';
  const { argument } = parseAggregate(written);
  const make = FUNCTIONS[name];
  if (make === undefined) throw new Error(`${name} has no counterpart in Flink SQL that says the same`);
  const isNumber = name !== 'count' && name !== 'distinct';
  const value = argument === null ? '' : expression(argument, EVENT, (path) => eventSql(path, isNumber));
  return { sql: make(value), type: isNumber ? 'DOUBLE' : 'BIGINT' };
}

function eventSql([event, ...path]: string[], isNumber: boolean): string {
  if (event !== 'event' || path.length === 0) throw new Error('only members of event can be exported');
  const [first, ...rest] = path as [string, ...string[]];
  if (first === 'data' && rest.length > 0) return isNumber ? jsonNumber(rest) : jsonText(rest);
  return `CAST(\`headers\`[${text(`ce_${first}`)}] AS STRING)`;
}

function havingSql([name]: string[], results: readonly (readonly [string, { sql: string }])[]): string {
  const found = results.find(([result]) => result === name);
  if (found === undefined) throw new Error(`${name} is no result`);
  return found[1].sql;
}

const jsonPath = (path: readonly string[]): string =>
  text(`$${path.map((name) => `['${name.replaceAll("'", "\\'")}']`).join('')}`);
const jsonText = (path: readonly string[]): string => `JSON_VALUE(\`data\`, ${jsonPath(path)})`;
const jsonNumber = (path: readonly string[]): string =>
  `TRY_CAST(JSON_VALUE(\`data\`, ${jsonPath(path)}) AS DOUBLE)`;
const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
