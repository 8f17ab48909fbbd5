/** A panel for Grafana, without its place. */
export interface Panel {
  title: string;
  description: string;
  type: 'stat' | 'timeseries';
  unit: string;
  /** Each with the name of its lines. */
  queries: [expression: string, legend: string][];
  /** By the name of a line. */
  colors?: Record<string, string>;
  /** A stat's: green below the first, orange below the second, else red. */
  limits?: [warning: number, critical: number];
  /** Values that are states: their words. */
  words?: Record<string, string>;
}

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const GRID = 24;
const SIZES = { stat: { w: 4, h: 4 }, timeseries: { w: 8, h: 8 } };

/** A Grafana dashboard (the classic model). `variables` are queries by the name of the variable that they fill. */
export function dashboard(options: {
  uid: string;
  title: string;
  description: string;
  variables: Record<string, string>;
  rows: Record<string, Panel[]>;
}): object {
  const { uid, title, description, variables, rows } = options;
  const panels: object[] = [];
  let y = 0;
  for (const [row, members] of Object.entries(rows)) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: row,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: GRID, h: 1 },
    });
    y += 1;
    let x = 0;
    for (const member of members) {
      const { w, h } = SIZES[member.type];
      if (x + w > GRID) {
        x = 0;
        y += h;
      }
      panels.push({ id: panels.length + 1, ...panel(member), gridPos: { x, y, w, h } });
      x += w;
    }
    y += SIZES[members.at(-1)!.type].h;
  }
  return {
    uid,
    title,
    description,
    tags: ['postern'],
    schemaVersion: 42,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    timezone: 'browser',
    time: { from: 'now-1h', to: 'now' },
    annotations: { list: [] },
    links: [
      {
        type: 'dashboards',
        title: 'Postern',
        tags: ['postern'],
        icon: 'external link',
        tooltip: '',
        asDropdown: false,
        targetBlank: false,
        includeVars: true,
        keepTime: true,
      },
    ],
    templating: {
      list: [
        {
          type: 'datasource',
          name: 'datasource',
          label: 'Data source',
          query: 'prometheus',
          current: { text: 'default', value: 'default' },
        },
        ...Object.entries(variables).map(([name, query]) => variable(name, query)),
      ],
    },
    panels,
  };
}

function variable(name: string, query: string): object {
  return {
    type: 'query',
    name,
    label: name[0]!.toUpperCase() + name.slice(1),
    datasource: DATASOURCE,
    definition: query,
    query: { query, refId: name },
    // When the time range changes.
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    // Series without the label are among them.
    allValue: '.*',
    current: { text: ['All'], value: ['$__all'] },
  };
}

function panel({ title, description, type, unit, queries, colors, limits, words }: Panel): object {
  const steps = [
    { color: 'green', value: null },
    ...(limits ?? []).map((value, index) => ({ color: ['orange', 'red'][index], value })),
  ];
  const text = Object.entries(words ?? {}).map(([value, word], index) => [value, { text: word, index }]);
  return {
    type,
    title,
    description,
    datasource: DATASOURCE,
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        thresholds: { mode: 'absolute', steps },
        mappings: text.length === 0 ? [] : [{ type: 'value', options: Object.fromEntries(text) }],
        ...(type === 'stat' ? {} : { custom: { fillOpacity: 8, lineWidth: 1, showPoints: 'never' } }),
      },
      overrides: Object.entries(colors ?? {}).map(([name, fixedColor]) => ({
        matcher: { id: 'byName', options: name },
        properties: [{ id: 'color', value: { mode: 'fixed', fixedColor } }],
      })),
    },
    options:
      type === 'stat'
        ? {
            reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
            colorMode: 'value',
            graphMode: 'area',
            textMode: 'auto',
            justifyMode: 'auto',
            orientation: 'auto',
            wideLayout: true,
            showPercentChange: false,
            percentChangeColorMode: 'standard',
          }
        : {
            legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
            tooltip: { mode: 'multi', sort: 'desc' },
          },
    targets: queries.map(([expr, legendFormat], index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: DATASOURCE,
      editorMode: 'code',
      range: true,
      expr,
      legendFormat,
    })),
  };
}
