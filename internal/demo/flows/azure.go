package flows

import (
	"bufio"
	"fmt"
	"strings"
	"time"
)

func mac(observer int) string { return fmt.Sprintf("00224871C2%02X", observer) }

func azurePath(t time.Time, observer int) string {
	return fmt.Sprintf("y=%s/m=%s/d=%s/h=%s/m=00/macAddress=%s/PT1H.json", t.Format("2006"), t.Format("01"), t.Format("02"), t.Format("15"), mac(observer))
}

func azureKey(t time.Time, observer, _ int) string {
	return "flowLogResourceID=/" + strings.ToUpper(sub) + "_NETWORKWATCHERRG/NETWORKWATCHER_EASTUS_PROD/" + azurePath(t, observer)
}

func nsgKey(t time.Time, observer, _ int) string {
	return "resourceId=/SUBSCRIPTIONS/" + strings.ToUpper(sub) + "/RESOURCEGROUPS/PROD/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/PROD-NSG/" + azurePath(t, observer)
}

// azure writes VNet flow logs version 4 or NSG flow logs version 2: a record a minute.
type azure struct {
	w        *bufio.Writer
	nsg      bool
	observer int
	minute   time.Time
	any      bool
	rule     string
}

func newAzure(w *bufio.Writer, _ time.Time, observer int) encoder {
	_, _ = w.WriteString(`{"records":[`) // bufio keeps the error
	return &azure{w: w, observer: observer}
}

func newNSG(w *bufio.Writer, begin time.Time, observer int) encoder {
	e := newAzure(w, begin, observer).(*azure)
	e.nsg = true
	return e
}

func (e *azure) add(f Flow) (int, error) {
	rule := choose(f.Rejected, "DefaultRule_DenyAllInBound", "UserRule_allow-"+fmt.Sprint(f.Port))
	if f.Protocol == 17 {
		rule = "UserRule_allow-dns"
	}
	if m := f.Start.Truncate(time.Minute); !m.Equal(e.minute) {
		if err := e.close(); err != nil {
			return 0, err
		}
		e.minute, e.rule = m, ""
		if err := e.open(m); err != nil {
			return 0, err
		}
	}
	var err error
	switch {
	case e.rule == rule:
		err = e.w.WriteByte(',')
	case e.rule != "":
		_, err = e.w.WriteString(e.groupEnd() + ",")
		fallthrough
	default:
		e.rule = rule
		if err == nil {
			_, err = e.w.WriteString(e.groupBegin(rule))
		}
	}
	if err == nil {
		_, err = e.w.WriteString(e.tuple(f))
	}
	return 1, err
}

func (e *azure) open(m time.Time) error {
	if e.any {
		_ = e.w.WriteByte(',') // bufio keeps the error
	}
	e.any = true
	at := m.Format("2006-01-02T15:04:05.0000000Z")
	var err error
	if e.nsg {
		_, err = fmt.Fprintf(e.w, `{"time":%q,"systemId":"d6e5bd26-cbd7-4cd8-9b1f-d8a9e7c8f000","macAddress":%q,"category":"NetworkSecurityGroupFlowEvent","resourceId":"/SUBSCRIPTIONS/%s/RESOURCEGROUPS/PROD/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/PROD-NSG",`+
			`"operationName":"NetworkSecurityGroupFlowEvents","properties":{"Version":2,"flows":[`, at, mac(e.observer), strings.ToUpper(sub))
	} else {
		_, err = fmt.Fprintf(e.w, `{"time":%q,"flowLogVersion":4,"flowLogGUID":"66aa66aa-bb77-cc88-dd99-00ee00ee00ee","macAddress":%q,"category":"FlowLogFlowEvent",`+
			`"flowLogResourceID":"/SUBSCRIPTIONS/%s/RESOURCEGROUPS/NETWORKWATCHERRG/PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/NETWORKWATCHER_EASTUS/FLOWLOGS/PROD",`+
			`"targetResourceID":"/subscriptions/%s/resourceGroups/prod/providers/Microsoft.Network/virtualNetworks/prod","operationName":"FlowLogFlowEvent","flowRecords":{"flows":[{"aclID":"00aa00aa-bb11-cc22-dd33-44ee44ee44ee","flowGroups":[`,
			at, mac(e.observer), strings.ToUpper(sub), sub)
	}
	return err
}

func (e *azure) groupBegin(rule string) string {
	if e.nsg {
		return fmt.Sprintf(`{"rule":%q,"flows":[{"mac":%q,"flowTuples":[`, rule, mac(e.observer))
	}
	return fmt.Sprintf(`{"rule":%q,"flowTuples":[`, rule)
}

func (e *azure) groupEnd() string { return choose(e.nsg, "]}]}", "]}") }

// close ends the record of the last minute.
func (e *azure) close() error {
	if !e.any {
		return nil
	}
	_, err := e.w.WriteString(e.groupEnd() + choose(e.nsg, "]}}", "]}]}}"))
	return err
}

func (e *azure) tuple(f Flow) string {
	state := "C"
	switch {
	case f.Ends:
		state = "E"
	case f.Begins:
		state = "B"
	}
	counters := fmt.Sprintf("%d,%d,%d,%d", f.SentPkts, f.Sent, f.RecvPkts, f.Received)
	if e.nsg {
		return fmt.Sprintf(`"%d,%s,%s,%d,%d,%s,%s,%s,%s,%s"`, f.Start.Unix(), f.Initiator, f.Target, f.InitiatorPort, f.Port, choose(f.Protocol == 6, "T", "U"), direction(f), choose(f.Rejected, "D", "A"), state, counters)
	}
	if f.Rejected {
		state = "D"
	}
	return fmt.Sprintf(`"%d,%s,%s,%d,%d,%d,%s,%s,NX,%s"`, f.Start.UnixMilli(), f.Initiator, f.Target, f.InitiatorPort, f.Port, f.Protocol, direction(f), state, counters)
}

func (e *azure) end() error {
	if err := e.close(); err != nil {
		return err
	}
	_, err := e.w.WriteString("]}\n")
	return err
}
