//go:build !linux

package wireguard

import "errors"

var errNoNamespaces = errors.New("this system has no network namespaces")

func inNamespace(string, func() error) error { return errNoNamespaces }

func listLinks() (map[string]spaceLink, error) { return nil, errNoNamespaces }
