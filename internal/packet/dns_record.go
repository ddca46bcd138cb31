package packet

// DNS is one question and its answer, over UDP, TCP, multicast or LLMNR. Its
// time is the question's, or the answer's if the question was not seen.
type DNS struct {
	Flow
	Service       string   `parquet:"service,dict"` // dns, mdns or llmnr
	Proto         string   `parquet:"proto,dict"`   // udp or tcp
	TransactionID uint16   `parquet:"trans_id"`
	Query         string   `parquet:"query"` // lower case, escaped as in a zone file
	QType         string   `parquet:"qtype,dict"`
	QClass        uint16   `parquet:"qclass"`
	Opcode        uint8    `parquet:"opcode"`
	Asked         bool     `parquet:"asked"`    // the question was seen
	Answered      bool     `parquet:"answered"` // the answer was seen
	Rcode         string   `parquet:"rcode,dict"`
	RTTNanos      int64    `parquet:"rtt_ns"` // from question to answer; 0: one of them was not seen
	Authoritative bool     `parquet:"aa"`
	Truncated     bool     `parquet:"tc"`
	Recursion     bool     `parquet:"rd"` // asked for
	Recursive     bool     `parquet:"ra"` // offered
	Answers       []string `parquet:"answers,list"`
	AnswerTypes   []string `parquet:"answer_types,list"`
	TTLs          []uint32 `parquet:"ttls,list"` // seconds
	AnswerCount   uint16   `parquet:"answer_count"`
	QueryBytes    uint32   `parquet:"query_bytes"`
	AnswerBytes   uint32   `parquet:"answer_bytes"`
}

// Kind is the table.
func (*DNS) Kind() string { return "dns" }
