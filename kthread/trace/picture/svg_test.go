package picture_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread/trace/picture"
)

func svg(t testing.TB, chart *picture.Chart) string {
	var out bytes.Buffer
	require.NoError(t, chart.SVG(&out))
	return out.String()
}

// safe reads an image as XML. It returns the text of the image, and fails if a
// browser could run or load anything because of the image.
func safe(t testing.TB, image string) (text string) {
	var out strings.Builder
	known := map[string]bool{
		"svg": true, "title": true, "style": true, "rect": true, "line": true,
		"path": true, "circle": true, "text": true,
	}
	d := xml.NewDecoder(strings.NewReader(image))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			if !known[token.Name.Local] {
				t.Fatalf("element %s", token.Name.Local)
			}
			for _, a := range token.Attr {
				if active.MatchString(a.Name.Local) {
					t.Fatalf("attribute %s", a.Name.Local)
				}
			}
		case xml.CharData:
			out.Write(token)
		case xml.EndElement:
		default:
			t.Fatalf("%T in the image", token)
		}
	}
	require.NotContains(t, texts.ReplaceAllString(image, ""), "url(")
	return out.String()
}

var (
	active = regexp.MustCompile("^(on.*|href|src|style)$")
	texts  = regexp.MustCompile("<text[^>]*>[^<]*")
)

func TestNamesAreEscaped(t *testing.T) {
	names := `<script>alert(1)</script>&"'`
	image := svg(t, parse(t, in("x", 7, 0)+out("x", 7, 1, "S")+line("y", 8, 900, "tracing_mark_write: I|1|"+names)+
		wake("<w>&", 1, 900, "x", 7, names)))
	text := safe(t, image)
	require.Contains(t, text, names)
	require.Contains(t, text, "<w>&")
	require.NotContains(t, image, "<script")
}

// A colour is said twice: for readers of CSS, and for programs without it.
func TestColours(t *testing.T) {
	image := svg(t, parse(t, pingPong))
	require.Contains(t, image, "@media (prefers-color-scheme: dark) {")
	for _, tag := range regexp.MustCompile(`<(?:rect|circle|text|line|path) [^>]*>`).FindAllString(image, -1) {
		class := regexp.MustCompile(`class="([a-z]+)(-line)?`).FindStringSubmatch(tag)
		colour := regexp.MustCompile(` (?:fill|stroke)="(#[0-9a-f]{6})"`).FindStringSubmatch(tag)
		require.NotNil(t, class, tag)
		require.NotNil(t, colour, tag)
		require.Contains(t, image, "--"+class[1]+": "+colour[1]+";", "of the light scheme")
		require.Equal(t, 2, strings.Count(image, "--"+class[1]+": #"), "one for each scheme")
	}
}

// Elements stay inside of the image.
func TestElementsAreInside(t *testing.T) {
	for _, steps := range []bool{false, true} {
		chart := parse(t, pingPong)
		chart.Steps = steps
		for _, m := range regexp.MustCompile(`<rect [^>]* x="([\d.-]+)" y="[\d.]+" width="([\d.-]+)"`).FindAllStringSubmatch(svg(t, chart), -1) {
			var x, width float64
			_, err := fmt.Sscan(m[1]+" "+m[2], &x, &width)
			require.NoError(t, err)
			require.GreaterOrEqual(t, x, 0.0)
			require.Positive(t, width)
			require.LessOrEqual(t, x+width, 800.0)
		}
	}
}

// A long trace makes an image whose size depends on its pixels. The size does not
// depend on the number of events.
func TestLongTrace(t *testing.T) {
	var text strings.Builder
	for us := 0; us < 900_000; us += 100 {
		text.WriteString(out("ping", 1, us, "S"))
		text.WriteString(wake("pong", 2, us+10, "ping", 1, "table"))
		text.WriteString(in("ping", 1, us+20))
		text.WriteString(line("pong", 2, us+30, fmt.Sprintf("tracing_mark_write: I|1|round %d", us)))
	}
	image := svg(t, parse(t, text.String()))
	require.Less(t, len(image), 1<<20)
	safe(t, image)
}

func TestWriterThatFails(t *testing.T) {
	chart := parse(t, pingPong)
	require.ErrorIs(t, chart.SVG(brokenWriter{}), errBroken)
	require.ErrorIs(t, chart.Text(brokenWriter{}, 80), errBroken)
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// Drawing changes nothing, so goroutines may share a chart, and each picture is the
// same as the first.
func TestDrawingIsRepeatable(t *testing.T) {
	chart := parse(t, pingPong)
	want := svg(t, chart)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var text bytes.Buffer
			if err := chart.Text(&text, 60); err != nil {
				t.Error(err)
			}
			if got := svg(t, chart); got != want {
				t.Error("another picture")
			}
		})
	}
	all.Wait()
}

// Any text gives an error, or pictures that are well formed.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/herd.ftrace", "testdata/exclusive.ftrace"} {
		text, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(string(text), 80, true)
	}
	f.Add(pingPong, 1, false)
	f.Add(line("a", 1, 0, "tracing_mark_write: C|1|x|9"), -5, true)
	f.Fuzz(func(t *testing.T, text string, width int, steps bool) {
		chart, err := picture.Parse(strings.NewReader(text))
		if err != nil {
			require.Nil(t, chart)
			return
		}
		width %= 300
		chart.Steps = steps
		var out bytes.Buffer
		require.NoError(t, chart.Text(&out, width))
		require.True(t, utf8.Valid(out.Bytes()))
		for row := range strings.Lines(out.String()) {
			if strings.HasSuffix(row, "|\n") { // a name, a space, and bars
				require.LessOrEqual(t, utf8.RuneCountInString(row)-1, max(width, 24+3+16))
			}
		}
		safe(t, svg(t, chart))
	})
}

// places returns the places of the elements that fit, which has one group.
func places(t testing.TB, image, element string) (x []float64) {
	for _, m := range regexp.MustCompile(element).FindAllStringSubmatch(image, -1) {
		var place float64
		_, err := fmt.Sscan(m[1], &place)
		require.NoError(t, err)
		x = append(x, place)
	}
	return x
}

// A disc does not hide another one of the same text. One of another text may touch it.
func TestDiscsOfAText(t *testing.T) {
	text := in("a", 1, 0)
	for us := range 1000 {
		text += line("a", 1, us, "tracing_mark_write: I|1|tick")
	}
	text += line("a", 1, 999, "tracing_mark_write: I|1|tock")
	discs := places(t, svg(t, parse(t, text)), `<circle [^>]* cx="([\d.]+)" cy="25.0" r="6.5"`)
	require.Greater(t, len(discs), 40)
	for i := range len(discs) - 2 {
		require.GreaterOrEqual(t, discs[i+1]-discs[i], 13.0)
	}
	require.InDelta(t, 790, discs[len(discs)-1], 1, "of the other text")
}

// The name of a sleep does not begin under a disc.
func TestNameBesideADisc(t *testing.T) {
	image := svg(t, parse(t, in("a", 1, 0)+line("a", 1, 500, "tracing_mark_write: I|1|now")+out("a", 1, 501, "S")+
		wake("b", 2, 1000, "a", 1, "door")))
	disc := places(t, image, `<circle [^>]* cx="([\d.]+)" cy="25.0" r="6.5"`)
	name := places(t, image, ` x="([\d.]+)"[^>]*>door<`)
	require.Greater(t, name[0], disc[0]+6.5)
}

// The greatest value of a counter is below its name, where no line hides it.
func TestGreatestValue(t *testing.T) {
	image := svg(t, parse(t, in("a", 1, 0)+line("a", 1, 5, "tracing_mark_write: C|1|n|1234567")+line("a", 1, 9, "print: x")))
	require.Equal(t, []float64{10}, places(t, image, ` x="([\d.]+)"[^>]*>max 1234567<`))
	for _, x := range places(t, image, `<rect class="runs" [^>]* x="([\d.]+)"`) {
		require.Greater(t, x, 10+6.9*float64(len("max 1234567")))
	}
	for _, n := range []string{"0", "-7"} {
		require.Contains(t, svg(t, parse(t, line("a", 1, 5, "tracing_mark_write: C|1|n|"+n))), ">max "+n+"<")
	}
}

// The sign of an end can be seen on a bar that runs, and also on one that sleeps, if the run at
// the end is too short.
func TestColourOfAnEnd(t *testing.T) {
	ends := func(runs int) string {
		return svg(t, parse(t, in("a", 1, 0)+out("a", 1, 1, "S")+in("a", 1, 1000-runs)+out("a", 1, 1000, "X")))
	}
	require.Regexp(t, `<text class="paper"[^>]*>×</text>`, ends(500))
	require.Regexp(t, `<text class="ink"[^>]*>×</text>`, ends(1))
}
