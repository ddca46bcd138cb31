// What people do: choose a range and a variable, zoom, explore, look up, silence.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { panelsOf, torn } from './checks.mjs';

export async function clicks({ open, base, shots, fail, settle }) {
  const step = async (name, f) => {
    if (process.env.STEP && !process.env.STEP.split(',').includes(name)) return;
    const page = await open();
    try {
      await f(page);
      await page.screenshot({ path: join(shots, `click-${name}.png`) });
    } catch (e) {
      fail(`${name}: ${e.message.split('\n')[0]}`);
      await page.screenshot({ path: join(shots, `click-${name}-failed.png`) });
    }
    await page.context().close();
  };
  const must = (ok, text) => { if (!ok) throw new Error(text); };
  const chart = (page) => page.locator('.panel[data-type="timeseries"][data-state="ready"] .u-over').first();

  await step('range', async (page) => {
    await page.goto(`${base}/d/oriel-wireguard`);
    await page.getByRole('button', { name: /Time range/ }).click();
    await page.getByRole('button', { name: 'Last 30 minutes' }).click();
    await page.waitForURL(/from=now-30m/);
    await settle(page);
    await page.getByRole('button', { name: 'Earlier' }).click();
    await page.waitForURL(/from=\d{13}/);
    await page.getByRole('button', { name: 'Zoom out' }).click();
    await page.goBack();
    await page.goBack();
    await page.waitForURL(/from=now-30m/);
    await page.keyboard.press('t');
    await page.keyboard.press('z');
    await page.waitForURL(/from=\d{13}/);
  });

  await step('zoom', async (page) => {
    await page.goto(`${base}/d/oriel-wireguard?timezone=utc`);
    await settle(page);
    const box = await chart(page).boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + box.height / 2);
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height / 2);
    await page.locator('.tip >> visible=true').first().waitFor({ timeout: 3000 });
    const lines = await page.$$eval('.u-cursor-x', (l) => l.filter((e) => /translate\((?!-10px)/.test(e.style.transform)).length);
    must(lines > 1, `the crosshair is shared: ${lines} charts show it`);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.8, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/from=\d{13}/);
  });

  await step('variable', async (page) => {
    await page.goto(`${base}/d/oriel-wireguard`);
    await settle(page);
    await page.getByRole('combobox', { name: 'Peer' }).click();
    await page.getByRole('option', { name: 'Lisbon branch' }).click();
    await page.waitForURL(/var-peer=/);
    await page.keyboard.press('Escape');
    const rows = page.locator('.panel[aria-label="Peers"]').nth(1).locator('tbody tr');
    await page.waitForFunction(() => [...document.querySelectorAll('.panel[aria-label="Peers"] tbody')].some((b) => b.rows.length === 1 && b.innerText.includes('Lisbon branch')), undefined, { timeout: 20e3 });
    must((await rows.count()) === 1, 'one peer is shown');
    await settle(page);
  });

  // All that is chosen is in the address: it is there again after a reload and after going back.
  await step('state', async (page) => {
    await page.goto(`${base}/d/oriel-wireguard`);
    await settle(page);
    const label = () => page.getByRole('button', { name: /Time range/ }).innerText();
    const picker = async () => { await page.getByRole('button', { name: /Time range/ }).click(); await page.getByRole('textbox', { name: 'From', exact: true }).waitFor(); };
    const day = new Date(Date.now() - 864e5).toISOString().slice(0, 10);
    await picker();
    await page.getByRole('combobox', { name: 'Time zone', exact: true }).selectOption('Asia/Tokyo');
    await page.waitForURL(/timezone=Asia%2FTokyo/);
    await page.getByRole('textbox', { name: 'From', exact: true }).fill('yesterday');
    must(await page.getByRole('button', { name: 'Apply' }).isDisabled(), 'a time that is none is refused');
    await page.getByRole('textbox', { name: 'From', exact: true }).fill(`${day} 10:00:00`);
    await page.getByRole('textbox', { name: 'To', exact: true }).fill(`${day} 12:30:00`);
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.waitForURL(new RegExp(`from=${Date.parse(`${day}T01:00:00Z`)}&to=${Date.parse(`${day}T03:30:00Z`)}`)); // Tokyo is nine hours ahead
    must((await label()) === `${day} 10:00:00 – ${day} 12:30:00`, `the range is ${await label()}`);
    await page.reload();
    await settle(page);
    must((await label()) === `${day} 10:00:00 – ${day} 12:30:00`, `after a reload the range is ${await label()}`);
    await page.getByRole('button', { name: 'Earlier' }).click();
    await page.waitForURL(new RegExp(`to=${Date.parse(`${day}T02:15:00Z`)}`));
    await page.goBack();
    await page.waitForURL(new RegExp(`to=${Date.parse(`${day}T03:30:00Z`)}`));
    must((await label()) === `${day} 10:00:00 – ${day} 12:30:00`, `after going back the range is ${await label()}`);
    await page.getByRole('combobox', { name: 'Refresh every', exact: true }).selectOption('5s');
    await page.waitForURL(/refresh=5s/);
    await settle(page);
    await page.waitForRequest(/\/api\/console\/query/, { timeout: 20e3 });
  });

  // Variables of every kind, and what repeats for them.
  await step('templating', async (page) => {
    await page.goto(`${base}/d/e2e-kinds?var-device=wg-backup`);
    await settle(page);
    const repeated = () => page.locator('button.row', { hasText: 'Repeated for' }).allInnerTexts();
    must((await repeated()).length === 1 && (await repeated())[0].includes('wg-backup'), `rows: ${await repeated()}`);
    await page.getByRole('textbox', { name: 'Greeting', exact: true }).fill('<b>hei</b>');
    await page.keyboard.press('Enter');
    await page.waitForURL(/var-greeting=%3Cb%3Ehei/);
    await page.getByRole('combobox', { name: 'Every', exact: true }).click();
    await page.getByRole('option', { name: '5m', exact: true }).locator('visible=true').click();
    await page.waitForURL(/var-every=5m/);
    await page.reload();
    await settle(page);
    must((await page.getByRole('textbox', { name: 'Greeting', exact: true }).inputValue()) === '<b>hei</b>' && (await page.getByRole('combobox', { name: 'Every', exact: true }).inputValue()) === '5m', 'a reload keeps what was chosen');
    await page.goto(`${base}/d/e2e-kinds?var-device=wg-backup&var-device=wg-office`);
    await settle(page);
    must((await repeated()).length === 2, `rows: ${await repeated()}`);
    // Chained: the peers offered are those of the interface.
    await page.goto(`${base}/d/oriel-wireguard`);
    await settle(page);
    await page.getByRole('combobox', { name: 'Interface', exact: true }).click();
    await page.getByRole('option', { name: 'wg-backup' }).click();
    await page.keyboard.press('Escape');
    await settle(page);
    await page.getByRole('combobox', { name: 'Peer' }).click();
    await page.getByRole('option', { name: 'off-site store' }).waitFor();
    must((await page.getByRole('option', { name: "Ana's laptop" }).count()) === 0, 'a peer of another interface is offered');
  });

  await step('keys', async (page) => {
    await page.goto(`${base}/d/oriel-wireguard`);
    await settle(page);
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    const asked = page.waitForRequest(/\/api\/console\/query/, { timeout: 10e3 });
    await page.keyboard.press('r');
    await asked;
    await page.keyboard.press('t');
    await page.keyboard.press('ArrowLeft');
    await page.waitForURL(/from=\d{13}/);
  });

  // The look at torn tables sees one: the same panel, with the names that its queries would keep.
  await step('torn', async (page) => {
    let tear = false;
    let json;
    await page.route('**/api/console/dashboards/oriel-tunnels-usage', async (r) => {
      json = await (await r.fetch()).json();
      const p = panelsOf(json).find((x) => x.title === 'All services');
      if (tear) p.targets = p.targets.map((t) => ({ ...t, expr: t.expr.replace(/^max by \([^)]*\) \((.*)\)$/s, 'label_replace($1, "name", "$$1", "__name__", "(.*)")') }));
      return r.fulfill({ json });
    });
    for (tear of [false, true]) {
      await page.goto(`${base}/d/oriel-tunnels-usage`);
      await settle(page);
      const found = await torn(page, json);
      must(tear ? found.length === 1 && found[0].startsWith('All services') : found.length === 0, `torn: ${JSON.stringify(found)}`);
    }
  });

  // Links of panels, dashboards and values lead where they say, with the variables and the range.
  await step('links', async (page) => {
    const from = () => page.goto(`${base}/d/e2e-kinds?var-device=wg-backup&from=now-30m&to=now`).then(() => settle(page));
    const at = async (path, want) => {
      await page.waitForURL((u) => u.pathname === path, { timeout: 10e3 });
      const q = new URL(page.url()).searchParams;
      for (const [k, v] of Object.entries(want)) must(q.getAll(k).join() === v, `${path}: ${k} is ${JSON.stringify(q.getAll(k))}, not ${v}`);
    };
    const panel = page.locator('.panel[aria-label="Time series, lines"]');
    await from();
    await panel.locator('a[title="The interface"]').click();
    await at('/d/oriel-wireguard', { 'var-interface': 'wg-backup', from: 'now-30m', to: 'now' });
    await settle(page);
    must((await page.getByRole('button', { name: /Time range/ }).innerText()) === 'Last 30 minutes', 'the range is kept');
    const shown = await page.locator('.panel[aria-label="Peers"]').nth(1).locator('tbody tr').allInnerTexts();
    must(shown.length > 0 && shown.every((r) => r.includes('wg-backup')), `only wg-backup's peers are shown: ${shown.join('; ')}`);
    await page.goBack();
    await at('/d/e2e-kinds', { 'var-device': 'wg-backup', from: 'now-30m' });
    await settle(page);
    await panel.locator('a[title="All that is chosen"]').click();
    await at('/d/oriel-wireguard', { 'var-device': 'wg-backup', 'var-size': 'small', 'var-greeting': 'hello', from: 'now-30m' });
    await from();
    await page.locator('.bar').getByRole('link', { name: 'DNS', exact: true }).click();
    await at('/d/oriel-packets-dns', { 'var-device': 'wg-backup', from: 'now-30m', to: 'now' });
    await from();
    const cell = page.locator('.panel[aria-label="Table"] td a').first();
    const address = (await cell.innerText()).trim();
    await cell.click();
    await at('/entity', { q: address });
  });

  // Annotations are drawn where they are, and say what they are to who comes near. The alert is put in between; what it is called is hostile.
  await step('annotations', async (page) => {
    const name = 'E2E<i>Alert</i>';
    let part;
    await page.route(/\/api\/v1\/query_range\?.*ALERTS/, (r) => {
      const q = new URL(r.request().url()).searchParams;
      const [start, end, step] = ['start', 'end', 'step'].map((k) => Number(q.get(k)));
      const at = start + Math.round((end - start) * 0.4 / step) * step;
      part = (at - start) / (end - start);
      return r.fulfill({ json: { status: 'success', data: { resultType: 'matrix', result: [{ metric: { alertname: name, device: 'wg-e2e' }, values: [[at, '1'], [at + step, '1']] }] } } });
    });
    await page.goto(`${base}/d/e2e-kinds?from=now-1h&to=now`);
    await settle(page);
    await page.waitForTimeout(500);
    const panel = page.locator('.panel[aria-label="Time series, lines"]');
    // The foot of a mark is full of its color, orange. One look at the canvas: it has that place and one beside it.
    const [there, beside] = await panel.evaluate((e, f) => {
      const over = e.querySelector('.u-over').getBoundingClientRect();
      const canvas = e.querySelector('canvas');
      const box = canvas.getBoundingClientRect();
      const ratio = canvas.width / box.width;
      const { data, width } = canvas.getContext('2d').getImageData(0, Math.round((over.bottom - box.top - 2) * ratio) - 2, canvas.width, 3);
      const orange = (x, y) => [0xff, 0x98, 0x30].every((want, k) => Math.abs(data[(y * width + x) * 4 + k] - want) < 32);
      return [f, f - 0.1].map((part) => {
        const x = Math.round((over.left - box.left + over.width * part) * ratio);
        return [0, 1, 2].flatMap((y) => Array.from({ length: 9 }, (_, i) => orange(x - 4 + i, y))).filter(Boolean).length;
      });
    }, part);
    must(part !== undefined, 'the alerts are asked for');
    must(there >= 6 && beside === 0, `the foot of the mark has ${there} pixels of its color, beside it are ${beside}`);
    const over = await panel.locator('.u-over').boundingBox();
    const tip = page.locator('.tip >> visible=true').first();
    await page.mouse.move(over.x + over.width * part, over.y + over.height / 2);
    await tip.waitFor({ timeout: 3000 });
    must((await tip.innerText()).includes(`${name}: wg-e2e`), `near the mark: ${await tip.innerText()}`);
    await page.screenshot({ path: join(shots, 'click-annotation.png') });
    await page.mouse.move(over.x + over.width * (part - 0.2), over.y + over.height / 2);
    must(!(await tip.innerText()).includes(name), `far from the mark: ${await tip.innerText()}`);
  });

  // Long pages: what is looked for is found, and the rest is folded.
  await step('folding', async (page) => {
    await page.goto(`${base}/config`);
    const open = () => page.locator('details.fold[open]').count();
    await page.locator('#prometheus-scrape_configs').waitFor();
    must((await page.locator('#prometheus-scrape_configs[open]').count()) === 0, 'a long section is folded');
    await page.getByRole('navigation', { name: 'Sections of prometheus' }).getByRole('button', { name: 'scrape_configs' }).click();
    must(await page.locator('#prometheus-scrape_configs pre').isVisible(), 'the index opens it');
    await page.getByRole('textbox', { name: 'Filter configuration' }).fill('evaluation_interval');
    await page.waitForURL(/filter=evaluation_interval/);
    must((await page.locator('#prometheus-global pre').innerText()).startsWith('global:\n  evaluation_interval:') || /^global:\n.*evaluation_interval/s.test(await page.locator('#prometheus-global pre').innerText()), 'the filter shows the line and what it is below');
    must((await page.locator('#prometheus-scrape_configs').count()) === 0, 'a section without it is left out');
    await page.goto(`${base}/alerts?tab=rules`);
    await page.locator('details.fold').first().waitFor();
    const [groups, unfolded] = [await page.locator('details.fold').count(), await open()];
    must(unfolded < groups, `${unfolded} of ${groups} groups are unfolded: those in which something happens`);
    await page.getByRole('textbox', { name: 'Filter rules' }).fill('WireGuardPeerStale');
    await page.locator('tr[data-rule="WireGuardPeerStale"]').waitFor();
    must((await page.locator('tr[data-rule]').count()) === 1 && (await open()) === 1, 'one rule is found');
    await page.getByRole('textbox', { name: 'Filter rules' }).fill('');
    await page.getByRole('button', { name: /^inactive/ }).click();
    await page.waitForURL(/state=inactive/);
    must((await page.locator('tr[data-rule]').count()) > 20 && (await page.locator('tr[data-rule]').filter({ hasText: /^\s*firing/i }).count()) === 0, 'only rules of that state');
  });

  await step('alone', async (page) => {
    await page.goto(`${base}/d/oriel-wireguard`);
    await settle(page);
    const panel = page.locator('.panel[aria-label="Handshake age per peer"]');
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      (async () => { await panel.getByRole('button', { name: /Menu of/ }).click(); await page.getByRole('menuitem', { name: 'CSV' }).click(); })(),
    ]);
    const text = readFileSync(await file.path(), 'utf8');
    must(/^Time,.*Ana's laptop/.test(text) && text.split('\n').length > 50, `CSV: ${text.slice(0, 100)}`);
    await panel.focus();
    await page.keyboard.press('v');
    await page.waitForURL(/viewPanel=/);
    await settle(page);
  });

  await step('explore-promql', async (page) => {
    await page.goto(`${base}/explore`);
    await page.getByLabel('Query A').click();
    await page.keyboard.type('sum by (device) (rate(wireguard_peer_rec', { delay: 15 });
    await page.locator('.cm-tooltip-autocomplete').getByText('wireguard_peer_receive_bytes_total').first().waitFor({ timeout: 10e3 });
    await page.keyboard.press('Escape');
    await page.goto(`${base}/explore?expr=${encodeURIComponent('sum by (device) (rate(wireguard_peer_receive_bytes_total[1m]))')}&from=now-1h&to=now`);
    await page.locator('.panel[data-state="ready"] canvas').waitFor({ timeout: 15e3 });
    await page.waitForTimeout(500);
  });

  await step('explore-sql', async (page) => {
    const a = 'SELECT action, initiator_ip FROM flows WHERE $__timeFilterColumn(start_time, timestamp)';
    const b = 'SELECT action, count(*) AS n FROM $__source_prev(A) GROUP BY ALL ORDER BY ALL';
    await page.goto(`${base}/explore?lang=sql&sql=${encodeURIComponent(a)}&sql=${encodeURIComponent(b)}&from=now-24h&to=now`);
    await page.locator('.panel[data-state="ready"] td').first().waitFor({ timeout: 20e3 });
    const cells = await page.locator('.panel td').allInnerTexts();
    must(cells.includes('accepted') && cells.includes('rejected'), `chained rows: ${cells.join(' ')}`);
    await page.locator('.schema').getByText('flows', { exact: true }).waitFor();
    await page.locator('.schema li', { has: page.getByText('flows', { exact: true }) }).locator('button[aria-expanded]').click();
    await page.locator('.schema').getByText(/initiator_ip/).first().waitFor();
    await page.goto(`${base}/explore?lang=sql&view=plot&time_column=time&metric_column=action&from=now-24h&to=now&sql=${encodeURIComponent("SELECT time_bucket(INTERVAL '15 minutes', start_time) AS time, action, count(*)::DOUBLE AS n FROM flows WHERE $__timeFilterColumn(start_time, timestamp) GROUP BY ALL ORDER BY time")}`);
    await page.locator('.panel[data-state="ready"] canvas').waitFor({ timeout: 20e3 });
  });

  await step('silence', async (page) => {
    await page.goto(`${base}/alerts`);
    await page.getByRole('button', { name: 'New silence' }).click();
    await page.getByLabel('Matches').fill('alertname="NoSuchAlert", device=~"wg.*"');
    await page.getByLabel('Your name').fill('e2e');
    await page.getByLabel('Comment').fill('<img src=x onerror=alert(1)>');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('tab', { name: /Silences/ }).click();
    const row = page.locator('tr[data-silence="active"]', { hasText: 'NoSuchAlert' });
    await row.waitFor({ timeout: 10e3 });
    must((await row.innerText()).includes('<img src=x onerror=alert(1)>'), 'the comment is shown as text');
    await row.getByRole('button', { name: 'Expire' }).click();
    await page.locator('tr[data-silence="expired"]', { hasText: 'NoSuchAlert' }).waitFor({ timeout: 10e3 });
  });

  await step('look-up', async (page) => {
    await page.goto(base);
    await page.locator('.card[data-source]').first().waitFor({ timeout: 20e3 });
    await page.keyboard.press('/');
    await page.keyboard.type('203.0.113.66');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/entity\?q=203/);
    await page.locator('h2', { hasText: 'flows' }).waitFor({ timeout: 30e3 });
    await page.getByText('Talks with').waitFor();
    await page.waitForFunction(() => !/Loading …|Searching/.test(document.body.innerText), undefined, { timeout: 30e3 });
  });

  // Names are other people's text: shown as it is, and nothing more.
  await step('hostile', async (page) => {
    page.on('dialog', (d) => { fail(`hostile: a dialog: ${d.message()}`); void d.dismiss(); });
    await page.goto(`${base}/d/e2e-hostile`);
    await settle(page);
    const states = await page.$$eval('.panel', (l) => l.filter((e) => e.dataset.state !== 'ready').map((e) => `${e.dataset.type} is ${e.dataset.state}: ${e.innerText.slice(0, 200)}`));
    must(states.length === 0, states.join('; '));
    for (const p of await page.$$('.panel header .info')) await p.hover();
    const chart = await page.locator('.panel[data-type="timeseries"] .u-over').boundingBox();
    await page.mouse.move(chart.x + chart.width - 3, chart.y + chart.height / 2);
    await page.waitForTimeout(500);
    const text = await page.locator('.dashboard').innerText();
    for (const name of ['<script>window.hacked=1</script>', '<img src=x onerror="window.hacked=1">', 'emoji 🛰️']) must(text.includes(name), `${name} is not shown as text`);
    const found = await page.evaluate(() => ({
      hacked: window.hacked, wide: document.documentElement.scrollWidth > innerWidth + 1, made: document.querySelectorAll('.dashboard img, .dashboard script, .tip img, .dashboard u, .dashboard .bar i').length,
      links: [...document.querySelectorAll('a[href]')].map((a) => a.getAttribute('href')).filter((h) => /^\s*(javascript|data|vbscript):/i.test(h)),
      out: [...document.querySelectorAll('a[href^="http"]')].filter((a) => !(a.rel ?? '').includes('noopener')).length,
    }));
    must(found.hacked === undefined && found.made === 0 && found.links.length === 0 && found.out === 0 && !found.wide, `hostile names: ${JSON.stringify(found)}`);
    for (const q of ['<script>window.hacked=1</script>', "'; DROP TABLE flows; --", '\u202eabc', 'a'.repeat(3000), '.*|(', '\u0000x']) {
      await page.goto(`${base}/entity?q=${encodeURIComponent(q)}`);
      await page.waitForFunction(() => document.querySelector('.page h1') && !/Loading …|Searching/.test(document.body.innerText), undefined, { timeout: 30e3 });
      must((await page.evaluate(() => window.hacked)) === undefined, `looked up ${q}`);
    }
    await page.goto(`${base}/d/e2e-hostile`);
    await settle(page);
  });

  // Writes of other pages are refused, and nothing of ours runs inline.
  await step('safe', async (page) => {
    const r = await page.goto(base);
    const policy = r.headers()['content-security-policy'] ?? '';
    must(/default-src 'self'|default-src 'none'/.test(policy) && !/script-src[^;]*unsafe/.test(policy), `policy: ${policy}`);
    must((await page.locator('script:not([src])').count()) === 0, 'an inline script');
    const body = JSON.stringify({ matchers: [{ name: 'a', value: 'b', isRegex: false, isEqual: true }], startsAt: new Date().toISOString(), endsAt: new Date(Date.now() + 6e4).toISOString(), createdBy: 'evil', comment: 'x' });
    for (const headers of [{ Origin: 'http://evil.example', 'Content-Type': 'application/json' }, { 'Sec-Fetch-Site': 'cross-site', 'Content-Type': 'application/json' }]) {
      const answer = await page.request.post(`${base}/alertmanager/api/v2/silences`, { data: body, headers });
      must(answer.status() === 403, `a write of another page: ${answer.status()} for ${JSON.stringify(headers)}`);
    }
    await page.goto(`${base}/config`);
    await page.locator('#oriel-neuvector').waitFor();
    const config = (await page.locator('pre.code').allTextContents()).join('\n'); // those of shut sections too
    must(config.includes('<secret>') && !/password: (?!"?<secret>|""|null)\S/.test(config), 'secrets are hidden');
  });

  await step('light', async (page) => {
    await page.goto(`${base}/d/oriel-neuvector?theme=light`);
    await settle(page);
  });

  const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await phone.goto(`${base}/d/oriel-wireguard`);
  await phone.waitForTimeout(3000);
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
  if (wide > 392) fail(`narrow: the page is ${wide} pixels wide on a screen of 390`);
  await phone.screenshot({ path: join(shots, 'click-narrow.png') });
  await phone.context().close();
}
