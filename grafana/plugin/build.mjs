// Builds dist/ as Grafana loads it: module.js as an AMD module whose libraries are Grafana's own.
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

const external = ['react', 'react-dom', 'rxjs', '@grafana/data', '@grafana/runtime', '@grafana/ui'];
const version = JSON.parse(await readFile('package.json', 'utf8')).version;
const out = process.env.PLUGIN_DIST ?? 'dist';

await rm(out + '/module.js', { force: true });
await mkdir(out, { recursive: true });
await build({
  entryPoints: ['src/module.ts'],
  bundle: true,
  format: 'cjs',
  platform: 'browser',
  target: 'es2021',
  jsx: 'transform',
  minify: true,
  sourcemap: true,
  external,
  outfile: out + '/module.js',
  banner: { js: `define(${JSON.stringify(external)},function(...libs){var names=${JSON.stringify(external)},module={exports:{}},exports=module.exports,require=function(n){var i=names.indexOf(n);if(i<0)throw new Error("no module "+n);return libs[i]};` },
  footer: { js: 'return module.exports});' },
});
const described = (await readFile('src/plugin.json', 'utf8')).replace('%VERSION%', version).replace('%TODAY%', (process.env.SOURCE_DATE ?? new Date().toISOString()).slice(0, 10));
await writeFile(out + '/plugin.json', described);
await cp('src/img', out + '/img', { recursive: true });
await mkdir(out + '/dashboards', { recursive: true });
for (const { path } of JSON.parse(described).includes) {
  await cp('../' + path, out + '/' + path);
}
await cp('README.md', out + '/README.md');
await cp('CHANGELOG.md', out + '/CHANGELOG.md');
await cp('../../LICENSE', out + '/LICENSE');
