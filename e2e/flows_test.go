package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"
)

// program runs oriel to its end; that it fails is for the caller to judge.
func program(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, oriel, args...).CombinedOutput()
	return string(out), err
}

// rowsIn counts the flows of a lake in a directory.
func rowsIn(t *testing.T, lake string) string {
	t.Helper()
	out := command(t, oriel, "sql", "--lake", lake, "--output", "csv", "SELECT count(*) AS n FROM flows")
	lines := strings.Fields(out)
	return lines[len(lines)-1]
}

// raw makes a view of what the four clouds wrote, by DuckDB itself and nothing
// of Oriel's: what panels ask for, as spec sheets say it is in each format.
const raw = `
CREATE VIEW ibm AS SELECT f.start_time::TIMESTAMPTZ::TIMESTAMP AS start_time, f.connection_start_time::TIMESTAMPTZ::TIMESTAMP AS connection_start_time, f.action, f.direction, f.initiator_ip, f.target_ip, f.target_port,
	f.bytes_from_initiator + f.bytes_from_target AS bytes, f.packets_from_initiator + f.packets_from_target AS packets, 'ibm' AS cloud
FROM (SELECT unnest(flow_logs) AS f FROM read_json('IN/ibm/**/*.gz', columns = {flow_logs: 'STRUCT(start_time VARCHAR, connection_start_time VARCHAR, action VARCHAR, direction VARCHAR, initiator_ip VARCHAR, target_ip VARCHAR, target_port INTEGER, bytes_from_initiator BIGINT, bytes_from_target BIGINT, packets_from_initiator BIGINT, packets_from_target BIGINT)[]'}, maximum_object_size = 100000000));

CREATE VIEW aws_lines AS SELECT *, action <> 'REJECT' AND CASE WHEN "tcp-flags" & 2 > 0 THEN "tcp-flags" & 16 > 0
	ELSE srcport > 0 AND srcport < 1024 AND dstport >= 1024 OR srcport >= 1024 AND srcport < 32768 AND dstport >= 32768 END AS answer
FROM read_csv('IN/aws/**/*.log.gz', delim = ' ', header = true, nullstr = '-');
CREATE VIEW aws AS SELECT make_timestamp("start" * 1000000) AS start_time, NULL::TIMESTAMP AS connection_start_time, CASE action WHEN 'REJECT' THEN 'rejected' ELSE 'accepted' END AS action,
	CASE WHEN ("flow-direction" = 'ingress') <> answer THEN 'I' ELSE 'O' END AS direction, -- of the connection, whichever way this half of it went
	CASE WHEN answer THEN dstaddr ELSE srcaddr END AS initiator_ip, CASE WHEN answer THEN srcaddr ELSE dstaddr END AS target_ip, CASE WHEN answer THEN srcport ELSE dstport END AS target_port, bytes, packets, 'aws' AS cloud FROM aws_lines;

CREATE VIEW gcp AS SELECT coalesce(j->>'$.jsonPayload.start_time', j->>'$.timestamp')::TIMESTAMPTZ::TIMESTAMP AS start_time, NULL::TIMESTAMP AS connection_start_time,
	CASE j->>'$.jsonPayload.disposition' WHEN 'DENIED' THEN 'rejected' WHEN 'ALLOWED' THEN 'accepted' END AS action,
	CASE coalesce(j->>'$.jsonPayload.reporter', j->>'$.jsonPayload.rule_details.direction') WHEN 'DEST' THEN 'I' WHEN 'INGRESS' THEN 'I' ELSE 'O' END AS direction,
	j->>'$.jsonPayload.connection.src_ip' AS initiator_ip, j->>'$.jsonPayload.connection.dest_ip' AS target_ip, (j->>'$.jsonPayload.connection.dest_port')::INTEGER AS target_port,
	(j->>'$.jsonPayload.bytes_sent')::BIGINT AS bytes, (j->>'$.jsonPayload.packets_sent')::BIGINT AS packets, 'gcp' AS cloud
FROM read_json_objects('IN/gcp/**/*.json', format = 'newline_delimited') x(j);

CREATE VIEW azure AS SELECT start_time, CASE WHEN state IN ('B', 'D') THEN start_time ELSE
	last_value(CASE WHEN state IN ('B', 'D') THEN start_time END IGNORE NULLS) OVER (PARTITION BY filename, t[2], t[3], t[4], t[5], t[6] ORDER BY i, n, k, m ROWS UNBOUNDED PRECEDING) END AS connection_start_time,
	CASE state WHEN 'D' THEN 'rejected' ELSE 'accepted' END AS action, t[7] AS direction, t[2] AS initiator_ip, t[3] AS target_ip, t[5]::INTEGER AS target_port,
	coalesce(TRY_CAST(t[11] AS BIGINT), 0) + coalesce(TRY_CAST(t[13] AS BIGINT), 0) AS bytes, coalesce(TRY_CAST(t[10] AS BIGINT), 0) + coalesce(TRY_CAST(t[12] AS BIGINT), 0) AS packets, 'azure' AS cloud
FROM (SELECT *, string_split(text, ',') AS t, make_timestamp_ms(t[1]::BIGINT) AS start_time, t[8] AS state FROM (
	SELECT filename, i, n, k, unnest(g.flowTuples) AS text, generate_subscripts(g.flowTuples, 1) AS m FROM (
	SELECT filename, i, n, unnest(f.flowGroups) AS g, generate_subscripts(f.flowGroups, 1) AS k FROM (
	SELECT filename, i, unnest(r.flowRecords.flows) AS f, generate_subscripts(r.flowRecords.flows, 1) AS n FROM (
	SELECT filename, unnest(records) AS r, generate_subscripts(records, 1) AS i FROM read_json('IN/azure/**/*.json', filename = true, maximum_object_size = 100000000,
		columns = {records: 'STRUCT(flowRecords STRUCT(flows STRUCT(flowGroups STRUCT(flowTuples VARCHAR[])[])[]))[]'}))))));

CREATE VIEW raw AS FROM ibm UNION ALL FROM aws UNION ALL FROM gcp UNION ALL FROM azure;
`

// oracle answers the panels, by their titles, from the raw objects in plain SQL.
var oracle = map[string]string{
	"Rejected and accepted connections to ${target_ip}": `SELECT action, count(*)::DOUBLE FROM raw WHERE target_ip = '@TARGET' AND start_time BETWEEN '@FROM' AND '@TO' GROUP BY action ORDER BY action`,
	"Connections to ${target_ip} per hour": `SELECT time_bucket(INTERVAL 1 hour, connection_start_time) AS time, action, count(*)::DOUBLE FROM raw
		WHERE target_ip = '@TARGET' AND connection_start_time BETWEEN '@FROM' AND '@TO' GROUP BY ALL ORDER BY time, action`,
	"Top sources rejected by ${target_ip}": `SELECT initiator_ip, count(*)::DOUBLE AS n FROM raw WHERE action = 'rejected' AND target_ip = '@TARGET' AND start_time BETWEEN '@FROM' AND '@TO' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 25`,
	"Top rejected targets":                 `SELECT target_ip, count(*)::DOUBLE AS n FROM raw WHERE action = 'rejected' AND direction = 'I' AND start_time BETWEEN '@FROM' AND '@TO' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10`,
	"Bad actors": `SELECT initiator_ip, count(*)::DOUBLE AS n, count(DISTINCT target_ip)::DOUBLE, count(DISTINCT target_port)::DOUBLE FROM raw
		WHERE action = 'rejected' AND direction = 'I' AND start_time BETWEEN '@FROM' AND '@TO' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 5`,
	"Bytes by action":          perSecond("bytes", "coalesce(action, 'not told')"),
	"Packets by action":        perSecond("packets", "coalesce(action, 'not told')"),
	"Bytes by direction":       perSecond("bytes", "CASE direction WHEN 'I' THEN 'inbound' ELSE 'outbound' END"),
	"Bytes by cloud":           perSecond("bytes", "cloud"),
	"Columns of the flow logs": "", // the same whatever was imported
}

// perSecond is what went through in each minute.
func perSecond(what, kind string) string {
	return "SELECT date_trunc('minute', start_time) AS time, " + kind + " AS kind, coalesce(sum(" + what + "), 0)::DOUBLE / 60 FROM raw WHERE start_time BETWEEN '@FROM' AND '@TO' GROUP BY ALL ORDER BY time, kind"
}

// panelQuery is a query of the dashboard's file.
type panelQuery struct {
	RefID        string `json:"refId"`
	SQL          string `json:"rawSql"`
	Hide         bool   `json:"hide"`
	TimeColumn   string `json:"timeColumn"`
	MetricColumn string `json:"metricColumn"`
}

func panels(t *testing.T) map[string][]panelQuery {
	t.Helper()
	text, err := os.ReadFile("../grafana/dashboards/flow-logs.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string       `json:"title"`
			Targets []panelQuery `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	all := map[string][]panelQuery{}
	for _, p := range board.Panels {
		if len(p.Targets) > 0 {
			all[p.Title] = p.Targets
		}
	}
	return all
}

// askPanel sends a panel's queries as the dashboard does and returns the rows of the visible one.
func askPanel(t *testing.T, base string, queries []panelQuery, target, from, to string) [][]any {
	t.Helper()
	request := map[string]any{"from": from, "to": to, "interval_ms": 60000, "variables": map[string]any{"target_ip": target}}
	var list []map[string]any
	for _, q := range queries {
		list = append(list, map[string]any{"ref_id": q.RefID, "sql": q.SQL, "hide": q.Hide, "format": "table", "time_column": q.TimeColumn, "metric_column": q.MetricColumn})
	}
	request["queries"] = list
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(base+"/api/sql/query", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Results []struct {
			Rows  [][]any `json:"rows"`
			Error any     `json:"error"`
		} `json:"results"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || len(got.Results) != 1 || got.Results[0].Error != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return got.Results[0].Rows
}

// plain returns what DuckDB says, in JSON's types.
func plain(t *testing.T, db *sql.DB, text string) [][]any {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	all := [][]any{}
	for rows.Next() {
		row := make([]any, len(columns))
		to := make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		for i, v := range row {
			if at, ok := v.(time.Time); ok {
				row[i] = at.UTC().Format(time.RFC3339Nano)
			}
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPanelsEqualPlainSQLOverTheRawLogs imports the flow logs of four clouds
// into a lake in a directory and into one in a bucket, and asks the dashboard's
// panels of both: the answers are what plain SQL makes of the clouds' own objects.
func TestPanelsEqualPlainSQLOverTheRawLogs(t *testing.T) {
	s := newBucketServer(t, "logs", "lake")
	s3Env(t)
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	config := write(t, filepath.Join(dir, "bucket.yml"), fmt.Sprintf("flows:\n  cache_dir: %s\n  bucket: {url: 's3://lake/prod', endpoint: '%s', region: us-east-1, access_key: %s, secret_key: %s}\nquery: {}\n",
		filepath.Join(dir, "cache"), s.url, s3Access, s3Secret))
	local := write(t, filepath.Join(dir, "dir.yml"), "flows: {dir: "+filepath.Join(dir, "lake")+"}\nquery: {}\n")
	for _, vendor := range []string{"ibm", "aws", "gcp", "azure"} {
		from := filepath.Join(in, vendor)
		command(t, oriel, "flows", "generate", vendor, from, "--rows", "4000", "--duration", "3h", "--start", "2026-08-20", "--seed", "7")
		t.Log(command(t, oriel, "flows", "import", from, "--config.file", local))
		t.Logf("%d objects of %s uploaded", s.upload(t, from, "logs"), vendor)
	}
	// All vendors' objects are in one bucket; which is which the objects tell.
	t.Log(command(t, oriel, "flows", "import", "s3://logs", "--s3.endpoint", s.url, "--s3.region", "us-east-1", "--config.file", config))
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range append([]string{"SET TimeZone = 'UTC'"}, strings.Split(strings.ReplaceAll(raw, "IN/", in+"/"), ";\n")...) {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	target := fmt.Sprint(plain(t, db, "SELECT target_ip FROM raw WHERE action = 'rejected' AND connection_start_time IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")[0][0])
	wants := map[string][][]any{}
	const from, to = "2026-08-20T00:20:00Z", "2026-08-20T02:10:00Z"
	for title, text := range oracle {
		if text != "" {
			wants[title] = plain(t, db, strings.NewReplacer("@TARGET", target, "@FROM", strings.Trim(from, "Z"), "@TO", strings.Trim(to, "Z")).Replace(text))
		}
	}
	for name, file := range map[string]string{"directory": local, "bucket": config} {
		t.Run(name, func(t *testing.T) {
			base, _ := serve(t, "serve", "--config.file", file)
			boards := panels(t)
			if len(boards) != len(oracle) {
				t.Errorf("%d panels; the test knows %d", len(boards), len(oracle))
			}
			for title, queries := range boards {
				got := askPanel(t, base, queries, target, from, to)
				want, known := wants[title]
				switch _, there := oracle[title]; {
				case !there:
					t.Errorf("panel %q is not in the test", title)
				case !known && len(got) != 35: // IBM's columns
					t.Errorf("%s: %d rows", title, len(got))
				case known && len(want) == 0:
					t.Errorf("%s: the test's data have no answer", title)
				case known:
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s (-plain SQL +panel):\n%s", title, diff)
					}
				}
			}
		})
	}
}
