// Package modbus reads Modbus/TCP: the header and what requests and answers ask for.
package modbus

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// ErrNotModbus is what Parse says of other bytes.
var ErrNotModbus = errors.New("not Modbus/TCP")

const (
	headerLen = 7
	maxLength = 254 // of unit, function and data
	minLength = 2
)

// Message is a request or an answer; which one, the direction tells.
type Message struct {
	Transaction uint16
	Unit        uint8
	Function    uint8 // without the bit of exceptions
	Exception   bool
	Code        uint8 // of the exception
	Data        []byte
}

// Parse reads the message at the beginning of b and returns its length; 0 if
// more bytes are needed. Data points into b.
func Parse(b []byte) (m Message, n int, err error) {
	if len(b) >= 4 && (b[2] != 0 || b[3] != 0) {
		return m, 0, ErrNotModbus
	}
	if len(b) < 6 {
		return m, 0, nil
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	if size < minLength || size > maxLength {
		return m, 0, ErrNotModbus
	}
	if len(b) < 6+size {
		return m, 0, nil
	}
	m.Transaction, m.Unit = binary.BigEndian.Uint16(b), b[6]
	m.Function, m.Exception = b[7]&0x7f, b[7]&0x80 != 0
	m.Data = b[headerLen+1 : 6+size]
	if m.Exception && len(m.Data) > 0 {
		m.Code = m.Data[0]
	}
	return m, 6 + size, nil
}

// Request is what a request asks for.
type Request struct {
	Address  int // of the first register or coil; -1: the function has none
	Quantity int
	Value    int // of a single write; -1: none
}

// Request reads the data of a request.
func (m *Message) Request() Request {
	r := Request{Address: -1, Value: -1}
	if len(m.Data) < 4 {
		return r
	}
	first, second := int(binary.BigEndian.Uint16(m.Data)), int(binary.BigEndian.Uint16(m.Data[2:]))
	switch m.Function {
	case 1, 2, 3, 4, 15, 16, 23:
		r.Address, r.Quantity = first, second
	case 5, 6:
		r.Address, r.Quantity, r.Value = first, 1, second
	case 22:
		r.Address, r.Quantity = first, 1
	}
	return r
}

var functionNames = map[uint8]string{
	1: "read_coils", 2: "read_discrete_inputs", 3: "read_holding_registers", 4: "read_input_registers", 5: "write_single_coil",
	6: "write_single_register", 7: "read_exception_status", 8: "diagnostics", 11: "get_comm_event_counter", 12: "get_comm_event_log",
	15: "write_multiple_coils", 16: "write_multiple_registers", 17: "report_server_id", 20: "read_file_record", 21: "write_file_record",
	22: "mask_write_register", 23: "read_write_multiple_registers", 24: "read_fifo_queue", 43: "encapsulated_interface", 90: "unity",
}

// FunctionName is the specification's name, or function and the number.
func FunctionName(f uint8) string {
	if s, ok := functionNames[f]; ok {
		return s
	}
	return "function" + strconv.Itoa(int(f))
}

// Classes are what functions do: one word each.
var classes = map[uint8]string{
	1: "read", 2: "read", 3: "read", 4: "read", 7: "diagnostic", 8: "diagnostic", 11: "diagnostic", 12: "diagnostic", 17: "diagnostic",
	5: "write", 6: "write", 15: "write", 16: "write", 22: "write", 23: "write", 20: "file", 21: "file", 24: "read", 43: "diagnostic",
}

// FunctionClass is read, write, file, diagnostic or other.
func FunctionClass(f uint8) string {
	if s, ok := classes[f]; ok {
		return s
	}
	return "other"
}

var exceptionNames = map[uint8]string{
	1: "illegal_function", 2: "illegal_data_address", 3: "illegal_data_value", 4: "server_device_failure", 5: "acknowledge",
	6: "server_device_busy", 7: "negative_acknowledge", 8: "memory_parity_error", 10: "gateway_path_unavailable", 11: "gateway_target_failed",
}

// ExceptionName is the specification's name, or exception and the number.
func ExceptionName(code uint8) string {
	if s, ok := exceptionNames[code]; ok {
		return s
	}
	return "exception" + strconv.Itoa(int(code))
}
