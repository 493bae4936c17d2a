package kthreadhttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/kprim/kprim/kthread/kthreadhttp"
)

func ExampleHandler() {
	var mux http.ServeMux
	mux.Handle("/debug/kthreads/", http.StripPrefix("/debug/kthreads", &kthreadhttp.Handler{}))
	server := httptest.NewServer(&mux)
	defer server.Close()

	answer, err := server.Client().Get(server.URL + "/debug/kthreads/?w")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	fmt.Printf("%s", text) // no thread is in state D
	// Output:
	//   PID S ELAPSED WAKE-UPS SPURIOUS WCHAN           COMMAND
}
