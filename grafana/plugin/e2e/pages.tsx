// The pages of Grafana that show something of a data source.
import { CoreApp, type DataSourcePlugin, dateTime, type PanelData, toDataFrame } from '@grafana/data';
import { Alert, Button } from '@grafana/ui';
import * as React from 'react';
import { lastValueFrom } from 'rxjs';

interface Props {
  ds: any;
  plugin: DataSourcePlugin<any>;
  /** Which page, and what it begins with. */
  query: URLSearchParams;
}

export function Pages(props: Props) {
  const page = props.query.get('page') ?? 'panel';
  switch (page) {
    case 'config':
      return <Config {...props} />;
    case 'variable':
      return <Variable {...props} />;
    case 'explore':
      return <Queries {...props} app={CoreApp.Explore} />;
    case 'annotation':
      return <Queries {...props} app={CoreApp.Dashboard} />;
    default:
      return <Queries {...props} app={CoreApp.PanelEditor} />;
  }
}

const last = (hours: number) => {
  const to = dateTime();
  return { from: dateTime(to).subtract(hours, 'hours'), to, raw: { from: `now-${hours}h`, to: 'now' } };
};

/** The settings page, with Save & test. */
function Config({ ds, plugin, query }: Props) {
  const kept = query.get('options');
  const [options, setOptions] = React.useState<any>({ id: 1, uid: 'oriel-sql', name: 'Oriel SQL', url: '', access: 'proxy', basicAuth: false, basicAuthUser: '', jsonData: {}, secureJsonFields: {}, secureJsonData: {}, ...(kept ? JSON.parse(kept) : {}) });
  const [health, setHealth] = React.useState('');
  (window as any).options = options;
  const Editor = plugin.components.ConfigEditor as React.ComponentType<any>;
  return (
    <>
      <Editor options={options} onOptionsChange={setOptions} />
      <Button onClick={() => ds.testDatasource().then((r: any) => setHealth(r.status + ': ' + r.message), (e: any) => setHealth('error: ' + (e.message ?? e)))}>Save &amp; test</Button>
      {health && <p aria-label="Health">{health}</p>}
    </>
  );
}

/** The editors of a panel's queries, and what they yield. */
function Queries({ ds, plugin, query, app }: Props & { app: CoreApp }) {
  const [queries, setQueries] = React.useState<any[]>(() => {
    const kept = query.get('queries');
    return kept ? JSON.parse(kept) : [{ refId: 'A', ...ds.getDefaultQuery(app) }];
  });
  const [result, setResult] = React.useState<PanelData | undefined>();
  const latest = React.useRef(queries);
  latest.current = queries;
  const w = window as any;
  w.queries = queries;
  const run = async () => {
    const range = last(6);
    let targets = latest.current.map((q) => ({ ...q, datasource: { uid: 'oriel-sql', type: ds.type } }));
    // Grafana asks the data source which queries it wants before it hands them over.
    targets = targets.filter((q) => ds.filterQuery?.(q) ?? true);
    if (app === CoreApp.Explore) {
      targets = ds.interpolateVariablesInQueries(targets, {});
    }
    w.running = true;
    const request: any = { app, requestId: 'Q' + Date.now(), interval: '1m', intervalMs: 60_000, maxDataPoints: 500, range, rangeRaw: range.raw, scopedVars: {}, startTime: Date.now(), targets, timezone: 'utc' };
    try {
      const answer: any = targets.length === 0 ? { data: [] } : await lastValueFrom(ds.query(request));
      setResult({ state: answer.error || answer.errors?.length ? 'Error' : 'Done', series: answer.data.map(toDataFrame), errors: answer.errors ?? (answer.error ? [answer.error] : []), timeRange: range } as PanelData);
    } finally {
      w.running = false;
    }
  };
  const change = (i: number, q: any) => {
    latest.current = latest.current.map((o, j) => (i === j ? q : o));
    setQueries(latest.current);
  };
  const Editor = plugin.components.QueryEditor as React.ComponentType<any>;
  const CheatSheet = plugin.components.QueryEditorHelp as React.ComponentType<any> | undefined;
  return (
    <>
      {app === CoreApp.Explore && CheatSheet && <CheatSheet datasource={ds} query={queries[0]} queries={queries} onClickExample={(q: any) => change(0, { ...q, refId: 'A' })} />}
      {queries.map((q, i) => (
        <section key={q.refId} aria-label={'Query ' + q.refId} style={{ border: '1px solid #444', margin: '0 0 8px', padding: 8 }}>
          <div>
            <strong>{q.refId}</strong>{' '}
            <Button size="sm" variant="secondary" icon={q.hide ? 'eye-slash' : 'eye'} aria-label={'Hide ' + q.refId} onClick={() => change(i, { ...q, hide: !q.hide })} />
          </div>
          <Editor app={app} datasource={ds} query={q} queries={queries} range={last(6)} data={result} onChange={(next: any) => change(i, next)} onRunQuery={run} onAddQuery={() => undefined} />
        </section>
      ))}
      <Button size="sm" variant="secondary" icon="plus" onClick={() => setQueries([...queries, { refId: 'ABCDEF'[queries.length], ...ds.getDefaultQuery(app) }])}>
        Add query
      </Button>
      {result?.errors?.map((e: any, i) => <Alert key={i} title={`${e.refId ?? ''}: ${e.message ?? e.data?.message}`} severity="error" />)}
      {result?.series.map((f, i) => <Frame key={i} frame={f} />)}
    </>
  );
}

function Frame({ frame }: { frame: any }) {
  const rows = Math.min(frame.length, 8);
  return (
    <table aria-label={'Frame ' + frame.refId} data-rows={frame.length} data-kind={frame.meta?.type ?? ''} data-show={frame.meta?.preferredVisualisationType ?? ''} style={{ margin: '8px 0' }}>
      <thead>
        <tr>
          {frame.fields.map((f: any, i: number) => (
            <th key={i} data-type={f.type} style={{ padding: '0 12px', textAlign: 'left' }}>
              {f.config?.displayNameFromDS || f.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {Array.from({ length: rows }, (_, r) => (
          <tr key={r}>
            {frame.fields.map((f: any, i: number) => (
              <td key={i} style={{ padding: '0 12px' }}>
                {String(f.values.get ? f.values.get(r) : f.values[r])}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The page of a query variable. */
function Variable({ ds, plugin, query: begin }: Props) {
  const [query, setQuery] = React.useState<any>(begin.get('query') ?? '');
  const [options, setOptions] = React.useState<Array<{ text: string; value?: string }>>([]);
  const [problem, setProblem] = React.useState('');
  const Editor = (plugin.components.VariableQueryEditor ?? plugin.components.QueryEditor) as React.ComponentType<any>;
  (window as any).variableQuery = query;
  const run = () => ds.metricFindQuery(query, { range: last(6), scopedVars: {} }).then((o: any) => (setOptions(o), setProblem('')), (e: Error) => setProblem(e.message));
  return (
    <>
      <Editor datasource={ds} query={query} onChange={(q: any) => setQuery(q)} />
      <Button onClick={run}>Preview</Button>
      {problem && <Alert title={problem} severity="error" />}
      <ul aria-label="Options">
        {options.map((o, i) => (
          <li key={i}>
            {o.text} = {o.value}
          </li>
        ))}
      </ul>
    </>
  );
}
