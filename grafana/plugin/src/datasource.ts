import {
  type AdHocVariableFilter,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceInstanceSettings,
  type MetricFindValue,
  type ScopedVars,
  CoreApp,
  dateTime,
} from '@grafana/data';
import { DataSourceWithBackend, getTemplateSrv } from '@grafana/runtime';
import { lastValueFrom, type Observable, of } from 'rxjs';

import { migrate, prevOf, takeVariables, toOptions } from './model';
import { type Column, defaultQuery, type OrielOptions, type OrielQuery } from './types';

/** One entry of the server's completion. */
export interface Suggestion {
  text: string;
  kind: 'macro' | 'table' | 'column' | 'function' | 'keyword';
  note?: string;
}

export interface TableInfo {
  name: string;
  view: boolean;
  source: boolean;
  time_column?: string;
}

/** The data source. The back-end asks the server; here queries are made ready. */
export class OrielDataSource extends DataSourceWithBackend<OrielQuery, OrielOptions> {
  annotations = {};

  constructor(settings: DataSourceInstanceSettings<OrielOptions>) {
    super(settings);
  }

  getDefaultQuery(_: CoreApp): Partial<OrielQuery> {
    return defaultQuery;
  }

  /** Grafana 11 and newer hand over only those that pass here: query needs the hidden ones too, for what others read. */
  filterQuery(query: OrielQuery): boolean {
    return migrate(query).rawSql.trim() !== '';
  }

  query(request: DataQueryRequest<OrielQuery>): Observable<DataQueryResponse> {
    const all = request.targets.map(migrate);
    const raw = request.rangeRaw ?? request.range?.raw;
    const relative = typeof raw?.from === 'string' || typeof raw?.to === 'string';
    const filters = (request as { filters?: AdHocVariableFilter[] }).filters;
    // A hidden query is not sent by itself: those that read it carry its SQL.
    const targets = all.filter((q) => !q.hide && q.rawSql.trim() !== '').map((q) => ({ ...q, relative, prev: prevOf(q, all), filters: usable(filters) ?? q.filters }));
    return targets.length === 0 ? of({ data: [] }) : super.query({ ...request, targets });
  }

  /** The values of variables go along; the server puts them in. */
  applyTemplateVariables(query: OrielQuery, scoped: ScopedVars, filters?: AdHocVariableFilter[]): OrielQuery {
    const q = migrate(query);
    const variables: Record<string, string | string[]> = {};
    const take = (sql: string) => {
      const taken = takeVariables(sql, {
        values: (name) => valuesOf(name, scoped),
        format: (text) => getTemplateSrv().replace(text, scoped),
      });
      Object.assign(variables, taken.variables);
      return taken.sql;
    };
    const out: OrielQuery = { ...q, rawSql: take(q.rawSql), filters: usable(filters) ?? q.filters };
    if (q.prev) {
      out.prev = Object.fromEntries(Object.entries(q.prev).map(([ref, sql]) => [ref, take(sql)]));
    }
    for (const key of ['timeColumn', 'metricColumn'] as const) {
      if (q[key]) {
        out[key] = getTemplateSrv().replace(q[key], scoped);
      }
    }
    return { ...out, variables };
  }

  interpolateVariablesInQueries(queries: OrielQuery[], scoped: ScopedVars): OrielQuery[] {
    // Explore has no variables: there they must be in the text.
    return queries.map((query) => {
      const q = migrate(query);
      return { ...q, rawSql: getTemplateSrv().replace(q.rawSql, scoped, (v: string | string[]) => [v].flat().join("','")) };
    });
  }

  /** Options of a query variable: one column, or label and value. */
  async metricFindQuery(query: OrielQuery | string, options?: { range?: DataQueryRequest['range']; scopedVars?: ScopedVars }): Promise<MetricFindValue[]> {
    const rawSql = typeof query === 'string' ? query : (query.rawSql ?? (query as unknown as { query?: string }).query ?? '');
    if (rawSql.trim() === '') {
      return [];
    }
    const to = dateTime();
    const range = options?.range ?? { from: dateTime(to).subtract(6, 'hours'), to, raw: { from: 'now-6h', to: 'now' } };
    const target: OrielQuery = { refId: 'variable', rawSql, format: 'table' };
    const response = await lastValueFrom(
      this.query({
        app: CoreApp.Dashboard,
        requestId: `oriel-variable-${rawSql.length}-${Date.now()}`,
        interval: '1m',
        intervalMs: 60_000,
        range,
        rangeRaw: range.raw,
        scopedVars: options?.scopedVars ?? {},
        startTime: Date.now(),
        targets: [target],
        timezone: 'utc',
      })
    );
    const error = response.errors?.[0] ?? response.error;
    if (error) {
      throw new Error(error.message ?? 'the query failed');
    }
    return toOptions(response.data?.[0]?.fields ?? []);
  }

  /** Keys of ad hoc filters: the columns of $__source. */
  async getTagKeys(): Promise<MetricFindValue[]> {
    const source = await this.sourceTable();
    return source ? (await this.columns(source.name)).map((c) => ({ text: c.name, value: c.name })) : [];
  }

  async getTagValues(options: { key: string }): Promise<MetricFindValue[]> {
    const column = '"' + options.key.replaceAll('"', '""') + '"';
    return this.metricFindQuery(`SELECT ${column} AS v FROM $__source WHERE ${column} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1000`);
  }

  async tables(): Promise<TableInfo[]> {
    return (await this.getResource<{ tables: TableInfo[] }>('tables')).tables;
  }

  async columns(table: string): Promise<Column[]> {
    return (await this.getResource<{ columns: Column[] }>('columns', { table })).columns;
  }

  async sourceTable(): Promise<TableInfo | undefined> {
    const list = await this.tables();
    return list.find((t) => t.source) ?? list[0];
  }

  async complete(sql: string, position: number): Promise<{ start: number; suggestions: Suggestion[] }> {
    return this.postResource('complete', { sql, position });
  }
}

/** usable keeps the filters that are complete. */
function usable(filters?: AdHocVariableFilter[]): OrielQuery['filters'] | undefined {
  // Grafana 10 has no operators of several values.
  const list = (filters as OrielQuery['filters'])?.filter((f) => f.key && f.operator).map(({ key, operator, value, values }) => ({ key, operator, value, ...(values ? { values } : {}) }));
  return list && list.length > 0 ? list : undefined;
}

/**
 * valuesOf is a variable's value, or its values, unquoted; undefined if there is no such variable. Grafana is not
 * asked by containsTemplate: in its newer dashboards that is true of whatever looks like a variable.
 */
function valuesOf(name: string, scoped: ScopedVars): string | string[] | undefined {
  const asked = '${' + name + '}';
  let found: string | string[] | undefined;
  const text = getTemplateSrv().replace(asked, scoped, (value: unknown) => {
    found = Array.isArray(value) ? value.map(String) : String(value);
    return '';
  });
  // A custom "All" is put in without asking how.
  return found ?? (text === asked ? undefined : text);
}
