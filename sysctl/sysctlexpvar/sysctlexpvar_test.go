package sysctlexpvar_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/sysctlexpvar"
)

// shown returns the JSON of a tree with one entry for each handler.
func shown(t *testing.T, handlers map[string]sysctl.Handler) map[string]any {
	var tree sysctl.Tree
	for name, h := range handlers {
		_, err := tree.Register("", sysctl.Entry{Name: name, Mode: 0o444, Handler: h})
		require.NoError(t, err)
	}
	var values map[string]any
	require.NoError(t, json.Unmarshal([]byte(sysctlexpvar.Func(&tree, sysctl.Nobody).String()), &values))
	return values
}

// A percent has a text of its own.
type percent int

func (p percent) String() string { return "%" }

type wrapper struct{ sysctl.Handler }

func TestEachTypeHasOneTypeInJSON(t *testing.T) {
	var count sysctl.Var[int32]
	count.Store(-7)
	var text sysctl.Var[string]
	text.Store("7")
	var three, one sysctl.Vec[int32]
	three.Store(0, 0, 0)
	one.Store(5)
	require.Equal(t, map[string]any{
		"int": 5., "float": 2.5, "bool": true, "map": map[string]any{"a": 1.}, "pointer": nil,
		"NaN": "NaN", "string": "5", "bytes": "5", "list": "5", "size": "5", "duration": "0s", "level": "INFO",
		"format": "5", "stringer": 5., "kernel int": -7., "kernel string": "7", "vector": "0\t0\t0", "kernel vector": "5", "kernel bool": 0., "kernel uint": 5., "strict": 1.,
		"func": "5", "wrapped": "5",
	}, shown(t, map[string]sysctl.Handler{
		"int":           sysctl.NewVar(5),
		"float":         sysctl.NewVar(2.5),
		"bool":          sysctl.NewVar(true),
		"map":           sysctl.NewVar(map[string]int{"a": 1}),
		"pointer":       new(sysctl.Var[*int]),
		"NaN":           sysctl.NewVar(math.NaN()),
		"string":        sysctl.NewVar("5"),
		"bytes":         sysctl.NewVar([]byte("5")),
		"list":          sysctl.NewVar([]int{5}),
		"size":          sysctl.NewVar(sysctl.Bytes(5)),
		"duration":      sysctl.NewVar(time.Duration(0)),
		"level":         sysctl.NewVar(slog.LevelInfo),
		"format":        &sysctl.Var[int]{Format: func(int) string { return "5" }},
		"stringer":      sysctl.NewVar(percent(5)),
		"kernel int":    sysctl.DoIntVec(&count),
		"kernel string": sysctl.DoString(&text, 8),
		"vector":        &three,
		"kernel vector": sysctl.DoIntVec(&one),
		"kernel bool":   sysctl.DoBool(new(sysctl.Var[bool])),
		"kernel uint":   sysctl.DoUint(sysctl.NewVar(uint32(5))),
		"strict":        sysctl.DoWritesStrict(new(sysctl.Tree)),
		"func":          sysctl.Func(func() string { return "5" }),
		"wrapped":       wrapper{sysctl.NewVar(5)},
	}))
}

type failing struct{}

func (failing) Read(*sysctl.Request, []byte) (int, error)  { return 0, errors.New("no") }
func (failing) Write(*sysctl.Request, []byte) (int, error) { return 0, errors.New("no") }

func TestOnlyWhatTheCredMayRead(t *testing.T) {
	var tree sysctl.Tree
	require.Equal(t, "{}", sysctlexpvar.Func(&tree, sysctl.Root).String(), "an empty tree")
	register := func(dir string, entries ...sysctl.Entry) {
		_, err := tree.Register(dir, entries...)
		require.NoError(t, err)
	}
	register("", sysctl.Entry{Name: "top", Mode: 0o444, Handler: sysctl.NewVar(1)})
	register("a/b",
		sysctl.Entry{Name: "open", Mode: 0o644, Handler: sysctl.NewVar(2)},
		sysctl.Entry{Name: "secret", Mode: 0o600, Handler: sysctl.NewVar(3)},
		sysctl.Entry{Name: "flush", Mode: 0o222, Handler: sysctl.NewVar(4)},
		sysctl.Entry{Name: "fails", Mode: 0o444, Handler: failing{}},
	)
	register("hidden", sysctl.Entry{Name: "x", Mode: 0o600, Handler: sysctl.NewVar("</script>")})
	register("empty")
	require.Equal(t, `{"a":{"b":{"open":2}},"top":1}`, sysctlexpvar.Func(&tree, sysctl.Nobody).String())
	require.Equal(t, `{"a":{"b":{"open":2,"secret":3}},"hidden":{"x":"\u003c/script\u003e"},"top":1}`,
		sysctlexpvar.Func(&tree, sysctl.Root).String())
	require.NoError(t, tree.WriteFile(sysctl.Root, "a/b/open", []byte("5")))
	require.Contains(t, sysctlexpvar.Func(&tree, sysctl.Nobody).String(), `"open":5`, "it is read at each call")
}

// A name is a file now and a directory then, while readers walk.
func TestWhileNamesComeAndGo(t *testing.T) {
	var tree sysctl.Tree
	var comers, readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for view := sysctlexpvar.Func(&tree, sysctl.Nobody); ; {
				require.True(t, json.Valid([]byte(view.String())))
				select {
				case <-done:
					return
				default:
					runtime.Gosched() // js has no preemption
				}
			}
		})
	}
	comers.Go(func() {
		for range 500 {
			for _, dir := range []string{"", "x"} {
				h, err := tree.Register(dir, sysctl.Entry{Name: "x", Mode: 0o444, Handler: sysctl.NewVar(1)})
				require.NoError(t, err)
				h.Unregister()
			}
		}
	})
	comers.Wait()
	close(done)
	readers.Wait()
}
