package lake

import (
	"context"
	"iter"
	"strconv"
	"strings"
	"time"
)

// keyDate finds the date in the key of a vendor's object. jump makes the key
// where objects of a later day begin, with the same text before the date.
func keyDate(key string) (day time.Time, jump func(time.Time) string, ok bool) {
	parts := strings.Split(key, "/")
	at := 0 // offset of the part in key
	for i := 0; i+2 < len(parts); i++ {
		for _, names := range [][3]string{{"year=", "month=", "day="}, {"y=", "m=", "d="}, {"", "", ""}} {
			y, ok1 := number(parts[i], names[0], 4)
			m, ok2 := number(parts[i+1], names[1], 2)
			d, ok3 := number(parts[i+2], names[2], 2)
			if !ok1 || !ok2 || !ok3 || y < 1970 || m < 1 || m > 12 || d < 1 || d > 31 {
				continue
			}
			group := key[:at]
			return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC), func(t time.Time) string {
				return group + names[0] + t.Format("2006") + "/" + names[1] + t.Format("01") + "/" + names[2] + t.Format("02")
			}, true
		}
		at += len(parts[i]) + 1
	}
	return time.Time{}, nil, false
}

func number(part, prefix string, digits int) (int, bool) {
	text, ok := strings.CutPrefix(part, prefix)
	if !ok || len(text) != digits {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// discover lists a source's objects. Days before since, where keys tell them,
// are jumped over instead of being listed: with years of objects that is a
// request for each place where flow logs come from, and not one per thousand objects.
func discover(ctx context.Context, s Store, prefix string, since time.Time) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		startAfter := ""
		for {
			jumped := false
			for o, err := range s.List(ctx, prefix, startAfter) {
				if err != nil {
					yield(o, err)
					return
				}
				startAfter = o.Key
				if day, jump, ok := keyDate(o.Key); ok && day.Before(since) {
					if to := jump(since); to > o.Key {
						startAfter, jumped = to, true
						break
					}
				}
				if !yield(o, nil) {
					return
				}
			}
			if !jumped {
				return
			}
		}
	}
}
