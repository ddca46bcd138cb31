//go:build !linux

package app

// smallHeap does what it can elsewhere: nothing.
func smallHeap() {}

func dropProgramPages() {}
