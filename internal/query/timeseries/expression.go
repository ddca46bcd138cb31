package timeseries

import (
	"fmt"
	"strings"

	"github.com/orielhq/oriel/internal/query/lex"
)

// operators are the expressions over values: %s are the arguments.
var operators = map[string]string{
	"GT": "(%s > %s)", "GTE": "(%s >= %s)", "LT": "(%s < %s)", "LTE": "(%s <= %s)", "EQUALS": "(%s = %s)", "AND": "(%s AND %s)", "OR": "(%s OR %s)", "NOT": "(NOT %s)",
	"ADD": "(%s + %s)", "SUB": "(%s - %s)", "SUBTRACT": "(%s - %s)", "MUL": "(%s * %s)", "MULTIPLY": "(%s * %s)", "DIV": "(%s / %s)", "DIVIDE": "(%s / %s)", "MOD": "(%s %% %s)",
	"POW": "pow(%s, %s)", "ABS": "abs(%s)", "SQRT": "sqrt(%s)", "LOG": "ln(%s)", "LOG10": "log10(%s)", "EXP": "exp(%s)",
	"SIN": "sin(%s)", "COS": "cos(%s)", "TAN": "tan(%s)", "ASIN": "asin(%s)", "ACOS": "acos(%s)", "ATAN": "atan(%s)", "ATAN2": "atan2(%s, %s)",
	"SINH": "sinh(%s)", "COSH": "cosh(%s)", "TANH": "tanh(%s)",
	"DIVISIBLE_BY": "(%s %% %s = 0)", "IF_THEN_ELSE": "(CASE WHEN %s THEN %s ELSE %s END)", "IF_THEN": "(CASE WHEN %s THEN %s END)",
	"CONTAINS": "contains(%s, %s)", "STARTS_WITH": "starts_with(%s, %s)", "ENDS_WITH": "suffix(%s, %s)", "MATCH": "regexp_full_match(%s, %s)",
	"LENGTH": "CAST(length(%s) AS DOUBLE)", "CONCAT": "concat(%s, %s)",
}

// anchors are what came before the expressions: %[1]s is the value, %[2]s the argument.
var anchors = map[string]string{
	"EQ": "(%[1]s = %[2]s)", "GT": "(%[1]s > %[2]s)", "GTE": "(%[1]s >= %[2]s)", "LT": "(%[1]s < %[2]s)", "LTE": "(%[1]s <= %[2]s)", "DIVISIBLE_BY": "(%[1]s %% %[2]s = 0)",
	"CONTAINS": "contains(%[1]s, %[2]s)", "CONTAINED_IN": "contains(%[2]s, %[1]s)", "STARTS_WITH": "starts_with(%[1]s, %[2]s)", "ENDS_WITH": "suffix(%[1]s, %[2]s)",
}

// expression rewrites TS_EXP_...
func (r *rewriter) expression(t lex.Token, op string, args [][]lex.Token) (string, error) {
	format, ok := operators[op]
	switch {
	case op == "ID" || op == "ID_TO_STRING":
		if err := r.inside(t); err != nil {
			return "", err
		}
		if op == "ID" {
			return r.value, nil
		}
		return "CAST(" + r.value + " AS VARCHAR)", nil
	case op == "ID_INDEX" && len(args) == 1:
		if err := r.inside(t); err != nil {
			return "", err
		}
		at, err := r.tokens(lex.Trim(args[0]))
		return r.value + "[CAST((" + at + ") + 1 AS INTEGER)]", err
	case op == "MATCH_CASE" && len(args) > 0:
		// The cases, as a list or one after the other, and what else.
		if first := elements(args[0]); first != nil {
			args = append(first, args[1:]...)
		}
		format = "coalesce(" + strings.TrimSuffix(strings.Repeat("%s, ", len(args)), ", ") + ")"
	case !ok:
		return "", lex.At(r.text, t.Pos, "TS_EXP_%s is not supported", op)
	}
	if want := strings.Count(format, "%s"); len(args) != want {
		return "", lex.At(r.text, t.Pos, "TS_EXP_%s: %d arguments, want %d", op, len(args), want)
	}
	texts := make([]any, len(args))
	for i, a := range args {
		text, err := r.tokens(lex.Trim(a))
		if err != nil {
			return "", err
		}
		texts[i] = text
	}
	return fmt.Sprintf(format, texts...), nil
}

func (r *rewriter) inside(t lex.Token) error {
	if r.value == "" {
		return lex.At(r.text, t.Pos, "%s stands only inside of TS_FILTER, TS_MAP and TS_SEGMENT_BY_...", strings.ToUpper(t.Text))
	}
	return nil
}

// anchor rewrites TS_ANCHOR_...
func (r *rewriter) anchor(t lex.Token, op string, args [][]lex.Token) (string, error) {
	if err := r.inside(t); err != nil {
		return "", err
	}
	texts := make([]string, len(args))
	var err error
	switch op {
	case "AND", "OR", "NOT":
		return r.expression(t, op, args)
	case "INDEX":
		if len(args) != 2 {
			return "", lex.At(r.text, t.Pos, "TS_ANCHOR_INDEX: %d arguments, want 2", len(args))
		}
		at, err := r.tokens(lex.Trim(args[1]))
		if err != nil {
			return "", err
		}
		before := r.value
		r.value += "[CAST((" + at + ") + 1 AS INTEGER)]"
		defer func() { r.value = before }()
		return r.tokens(lex.Trim(args[0]))
	}
	format, ok := anchors[op]
	if !ok {
		return "", lex.At(r.text, t.Pos, "TS_ANCHOR_%s is not supported", op)
	}
	if len(args) != 1 {
		return "", lex.At(r.text, t.Pos, "TS_ANCHOR_%s: %d arguments, want 1", op, len(args))
	}
	if texts[0], err = r.tokens(lex.Trim(args[0])); err != nil {
		return "", err
	}
	return fmt.Sprintf(format, r.value, texts[0]), nil
}

// elements are those of a list as people write it: [a, b], ARRAY[a, b] or array(a, b). Otherwise it is nil.
func elements(arg []lex.Token) [][]lex.Token {
	arg = lex.Trim(arg)
	if len(arg) > 0 && arg[0].Is("ARRAY") {
		arg = lex.Trim(arg[1:])
	}
	n := len(arg)
	if n >= 2 && (arg[0].Is("[") && arg[n-1].Is("]") || arg[0].Is("(") && lex.Close(arg, 0) == n-1) {
		return lex.Split(arg[1 : n-1])
	}
	return nil
}
