// Drives the console of a running demo in Chromium: every dashboard and page,
// then what people click. It fails on errors in the browser's console, on
// requests to other origins and on panels without data. ORIEL names the
// program, CHROMIUM the browser; screenshots go to e2e/shots.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { clicks } from './clicks.mjs';
import { speed } from './speed.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const shots = process.env.SHOTS ?? join(here, 'shots');
const browserPath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => p && existsSync(p));
if (!browserPath) {
  console.error('console: Chromium is missing (apt-get install chromium)');
  process.exit(process.env.CI ? 1 : 0);
}

const problems = [];
const fail = (text) => { problems.push(text); console.error(`FAIL ${text}`); };

// demo starts the program, unless ORIEL_URL names one that runs.
async function demo() {
  if (process.env.ORIEL_URL) return { base: process.env.ORIEL_URL, stop: async () => {} };
  const file = join(tmpdir(), `oriel-console-${process.pid}.addr`);
  const child = spawn(process.env.ORIEL ?? join(here, '../../bin/oriel'), ['demo', '--dashboards', join(here, 'dashboards'), '--web.listen-address', '127.0.0.1:0', '--web.addr-file', file, '--log.level', 'warn'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const end = Date.now() + 120e3;
  for (;;) {
    if (child.exitCode !== null || Date.now() > end) throw new Error('the demo did not start');
    if (existsSync(file)) {
      const base = `http://${readFileSync(file, 'utf8').trim().split('\n')[0]}`;
      const ok = await fetch(`${base}/-/ready`).then((r) => r.ok, () => false);
      // Some tables come with their first row: a connection that has ended, a detection.
      const tables = ok ? await fetch(`${base}/api/sql/tables`).then((r) => r.json()).then((v) => v.tables.map((t) => t.name), () => []) : [];
      if (tables.includes('connection') && tables.includes('alert')) return { base, stop: async () => { child.kill('SIGINT'); await ended; rmSync(file, { force: true }); } };
    }
    await new Promise((r) => setTimeout(r, 200));
  }
}

const { base, stop } = await demo();
const started = Date.now();
mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });

// open makes a page that is watched.
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark', timezoneId: 'UTC', ...options });
  const page = await context.newPage();
  page.on('console', (m) => { if (m.type() === 'error' || m.type() === 'warning') fail(`${page.url()}: console: ${m.text()}`); });
  page.on('pageerror', (e) => fail(`${page.url()}: ${e.message}`));
  page.on('request', (r) => { if (!r.url().startsWith(base) && !/^(data|blob):/.test(r.url())) fail(`${page.url()}: request to ${r.url()}`); });
  page.on('response', (r) => { if (r.status() >= 500) fail(`${r.url()}: ${r.status()}`); });
  return page;
}

// settle waits until no panel loads; the whole page is seen, as panels ask only then.
async function settle(page, timeout = 30e3) {
  await page.locator('.panel').first().waitFor({ timeout });
  const height = await page.evaluate(() => Math.max(document.body.scrollHeight, ...[...document.querySelectorAll('.dashboard')].map((e) => e.scrollHeight + 60)));
  const { width } = page.viewportSize();
  await page.setViewportSize({ width, height: Math.min(Math.max(height, 700), 12000) });
  await page.waitForFunction(() => document.querySelectorAll('.panel[data-state="loading"]').length === 0, undefined, { timeout }).catch(() => {});
  await page.waitForTimeout(600);
}

// states of the panels, by what is wrong.
async function states(page) {
  return page.$$eval('.panel', (list) => list.map((e) => ({ title: e.getAttribute('aria-label'), type: e.dataset.type, state: e.dataset.state, text: e.querySelector('.body')?.innerText.slice(0, 200) })));
}

// cut finds texts that stand out of their panels.
async function cut(page) {
  return page.$$eval('.panel', (list) => list.flatMap((panel) => {
    const box = panel.getBoundingClientRect();
    return [...panel.querySelectorAll('.tile .value, .gauge text, header h2')].filter((e) => {
      const r = e.getBoundingClientRect();
      return r.width > 0 && (r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1);
    }).map((e) => `${panel.getAttribute('aria-label')}: ${e.textContent}`);
  }));
}

const only = process.argv[2];
try {
  const { dashboards } = await (await fetch(`${base}/api/console/dashboards`)).json();
  const times = [];
  for (const d of dashboards) {
    if ((only && only !== d.uid && only !== 'dashboards') || d.uid === 'e2e-hostile') continue;
    const page = await open();
    const before = Date.now();
    let bad = [];
    // A demo that has just begun may not have asked all its sources: 30 s are what is promised.
    for (let tries = 0; ; tries++) {
      await page.goto(`${base}/d/${d.uid}`);
      if (tries === 0) {
        await page.waitForFunction(() => document.querySelector('.panel:not([data-state="loading"])'), undefined, { timeout: 30e3 }).catch(() => {});
        const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0);
        times.push([d.uid, Math.round(paint), Date.now() - before]);
      }
      await settle(page);
      for (const row of await page.$$('button.row[aria-expanded="false"]')) await row.click();
      await settle(page);
      bad = (await states(page)).filter((s) => s.state !== 'ready' && s.state !== 'expected-empty');
      bad = bad.filter((s) => !(s.type === 'geomap' && s.state === 'unsupported' && s.text.includes('"geomap"'))); // said by name
      if (bad.length === 0 || (Date.now() - started > 30e3 && tries > 0)) break;
      await page.waitForTimeout(2000);
    }
    for (const s of bad) fail(`${d.uid}: panel ${JSON.stringify(s.title)} (${s.type}) is ${s.state}: ${s.text}`);
    for (const c of await cut(page)) fail(`${d.uid}: cut: ${c}`);
    await page.screenshot({ path: join(shots, `dashboard-${d.uid}.png`) });
    await page.context().close();
  }
  if (!only || only === 'speed') await speed({ open, base, browser });
  for (const [uid, paint, data] of times) console.log(`${uid}: first paint ${paint} ms, first panel ${data} ms`);
  if (!only || only === 'pages') {
    for (const [name, path] of [['overview', '/'], ['dashboards', '/dashboards'], ['alerts', '/alerts'], ['rules', '/alerts?tab=rules'], ['targets', '/targets'], ['config', '/config'], ['status', '/status'], ['entity', '/entity?q=Lisbon'], ['entity-address', '/entity?q=10.10.1.10']]) {
      const page = await open();
      await page.goto(base + path);
      await page.waitForFunction(() => document.querySelector('.page h1') && !/Loading …|Searching/.test(document.body.innerText), undefined, { timeout: 30e3 }).catch(() => fail(`${path}: still loading`));
      if (name === 'overview') await page.waitForFunction(() => document.querySelectorAll('.panel').length >= 2, undefined, { timeout: 30e3 }).catch(() => {});
      // Panels out of sight wait until they are seen.
      if (name === 'overview') await page.evaluate(() => document.querySelectorAll('.panel').forEach((p) => p.scrollIntoView()));
      if (name === 'overview') await page.waitForFunction(() => document.querySelectorAll('.panel').length >= 2 && !document.querySelector('.panel[data-state="loading"]'), undefined, { timeout: 30e3 }).catch(() => fail('overview: panels'));
      await page.waitForTimeout(800);
      for (const e of await page.$$eval('.mantine-Alert-root', (l) => l.map((x) => x.innerText))) fail(`${path}: ${e}`);
      await page.screenshot({ path: join(shots, `page-${name}.png`), fullPage: true });
      await page.context().close();
    }
  }
  if (!only || only === 'clicks') await clicks({ open, base, shots, fail, settle });
} finally {
  await browser.close();
  await stop();
}
console.log(problems.length ? `${problems.length} problems` : 'console: all is well');
process.exit(problems.length ? 1 : 0);
