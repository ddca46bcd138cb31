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
import { bad, cut, full, settle, states, torn } from './checks.mjs';
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

// work is the processor time of a process in seconds; 0 where the system does not tell.
function work(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/, '-').split(' ');
    return (Number(fields[13]) + Number(fields[14])) / 100; // of the user and of the system
  } catch {
    return 0;
  }
}

// demo starts the program, unless ORIEL_URL names one that runs.
async function demo() {
  if (process.env.ORIEL_URL) return { base: process.env.ORIEL_URL, stop: async () => {}, work: () => 0 };
  const file = join(tmpdir(), `oriel-console-${process.pid}.addr`);
  const child = spawn(process.env.ORIEL ?? join(here, '../../bin/oriel'), ['demo', '--dashboards', join(here, 'dashboards'), '--web.listen-address', '127.0.0.1:0', '--web.addr-file', file, '--log.level', 'warn'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const end = Date.now() + 120e3;
  for (;;) {
    if (child.exitCode !== null || Date.now() > end) throw new Error('the demo did not start');
    if (existsSync(file)) {
      const base = `http://${readFileSync(file, 'utf8').trim().split('\n')[0]}`;
      const ok = await fetch(`${base}/-/ready`).then((r) => r.ok, () => false);
      if (ok) return { base, work: () => work(child.pid), stop: async () => { child.kill('SIGINT'); await ended; rmSync(file, { force: true }); } };
    }
    await new Promise((r) => setTimeout(r, 200));
  }
}

const began = Date.now();
const { base, stop, work: demoWork } = await demo();
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

const only = process.argv[2];
try {
  const { dashboards } = await (await fetch(`${base}/api/console/dashboards`)).json();
  if (!only || only === 'full') {
    const shipped = dashboards.filter((d) => !d.yours);
    const [answers, cdp] = [demoWork(), await browser.newBrowserCDPSession()];
    const times = await full({ open, base, dashboards: shipped, began, fail });
    const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
    const browserWork = processInfo.reduce((s, x) => s + x.cpuTime, 0);
    console.log(`full: the demo answers after ${((started - began) / 1e3).toFixed(1)} s (${answers.toFixed(1)} s of processor time); all ${times.length} dashboards were opened and looked at after ${(times.at(-1)[1] / 1e3).toFixed(1)} s, with ${times.reduce((n, t) => n + t[2], 0)} refreshes (${demoWork().toFixed(1)} s of processor time, and ${browserWork.toFixed(1)} s of the browser's)`);
  }
  const times = [];
  for (const d of dashboards) {
    if ((only && only !== d.uid && only !== 'dashboards') || d.uid === 'e2e-hostile') continue;
    const page = await open();
    const before = Date.now();
    let empty = [];
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
      empty = bad(await states(page));
      if (empty.length === 0 || (Date.now() - started > 30e3 && tries > 0)) break;
      await page.waitForTimeout(2000);
    }
    for (const s of empty) fail(`${d.uid}: panel ${JSON.stringify(s.title)} (${s.type}) is ${s.state}: ${s.text}`);
    const shot = async (name) => {
      for (const c of await cut(page)) fail(`${d.uid}${name}: cut: ${c}`);
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: join(shots, `dashboard-${d.uid}${name}.png`) });
    };
    await shot('');
    const json = await (await fetch(`${base}/api/console/dashboards/${encodeURIComponent(d.uid)}`)).json();
    for (const t of await torn(page, json)) fail(`${d.uid}: torn: ${t}`);
    for (const [name, width] of [['-middle', 1024], ['-narrow', 390]]) {
      await page.setViewportSize({ width, height: 900 });
      await settle(page);
      await shot(name);
    }
    await page.goto(`${base}/d/${d.uid}?theme=light`);
    await page.setViewportSize({ width: 1440, height: 900 });
    await settle(page);
    await shot('-light');
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
      if (name === 'overview') await settle(page); // panels out of sight wait until they are seen
      if (name === 'overview') await page.waitForFunction(() => document.querySelectorAll('.panel').length >= 2 && !document.querySelector('.panel[data-state="loading"]'), undefined, { timeout: 30e3 }).catch(() => fail('overview: panels'));
      await page.waitForTimeout(800);
      for (const e of await page.$$eval('.mantine-Alert-root', (l) => l.map((x) => x.innerText))) fail(`${path}: ${e}`);
      await page.evaluate(() => scrollTo(0, 0));
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
