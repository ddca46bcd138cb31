// Checks the sources against the types of the oldest Grafana that the plug-in
// runs in, and of the one that dashboards are written for: a symbol that is not
// there, or a property that had another type, is an error here and not in a
// user's browser. The packages come from the npm registry, once.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const failed = [];
for (const version of ['10.4.0', '12.2.0']) {
  const dir = join('.test', 'grafana-' + version);
  const paths = {};
  for (const name of ['data', 'runtime', 'ui']) {
    const to = join(dir, name);
    if (!existsSync(join(to, 'package.json'))) {
      mkdirSync(to, { recursive: true });
      execFileSync('npm', ['pack', '--silent', '--pack-destination', to, `@grafana/${name}@${version}`], { stdio: ['ignore', 'ignore', 'inherit'] });
      const [archive] = readdirSync(to).filter((f) => f.endsWith('.tgz'));
      execFileSync('tar', ['xzf', archive, '--strip-components=1'], { cwd: to });
    }
    paths['@grafana/' + name] = [[join(name, 'dist/types/index.d.ts'), join(name, 'dist/index.d.ts')].find((f) => existsSync(join(dir, f)))].map((f) => './' + f);
  }
  const config = join(dir, 'tsconfig.json');
  writeFileSync(config, JSON.stringify({ extends: '../../tsconfig.json', compilerOptions: { paths }, include: ['../../src'], exclude: ['../../src/**/*.test.ts'] }));
  try {
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', config], { stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (e) {
    failed.push(`Grafana ${version}:\n${e.stdout}`);
  }
}
if (failed.length > 0) {
  console.error(failed.join('\n'));
  process.exit(1);
}
