package picture

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	leastBars  = 16 // the least width of the bars
	widestName = 24 // the greatest width of the names before them
	widestStep = 3  // the greatest width of a step
	leastName  = 4  // a name that is cut keeps as many characters
)

// Text writes the lanes as lines of characters, at most width wide. If width is too small
// for the names and 16 columns, the lines are wider. The bar of a sleep has the name of its
// queue if there is room. The lines below the lanes explain the signs, and name the marks.
// They do not cut the names of marks. Text returns the error of w.
func (c *Chart) Text(w io.Writer, width int) error {
	l := c.layout()
	t := text{layout: l, width: width, names: l.widestName()}
	t.bars = int64(max(leastBars, width-t.names-len(" ||")))
	if l.steps { // as many columns for each
		steps := l.length / stepLength
		t.bars = min(t.bars, steps*min(widestStep, max(1, t.bars/steps)))
	}
	t.lanes()
	out := bufio.NewWriter(w)
	used := map[rune]bool{}
	for i, line := range t.lines {
		fmt.Fprintf(out, "%s |%s|\n", padded(l.rows[i].name, t.names), drawn(line, used))
	}
	for _, counter := range l.counters {
		fmt.Fprintf(out, "%s |%s|\n", padded(counter.name, t.names), drawn(t.values(counter), used))
	}
	t.legend(out, used)
	return out.Flush()
}

// widestName returns the width of the column of names.
func (l *layout) widestName() (n int) {
	for _, row := range l.rows {
		n = max(n, utf8.RuneCountInString(row.name))
	}
	for _, counter := range l.counters {
		n = max(n, utf8.RuneCountInString(counter.name))
	}
	return min(n, widestName)
}

// padded returns name, cut or filled to n characters.
func padded(name string, n int) string {
	name = cut(name, n)
	return name + strings.Repeat(" ", n-utf8.RuneCountInString(name))
}

// cut returns at most n characters of name. If some are cut off, the last is an
// ellipsis.
func cut(name string, n int) string {
	if utf8.RuneCountInString(name) <= n {
		return name
	}
	if n < 1 {
		return ""
	}
	return string([]rune(name)[:n-1]) + "…"
}

// A text is a chart of characters.
type text struct {
	*layout
	width int   // the width of a line
	names int   // the width of the names
	bars  int64 // the width of the bars
	lines [][]rune
}

// letter marks a letter of a name or a digit of a value, which is no sign: a name may have
// an x, and no thread ends there.
const letter = 1 << 30

// letters returns text as marked characters.
func letters(text string) []rune {
	marked := []rune(text)
	for i := range marked {
		marked[i] |= letter
	}
	return marked
}

// drawn returns a line without the marks, and adds its signs to used.
func drawn(line []rune, used map[rune]bool) string {
	text := make([]rune, len(line))
	for i, char := range line {
		text[i] = char &^ letter
		used[char] = true
	}
	return string(text)
}

// The characters of the lanes.
var glyphs = [...]rune{absent: ' ', running: '=', ready: '-', asleep: '.', deep: '#'}

// lanes draws all lanes, and then the events on them.
func (t *text) lanes() {
	for _, row := range t.rows {
		line := []rune(strings.Repeat(" ", int(t.bars)))
		for _, s := range row.spans {
			t.span(line, s)
		}
		t.lines = append(t.lines, line)
	}
	for _, e := range t.ends {
		t.put(e.x, e.to, 'x')
	}
	for _, s := range t.signals {
		t.put(s.x, s.from, '>')
		t.put(s.x, s.to, '*')
	}
	for _, a := range t.arrows {
		t.put(a.x, a.from, '^')
	}
	for _, n := range t.notes {
		t.put(n.x, n.lane, sign(n.text))
	}
	for _, a := range t.arrows {
		t.put(a.x, a.to, '!')
	}
}

// column returns the column of a place of the axis.
func (l *layout) column(x, columns int64) int64 {
	high, low := bits.Mul64(uint64(x), uint64(columns))
	column, _ := bits.Div64(high, low, uint64(l.length))
	return int64(column)
}

// span draws one. A span of less than a column is drawn unless another span has
// the column.
func (t *text) span(line []rune, s span) {
	from, to := t.column(s.from, t.bars), t.column(s.to, t.bars)
	if to == from && from < t.bars && line[from] == ' ' {
		to++
	}
	for i := from; i < to; i++ {
		line[i] = glyphs[s.state]
	}
	if room := int(to-from) - 2; s.state >= asleep && room >= leastName {
		copy(line[from+1:], letters(cut(s.name, room)))
	}
}

// put draws a character on a lane.
func (t *text) put(x int64, lane int, char rune) {
	if lane >= 0 {
		t.lines[lane][min(t.column(t.spot(x), t.bars), t.bars-1)] = char
	}
}

// signs are the characters of the notes. Notes beyond them share the last.
const signs = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ?"

func sign(text int) rune { return rune(signs[min(text, len(signs)-1)]) }

// values draws a counter: each value where it begins, or + if it has no room.
func (t *text) values(c counter) []rune {
	line := []rune(strings.Repeat(" ", int(t.bars)))
	for i, x := range c.x {
		at, end := t.column(x, t.bars), t.bars
		if i+1 < len(c.x) {
			end = t.column(c.x[i+1], t.bars)
		}
		digits := letters(strconv.FormatInt(c.v[i], 10))
		if int64(len(digits)) > end-at {
			digits = []rune("+")
		}
		if at < t.bars {
			copy(line[at:], digits)
		}
	}
	return line
}

// meanings explain the signs.
var meanings = []string{
	"= runs", "- can run", ". sleeps (S)", "# sleeps (D)", "! is woken", "^ wakes", "> sends a signal", "* gets a signal", "x ends", "? another mark",
	"+ a value without room",
}

// legend writes the axis, and explains the signs that are used.
func (t *text) legend(out io.Writer, used map[rune]bool) {
	indent := strings.Repeat(" ", t.names+2)
	fmt.Fprintf(out, "%s0%*s", indent, t.bars-1, " "+t.extent())
	room := 0
	for _, meaning := range meanings {
		if !used[rune(meaning[0])] {
			continue
		}
		before := "  "
		if room < len(before)+len(meaning) {
			before, room = "\n"+indent, t.width-t.names
		}
		fmt.Fprint(out, before, meaning)
		room -= len("  ") + len(meaning)
	}
	fmt.Fprintln(out)
	for i, text := range t.texts {
		if i < len(signs)-1 {
			fmt.Fprintf(out, "%s%c %s\n", indent, sign(i), text)
		}
	}
}

// extent returns the time or the number of the steps.
func (l *layout) extent() string {
	if l.steps {
		return fmt.Sprintf("%d steps", l.known/stepLength)
	}
	return duration(time.Duration(l.known))
}

// duration returns d with one decimal, in the unit that suits it.
func duration(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", d)
	case d < time.Millisecond:
		return fmt.Sprintf("%.1fus", float64(d)/float64(time.Microsecond))
	case d < time.Second:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
