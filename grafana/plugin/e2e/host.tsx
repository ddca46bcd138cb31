// Plays Grafana: loads the plug-in's module.js as Grafana does and shows its
// editors, with Grafana's own libraries. Answers come from the real back-end.
import * as data from '@grafana/data';
import * as runtime from '@grafana/runtime';
import * as ui from '@grafana/ui';
import * as React from 'react';
import * as reactDom from 'react-dom';
import * as rxjs from 'rxjs';
import 'systemjs/dist/system.js';
import 'systemjs/dist/extras/amd.js';

import { Pages } from './pages';

const w = window as unknown as Record<string, any>;

// SystemJS' AMD define is kept for plug-ins: the global one is Monaco's, as in Grafana.
const amd = w.define ?? w.__grafana_amd_define; // Grafana 10's runtime has put it there itself
delete w.define;
const shared: Record<string, unknown> = { react: React, 'react-dom': reactDom, rxjs, '@grafana/data': data, '@grafana/runtime': runtime, '@grafana/ui': ui };
const system = w.System;
const imports: Record<string, string> = {};
for (const [name, module] of Object.entries(shared)) {
  imports[name] = 'package:' + name;
  system.set(imports[name], module);
}
system.addImportMap({ imports });
system.constructor.prototype.shouldFetch = () => true;
const fetched = system.constructor.prototype.fetch;
system.constructor.prototype.fetch = async function (url: string, options: unknown) {
  const response: Response = await fetched.call(this, url, options);
  const source = await response.text();
  w.__grafana_amd_define = amd;
  return new Response(`(function(define) {\n${source}\n})(window.__grafana_amd_define);`, { headers: { 'content-type': 'text/javascript' } });
};

/** Variables of the dashboard; the test sets them. */
const variables: Record<string, string | string[] | { all: string }> = (w.variables = { ip: '10.0.0.1', many: ['accepted', 'rejected'], any: { all: 're%' } });
const pattern = /\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}/g;
const templates = {
  getVariables: () => Object.keys(variables).map((name) => ({ name })),
  // As in Grafana's newer dashboards: what looks like a variable is one.
  containsTemplate: (text?: string) => [...(text ?? '').matchAll(pattern)].length > 0,
  updateTimeRange: () => undefined,
  replace(text = '', scoped: Record<string, { value: unknown }> = {}, format?: unknown) {
    return text.replace(pattern, (whole, a, b, fmt2, c, _field, fmt3) => {
      const name = a ?? b ?? c;
      const value = scoped?.[name]?.value ?? variables[name];
      if (value === undefined) {
        return whole;
      }
      if (typeof value === 'object' && value !== null && 'all' in value) {
        return String(value.all); // a custom "All" is put in as it is, whatever the format
      }
      const how = fmt2 ?? fmt3 ?? format;
      if (typeof how === 'function') {
        return how(value, { name }, undefined);
      }
      return Array.isArray(value) ? (how === 'csv' ? value.join(',') : `{${value.join(',')}}`) : String(value);
    });
  },
};

/** What was asked, for the test to look at. */
const asked: Array<{ url: string; data: any }> = (w.asked = []);
const backend = {
  fetch(options: { url: string; method?: string; data?: unknown; params?: Record<string, string>; headers?: Record<string, string> }) {
    asked.push({ url: options.url, data: options.data });
    const query = options.params ? '?' + new URLSearchParams(options.params) : '';
    return rxjs.defer(async () => {
      const response = await fetch(options.url + query, {
        method: options.method ?? 'GET',
        headers: { ...options.headers, 'content-type': 'application/json' },
        body: options.data === undefined ? undefined : JSON.stringify(options.data),
      });
      const answer = { data: await response.json(), status: response.status, statusText: response.statusText, ok: response.ok, headers: response.headers, config: options };
      if (!response.ok) {
        throw answer;
      }
      return answer;
    });
  },
};

async function main() {
  const uid = 'oriel-sql';
  const meta = await (await fetch('/public/plugins/oriel-sql-datasource/plugin.json')).json();
  const settings = { id: 1, uid, type: meta.id, name: 'Oriel SQL', url: '', meta, jsonData: {}, access: 'proxy', readOnly: false, rawRef: { uid, type: meta.id } };
  const module = await system.import('/public/plugins/oriel-sql-datasource/module.js');
  const plugin = module.plugin as data.DataSourcePlugin<any>;
  w.loaded = {
    exports: Object.keys(module).filter((k) => k !== '__useDefault' && k !== 'default').sort(),
    isPlugin: plugin instanceof data.DataSourcePlugin,
    components: Object.keys(plugin.components).filter((k) => (plugin.components as Record<string, unknown>)[k]).sort(),
  };
  plugin.meta = meta;
  const ds = new plugin.DataSourceClass(settings as never);
  ds.components = plugin.components;
  runtime.setBackendSrv(backend as never);
  (runtime.setTemplateSrv as (t: unknown) => void)(templates);
  runtime.setDataSourceSrv({ getInstanceSettings: () => settings, get: async () => ds, getList: () => [settings] } as never);
  runtime.setEchoSrv({ flush: () => undefined, addBackend: () => undefined, addEvent: () => undefined } as never);
  w.ds = ds;
  const theme = data.createTheme({ colors: { mode: 'dark' } });
  const Portal = (ui as { PortalContainer?: React.ComponentType }).PortalContainer ?? React.Fragment;
  const root = document.getElementById('root')!;
  const page = (query: string) => (
    <data.ThemeContext.Provider value={theme}>
      <ui.GlobalStyles />
      <div style={{ padding: 16, background: theme.colors.background.canvas, color: theme.colors.text.primary, minHeight: '100vh' }}>
        <Pages key={query} query={new URLSearchParams(query)} ds={ds} plugin={plugin} />
      </div>
      <Portal />
    </data.ThemeContext.Provider>
  );
  // createRoot is of react-dom/client, which Grafana's libraries do not need to share.
  const { createRoot } = await import('react-dom/client');
  const react = createRoot(root);
  w.show = (query: string) => {
    asked.length = 0;
    react.render(page(query));
  };
}

main().catch((e) => {
  console.error(e);
});
