package usermodehelper

import (
	"os"
	"slices"
	"strings"
)

// checkInherit refuses names that no variable can have.
func (h *Helper) checkInherit() error {
	for i, name := range h.Inherit {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return h.invalid("Inherit[%d] is %q, which is no name of a variable", i, name)
		}
	}
	return nil
}

// environment returns Envp, followed by the variables of Inherit that Envp does not
// set. Each variable comes once.
func (h *Helper) environment() []string {
	env := slices.Clone(h.Envp)
	for _, name := range h.Inherit {
		isSet := func(e string) bool { return strings.HasPrefix(e, name+"=") }
		if value, ok := os.LookupEnv(name); ok && !slices.ContainsFunc(env, isSet) {
			env = append(env, name+"="+value)
		}
	}
	return env
}
