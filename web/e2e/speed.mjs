// Measures how much work a refresh of 20 panels over 24 h of data every 15 s is for the page: its processor time of all
// threads and that of its main thread's scripts, JSON included; the server's time is not counted, its answers are made
// here. It asserts nothing: machines differ. Once as people see it (as many points as a panel has pixels, as in
// Grafana), and once with all 5760 points of each series (maxDataPoints says so).
const day = 86400;

export async function speed({ open, base, browser }) {
  for (const maxDataPoints of [undefined, 6000]) {
    const page = await open();
    const panels = Array.from({ length: 20 }, (_, i) => ({
      id: i + 1, type: 'timeseries', title: `Panel ${i}`, gridPos: { x: (i % 4) * 6, y: Math.floor(i / 4) * 6, w: 6, h: 6 }, maxDataPoints, interval: '15s',
      datasource: { type: 'prometheus' }, targets: [{ refId: 'A', expr: `vector(${i})`, legendFormat: '{{a}}' }], fieldConfig: { defaults: { unit: 'short' }, overrides: [] }, options: {},
    }));
    await page.route('**/api/console/dashboards/speed', (r) => r.fulfill({ json: { uid: 'speed', title: 'Speed', time: { from: 'now-24h', to: 'now' }, panels } }));
    let points = 0;
    await page.route('**/api/console/query', (r) => {
      const q = r.request().postDataJSON().queries[0];
      const [start, end, step] = [q.start, q.end, q.step].map(Number);
      const values = [];
      for (let t = start; t <= end && values.length < day; t += step) values.push([t, String(Math.sin(t / 3000) * 100 + Math.random() * 10)]);
      points = values.length;
      return r.fulfill({ json: { results: [{ ref_id: 'A', code: 200, body: { status: 'success', data: { resultType: 'matrix', result: [{ metric: { a: 'x' }, values }] } } }] } });
    });
    await page.setViewportSize({ width: 1440, height: 1400 });
    await page.goto(`${base}/d/speed`);
    await page.waitForFunction(() => document.querySelectorAll('.panel[data-state="ready"] canvas').length === 20, undefined, { timeout: 30e3 });
    await page.waitForTimeout(1500);
    const [all, cdp] = [await browser.newBrowserCDPSession(), await page.context().newCDPSession(page)];
    await cdp.send('Performance.enable');
    const work = async () => {
      const { processInfo } = await all.send('SystemInfo.getProcessInfo');
      const { metrics } = await cdp.send('Performance.getMetrics');
      return [processInfo.filter((x) => x.type === 'renderer').reduce((s, x) => s + x.cpuTime, 0), metrics.find((m) => m.name === 'ScriptDuration').value];
    };
    const took = [];
    for (let i = 0; i < 4; i++) {
      const before = await work();
      await page.keyboard.press('r');
      await page.waitForTimeout(4000);
      const after = await work();
      if (i > 0) took.push(after.map((v, k) => Math.round((v - before[k]) * 1e3))); // the first warms up
    }
    const middle = (k) => took.map((t) => t[k]).sort((a, b) => a - b)[1];
    console.log(`speed: a refresh of 20 panels over 24 h, ${points} points each: ${middle(0)} ms of processor time, ${middle(1)} ms of scripts`);
    await page.context().close();
  }
}
