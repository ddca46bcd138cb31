// Checks that all that npm installs may be part of the program or build it.
import { existsSync, readFileSync } from 'node:fs';

const good = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'CC0-1.0', 'BlueOak-1.0.0', 'Python-2.0', '(MIT OR CC0-1.0)', '(MIT AND Zlib)', 'MIT AND ISC']);
const tools = new Set(['MPL-2.0', 'CC-BY-4.0']); // of programs that build, not of what is built
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const bad = [];
for (const [path, p] of Object.entries(lock.packages)) {
  if (path === '' || !existsSync(path)) continue;
  const { license, licenses } = JSON.parse(readFileSync(`${path}/package.json`, 'utf8'));
  const name = typeof license === 'string' ? license : (license?.type ?? licenses?.[0]?.type ?? 'none');
  if (!good.has(name) && !(p.dev && tools.has(name))) bad.push(`${path}: ${name}`);
  if (p.resolved) bad.push(`${path}: the lock file names a registry`);
}
if (bad.length) {
  console.error(bad.join('\n'));
  process.exit(1);
}
