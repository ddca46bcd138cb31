package packet

// HTTP is one request with its answer, or what was seen of the two.
type HTTP struct {
	Flow
	Depth             int32  `parquet:"depth"` // of the connection's messages; the first is 1
	Method            string `parquet:"method,dict"`
	Host              string `parquet:"host"`
	URI               string `parquet:"uri"` // values of what looks like a secret are left out
	Version           string `parquet:"version,dict"`
	UserAgent         string `parquet:"user_agent"`
	Referer           string `parquet:"referer"`
	User              string `parquet:"user"` // of basic or digest authentication
	RequestType       string `parquet:"request_type,dict"`
	RequestEncoding   string `parquet:"request_encoding,dict"`
	RequestLength     int64  `parquet:"request_length"` // bytes of the body that were sent
	Status            int32  `parquet:"status"`         // 0: no answer seen
	Reason            string `parquet:"reason"`
	Server            string `parquet:"server"`
	ResponseType      string `parquet:"response_type,dict"`
	ResponseEncoding  string `parquet:"response_encoding,dict"`
	ResponseLength    int64  `parquet:"response_length"`
	FirstByteNanos    int64  `parquet:"first_byte_ns"` // from the request's first byte to the answer's
	DurationNanos     int64  `parquet:"duration_ns"`   // to the end of the answer
	RequestTruncated  bool   `parquet:"request_truncated"`
	ResponseTruncated bool   `parquet:"response_truncated"`
}

// Kind is the table.
func (*HTTP) Kind() string { return "http" }
