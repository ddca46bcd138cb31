// Clicks through the plug-in's pages in Chromium; HOST_URL is the page that
// plays Grafana (pkg/host_test.go). It fails on errors in the browser's console
// and on requests to other places. Screenshots go to SHOTS, if that is set.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { clicks } from './clicks.mjs';

const base = process.env.HOST_URL;
const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => p && existsSync(p));
if (!base || !executablePath) {
  console.error(base ? 'Chromium is missing (apt-get install chromium)' : 'HOST_URL is not set');
  process.exit(1);
}
const problems = [];
const fail = (text) => {
  problems.push(text);
  console.error('FAIL ' + text);
};
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});

const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'dark', timezoneId: 'UTC' });

// Grafana is one page too: its libraries are loaded once. expected are answers that are meant to fail.
let query = '';
let expected = [];
let page;
async function load() {
  page = await context.newPage();
  page.setDefaultTimeout(30e3);
  page.on('console', (m) => {
    const from = m.location().url ?? '';
    // Fonts and some icons of Grafana are no part of its packages, and this host keeps no loggers.
    if (/\/public\/(fonts|build\/img\/icons|img\/icons)\//.test(from) || m.text().startsWith('LoggerRegistry: no logger') || expected.some((e) => from.includes(e))) return;
    if (m.type() === 'error' || (m.type() === 'warning' && !/downloaded font/.test(m.text()))) fail(`${name()}: console: ${m.text()} (${from})`);
  });
  page.on('pageerror', (e) => fail(`${name()}: ${e.message}`));
  page.on('request', (r) => {
    if (!r.url().startsWith(base) && !/^(data|blob):/.test(r.url())) fail(`${name()}: request to ${r.url()}`);
  });
  await page.goto(base);
  await page.waitForFunction(() => window.show, undefined, { timeout: 120e3 });
}

// open shows a page.
async function open(what, failing = []) {
  [query, expected] = [what, failing];
  await page.evaluate((q) => window.show(q), what);
  return page;
}

const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const shot = (page, name) => shots && page.screenshot({ path: join(shots, name + '.png'), fullPage: true });

try {
  await load();
  for (const [name, click] of Object.entries(clicks)) {
    const before = Date.now();
    try {
      await click({ open, shot: (page, part = '') => shot(page, name + part), same });
    } catch (e) {
      fail(`${name}: ${e.message}`);
      await shot(page, name + '-failed');
    }
    console.log(`${name}: ${Date.now() - before} ms`);
  }
} finally {
  await browser.close();
}
console.log(problems.length ? `${problems.length} problems` : 'front-end: all is well');
process.exit(problems.length ? 1 : 0);

// name is the page that is open.
function name() {
  return query.split('&')[0];
}

// same compares by value.
function same(what, got, want) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) fail(`${what}: ${a}; want ${b}`);
}
