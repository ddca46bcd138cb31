package console

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// userInURL and tokenInURL find secrets that stand in addresses, where no type hides them.
var (
	userInURL  = regexp.MustCompile(`(://)[^/@\s"']+@`)
	tokenInURL = regexp.MustCompile(`(?i)([?&][^=&\s]*(?:token|key|secret|pass|auth|sig)[^=&\s]*=)[^&\s"']+`)
)

// serveConfig shows the sections in force. What is a secret prints itself
// hidden; addresses lose user names, passwords and tokens.
func (c *Console) serveConfig(w http.ResponseWriter, _ *http.Request) {
	file, sections := c.needs.Settings()
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		b, err := yaml.Marshal(map[string]any{name: sections[name]})
		if err != nil {
			refuse(w, http.StatusInternalServerError, name+": "+err.Error())
			return
		}
		text.Write(b)
	}
	answer(w, http.StatusOK, map[string]string{"file": file, "sections": hide(text.String())})
}

func hide(text string) string {
	return tokenInURL.ReplaceAllString(userInURL.ReplaceAllString(text, "$1<secret>@"), "$1<secret>")
}
