// Package sandbox runs the SQL engine in a process of its own, so that a query
// that eats memory or never ends costs that query and not the program. The
// process is the same program started again; it has a limit of memory from the
// kernel, and one that does not give a statement back in time is ended.
package sandbox

import "time"

// Argument is what, alone, makes a program call Serve instead of what it does else.
const Argument = "sql-engine"

// grace is how long the engine may take to give back a statement whose context has ended.
const grace = 2 * time.Second
