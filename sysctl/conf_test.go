package sysctl_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// A note is a handler that keeps each write, byte for byte, and the order of them.
type note struct {
	book *book
	path string
	err  error // of every write
}

func (n *note) Read(*sysctl.Request, []byte) (int, error) { return 0, nil }

func (n *note) Write(r *sysctl.Request, p []byte) (int, error) {
	if n.err != nil {
		return 0, n.err
	}
	n.book.written = append(n.book.written, n.path+"="+string(p))
	r.Pos += int64(len(p))
	return len(p), nil
}

// A book is a tree of notes, and the list of the writes to them in order.
type book struct {
	sysctl.Tree
	written []string
}

func (b *book) add(t *testing.T, path string, mode fs.FileMode, err error) {
	dir, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i], path[i+1:]
	}
	_, e := b.Register(dir, sysctl.Entry{Name: name, Mode: mode, Handler: &note{b, path, err}})
	require.NoError(t, e)
}

var bookPaths = []string{
	"a", "kernel/hostname", "kernel/msgmax", "kernel/msgmni", "kernel/random/uuid",
	"net/ipv4/conf/all/x", "net/ipv4/conf/default/x", "net/ipv4/conf/eth0/x", "net/ipv4/conf/eth0.100/x", "net/ipv4/conf/lo/x",
	"net/ipv4/conf/lo/y",
}

func newBook(t *testing.T) *book {
	b := new(book)
	for _, path := range bookPaths {
		b.add(t, path, 0o644, nil)
	}
	b.add(t, "kernel/osrelease", 0o444, nil)
	b.add(t, "kernel/refuses", 0o644, syscall.EINVAL)
	b.add(t, "kernel/unknown", 0o644, syscall.ENOENT) // as the name of a congestion control may be
	return b
}

// bookEntries returns the error of a write to each entry of a new book.
func bookEntries() map[string]string {
	entries := map[string]string{
		"kernel/osrelease": "open kernel/osrelease: EACCES", "kernel/refuses": "write kernel/refuses: EINVAL", "kernel/unknown": "write kernel/unknown: ENOENT",
	}
	for _, path := range bookPaths {
		entries[path] = ""
	}
	return entries
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// failures are those that err joins.
func failures(t *testing.T, err error) []*sysctl.SettingError {
	if err == nil {
		return nil
	}
	var found []*sysctl.SettingError
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var s *sysctl.SettingError
		require.ErrorAs(t, e, &s)
		found = append(found, s)
	}
	return found
}

// brief says the same in the same words on all systems.
func brief(e *sysctl.SettingError) string {
	if errors.Is(e, sysctl.ErrSyntax) {
		return fmt.Sprintf("%d: syntax", e.Line)
	}
	names := map[error]string{
		syscall.EINVAL: "EINVAL", syscall.ENOENT: "ENOENT", syscall.EISDIR: "EISDIR", syscall.ENOTDIR: "ENOTDIR", syscall.EACCES: "EACCES",
	}
	err := e.Err.(*fs.PathError)
	return fmt.Sprintf("%d: %s %s: %s", e.Line, err.Op, err.Path, names[err.Err])
}

var linesOfAFile = map[string]struct {
	text string
	want []string // the writes
	errs []string
}{
	"nothing":                              {"", nil, nil},
	"a setting":                            {"kernel.hostname=x\n", []string{"kernel/hostname=x\n"}, nil},
	"no newline at the end":                {"kernel.hostname=x", []string{"kernel/hostname=x\n"}, nil},
	"a path for a key":                     {"kernel/hostname=x", []string{"kernel/hostname=x\n"}, nil},
	"a dot in a name":                      {"net.ipv4.conf.eth0/100.x=1\nnet/ipv4/conf/eth0.100/x=2", []string{"net/ipv4/conf/eth0.100/x=1\n", "net/ipv4/conf/eth0.100/x=2\n"}, nil},
	"repeated separators":                  {"/kernel//hostname=x\n..kernel.hostname=y", []string{"kernel/hostname=x\n", "kernel/hostname=y\n"}, nil},
	"blanks of all kinds":                  {" \t\v\f\r kernel.hostname \t= \v x \t\f\v\r\n", []string{"kernel/hostname=x\n"}, nil},
	"carriage returns":                     {"kernel.hostname=x\r\n\r\na=y\r\n", []string{"kernel/hostname=x\n", "a=y\n"}, nil},
	"a hard blank is no blank":             {"kernel.hostname=\u00a0x\u00a0", []string{"kernel/hostname=\u00a0x\u00a0\n"}, nil},
	"the first equals sign":                {"kernel.hostname=a=b", []string{"kernel/hostname=a=b\n"}, nil},
	"blanks within a value":                {"kernel.hostname = a  b\tc", []string{"kernel/hostname=a  b\tc\n"}, nil},
	"a text that looks like a comment":     {"kernel.hostname = x # y ; z", []string{"kernel/hostname=x # y ; z\n"}, nil},
	"quotes":                               {`kernel.hostname = "x"`, []string{"kernel/hostname=\"x\"\n"}, nil},
	"quotes after a colon":                 {"a := \" x \\n\\x00\"\nkernel.hostname:=\"\u00e4\\xff\" \n-kernel.none := \"x\"\n- a :=\"\"", []string{"a= x \n\x00\n", "kernel/hostname=\u00e4\xff\n", "a=\n"}, nil},
	"a colon without quotes":               {"a := x\na:='x'\n:=5\na:=\n-a:\na := `x`", nil, []string{"1: open a :: ENOENT", "2: open a:: ENOENT", "3: open :: ENOENT", "4: open a:: ENOENT", "6: open a :: ENOENT"}},
	"quotes that are malformed":            {"a := \"x\na := \"x\" y\na := \"\\q\"\na := \"\n:=\"x\"\n-a:=\"x", nil, []string{"1: syntax", "2: syntax", "3: syntax", "4: syntax", "5: syntax", "6: syntax"}},
	"a pattern and quotes":                 {"kernel.msgm?x := \"1\"\nkernel.msg[[:lower:]:=\"2\"\n", []string{"kernel/msgmax=1\n"}, []string{"2: syntax"}},
	"quotes without a newline":             {"a := \"x\ny\"", nil, []string{"1: syntax", "2: syntax"}},
	"an empty value":                       {"kernel.hostname=\nkernel.msgmax =  \n", []string{"kernel/hostname=\n", "kernel/msgmax=\n"}, nil},
	"comments":                             {"#kernel.hostname=x\n;kernel.hostname=x\n  # kernel.hostname=x\n\t; x\n", nil, nil},
	"lines of one character":               {"a\n=\n-\n   b   \n\n#\n;\n \n - \n-\r\n\xe4", nil, []string{"1: syntax", "2: syntax", "4: syntax"}},
	"a last line of one character":         {"a=1\n \tb", []string{"a=1\n"}, nil},
	"a last line of one equals sign":       {"=", nil, nil},
	"a last line of one, and a blank":      {"a=1\nb ", []string{"a=1\n"}, []string{"2: syntax"}},
	"a last line of one of two bytes":      {"a=1\n\u00e4", []string{"a=1\n"}, []string{"2: syntax"}},
	"a hyphen alone":                       {"-", nil, nil},
	"lines of two":                         {"a=\n", []string{"a=\n"}, nil},
	"blanks within a key":                  {"kernel . hostname = x", nil, []string{"1: open kernel / hostname: ENOENT"}},
	"no equals sign":                       {"kernel.hostname x\na=x\n", []string{"a=x\n"}, []string{"1: syntax"}},
	"no key":                               {"=x\na=x\n-=x\n - =", []string{"a=x\n"}, []string{"1: syntax", "3: syntax", "4: syntax"}},
	"the root":                             {"/=x\n//=x", nil, []string{"1: open : EISDIR", "2: open : EISDIR"}},
	"a directory":                          {"kernel=x", nil, []string{"1: open kernel: EISDIR"}},
	"below a file":                         {"kernel.hostname.x=x", nil, []string{"1: open kernel/hostname/x: ENOTDIR"}},
	"a separator after the key":            {"kernel.hostname.=x\nkernel/hostname//=x\nkernel.=x\na=x\n-kernel/hostname/\nkernel.host*=y", []string{"a=x\n", "kernel/hostname=y\n"}, []string{"1: open kernel/hostname/: ENOTDIR", "2: open kernel/hostname/: ENOTDIR", "3: open kernel/: EISDIR"}},
	"a separator after a pattern":          {"kernel.host*.=x\nkernel.*name/=x", nil, nil},
	"no such key":                          {"\n\nkernel.none=x", nil, []string{"3: open kernel/none: ENOENT"}},
	"a mode that forbids":                  {"kernel.osrelease=x", nil, []string{"1: open kernel/osrelease: EACCES"}},
	"a value that is refused":              {"kernel.refuses=x", nil, []string{"1: write kernel/refuses: EINVAL"}},
	"a hyphen":                             {"-kernel.hostname=x", []string{"kernel/hostname=x\n"}, nil},
	"a hyphen and blanks":                  {" - kernel.hostname=x", []string{"kernel/hostname=x\n"}, nil},
	"a hyphen hides a missing key":         {"-kernel.none=x", nil, nil},
	"a hyphen hides a mode":                {"-kernel.osrelease=x", nil, nil},
	"a hyphen hides a refusal":             {"-kernel.refuses=x\n-kernel.unknown=x\n-kernel=x\n-a.b=x", nil, nil},
	"a hyphen hides no other line":         {"-kernel.refuses=x\nkernel.refuses=y", nil, []string{"2: write kernel/refuses: EINVAL"}},
	"a second hyphen is dropped":           {"--kernel.hostname=x\n---kernel.hostname=y", []string{"kernel/hostname=x\n"}, nil},
	"a hyphen before the value":            {"kernel.msgmax=-1", []string{"kernel/msgmax=-1\n"}, nil},
	"a NUL":                                {"kernel.hostname\x00=x\nkernel.hostname=\x00\n-a\x00\n\x00\n#\x00\na=1", []string{"a=1\n"}, []string{"1: syntax", "2: syntax", "3: syntax", "4: syntax"}},
	"a byte order mark":                    {"\ufeffa=1\na=2\n\ufeffa=3", []string{"a=2\n"}, []string{"1: syntax", "3: open \ufeffa: ENOENT"}},
	"a byte order mark and a comment":      {"\ufeff# x\na=2", []string{"a=2\n"}, []string{"1: syntax"}},
	"the last of two for a key":            {"a=1\nkernel.msgmax=0\na=2", []string{"a=1\n", "kernel/msgmax=0\n", "a=2\n"}, nil},
	"an exclusion of a set key":            {"-a\na=1\n", []string{"a=1\n"}, nil},
	"an exclusion of nothing":              {"-kernel.none\n", nil, nil},
	"an exclusion by itself":               {"-kernel.hostname\n", nil, nil},
	"a pattern":                            {"kernel.msg*=1", []string{"kernel/msgmax=1\n", "kernel/msgmni=1\n"}, nil},
	"a pattern for a part":                 {"net.ipv4.conf.*.x=1", []string{"net/ipv4/conf/all/x=1\n", "net/ipv4/conf/default/x=1\n", "net/ipv4/conf/eth0.100/x=1\n", "net/ipv4/conf/eth0/x=1\n", "net/ipv4/conf/lo/x=1\n"}, nil},
	"a pattern with a slash":               {"net.ipv4.conf.*/100.x=1", []string{"net/ipv4/conf/eth0.100/x=1\n"}, nil},
	"a pattern that is a path":             {"net/ipv4/conf/*.100/x=1", []string{"net/ipv4/conf/eth0.100/x=1\n"}, nil},
	"a question mark":                      {"net.ipv4.conf.l?.x=1", []string{"net/ipv4/conf/lo/x=1\n"}, nil},
	"a class":                              {"kernel.msgm[a-f]x=1", []string{"kernel/msgmax=1\n"}, nil},
	"a class of others":                    {"kernel.msgm[!a]*=1\nkernel.msgm[^n]*=2", []string{"kernel/msgmni=1\n", "kernel/msgmax=2\n"}, nil},
	"a class that has a class's beginning": {"kernel.msgm[[!a]x=1\nkernel.msgm[[!]*=2\nkernel.msgm[!]x=3", []string{"kernel/msgmax=1\n"}, []string{"3: syntax"}},
	"a class with a range from its !":      {"net.ipv4.conf.eth[[!-9].x=1\nnet.ipv4.conf.eth[!!-9].x=2", []string{"net/ipv4/conf/eth0/x=1\n"}, nil},
	"a class is within a part":             {"kernel[!a]hostname=1\nkernel[/]hostname=1\nkernel[.]hostname=1\nkernel.msgma*=2", []string{"kernel/msgmax=2\n"}, []string{"2: syntax", "3: syntax"}},
	"an exclusion crosses slashes":         {"-net.ipv4.*\nnet.ipv4.conf.*.x=1\nkernel.msgma*=2", []string{"kernel/msgmax=2\n"}, nil},
	"an exclusion of everything":           {"-*\nnet.ipv4.conf.*.x=1\nkernel.msgma*=2\na=3", []string{"a=3\n"}, nil},
	"an exclusion by the end of a path":    {"-*.x\nnet.ipv4.conf.lo.?=1", []string{"net/ipv4/conf/lo/y=1\n"}, nil},
	"an exclusion of a name without a dir": {"-x\n-lo.x\n-msgmax\nkernel.msgma*=2", []string{"kernel/msgmax=2\n"}, nil},
	"an exclusion of a directory":          {"-kernel\n-net.ipv4.conf.lo\nkernel.msgma*=2\nnet.ipv4.conf.lo.*=1", []string{"kernel/msgmax=2\n", "net/ipv4/conf/lo/x=1\n", "net/ipv4/conf/lo/y=1\n"}, nil},
	"an excluded ? is a slash":             {"-kernel?msgmax\nkernel.msg*=2", []string{"kernel/msgmni=2\n"}, nil},
	"an excluded class is a slash":         {"-kernel[!a]msgmax\n-kernel/[!/]*[!/a]ni\nkernel.msg*=2", nil, nil},
	"an excluded class has a slash":        {"-net/ipv4/conf[/]lo[.-0]x\n-kernel[[:punct:]]msgmax\nkernel.msg*=2\nnet.ipv4.conf.lo.*=1", []string{"kernel/msgmni=2\n", "net/ipv4/conf/lo/y=1\n"}, nil},
	"an excluded class has no slash":       {"-net/ipv4/conf[!/]lo[0-9]x\n-kernel[[:cntrl:][:alnum:]]msgmax\nkernel.msgma*=2\nnet.ipv4.conf.lo.x*=1", []string{"kernel/msgmax=2\n", "net/ipv4/conf/lo/x=1\n"}, nil},
	"an excluded escape":                   {"-kernel\\/\\m*\\x\n-k*\\.msgmni\nkernel.msg*=2", nil, nil},
	"an excluded pattern is malformed":     {"-kernel[/\n-net.[.\n-k*\\\nkernel.msgma*=2", []string{"kernel/msgmax=2\n"}, []string{"1: syntax", "2: syntax", "3: syntax"}},
	"an exclusion with a slash before":     {"-/kernel/msgmax\nkernel.msg*=2", []string{"kernel/msgmni=2\n"}, nil},
	"a question mark is within a part":     {"kernel?hostname=1\nkernel*hostname=1", nil, nil},
	"a pattern without directories":        {"kernel.ran*=1", nil, nil},
	"a pattern that matches nothing":       {"kernel.zz*=1", nil, nil},
	"a pattern that is malformed":          {"kernel.[=1\nkernel.msg[max=1\na=1\n-kernel.[=1\n-kernel.[a-\nkernel.*.\\=1\nkernel.[[:low:]]*=1\nkernel.[a-[:blank:]]*=1\nkernel.[]=1\nkernel.[a-[:punct:]]*=1\nkernel.[[:punct:]-z]*=1", []string{"a=1\n"}, []string{"1: syntax", "2: syntax", "4: syntax", "5: syntax", "6: syntax", "7: syntax", "8: syntax", "9: syntax", "10: syntax", "11: syntax"}},
	"a backslash without a pattern":        {"kernel.hostname\\=1", nil, []string{"1: open kernel/hostname\\: ENOENT"}},
	"a class with a name":                  {"kernel.msgm[[:lower:]]x=1\nkernel.msgm[[:digit:][:upper:]m-o]i=2\n-net.ipv4.conf.eth[[:xdigit:]]/*.x\nnet.ipv4.conf.[![:punct:]d]*.x=3", []string{"kernel/msgmax=1\n", "kernel/msgmni=2\n", "net/ipv4/conf/all/x=3\n", "net/ipv4/conf/eth0/x=3\n", "net/ipv4/conf/lo/x=3\n"}, nil},
	"a class without the brackets around":  {"kernel.msgm[:lower:]x=1\nkernel.ms[:lg:]max=2", []string{"kernel/msgmax=2\n"}, nil},
	"a pattern that fails for one":         {"kernel.[ho]*s*=1", []string{"kernel/hostname=1\n"}, []string{"1: open kernel/osrelease: EACCES"}},
	"a pattern with a hyphen":              {"-kernel.[ho]*s*=1", []string{"kernel/hostname=1\n"}, nil},
	"two patterns for a key":               {"kernel.msg*=1\nkernel.*max=2", []string{"kernel/msgmax=1\n", "kernel/msgmni=1\n", "kernel/msgmax=2\n"}, nil},
	"a pattern and a key before it":        {"kernel.msgmax=2\nkernel.msg*=1", []string{"kernel/msgmax=2\n", "kernel/msgmni=1\n"}, nil},
	"a pattern and a key after it":         {"kernel.msg*=1\nkernel.msgmax=2", []string{"kernel/msgmni=1\n", "kernel/msgmax=2\n"}, nil},
	"a pattern and a key with a hyphen":    {"kernel.msg*=1\n-kernel.msgmax=2", []string{"kernel/msgmni=1\n", "kernel/msgmax=2\n"}, nil},
	"a pattern and a key in other words":   {"kernel.msg*=1\n/kernel/msgmax=2", []string{"kernel/msgmni=1\n", "kernel/msgmax=2\n"}, nil},
	"a pattern and a key that fails":       {"kernel.ref*=1\nkernel.refuses=2", nil, []string{"2: write kernel/refuses: EINVAL"}},
	"a pattern and an exclusion after it":  {"kernel.msg*=1\n-kernel.msgmax", []string{"kernel/msgmni=1\n"}, nil},
	"an exclusion before a pattern":        {"- kernel/msgmax \nkernel.msg*=1", []string{"kernel/msgmni=1\n"}, nil},
	"an excluded pattern":                  {"-net.ipv4.conf.eth*.x\nnet.ipv4.conf.*.x=1", []string{"net/ipv4/conf/all/x=1\n", "net/ipv4/conf/default/x=1\n", "net/ipv4/conf/lo/x=1\n"}, nil},
	"an excluded pattern and a key in it":  {"-kernel.msg*\nkernel.msgm*=1\nkernel.msgmni=2", []string{"kernel/msgmni=2\n"}, nil},
}

func TestLinesOfAFile(t *testing.T) {
	for name, c := range linesOfAFile {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			err := b.Load(sysctl.Root, fstest.MapFS{"f": file(c.text)}, "f")
			require.Equal(t, c.want, b.written)
			var errs []string
			for _, e := range failures(t, err) {
				require.Equal(t, "f", e.File)
				errs = append(errs, brief(e))
			}
			require.Equal(t, c.errs, errs)
		})
	}
}

func TestPatternSetsEntriesInTheOrderOfTheirPaths(t *testing.T) {
	for range 20 { // a map has no order
		b := newBook(t)
		require.NoError(t, b.Load(sysctl.Root, fstest.MapFS{"f": file("net.ipv4.conf.*.x=1")}, "f"))
		require.Len(t, b.written, 5)
		require.True(t, slices.IsSorted(b.written), "%q", b.written)
	}
}

func TestPatternIsNoNameOfAnEntry(t *testing.T) {
	b := new(book)
	b.add(t, "odd/a*", 0o644, nil)
	b.add(t, "odd/ab", 0o644, nil)
	require.NoError(t, b.Load(sysctl.Root, fstest.MapFS{"f": file("odd.a*=1")}, "f"))
	require.Equal(t, []string{"odd/a*=1\n", "odd/ab=1\n"}, b.written)
}

// An escaped bracket begins no class.
func TestEscapedBracketIsABracket(t *testing.T) {
	b := new(book)
	b.add(t, "odd/[!a]b", 0o644, nil)
	b.add(t, "odd/[^a]b", 0o644, nil)
	require.NoError(t, b.Load(sysctl.Root, fstest.MapFS{"f": file(`odd.\[!a]*=1`)}, "f"))
	require.Equal(t, []string{"odd/[!a]b=1\n"}, b.written)
}

// The handlers are real ones: an entry that refuses a setting keeps its value.
func TestBadSettingsAreReportedAndGoodOnesApplied(t *testing.T) {
	var tree sysctl.Tree
	var name sysctl.Var[string]
	var size, ttl sysctl.Var[int32]
	var rmem sysctl.Vec[int32]
	rmem.Store(4096, 131072, 6291456)
	size.Store(8192)
	ttl.Store(64)
	_, err := tree.Register("x",
		sysctl.Entry{Name: "name", Mode: 0o644, Handler: sysctl.DoString(&name, 16)},
		sysctl.Entry{Name: "size", Mode: 0o644, Handler: sysctl.DoIntVec(&size)},
		sysctl.Entry{Name: "ttl", Mode: 0o644, Handler: sysctl.DoIntVecMinMax(&ttl, 1, 255)},
		sysctl.Entry{Name: "rmem", Mode: 0o600, Handler: sysctl.Whole(&rmem, 1, 1<<30)})
	require.NoError(t, err)

	err = tree.Load(sysctl.Root, fstest.MapFS{
		"etc/a.conf": file("x.name = one\nx.ttl = 256\nx.size\nx.rmem = 1 2\n"),
		"etc/b.conf": file("x.size =\nx.none = 1\n\nx.size = 1\n"),
	}, "etc/a.conf", "etc/none.conf", "etc/b.conf")

	require.Equal(t, "one", name.Load())
	require.EqualValues(t, 1, size.Load())
	require.EqualValues(t, 64, ttl.Load())
	require.Equal(t, []int32{4096, 131072, 6291456}, rmem.Load())
	type row struct {
		file  string
		line  int
		key   string
		errno error
	}
	var rows []row
	for _, e := range failures(t, err) {
		var errno error
		for _, e2 := range []error{syscall.EINVAL, syscall.ENOENT, fs.ErrNotExist} {
			if errno == nil && errors.Is(e, e2) {
				errno = e2
			}
		}
		rows = append(rows, row{e.File, e.Line, e.Key, errno})
	}
	require.Equal(t, []row{
		{"etc/a.conf", 3, "", syscall.EINVAL}, // found when the files were read
		{"etc/none.conf", 0, "", fs.ErrNotExist},
		{"etc/a.conf", 2, "x.ttl", syscall.EINVAL},
		{"etc/a.conf", 4, "x.rmem", syscall.EINVAL},
		{"etc/b.conf", 1, "x.size", syscall.EINVAL},
		{"etc/b.conf", 2, "x.none", syscall.ENOENT},
	}, rows)
	require.ErrorIs(t, err, sysctl.ErrSyntax)
	require.ErrorIs(t, err, syscall.ENOENT)
	var first *sysctl.SettingError
	require.ErrorAs(t, err, &first)
	require.EqualError(t, first, `sysctl: etc/a.conf:3: "x.size": neither a setting nor an exclusion: `+sysctl.ErrSyntax.Error())
	require.ErrorContains(t, err, "\nsysctl: etc/none.conf: open etc/none.conf: file does not exist\n")
}

func TestSyntaxErrorsSayWhatIsWrong(t *testing.T) {
	err := newBook(t).Load(sysctl.Root, fstest.MapFS{"f": file("k\t x\n =5 \nk.[a-=7\n-k[")}, "f")
	for i, what := range []string{
		`f:1: "k\t x": neither a setting nor an exclusion: `, `f:2: "=5": no key: `, `f:3: "k.[a-=7": a malformed pattern: `, `f:4: "-k[": a malformed pattern: `,
	} {
		e := failures(t, err)[i]
		require.ErrorContains(t, e, what)
		require.ErrorIs(t, e, sysctl.ErrSyntax)
		require.ErrorIs(t, e, syscall.EINVAL)
	}
}

// Every byte that a name may have is in the classes that Go's regexp knows it in.
func TestClassesHaveTheirMembers(t *testing.T) {
	for _, class := range strings.Fields(modelNames) {
		in := regexp.MustCompile("[[:" + class + ":]]")
		var b book
		var want []string
		for c := byte(1); c < 0x80; c++ {
			if c == '/' || c == '=' || c == '\n' {
				continue // which no name has
			}
			b.add(t, "k/x"+string(c)+"y", 0o644, nil)
			if in.MatchString(string(c)) {
				want = append(want, "k/x"+string(c)+"y=1\n")
			}
		}
		require.NoError(t, b.Load(sysctl.Root, fstest.MapFS{"f": file("k/x[[:" + class + ":]]y=1")}, "f"))
		require.ElementsMatch(t, want, b.written, class)
	}
}

// Each name that Register takes can be set by a line of a file, and be read in a
// file system. The others are refused.
func TestEveryNameCanBeSetByAFileAndReadInAnFS(t *testing.T) {
	for c := range rune(0x180) {
		if c == '/' {
			continue // which parts a path
		}
		for _, name := range []string{string(c), "x" + string(c), string(c) + "x", "x" + string(c) + "x"} {
			for _, path := range []string{name, "d/" + name, name + "/f"} {
				b := new(book)
				dir, last := "", path
				if i := strings.IndexByte(path, '/'); i >= 0 {
					dir, last = path[:i], path[i+1:]
				}
				_, err := b.Register(dir, sysctl.Entry{Name: last, Mode: 0o644, Handler: &note{b, path, nil}})
				if err != nil {
					require.ErrorIs(t, err, sysctl.ErrName)
					require.True(t, strings.ContainsRune("\x00=.\n\t\v\f\r ", c), "%q is refused: %v", path, err)
					continue
				}
				key := "/" + strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
				if !strings.ContainsAny(path, "*?[") {
					key = "/" + path // no pattern, so nothing is escaped
				}
				require.NoError(t, b.Load(sysctl.Root, fstest.MapFS{"f": file(key + "=1\n")}, "f"), "%q", path)
				require.Equal(t, []string{path + "=1\n"}, b.written)
				_, err = fs.ReadFile(b.FS(sysctl.Nobody), path)
				require.NoError(t, err, "%q", path)
			}
		}
	}
}

// A long list is written piece by piece, also from a file.
func TestRefusedSettingKeepsWhatWasStoredBefore(t *testing.T) {
	var tree sysctl.Tree
	bits, pair := sysctl.NewBitmap(1<<16), new(sysctl.Vec[int32])
	pair.Store(1, 2)
	_, err := tree.Register("k",
		sysctl.Entry{Name: "bits", Mode: 0o644, Handler: sysctl.DoLargeBitmap(bits)},
		sysctl.Entry{Name: "pair", Mode: 0o644, Handler: sysctl.DoIntVec(pair)})
	require.NoError(t, err)
	bits.Set(9, 9)
	err = tree.Load(sysctl.Root, fstest.MapFS{"f": file("k.bits=" + longList(t) + "x\nk.pair=7 x")}, "f")
	require.Len(t, failures(t, err), 2)
	require.False(t, bits.Has(9))
	require.True(t, bits.Has(10))
	require.Equal(t, []int32{7, 2}, pair.Load())
}

func TestKeyOfASettingErrorHasDots(t *testing.T) {
	b := newBook(t)
	b.add(t, "net/eth0.1/x", 0o444, nil)
	err := b.Load(sysctl.Root, fstest.MapFS{"f": file("net/eth0.1/*=1\n/kernel//none=1")}, "f")
	errs := failures(t, err)
	require.Len(t, errs, 2)
	require.Equal(t, "net.eth0/1.x", errs[0].Key, "the entry that the pattern matched")
	require.Equal(t, "kernel.none", errs[1].Key)
}

func TestCredIsThatOfTheWrites(t *testing.T) {
	fsys := fstest.MapFS{"f": file("a=1")}
	b := newBook(t)
	require.ErrorIs(t, b.Load(sysctl.Nobody, fsys, "f"), syscall.EACCES)
	require.Empty(t, b.written)
	require.NoError(t, b.Load(sysctl.Root, fsys, "f"))
	require.Equal(t, []string{"a=1\n"}, b.written)
}

// The last line of the last file keeps the first pattern from its key.
func TestAllFilesAreReadBeforeTheFirstWrite(t *testing.T) {
	b := newBook(t)
	require.NoError(t, b.Load(sysctl.Root, fstest.MapFS{
		"1": file("kernel.msg*=1\na=1"),
		"2": file("a=2\n-kernel.msgmax"),
	}, "1", "2"))
	require.Equal(t, []string{"kernel/msgmni=1\n", "a=1\n", "a=2\n"}, b.written)
}

func TestFilesAreAppliedAsTheyAreNamed(t *testing.T) {
	fsys := fstest.MapFS{
		"d/1.conf": file("a=1"), "d/2.conf": file("a=2"), "d/3.txt": file("a=3"), "e[/4.conf": file("a=4"),
	}
	for name, c := range map[string]struct {
		files, want []string
		failed      string
	}{
		"no files":         {nil, nil, ""},
		"in their order":   {[]string{"d/2.conf", "d/1.conf"}, []string{"a=2\n", "a=1\n"}, ""},
		"twice":            {[]string{"d/1.conf", "d/1.conf"}, []string{"a=1\n", "a=1\n"}, ""},
		"a pattern":        {[]string{"d/*.conf"}, []string{"a=1\n", "a=2\n"}, ""},
		"a bracket":        {[]string{"e[/4.conf"}, []string{"a=4\n"}, ""},
		"none, one":        {[]string{"d/none", "d/1.conf"}, []string{"a=1\n"}, "d/none: open d/none"},
		"nothing, one":     {[]string{"f/*", "d/1.conf"}, []string{"a=1\n"}, "f/*: open f/*"},
		"a directory, one": {[]string{"d", "d/1.conf"}, []string{"a=1\n"}, "d: read d"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			err := b.Load(sysctl.Root, fsys, c.files...)
			require.Equal(t, c.want, b.written)
			if c.failed == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.failed)
			require.Zero(t, failures(t, err)[0].Line)
		})
	}
}

// A name as the shell has it is none of an fs.FS. The error says so.
func TestNameThatIsNoNameOfAnFSSaysSo(t *testing.T) {
	for _, err := range []error{
		newBook(t).Load(sysctl.Root, os.DirFS(t.TempDir()), "/etc/x.conf"),
		newBook(t).LoadDirs(sysctl.Root, os.DirFS(t.TempDir()), "/etc/x.conf"),
		newBook(t).LoadDirs(sysctl.Root, os.DirFS(t.TempDir()), "./etc"),
	} {
		require.ErrorContains(t, failures(t, err)[0], "names in an fs.FS have no slash at the beginning")
		require.ErrorIs(t, err, fs.ErrInvalid)
	}
}

// Characters that cannot be seen are quoted, and only then.
func TestTextOfASettingErrorCanBeSeen(t *testing.T) {
	err := newBook(t).Load(sysctl.Root, fstest.MapFS{"f": file("\ufeff# x\na=1\n\ufeffkernel.x=1\nkernel.\x1b[31m=1\nk\u00e4se=1\nkernel.\xff=1\n"), "\u200bg": file("b\n")}, "f", "\u200bg")
	var texts []string
	for _, e := range failures(t, err) {
		texts = append(texts, e.Error())
	}
	none := ": " + syscall.ENOENT.Error()
	require.Equal(t, []string{
		`sysctl: f:1: "\ufeff# x": a byte order mark: ` + sysctl.ErrSyntax.Error(),
		`sysctl: f:4: "kernel.\x1b[31m=1": a malformed pattern: ` + sysctl.ErrSyntax.Error(),
		`sysctl: "\u200bg":1: "b": neither a setting nor an exclusion: ` + sysctl.ErrSyntax.Error(),
		`sysctl: f:3: open "\ufeffkernel/x"` + none,
		`sysctl: f:5: open käse` + none,
		`sysctl: f:6: open "kernel/\xff"` + none,
	}, texts)
}

// longList is a list of more than 4095 bytes, from 10 on.
func longList(t *testing.T) string {
	var text strings.Builder
	for n := 10; n < 2300; n += 2 {
		fmt.Fprintf(&text, "%d,", n)
	}
	require.Greater(t, text.Len(), 4095-10)
	return text.String() + strings.Repeat("7,", 100)
}
