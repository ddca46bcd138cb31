package pki

import (
	"errors"
	"fmt"
	"os"
)

// RotateIssuing makes a new issuing authority under the same root, which signs
// from now on. Nobody need be told: a leaf brings its issuer along.
func (a *Authority) RotateIssuing(keyType string) error {
	return a.locked(func() error {
		x, err := a.read()
		if err != nil {
			return err
		}
		was := x.active()
		root, rootKey, err := a.pair(was, "root")
		if err != nil {
			return err
		}
		if rootKey == nil {
			return fmt.Errorf("the root's key is away: put it back as %s for this", a.path("root.key", was))
		}
		g := &generation{ID: x.last() + 1, State: Active}
		if err := os.MkdirAll(a.path("", g), 0o700); err != nil {
			return err
		}
		for _, name := range []string{"root.crt", "root.key"} {
			text, err := ReadFile(a.path(name, was))
			if err != nil {
				return err
			}
			if err := WriteFile(a.path(name, g), text); err != nil {
				return err
			}
		}
		if err := a.newIssuing(x, g, root, rootKey, keyType); err != nil {
			return err
		}
		was.State = Old
		g.Number = was.Number // lists of one root count on
		x.Generations = append(x.Generations, g)
		return a.publish(x)
	})
}

// RotateRoot begins to replace the root: the new one is in the trust bundle,
// the old one signs. Distribute the bundle, then call Activate.
func (a *Authority) RotateRoot(keyType string) error {
	return a.locked(func() error {
		x, err := a.read()
		if err != nil {
			return err
		}
		for _, g := range x.Generations {
			if g.State == Next {
				return errors.New("a new root is waiting already: activate it")
			}
		}
		g := &generation{ID: x.last() + 1, State: Next}
		root, key, err := a.newRoot(x, g, keyType)
		if err != nil {
			return err
		}
		if err := a.newIssuing(x, g, root, key, keyType); err != nil {
			return err
		}
		x.Generations = append(x.Generations, g)
		return a.publish(x)
	})
}

// Activate lets the new root's issuing authority sign from now on. The old one stays trusted.
func (a *Authority) Activate() error {
	return a.locked(func() error {
		x, err := a.read()
		if err != nil {
			return err
		}
		for _, g := range x.Generations {
			if g.State == Next {
				x.active().State, g.State = Old, Active
				return a.publish(x)
			}
		}
		return errors.New("no new root is waiting")
	})
}

// Retire takes old generations out of bundle and lists. Those with
// certificates that have not expired stay, unless force; and also then if their
// root stays trusted, since without their list what they revoked would be good again.
// It returns how many went and stayed.
func (a *Authority) Retire(force bool) (went, stayed int, err error) {
	err = a.locked(func() error {
		x, err := a.read()
		if err != nil {
			return err
		}
		var kept []*generation
		for _, g := range x.Generations {
			if g.State != Old || a.inUse(x, g) && (!force || a.shared(x, g)) {
				kept = append(kept, g)
				if g.State == Old {
					stayed++
				}
				continue
			}
			went++
		}
		x.Generations = kept
		return a.publish(x)
	})
	return went, stayed, err
}

func (a *Authority) inUse(x *index, g *generation) bool {
	for _, e := range x.Entries {
		if e.Generation == g.ID && a.now().Before(e.NotAfter) {
			return true
		}
	}
	return false
}

// shared tells whether a generation that is not old has the same root, or its root cannot be read.
func (a *Authority) shared(x *index, g *generation) bool {
	root, _, err := a.pair(g, "root")
	for _, other := range x.Generations {
		if other.State == Old {
			continue
		}
		if its, _, ierr := a.pair(other, "root"); err != nil || ierr != nil || its.Equal(root) {
			return true
		}
	}
	return false
}

func (x *index) last() (id int) {
	for _, g := range x.Generations {
		id = max(id, g.ID)
	}
	return id
}
