// Measures how long the page works to draw 20 panels over 24 h of data every 15 s anew. It asserts nothing: machines differ.
export async function speed({ open, base }) {
  const [n, step] = [5760, 15];
  const page = await open();
  const panels = Array.from({ length: 20 }, (_, i) => ({
    id: i + 1, type: 'timeseries', title: `Panel ${i}`, gridPos: { x: (i % 4) * 6, y: Math.floor(i / 4) * 6, w: 6, h: 6 }, maxDataPoints: 6000, interval: '15s',
    datasource: { type: 'prometheus' }, targets: [{ refId: 'A', expr: `vector(${i})`, legendFormat: '{{a}}' }], fieldConfig: { defaults: { unit: 'short' }, overrides: [] }, options: {},
  }));
  await page.route('**/api/console/dashboards/speed', (r) => r.fulfill({ json: { uid: 'speed', title: 'Speed', time: { from: 'now-24h', to: 'now' }, panels } }));
  await page.route('**/api/console/query', (r) => {
    const q = r.request().postDataJSON().queries[0];
    const end = Number(q.end);
    const values = Array.from({ length: n }, (_, k) => [end - (n - 1 - k) * step, String(Math.sin(k / 200) * 100 + Math.random() * 10)]);
    return r.fulfill({ json: { results: [{ ref_id: 'A', code: 200, body: { status: 'success', data: { resultType: 'matrix', result: [{ metric: { a: 'x' }, values }] } } }] } });
  });
  await page.setViewportSize({ width: 1440, height: 1400 });
  await page.goto(`${base}/d/speed`);
  await page.waitForFunction(() => document.querySelectorAll('.panel[data-state="ready"] canvas').length === 20, undefined, { timeout: 30e3 });
  await page.waitForTimeout(1500);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable');
  const busy = async () => Object.fromEntries((await cdp.send('Performance.getMetrics')).metrics.map((m) => [m.name, m.value]));
  // Drawing alone: the same data in another width.
  let a = await busy();
  await page.setViewportSize({ width: 1400, height: 1400 });
  await page.waitForTimeout(1500);
  let b = await busy();
  const draw = Math.round((b.TaskDuration - a.TaskDuration) * 1e3);
  a = await busy();
  await page.keyboard.press('r');
  await page.waitForTimeout(4000);
  b = await busy();
  console.log(`speed: 20 panels of ${n} points: drawn anew in ${draw} ms of the main thread; with new data, JSON included, ${Math.round((b.TaskDuration - a.TaskDuration) * 1e3)} ms (script ${Math.round((b.ScriptDuration - a.ScriptDuration) * 1e3)} ms)`);
  await page.context().close();
}
