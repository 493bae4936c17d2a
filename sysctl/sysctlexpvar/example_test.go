package sysctlexpvar_test

import (
	"fmt"
	"log"
	"time"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/sysctlexpvar"
)

func ExampleFunc() {
	rate, timeout := sysctl.NewVar(100), sysctl.NewVar(1500*time.Millisecond)
	var secret sysctl.Var[string]
	var tree sysctl.Tree
	_, err := tree.Register("http",
		sysctl.Entry{Name: "rate", Mode: 0o644, Handler: rate},
		sysctl.Entry{Name: "timeout", Mode: 0o644, Handler: timeout},
		sysctl.Entry{Name: "secret", Mode: 0o600, Handler: &secret},
	)
	if err != nil {
		log.Fatal(err)
	}
	tunables := sysctlexpvar.Func(&tree, sysctl.Nobody)
	// A program calls expvar.Publish("tunables", tunables), once.
	fmt.Println(tunables)
	// Output:
	// {"http":{"rate":100,"timeout":"1.5s"}}
}
