package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/sysctl"
)

// The test binary is the program too.
func TestMain(m *testing.M) {
	if os.Getenv("SYSCTL_EXAMPLE_RUNS") != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

const all = `demo.timeout = 1.5s
demo.verbose = 0
kernel.hostname = example
kernel.msgmax = 8192
kernel.osrelease = 6.12.0-demo
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.eth0.rp_filter = 0
net.ipv4.conf.eth0/100.rp_filter = 0
net.ipv4.ip_local_reserved_ports = 8080-8083
net.ipv4.tcp_rmem = 4096	131072	6291456
`

func TestCommandsSayWhatSysctl8Says(t *testing.T) {
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	conf := file("a.conf", "kernel.hostname = one # two\nkernel.msgmax = x\nkernel.none = 1\n-kernel.none = 1\nnonsense\n")
	none := filepath.Join(t.TempDir(), "none")
	for name, c := range map[string]struct {
		args           []string
		stdin          string
		stdout, stderr string
		code           int
	}{
		"no arguments":            {code: 1, stderr: usage},
		"help":                    {args: []string{"--help"}, stdout: usage},
		"help in a group":         {args: []string{"-nh", "kernel.none"}, stdout: usage},
		"an unknown letter":       {args: []string{"-nz"}, stdout: usage, stderr: "sysctl: invalid option -- 'z'\n"},
		"an unknown option":       {args: []string{"--zz=1"}, stdout: usage, stderr: "sysctl: unrecognized option '--zz'\n"},
		"a value too many":        {args: []string{"--all=1"}, stdout: usage, stderr: "sysctl: option '--all' doesn't allow an argument\n"},
		"-r without expression":   {args: []string{"-ar"}, stdout: usage, stderr: "sysctl: option requires an argument -- 'r'\n"},
		"--pattern without it":    {args: []string{"--pattern"}, stdout: usage, stderr: "sysctl: option '--pattern' requires an argument\n"},
		"options only":            {args: []string{"-n"}, stderr: "sysctl: no variables specified\n" + try + "\n", code: 1},
		"-N and -q":               {args: []string{"-N", "kernel.msgmax", "-q"}, stderr: "sysctl: options -N and -q cannot coexist\n" + try + "\n", code: 1},
		"-a":                      {args: []string{"-a"}, stdout: all},
		"--all":                   {args: []string{"--all", "kernel.none"}, stdout: all},
		"-a -n":                   {args: []string{"-an", "-r", "msg|time"}, stdout: "1.5s\n8192\n"},
		"-a -N --pattern":         {args: []string{"-aN", "--pattern", `^kernel\..*(max|name)$`}, stdout: "kernel.hostname\nkernel.msgmax\n"},
		"-r in a group":           {args: []string{"-arhostn"}, stdout: "kernel.hostname = example\n"},
		"--pattern=":              {args: []string{"--pattern=hostn", "-a"}, stdout: "kernel.hostname = example\n"},
		"a bad pattern":           {args: []string{"-a", "-r", "["}},
		"a key":                   {args: []string{"kernel.hostname"}, stdout: "kernel.hostname = example\n"},
		"a path":                  {args: []string{"kernel/hostname"}, stdout: "kernel.hostname = example\n"},
		"a path with a slash":     {args: []string{"/kernel//hostname"}, stdout: "kernel.hostname = example\n"},
		"a slash after a path":    {args: []string{"kernel/hostname/"}, stderr: "sysctl: cannot stat /proc/sys/kernel/hostname/: Not a directory\n", code: 1},
		"a dot after a key":       {args: []string{"kernel.hostname."}, stderr: "sysctl: cannot stat /proc/sys/kernel/hostname/: Not a directory\n", code: 1},
		"a write, and a slash":    {args: []string{"kernel/hostname/=x"}, stderr: "sysctl: cannot stat /proc/sys/kernel/hostname/: Not a directory\n", code: 1},
		"a dot after a directory": {args: []string{"net.ipv4.conf."}, stdout: all[strings.Index(all, "net.ipv4.conf.all"):strings.Index(all, "net.ipv4.ip_local")]},
		"a dot in a name":         {args: []string{"net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"}, stdout: strings.Repeat("net.ipv4.conf.eth0/100.rp_filter = 0\n", 2)},
		"a directory":             {args: []string{"net.ipv4.conf"}, stdout: all[strings.Index(all, "net.ipv4.conf.all"):strings.Index(all, "net.ipv4.ip_local")]},
		"the root":                {args: []string{"/"}, stdout: all},
		"-n":                      {args: []string{"-n", "kernel.hostname"}, stdout: "example\n"},
		"-n afterwards":           {args: []string{"kernel.hostname", "-n"}, stdout: "example\n"},
		"-n after --":             {args: []string{"--", "kernel.hostname", "-n"}, stdout: "kernel.hostname = example\n", stderr: "sysctl: cannot stat /proc/sys/-n: No such file or directory\n", code: 1},
		"-b":                      {args: []string{"-b", "kernel.hostname", "kernel.msgmax"}, stdout: "example8192"},
		"-N":                      {args: []string{"-N", "kernel/hostname"}, stdout: "kernel.hostname\n"},
		"-q":                      {args: []string{"-q", "kernel.hostname"}, stdout: "kernel.hostname = example\n"},
		"-r and a key":            {args: []string{"-r", "msg", "kernel.hostname", "kernel.msgmax"}, stdout: "kernel.msgmax = 8192\n"},
		"an unknown key":          {args: []string{"kernel.none", "kernel.hostname"}, stdout: "kernel.hostname = example\n", stderr: "sysctl: cannot stat /proc/sys/kernel/none: No such file or directory\n", code: 1},
		"two unknown keys":        {args: []string{"kernel.none", "none"}, stderr: "sysctl: cannot stat /proc/sys/kernel/none: No such file or directory\nsysctl: cannot stat /proc/sys/none: No such file or directory\n", code: 2},
		"below a file":            {args: []string{"kernel.hostname.x"}, stderr: "sysctl: cannot stat /proc/sys/kernel/hostname/x: Not a directory\n", code: 1},
		"an unknown key and -e":   {args: []string{"-e", "kernel.none", "kernel.hostname.x", "kernel.none=1"}},
		"an empty key":            {args: []string{""}, stderr: "sysctl: \"\" is an unknown key\n", code: 255},
		"a write-only entry":      {args: []string{"net.ipv4.route.flush"}},
		"a write":                 {args: []string{"kernel.msgmax=5", "kernel.msgmax"}, stdout: "kernel.msgmax = 5\nkernel.msgmax = 5\n"},
		"-w":                      {args: []string{"-w", "kernel.msgmax=5"}, stdout: "kernel.msgmax = 5\n"},
		"-w without a value":      {args: []string{"-w", "kernel.msgmax"}, stderr: "sysctl: command line(0): invalid syntax, continuing...\n", code: 1},
		"a write and -q":          {args: []string{"-q", "kernel.msgmax=5"}},
		"a write and -n":          {args: []string{"-n", "kernel.msgmax=5"}, stdout: "5\n"},
		"a write and -b":          {args: []string{"-b", "kernel.msgmax=5"}, stdout: "5"},
		"a write and -N":          {args: []string{"-N", "kernel/msgmax=5"}, stdout: "kernel.msgmax\n"},
		"a write and -r":          {args: []string{"-r", "= 5", "kernel.msgmax=5", "kernel.msgmax= 5"}, stdout: "kernel.msgmax = 5\n", code: 1},
		"a comment":               {args: []string{"#kernel.msgmax=5", ";=", "="}, code: 1},
		"blanks":                  {args: []string{" kernel.msgmax =\t5 "}, stdout: "kernel.msgmax = 5\n"},
		"the text, not the value": {args: []string{"net.ipv4.tcp_rmem=0x10 1 2 3 4", "net.ipv4.tcp_rmem"}, stdout: "net.ipv4.tcp_rmem = 0x10 1 2 3 4\nnet.ipv4.tcp_rmem = 16\t1\t2\n"},
		"no value for a string":   {args: []string{"kernel.hostname=", "kernel.hostname"}, stdout: "kernel.hostname = \nkernel.hostname = \n"},
		"no value for a number":   {args: []string{"kernel.msgmax="}, stderr: "sysctl: setting key \"kernel.msgmax\": Invalid argument\n", code: 1},
		"out of bounds":           {args: []string{"kernel.msgmax=-1", "kernel.msgmax"}, stdout: "kernel.msgmax = 8192\n", stderr: "sysctl: setting key \"kernel.msgmax\": Invalid argument\n", code: 1},
		"a bitmap":                {args: []string{"net.ipv4.ip_local_reserved_ports=3,1-2", "net.ipv4.ip_local_reserved_ports"}, stdout: "net.ipv4.ip_local_reserved_ports = 3,1-2\nnet.ipv4.ip_local_reserved_ports = 1-3\n"},
		"a duration":              {args: []string{"demo.timeout=90s", "demo.timeout"}, stdout: "demo.timeout = 90s\ndemo.timeout = 1m30s\n"},
		"a bool":                  {args: []string{"demo.verbose=7", "demo.verbose"}, stdout: "demo.verbose = 7\ndemo.verbose = 1\n"},
		"write a write-only":      {args: []string{"net.ipv4.route.flush=1"}, stdout: "net.ipv4.route.flush = 1\n"},
		"a read-only entry":       {args: []string{"kernel.osrelease=1"}, stderr: "sysctl: setting key \"kernel.osrelease\": Operation not permitted\n", code: 1},
		"a write of a directory":  {args: []string{"net.ipv4=1"}, stderr: "sysctl: setting key \"net.ipv4\": Operation not permitted\n", code: 1},
		"a write of nothing":      {args: []string{"kernel.none=1"}, stderr: "sysctl: cannot stat /proc/sys/kernel/none: No such file or directory\n", code: 1},
		"a write below a file":    {args: []string{"kernel.hostname.x=1"}, stderr: "sysctl: cannot stat /proc/sys/kernel/hostname/x: Not a directory\n", code: 1},
		"-r, blanks and -p":       {args: []string{"-r", "^kernel", "-p-"}, stdin: "  kernel.msgmax=1\ndemo.verbose=1\n", stdout: "kernel.msgmax = 1\n"},
		"two hyphens":             {args: []string{"--", "--kernel.none=1", "--kernel.msgmax=1"}, stdout: "kernel.msgmax = 1\n"},
		"-p of a negated pattern": {args: []string{"-p", filepath.Join(filepath.Dir(conf), "[![:digit:]].conf"), "-r", "two"}, stdout: "kernel.hostname = one # two\n"},
		"a hyphen":                {args: []string{"--", "-kernel.none=1", "-kernel.msgmax=-1", "-kernel.msgmax=1"}, stdout: "kernel.msgmax = 1\n"},
		"-p": {
			args: []string{"-p", conf}, stdout: "kernel.hostname = one # two\n", code: 1,
			stderr: "sysctl: " + conf + "(5): invalid syntax, continuing...\n" +
				"sysctl: setting key \"kernel.msgmax\": Invalid argument\n" +
				"sysctl: cannot stat /proc/sys/kernel/none: No such file or directory\n",
		},
		"-p and -q -e":       {args: []string{"-qep", conf}, stderr: "sysctl: " + conf + "(5): invalid syntax, continuing...\nsysctl: setting key \"kernel.msgmax\": Invalid argument\n", code: 1},
		"-p and -n":          {args: []string{"-n", "-r", "name", "-p" + conf}, stdout: "one # two\n"},
		"-p and -r":          {args: []string{"--pattern", "none|nons", "--load=" + conf}, stderr: "sysctl: " + conf + "(5): invalid syntax, continuing...\nsysctl: cannot stat /proc/sys/kernel/none: No such file or directory\n", code: 1},
		"bad syntax alone":   {args: []string{"-p", "-"}, stdin: "nonsense\n", stderr: "sysctl: -(1): invalid syntax, continuing...\n"},
		"no key, a bad [":    {args: []string{"-p-"}, stdin: "=5\nkernel.[=1\nkernel.msgmax=1\n", stdout: "kernel.msgmax = 1\n", stderr: "sysctl: -(1): invalid syntax, continuing...\nsysctl: -(2): invalid syntax, continuing...\n"},
		"-pFILE and -p":      {args: []string{"-q", "-p" + conf, "-e", "-p", "-r", "name"}},
		"one character":      {args: []string{"-p-"}, stdin: "a\n-\nb", stderr: "sysctl: -(1): invalid syntax, continuing...\n"},
		"a NUL":              {args: []string{"-p-"}, stdin: "kernel.msgmax=1\x00\nkernel.msgmax=2\n", stdout: "kernel.msgmax = 2\n", stderr: "sysctl: -(1): invalid syntax, continuing...\n"},
		"-p of the input":    {args: []string{"-p", "-"}, stdin: "kernel.msg* = 1\n", stdout: "kernel.msgmax = 1\n"},
		"-p of a pattern":    {args: []string{"-p", filepath.Join(filepath.Dir(conf), "*.conf"), "-r", "two"}, stdout: "kernel.hostname = one # two\n"},
		"-p of two files":    {args: []string{"-p" + conf, "-r", "two", conf}, stdout: strings.Repeat("kernel.hostname = one # two\n", 2)},
		"-p of a missing":    {args: []string{"-p", none}, stderr: "sysctl: cannot open \"" + none + "\": No such file or directory\n", code: 1},
		"-a is before -p":    {args: []string{"-p", none, "-a"}, stdout: all},
		"-p, no assignments": {args: []string{"-p", "-", "-w"}, stdin: "# nothing\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := run(c.args, strings.NewReader(c.stdin), &stdout, &stderr)
			require.Equal(t, c.stdout, stdout.String())
			require.Equal(t, c.stderr, stderr.String())
			require.Equal(t, c.code, code)
		})
	}
}

func TestFileOfPIsThatOfTheMachineIfNoneIsNamed(t *testing.T) {
	var o options
	require.NoError(t, o.parse([]string{"-p", "-q"}))
	require.Equal(t, []string{"/etc/sysctl.conf"}, o.files())
}

func TestFileOfPIsTheLastThatIsNamed(t *testing.T) {
	for want, args := range map[string][]string{
		"A":                {"-pA", "-p"},
		"B":                {"-pA", "-pB", "-p"},
		"C":                {"-p", "--load=C", "--load", "-p"},
		"D":                {"-qp", "-npD", "-ep", "--load="},
		"A E":              {"-pA", "-p", "E"},
		"/etc/sysctl.conf": {"-p", "-p", "--load"},
	} {
		var o options
		require.NoError(t, o.parse(args))
		require.Equal(t, want, strings.Join(o.files(), " "))
	}
}

// A noNewline handler has a text that ends without a newline.
type noNewline struct{ sysctl.Handler }

func (noNewline) Read(r *sysctl.Request, p []byte) (int, error) {
	n := copy(p, "one\ntwo"[r.Pos:])
	r.Pos += int64(n)
	return n, nil
}

func TestValuesAreShownAsTheyAre(t *testing.T) {
	tree := new(sysctl.Tree)
	_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o444, Handler: noNewline{}})
	require.NoError(t, err)
	for args, want := range map[string]string{
		"-n": "one\ntwo", "-b": "onetwo", "-nb": "onetwo", "-N": "x\n", "-q": "x = one\nx = two\n",
	} {
		var out strings.Builder
		c := &command{tree: tree, stdout: &out, stderr: &out}
		require.NoError(t, c.parse([]string{args}))
		require.Zero(t, c.get("x"))
		require.Equal(t, want, out.String(), args)
	}
}

func TestEachRunHasItsOwnTree(t *testing.T) {
	var out strings.Builder
	require.Zero(t, run([]string{"kernel.msgmax=5"}, nil, &out, &out))
	require.Zero(t, run([]string{"kernel.msgmax"}, nil, &out, &out))
	require.Equal(t, "kernel.msgmax = 5\nkernel.msgmax = 8192\n", out.String())
}

func TestProgramExitsWithTheCode(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for arg, code := range map[string]int{"kernel.hostname": 0, "kernel.none": 1, "": 255} {
		cmd := exec.Command(self, arg)
		cmd.Env = append(os.Environ(), "SYSCTL_EXAMPLE_RUNS=1")
		_ = cmd.Run()
		require.Equal(t, code, cmd.ProcessState.ExitCode(), "%q", arg)
	}
}

// The test runs each line of the README that begins with a prompt. The output of
// the line stands below it.
func TestReadmeShowsWhatTheProgramDoes(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	t.Chdir("../..") // where a reader of the README is
	_, blocks, found := strings.Cut(string(readme), "```console\n")
	require.True(t, found)
	transcript, rest, _ := strings.Cut(blocks, "```")
	require.NotContains(t, rest, "```console")

	var got strings.Builder
	runs := 0
	for line := range strings.Lines(transcript) {
		if command, ok := strings.CutPrefix(line, "$ sysctl"); ok {
			runs++
			got.WriteString(line)
			if code := run(words(t, command), strings.NewReader(""), &got, &got); code != 0 {
				got.WriteString("exit status " + string(rune('0'+code)) + "\n")
			}
		}
	}
	require.GreaterOrEqual(t, runs, 8)
	require.Equal(t, got.String(), transcript)
}

// words splits a command at its blanks, as a shell does. It knows single quotes.
func words(t *testing.T, command string) (words []string) {
	for i, part := range strings.Split(command, "'") {
		switch {
		case i%2 == 1:
			words = append(words, part)
		default:
			require.False(t, i > 0 && !strings.HasPrefix(part, " ") && !strings.HasPrefix(part, "\n"), "a quote within a word")
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

func TestReadmeHasTheOptionsAndCodeThatIsThere(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, option := range []string{"-a", "-b", "-e", "-N", "-n", "-p", "-q", "-r", "-w"} {
		require.Contains(t, usage, "  "+option+",")
		require.Contains(t, string(readme), "`"+option+"`")
	}
	var code strings.Builder
	for _, name := range []string{"main.go", "show.go"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		code.Write(text)
	}
	rows := regexp.MustCompile("(?m)^\\| .* \\| `(.*)` \\|$").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, rows, 6)
	for _, row := range rows {
		require.Contains(t, code.String(), row[1])
	}
}
