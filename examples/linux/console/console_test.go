package console_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/linux/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const boot = `Booting from ROM..#### Linux 6.1.0
#### one
==== a title ====
# cat f &
@A=94
m: module verification failed: signature and/or required key missing - tainting kernel
Last input:
a3: cat (94) waits
# ls f
@ls=86
-rw-r--r--    1 0        0                0 Nov 30 06:38 f
a3: sh (86) closes
a3: other (99) closes
B S module_open.cold
/bin/sh: can't create f
[1]+  Done                       cat
#### one
again
#### two
# rmmod two
#### end
reboot: machine restart
`

const printed = `About the page.

==== a title ====
# cat f &
A: Last input:
a3: A waits
# ls f
-rw-r--r--    1 0        0                0 Nov  1 16:00 f
kernel: a3: ls closes
[    1.5] a3: other closes
B S module_open
sh: can't create f

==== two CPUs ====
# no
==== Linux 7.3.4, user-mode Linux ====
# no
`

func TestTheConsoleAndThePageSayTheSame(t *testing.T) {
	release, sessions, err := console.Sessions(boot)
	require.NoError(t, err)
	require.Equal(t, "6.1.0", release)
	require.Len(t, sessions["one"], 2)
	require.Equal(t, console.Printed(printed), sessions["one"][0])
	require.Equal(t, "again\n", sessions["one"][1])
	require.Equal(t, console.Printed("# rmmod two\n"), sessions["two"][0])
}

func TestADifferenceStays(t *testing.T) {
	_, sessions, err := console.Sessions(boot)
	require.NoError(t, err)
	for _, other := range []string{
		"# cat f &\na3: B waits\n", "# rmmod one\n", "# rmmod two\nkernel: more\n", "no command",
	} {
		require.NotContains(t, sessions["one"], console.Printed(other))
		require.NotContains(t, sessions["two"], console.Printed(other))
	}
}

func TestABootWithoutItsEndIsAnError(t *testing.T) {
	for _, text := range []string{"", "#### Linux 6.1.0\n#### one\n", "#### end\n"} {
		_, _, err := console.Sessions(text)
		require.ErrorContains(t, err, "console: the guest has not run its sessions to their end")
	}
}
