//go:build !linux

package app

import "context"

// smallHeap does what it can elsewhere: nothing.
func smallHeap() {}

func dropProgramPages() {}

func keepSmall(ctx context.Context) { <-ctx.Done() }
