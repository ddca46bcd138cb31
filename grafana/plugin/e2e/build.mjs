// Builds the page that plays Grafana in the browser test, with the libraries of
// this folder, or of GRAFANA_PACKAGES: the node_modules of another version.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { build } from 'esbuild';

const out = process.env.HOST_DIST ?? '.test/host';
const packages = process.env.GRAFANA_PACKAGES && resolve(process.env.GRAFANA_PACKAGES);
const shared = ['monaco-editor', 'react', 'react-dom', 'rxjs', '@grafana/data', '@grafana/runtime', '@grafana/ui'];
await mkdir(out, { recursive: true });
await build({
  entryPoints: { host: 'e2e/host.tsx', 'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js' },
  outdir: out,
  bundle: true,
  format: 'iife',
  platform: 'browser',
  target: 'es2022',
  jsx: 'transform',
  minify: true,
  logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.ttf': 'dataurl', '.png': 'dataurl' },
  alias: packages ? { ...Object.fromEntries(shared.map((name) => [name, `${packages}/${name}`])), 'react-dom/server': packages + '/react-dom/server.browser.js', systemjs: resolve('node_modules/systemjs') } : {},
});
await writeFile(
  out + '/index.html',
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>host</title><link rel="icon" href="data:,">
<script>
window.__grafana_public_path__ = '/public/';
window.MonacoEnvironment = { getWorkerUrl: () => '/editor.worker.js' };
window.grafanaBootData = { user: { theme: 'dark', locale: 'en-US', timezone: 'utc', weekStart: '', permissions: {} }, settings: { featureToggles: {}, datasources: {}, panels: {}, apps: {}, buildInfo: { version: '', env: 'production' } }, navTree: [] };
</script>
${existsSync(out + '/host.css') ? '<link rel="stylesheet" href="host.css">' : ''}</head><body><div id="root"></div><script src="host.js"></script></body></html>`
);
