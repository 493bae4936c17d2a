//go:build !js

// On js the text of an errno begins with a capital.

package sysctlhttp_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/sysctlhttp"
)

// An operator knows the password. All others have the rights of Nobody.
func operator(r *http.Request) (string, sysctl.Cred, error) {
	name, password, given := r.BasicAuth()
	switch {
	case !given:
		return "", sysctl.Nobody, nil
	case name == "alice" && password == "secret":
		return name, sysctl.Root, nil
	}
	return "", sysctl.Nobody, errors.New("wrong name or password")
}

func ExampleHandler() {
	rate := sysctl.NewVar(100, sysctl.Between(1, 1000))
	rate.Changed = func(c sysctl.Change[int]) {
		name, _, _ := strings.Cut(c.Source, "@") // and not the address, which is another each time
		fmt.Println("rate:", c.Old, "to", c.New, "by", name)
	}
	var tree sysctl.Tree
	_, err := tree.Register("http", sysctl.Entry{
		Name: "rate", Mode: 0o644, Handler: rate, Doc: "requests a second",
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/tunables/", http.StripPrefix("/tunables", &sysctlhttp.Handler{Tree: &tree, Caller: operator}))
	server := httptest.NewServer(mux)
	defer server.Close()

	curl := func(user, method, path, body string) {
		r, _ := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		if user != "" {
			r.SetBasicAuth(user, "secret")
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		fmt.Println(strings.TrimSpace(fmt.Sprintf("%d %s", answer.StatusCode, text)))
	}
	curl("", "GET", "/tunables/http/rate", "")
	curl("", "PUT", "/tunables/http/rate", "50")
	curl("alice", "PUT", "/tunables/http/rate", "5000")
	curl("alice", "PUT", "/tunables/http/rate", "50")
	rate.Store(1000)
	curl("", "GET", "/tunables/", "")
	// Output:
	// 200 100
	// 403 open http/rate: permission denied
	// 400 write http/rate: 5000 is not from 1 to 1000: invalid argument
	// rate: 100 to 50 by http alice
	// 204
	// rate: 50 to 1000 by Store
	// 200 mode        path       value  set by  documentation
	// -rw-r--r--  http/rate  1000   Store   requests a second
}
