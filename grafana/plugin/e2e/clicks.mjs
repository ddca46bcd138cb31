// What people click. Each begins with a page of its own.
const enc = (value) => encodeURIComponent(JSON.stringify(value));

// type replaces the text of a code editor.
async function type(page, section, text) {
  const editor = section.locator('.monaco-editor').first();
  await editor.waitFor();
  await editor.locator('.view-lines').click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(text);
}

// rows waits for a frame and returns its figures.
async function rows(page, ref) {
  const frame = page.getByLabel('Frame ' + ref, { exact: true });
  await frame.waitFor();
  return frame.evaluate((e) => ({ rows: Number(e.dataset.rows), kind: e.dataset.kind, show: e.dataset.show, names: [...e.querySelectorAll('th')].map((x) => x.textContent), types: [...e.querySelectorAll('th')].map((x) => x.dataset.type) }));
}

// toggle turns a switch: what is seen of it lies beside its input.
const toggle = (section, label) => section.locator(`input[aria-label="${label}"]`).evaluate((e) => e.click());
const query = (page, ref) => page.getByRole('region', { name: 'Query ' + ref });
const last = (page) => page.evaluate(() => window.asked.filter((a) => a.url.startsWith('/api/ds/query')).at(-1)?.data.queries);

export const clicks = {
  // The module exports what Grafana looks for, made of Grafana's own classes.
  async module({ open, same }) {
    const page = await open('page=config');
    same('module', await page.evaluate(() => window.loaded), {
      exports: ['__esModule', 'plugin'],
      isPlugin: true,
      components: ['ConfigEditor', 'QueryEditor', 'QueryEditorHelp', 'VariableQueryEditor'],
    });
  },

  // Settings: secrets are kept apart, can be reset, and Save & test tells how it is.
  async config({ open, shot, same }) {
    const page = await open('page=config&options=' + enc({ basicAuth: true, secureJsonFields: { basicAuthPassword: true }, jsonData: { tlsAuth: true, tlsAuthWithCACert: true } }));
    const options = () => page.evaluate(() => window.options);
    await page.locator('#oriel-url').fill('https://oriel.example:9190');
    await page.locator('#oriel-queryTimeout').fill('30');
    await page.locator('#oriel-token').fill('a-token');
    await page.locator('#oriel-ca').fill('-----BEGIN CERTIFICATE-----');
    await page.locator('#oriel-source').fill('flows');
    same('configured password is shown', await page.locator('#oriel-password').inputValue(), 'configured');
    await shot(page);
    await page.getByRole('button', { name: /reset/i }).click();
    await page.locator('#oriel-password').fill('new');
    const got = await options();
    same('url', got.url, 'https://oriel.example:9190');
    same('jsonData', got.jsonData, { tlsAuth: true, tlsAuthWithCACert: true, queryTimeout: 30, source: 'flows' });
    same('secrets', got.secureJsonData, { bearerToken: 'a-token', tlsCACert: '-----BEGIN CERTIFICATE-----', basicAuthPassword: 'new' });
    same('reset', got.secureJsonFields.basicAuthPassword, false);
    await page.getByRole('button', { name: 'Save & test' }).click();
    await page.getByLabel('Health').waitFor();
    same('health', /^success: Oriel answers: \d+ tables, \$__source is \w+$/.test(await page.getByLabel('Health').innerText()), true);
    await shot(page, '-tested');
  },

  // Code: completion by the server, Shift+Enter, the expanded SQL, the formats.
  async code({ open, shot, same }) {
    const page = await open('page=panel');
    const a = query(page, 'A');
    await type(page, a, 'SELECT action, count(*) AS n FROM $__sou');
    await page.keyboard.press('Control+Space');
    const list = page.locator('.suggest-widget.visible .monaco-list-row').first();
    await list.waitFor();
    const offered = await page.locator('.suggest-widget.visible .monaco-list-row').allInnerTexts();
    same('completion offers $__source', offered.some((t) => t.includes('$__source')), true);
    await shot(page, '-completion');
    await page.keyboard.press('Escape');
    await type(page, a, "SELECT action, count(*) AS n FROM $__source WHERE $__timeFilter AND action IN (${many}) GROUP BY action ORDER BY n DESC");
    await page.keyboard.press('Shift+Enter');
    const got = await rows(page, 'A');
    same('table', [got.rows, got.show, got.names, got.types], [2, 'table', ['action', 'n'], ['string', 'number']]);
    same('the variable goes along', (await last(page))[0].variables, { many: ['accepted', 'rejected'] });
    await page.getByRole('button', { name: 'Expanded SQL' }).click();
    const sql = await page.locator('pre[aria-label="Expanded SQL"]').innerText();
    same('expanded SQL', /'accepted'/.test(sql) && /start_time/.test(sql) && !sql.includes('$__'), true);
    await shot(page, '-expanded');
    await page.getByRole('button', { name: 'Help' }).click();
    await page.getByText('Who talks most').click();
    same('an example is taken', (await page.evaluate(() => window.queries[0].rawSql)).startsWith('SELECT initiator_ip'), true);
  },

  // An error says what and where; the other query goes on.
  async trouble({ open, shot, same }) {
    const page = await open('page=panel&queries=' + enc([{ refId: 'A', format: 'table', rawSql: 'SELECT\n  nosuch FROM flows' }, { refId: 'B', format: 'table', rawSql: 'SELECT 1 AS one' }]), ['/api/ds/query']);
    await query(page, 'A').getByRole('button', { name: 'Run' }).click();
    same('B', (await rows(page, 'B')).rows, 1);
    const text = await page.getByText(/nosuch/).last().innerText();
    same('the error has its position', /^A:.*line 2/i.test(text), true);
    await shot(page);
  },

  // The builder writes SQL that runs, and gives it to the code editor.
  async builder({ open, shot, same }) {
    const page = await open('page=panel&queries=' + enc([{ refId: 'A', format: 'table', rawSql: '' }]));
    const a = query(page, 'A');
    await a.getByRole('radio', { name: 'Builder' }).click({ force: true });
    const sql = a.locator('pre[aria-label="SQL of the builder"]');
    await page.waitForFunction(() => document.querySelector('pre[aria-label="SQL of the builder"]')?.innerText.includes('$__timeFilterColumn('));
    const choose = async (label, value) => {
      await a.getByLabel(label, { exact: true }).click();
      await page.keyboard.type(value);
      await page.keyboard.press('Enter');
    };
    await choose('Group by', 'target_ip');
    await page.keyboard.press('Escape');
    await a.getByRole('button', { name: 'Condition' }).click();
    await choose('Column of condition 1', 'action');
    await a.getByLabel('Value of condition 1').fill("rejected");
    await a.getByRole('button', { name: 'Figure' }).click();
    await choose('Column of function 2', 'bytes_from_initiator');
    await shot(page);
    const text = await sql.innerText();
    for (const part of ['SELECT target_ip, count(*) AS count, sum(bytes_from_initiator)', "action = 'rejected'", 'GROUP BY ALL', 'ORDER BY count DESC', 'LIMIT 10']) {
      same('the builder says ' + part, text.includes(part), true);
    }
    await a.getByRole('button', { name: 'Run' }).click();
    const got = await rows(page, 'A');
    same('the builder counts', got.rows > 0 && got.names[0], 'target_ip');
    await toggle(a, 'Over time');
    await page.waitForFunction(() => document.querySelector('pre[aria-label="SQL of the builder"]').innerText.includes('$__timeGroup(start_time'));
    await a.getByRole('radio', { name: 'Code' }).click({ force: true });
    await a.locator('.monaco-editor').first().waitFor();
    same('code has the SQL', await page.evaluate(() => [window.queries[0].builder === undefined, window.queries[0].rawSql.includes('GROUP BY ALL')]), [true, true]);
  },

  // A hidden query feeds a visible one, also after it was changed.
  async chain({ open, shot, same }) {
    const page = await open(
      'page=panel&queries=' +
        enc([
          { refId: 'A', format: 'table', hide: true, returnResult: false, rawSql: 'SELECT 1 AS n' },
          { refId: 'B', format: 'table', rawSql: 'SELECT n + 1 AS m FROM $__source_prev(A)' },
        ])
    );
    const cell = () => page.getByLabel('Frame B', { exact: true }).locator('td').first();
    await query(page, 'B').getByRole('button', { name: 'Run' }).click();
    await cell().waitFor();
    same('B reads A', await cell().innerText(), '2');
    same('one query is sent, with what it reads', (await last(page)).map((q) => [q.refId, q.prev]), [['B', { A: 'SELECT 1 AS n' }]]);
    await type(page, query(page, 'A'), 'SELECT 41 AS n');
    await query(page, 'B').getByRole('button', { name: 'Run' }).click();
    await page.waitForFunction(() => document.querySelector('[aria-label="Frame B"] td')?.innerText === '42');
    await shot(page);
  },

  // Get queried result off: the query runs and shows nothing. Formats have their options.
  async formats({ open, shot, same }) {
    const series = 'SELECT $__timeGroup(start_time, 10m) AS time, action, count(*) AS n FROM $__source WHERE $__timeFilterColumn(start_time) GROUP BY ALL ORDER BY time';
    const page = await open('page=panel&queries=' + enc([{ refId: 'A', format: 'table', rawSql: series }]));
    const a = query(page, 'A');
    const run = () => a.getByRole('button', { name: 'Run' }).click();
    const format = async (name) => {
      await a.getByLabel('Format', { exact: true }).click();
      await page.getByText(name, { exact: true }).last().click();
    };
    await format('Time series');
    await a.getByLabel('Time column').fill('time');
    await a.getByLabel('Metrics column').fill('action');
    await run();
    await page.waitForFunction(() => document.querySelector('[aria-label="Frame A"]')?.dataset.kind === 'timeseries-wide');
    const wide = await rows(page, 'A');
    same('wide', [wide.show, wide.types[0], wide.names.slice(1).filter((n) => n !== '').sort()], ['graph', 'time', ['accepted', 'rejected']]);
    await shot(page);
    await format('Time series, long');
    await run();
    await page.waitForFunction(() => document.querySelector('[aria-label="Frame A"]')?.dataset.kind === 'timeseries-long');
    await format('Logs');
    await run();
    await page.waitForFunction(() => document.querySelector('[aria-label="Frame A"]')?.dataset.show === 'logs');
    await toggle(a, 'Get queried result');
    same('get queried result', await page.evaluate(() => window.queries[0].returnResult), false);
    await run();
    await page.waitForFunction(() => !document.querySelector('[aria-label="Frame A"]'));
  },

  // A saved query of IBM's plug-in is shown and run as it was.
  async ibm({ open, same }) {
    const old = { refId: 'A', queryText: 'SELECT start_time AS tt, action, 1.0 AS v FROM $__source WHERE $__timeFilterColumn(start_time, timestamp) ORDER BY tt LIMIT 5', format: 'time_series', time_column: 'tt', metrics_column: 'action', get_result: true };
    const page = await open('page=panel&queries=' + enc([old]));
    const a = query(page, 'A');
    same('time column', await a.getByLabel('Time column').inputValue(), 'tt');
    same('metrics column', await a.getByLabel('Metrics column').inputValue(), 'action');
    await a.getByRole('button', { name: 'Run' }).click();
    same('series', (await rows(page, 'A')).kind, 'timeseries-wide');
  },

  // Explore: the cheat sheet fills the editor; variables are put into the text.
  async explore({ open, shot, same }) {
    const page = await open('page=explore');
    await page.getByText('Accepted and rejected flows').click();
    const a = query(page, 'A');
    same('no chains here', await a.getByText('Get queried result').count(), 0);
    await a.getByRole('button', { name: 'Run' }).click();
    same('explore', (await rows(page, 'A')).names, ['action', 'n']);
    await shot(page);
  },

  // Variables of one column and of two, with time macros and other variables inside.
  async variable({ open, shot, same }) {
    const page = await open('page=variable&query=' + encodeURIComponent('SELECT DISTINCT provider FROM flows WHERE $__timeFilter ORDER BY 1'));
    const options = () => page.getByLabel('Options').locator('li').allInnerTexts();
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByLabel('Options').locator('li').first().waitFor();
    same('one column', await options(), ['aws = aws', 'azure = azure', 'gcp = gcp', 'ibm = ibm']);
    await type(page, page, "SELECT upper(action) AS label, action AS value FROM $__source WHERE action IN (${many}) GROUP BY action ORDER BY action");
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.waitForFunction(() => document.querySelector('[aria-label="Options"]')?.innerText.includes('ACCEPTED'));
    same('two columns', await options(), ['ACCEPTED = accepted', 'REJECTED = rejected']);
    same('kept as', (await page.evaluate(() => window.variableQuery)).refId, 'variable');
    await shot(page);
  },

  // Known variables go along with their values, what only looks like one stays, and so do macros.
  async references({ open, same }) {
    const sql = "SELECT count(*) AS n, regexp_replace('ab', '(a)', '$1') AS r, '$nosuch' AS s FROM $__source WHERE action LIKE '${any}' AND $__timeFilter";
    const page = await open('page=panel&queries=' + enc([{ refId: 'A', format: 'table', rawSql: sql }]));
    await query(page, 'A').getByRole('button', { name: 'Run' }).click();
    const got = await rows(page, 'A');
    same('references', [got.names, got.rows], [['n', 'r', 's'], 1]);
    const [asked] = await last(page);
    same('what is sent', [asked.rawSql, asked.variables], [sql, { any: 're%' }]);
  },

  // Annotations use the same editor; Grafana maps time and text by name.
  async annotation({ open, shot, same }) {
    const page = await open('page=annotation&queries=' + enc([{ refId: 'Anno', format: 'table', rawSql: "SELECT start_time AS time, target_ip AS text, action AS tags FROM $__source WHERE $__timeFilter AND action = 'rejected' ORDER BY time LIMIT 20" }]));
    same('annotations are supported', await page.evaluate(() => typeof window.ds.annotations), 'object');
    await query(page, 'Anno').getByRole('button', { name: 'Run' }).click();
    const got = await rows(page, 'Anno');
    same('annotation', [got.rows > 0, got.names, got.types], [true, ['time', 'text', 'tags'], ['time', 'string', 'string']]);
    await shot(page);
  },
};
