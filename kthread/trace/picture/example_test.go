package picture_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/kprim/kprim/kthread/trace/picture"
)

// A waiter sleeps on the queue "doorbell" until another thread wakes it.
func Example() {
	const trace = `# tracer: nop
waiter-1 (1) [000] ....  0.000010: sched_switch: prev_comm=waiter prev_pid=1 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120
ringer-2 (1) [001] ....  0.000400: sched_waking: comm=waiter pid=1 prio=120 target_cpu=000
ringer-2 (1) [001] ....  0.000401: sched_blocked_reason: pid=1 iowait=0 caller=doorbell
ringer-2 (1) [001] ....  0.000402: sched_wakeup: comm=waiter pid=1 prio=120 target_cpu=000
<idle>-0 (-) [000] ....  0.000500: sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=waiter next_pid=1 next_prio=120
waiter-1 (1) [000] ....  0.000700: sched_switch: prev_comm=waiter prev_pid=1 prev_prio=120 prev_state=X ==> next_comm=swapper/0 next_pid=0 next_prio=120
`
	chart, err := picture.Parse(strings.NewReader(trace))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := chart.Text(os.Stdout, 60); err != nil {
		fmt.Println(err)
	}
	// Output:
	// waiter |.doorbell...................!-------==============x|
	// ringer |                            ^                      |
	//         0                                           690.0us
	//         = runs  - can run  . sleeps (S)  ! is woken  ^ wakes
	//         x ends
}
