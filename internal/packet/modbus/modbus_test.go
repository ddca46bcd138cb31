package modbus

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in       string
		n        int
		err      error
		function string
		request  Request
		code     string
	}{
		{"0001000000060103006b0003", 12, nil, "read_holding_registers", Request{107, 3, -1}, "exception0"},
		{"00020000000601060001ffff", 12, nil, "write_single_register", Request{1, 1, 65535}, "exception0"},
		{"000300000003018302", 9, nil, "read_holding_registers", Request{-1, 0, -1}, "illegal_data_address"},
		{"0004000000020111", 8, nil, "report_server_id", Request{-1, 0, -1}, "exception0"},
		{"000500000006010300", 0, nil, "function0", Request{-1, 0, -1}, "exception0"},
		{"47455420", 0, ErrNotModbus, "function0", Request{-1, 0, -1}, "exception0"},
		{"000100000fff01", 0, ErrNotModbus, "function0", Request{-1, 0, -1}, "exception0"},
	} {
		b, _ := hex.DecodeString(tt.in)
		m, n, err := Parse(b)
		if n != tt.n || !errors.Is(err, tt.err) || FunctionName(m.Function) != tt.function || m.Request() != tt.request || ExceptionName(m.Code) != tt.code {
			t.Errorf("Parse(%s) = %+v, %d, %v", tt.in, m, n, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0001000000060103006b0003", "000300000003018302", "0001000000170103" + "14" + "00000000000000000000000000000000000000000000"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := Parse(b)
		if err != nil || n == 0 {
			return
		}
		if n > len(b) || n != headerLen+1+len(m.Data) {
			t.Errorf("Parse(%x) = %+v, %d", b, m, n)
		}
		function := m.Function
		if m.Exception {
			function |= 0x80
		}
		again := append([]byte{byte(m.Transaction >> 8), byte(m.Transaction), 0, 0, byte((n - 6) >> 8), byte(n - 6), m.Unit, function}, m.Data...)
		if !bytes.Equal(again, b[:n]) {
			t.Errorf("%x is written again as %x", b[:n], again)
		}
		m.Request()
	})
}
