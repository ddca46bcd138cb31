// What is looked for on a page that stands: panels without data, texts that are cut, tables that are torn.

// states of the panels, by what is wrong.
export async function states(page) {
  return page.$$eval('.panel', (list) => list.map((e) => ({ title: e.getAttribute('aria-label'), type: e.dataset.type, state: e.dataset.state, text: e.querySelector('.body')?.innerText.slice(0, 200) ?? '' })));
}

// bad are those that show nothing where something is to be.
export const bad = (list) => list.filter((s) => s.state !== 'ready' && s.state !== 'expected-empty')
  .filter((s) => !(s.type === 'geomap' && s.state === 'unsupported' && s.text.includes('"geomap"'))); // said by name

// cut finds texts that stand out of their panels, and figures that touch the edges of their tile.
export async function cut(page) {
  return page.$$eval('.panel', (list) => list.flatMap((panel) => {
    const outside = (r, box, room) => r.left < box.left + room || r.right > box.right - room || r.top < box.top - 1 || r.bottom > box.bottom + 1;
    const name = panel.getAttribute('aria-label');
    const box = panel.getBoundingClientRect();
    const out = [...panel.querySelectorAll('.gauge text, header h2')].filter((e) => { const r = e.getBoundingClientRect(); return r.width > 0 && outside(r, box, -1); });
    const touching = [...panel.querySelectorAll('.tile .value')].filter((e) => outside(e.getBoundingClientRect(), e.closest('.tile').getBoundingClientRect(), 4));
    const over = [...panel.querySelectorAll('.bars b, .bars.horizontal em')].filter((e) => outside(e.getBoundingClientRect(), panel.querySelector('.body').getBoundingClientRect(), -1) && !panel.querySelector('.bars.horizontal'));
    return [...out, ...touching, ...over].map((e) => `${name}: ${e.textContent}`);
  }));
}

// torn finds tables whose queries were put together but do not join: two columns
// that both have values, and never in the same row.
export async function torn(page, dashboard) {
  const merged = panelsOf(dashboard).filter((p) => p.type === 'table' && p.transformations?.some((t) => ['merge', 'joinByField', 'seriesToColumns'].includes(t.id) && !t.disabled) && p.targets?.filter((t) => !t.hide).length > 1).map((p) => String(p.id));
  return page.$$eval('.panel[data-type="table"][data-state="ready"]', (list, ids) => list.filter((e) => ids.includes(e.dataset.panel)).flatMap((panel) => {
    const names = [...panel.querySelectorAll('th')].map((e) => e.innerText.trim());
    const rows = [...panel.querySelectorAll('tbody tr')].map((r) => [...r.cells].map((c) => !c.classList.contains('none')));
    const some = names.map((_, i) => rows.some((r) => r[i]));
    const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b, k) => [i, i + 1 + k, a, b]));
    return pairs.filter(([i, k]) => some[i] && some[k] && !rows.some((r) => r[i] && r[k])).slice(0, 1)
      .map(([, , a, b]) => `${panel.getAttribute('aria-label')}: no row of ${rows.length} has both ${JSON.stringify(a)} and ${JSON.stringify(b)}`);
  }), merged);
}

export const panelsOf = (d) => d.panels.flatMap((p) => [p, ...(p.panels ?? [])]);

// settle waits until no panel loads; the whole page is seen, as panels ask only then.
export async function settle(page, timeout = 30e3) {
  await page.locator('.panel').first().waitFor({ timeout });
  const height = await page.evaluate(() => Math.max(document.body.scrollHeight, ...[...document.querySelectorAll('.dashboard')].map((e) => e.scrollHeight + 60)));
  const { width } = page.viewportSize();
  await page.setViewportSize({ width, height: Math.min(Math.max(height, 700), 12000) });
  await page.waitForFunction(() => document.querySelectorAll('.panel[data-state="loading"]').length === 0, undefined, { timeout }).catch(() => {});
  await page.waitForTimeout(600);
}

const refreshes = 2;

// full opens every dashboard as soon as the demo answers, some at once, and fails for each panel that shows nothing and
// still does not after two refreshes, five seconds apart, which is how often the demo's sources are read. That the
// clock is not asked is on purpose: machines differ. The times it returns are for people.
export async function full({ open, base, dashboards, began, fail }) {
  const waiting = [...dashboards];
  const times = [];
  const empty = async (page) => {
    const list = await states(page);
    return list.length === 0 ? [{ title: 'all', type: 'dashboard', state: 'missing', text: '' }] : [...bad(list), ...list.filter((s) => s.state === 'loading')].filter((s, i, l) => l.indexOf(s) === i);
  };
  await Promise.all(Array.from({ length: 4 }, async () => {
    const page = await open({ viewport: { width: 1440, height: 4000 } });
    for (let d = waiting.shift(); d; d = waiting.shift()) {
      await page.goto(`${base}/d/${d.uid}`);
      await page.waitForFunction(() => {
        const list = [...document.querySelectorAll('.panel')];
        return list.length > 0 && list.every((e) => e.dataset.state !== 'loading');
      }, undefined, { timeout: 60e3 }).catch(() => {}); // what loads for a minute is told below
      let missing = await empty(page);
      let n = 0;
      for (; missing.length > 0 && n < refreshes; n++) {
        await page.waitForTimeout(5000);
        await page.keyboard.press('r');
        for (const end = Date.now() + 10e3; missing.length > 0 && Date.now() < end; missing = await empty(page)) await page.waitForTimeout(300);
      }
      for (const s of missing) fail(`full: ${d.uid}: panel ${JSON.stringify(s.title)} (${s.type}) is ${s.state} ${((Date.now() - began) / 1e3).toFixed(1)} s after the start and ${n} refreshes: ${s.text}`);
      times.push([d.uid, Date.now() - began, n]);
    }
    await page.context().close();
  }));
  return times.sort((a, b) => a[1] - b[1]);
}
