package picture

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// The measures of the image, in tenths of a pixel.
const (
	imageWidth  = 8000
	margin      = 100
	laneHeight  = 300
	barHeight   = 180
	sliceHeight = 140
	lineHeight  = 180
	charWidth   = 69 // of the font of 11 pixels
	discRadius  = 65
)

// SVG writes the lanes as one SVG image, 800 pixels wide. The image needs no other
// file and has no script. It has a background of its own, and follows the colour
// scheme of the reader where CSS is supported. SVG returns the error of w.
func (c *Chart) SVG(w io.Writer) error {
	l := c.layout()
	d := drawing{layout: l, out: bufio.NewWriter(w)}
	names := l.widestName()
	for _, c := range l.counters {
		names = max(names, len(c.most()))
	}
	d.left = margin*2 + int64(names)*charWidth
	d.right = imageWidth - margin
	y := int64(margin)
	for _, row := range l.rows {
		d.tops = append(d.tops, y)
		y += height(row)
	}
	d.bottom = y + int64(len(l.counters))*laneHeight
	d.height = d.bottom + lineHeight*int64(2+min(len(l.texts), len(signs))) + margin
	d.discs = d.shown()
	d.head()
	d.lanes()
	d.values(y)
	d.events()
	d.legend()
	fmt.Fprintln(d.out, "</svg>")
	return d.out.Flush()
}

// height returns the height of a row. A row with slices shows them below the bars.
func height(r row) int64 {
	if len(r.slices) > 0 {
		return laneHeight + sliceHeight
	}
	return laneHeight
}

// A drawing is an image that is being written. bufio keeps its first error.
type drawing struct {
	*layout
	out            *bufio.Writer
	discs          map[int][]note // by lane; their places are in the image
	left, right    int64          // of the bars
	tops           []int64        // of the rows
	bottom, height int64          // of the rows and counters, and of the image
}

// A paint is a class of elements and its colours: of the light scheme, which is
// also the colour without CSS, and of the dark one.
type paint struct{ class, light, dark string }

var paints = []paint{
	{"paper", "#ffffff", "#0d1117"},
	{"ink", "#1f2328", "#e6edf3"},
	{"grid", "#d0d7de", "#3d444d"},
	{"runs", "#1a7f37", "#3fb950"},
	{"ready", "#d4a72c", "#bb8009"},
	{"asleep", "#cfe3ff", "#1f4173"},
	{"deep", "#ffc9c4", "#7d2320"},
	{"slice", "#e7dcfb", "#46307a"},
	{"wake", "#8250df", "#d2a8ff"},
	{"signal", "#cf222e", "#ff7b72"},
}

// colour returns the light colour of a class.
func colour(class string) string {
	for _, p := range paints {
		if p.class == class {
			return p.light
		}
	}
	panic("picture: no colour for " + class)
}

// classes are the colours of the spans.
var classes = [...]string{running: "runs", ready: "ready", asleep: "asleep", deep: "deep"}

// head begins the image. Its style also works inside of a page that has other
// images of this package.
func (d *drawing) head() {
	fmt.Fprintf(d.out, `<svg xmlns="http://www.w3.org/2000/svg" class="ktrace" width="%s" height="%[2]s" viewBox="0 0 %[1]s %[2]s" role="img" font-family="monospace" font-size="11">`+"\n",
		px(imageWidth), px(d.height))
	fmt.Fprintf(d.out, "<title>Threads, their sleeps and wake-ups, in %s</title>\n<style>\n", d.extent())
	d.scheme(func(p paint) string { return p.light })
	fmt.Fprintln(d.out, "@media (prefers-color-scheme: dark) {")
	d.scheme(func(p paint) string { return p.dark })
	fmt.Fprintln(d.out, "}")
	for _, p := range paints {
		fmt.Fprintf(d.out, ".ktrace .%s { fill: var(--%[1]s) }\n.ktrace .%[1]s-line { stroke: var(--%[1]s) }\n", p.class)
	}
	fmt.Fprintln(d.out, "</style>")
	d.rect("paper", 0, 0, imageWidth, d.height)
}

// scheme writes the colours of one scheme.
func (d *drawing) scheme(colour func(paint) string) {
	fmt.Fprint(d.out, ".ktrace {")
	for _, p := range paints {
		fmt.Fprintf(d.out, " --%s: %s;", p.class, colour(p))
	}
	fmt.Fprintln(d.out, " }")
}

// px returns tenths of a pixel as text.
func px(tenths int64) string { return fmt.Sprintf("%d.%d", tenths/10, tenths%10) }

// at returns the place in the image of a place of the axis.
func (d *drawing) at(x int64) int64 { return d.left + d.column(x, d.right-d.left) }

// point is at for an event that has no length.
func (d *drawing) point(x int64) int64 { return d.at(d.spot(x)) }

// middle returns the height of the bars of a lane.
func (d *drawing) middle(lane int) int64 { return d.tops[lane] + laneHeight/2 }

func (d *drawing) rect(class string, x, y, width, height int64) {
	fmt.Fprintf(d.out, `<rect class="%s" fill="%s" x="%s" y="%s" width="%s" height="%s"/>`+"\n",
		class, colour(class), px(x), px(y), px(width), px(height))
}

func (d *drawing) line(class string, x1, y1, x2, y2 int64) {
	fmt.Fprintf(d.out, `<line class="%s-line" stroke="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`+"\n",
		class, colour(class), px(x1), px(y1), px(x2), px(y2))
}

// text writes text whose middle is at the height y. Text without a character is
// left out.
func (d *drawing) text(class, anchor string, x, y int64, text string) {
	if text == "" {
		return
	}
	fmt.Fprintf(d.out, `<text class="%s" fill="%s" text-anchor="%s" x="%s" y="%s">`,
		class, colour(class), anchor, px(x), px(y+38))
	_ = xml.EscapeText(d.out, []byte(text)) // the error stays in d.out
	fmt.Fprintln(d.out, "</text>")
}

// lanes draws the names, the spans and the slices.
func (d *drawing) lanes() {
	for i, row := range d.rows {
		y := d.middle(i)
		d.text("ink", "start", margin, y, cut(row.name, widestName))
		d.line("grid", d.left, y, d.right, y)
		spans := visible(d, row.spans)
		for _, s := range spans {
			if s.state >= asleep {
				d.span(i, s)
			}
		}
		for _, s := range spans { // above the sleeps, which would hide a short run
			if s.state < asleep {
				d.span(i, s)
			}
		}
		for _, s := range visible(d, row.slices) {
			d.bar("slice", s, y+barHeight/2+10, sliceHeight-10, d.at(s.from)+40)
		}
	}
}

// visible leaves out a span that has less than a pixel, if there is another of
// its kind in the same pixel. So a long trace makes no large image.
func visible(d *drawing, spans []span) (drawn []span) {
	last := map[state]int64{}
	for _, s := range spans {
		from, to := d.at(s.from)/10, d.at(s.to)/10
		if seen, ok := last[s.state]; ok && from == to && seen == from {
			continue
		}
		last[s.state] = from
		drawn = append(drawn, s)
	}
	return drawn
}

// span draws one. A thread that can run has a thinner bar than one that runs.
func (d *drawing) span(lane int, s span) {
	height := int64(barHeight)
	if s.state == ready {
		height /= 3
	}
	d.bar(classes[s.state], s, d.middle(lane)-height/2, height, d.besideDiscs(lane, d.at(s.from)+40))
}

// besideDiscs returns the place of a name that begins at x, or behind the disc that would hide
// its beginning.
func (d *drawing) besideDiscs(lane int, x int64) int64 {
	for _, disc := range d.discs[lane] {
		if disc.x-discRadius < x+charWidth && x < disc.x+discRadius {
			x = disc.x + discRadius + 15
		}
	}
	return x
}

// bar draws a span. Its name begins at the place name, and is cut to fit.
func (d *drawing) bar(class string, s span, y, height, name int64) {
	x := d.at(s.from)
	width := max(d.at(s.to)-x, 10)
	d.rect(class, x, y, width, height)
	if room := int((x + width - 20 - name) / charWidth); room >= 2 {
		d.text("ink", "start", name, y+height/2, cut(s.name, room))
	}
}

// most returns the greatest value as text.
func (c *counter) most() string { return fmt.Sprintf("max %d", slices.Max(c.v)) }

// values draws the counters as steps, from y on, each with its greatest value. A value below
// 0 is drawn as 0.
func (d *drawing) values(y int64) {
	for _, c := range d.counters {
		top := max(1, slices.Max(c.v))
		base := y + laneHeight - 50
		d.text("ink", "start", margin, y+laneHeight/2-60, cut(c.name, widestName))
		d.text("ink", "start", margin, y+laneHeight/2+60, c.most())
		fmt.Fprintf(d.out, `<path class="wake-line" stroke="%s" fill="none" d="M%s %s`, colour("wake"), px(d.at(c.x[0])), px(base))
		for i, v := range c.v {
			level := base - int64(float64(barHeight)*(float64(max(v, 0))/float64(top)))
			fmt.Fprintf(d.out, " H%s V%s", px(d.at(c.x[i])), px(level))
		}
		fmt.Fprintf(d.out, ` H%s"/>`+"\n", px(d.right))
		y += laneHeight
	}
}

// events draws the wake-ups, the signals and the notes.
func (d *drawing) events() {
	d.arrowsOf("wake", d.arrows)
	d.arrowsOf("signal", d.signals)
	for _, e := range d.ends {
		x := d.point(e.x) - d.endShift()
		d.text(d.colourOn(e.to, x), "middle", x, d.middle(e.to), "×")
	}
	for lane := range d.rows {
		for _, n := range d.discs[lane] {
			d.disc(n.x, d.middle(lane), n.text)
		}
	}
}

// colourOn returns the class of a sign at x. A bar that runs is dark on a light image, and light
// on a dark one.
func (d *drawing) colourOn(lane int, x int64) string {
	for _, s := range d.rows[lane].spans {
		if s.state == running && d.at(s.from) <= x && x < d.at(s.to) {
			return "paper"
		}
	}
	return "ink"
}

// shown returns the discs that are drawn. A disc that would touch one of the same text is left
// out.
func (d *drawing) shown() map[int][]note {
	discs := map[int][]note{}
	for _, n := range d.notes {
		n.x = d.point(n.x)
		least := int64(40)
		if of := discs[n.lane]; len(of) > 0 {
			before := of[len(of)-1]
			if before.text == n.text {
				least = 2*discRadius + 5
			}
			if n.x-before.x < least {
				continue
			}
		}
		discs[n.lane] = append(discs[n.lane], n)
	}
	return discs
}

// endShift keeps the sign of an end inside the bar, which is before it on an axis of time.
func (d *drawing) endShift() int64 {
	if d.steps {
		return 0
	}
	return 45
}

// disc draws a note: its sign, with a circle around it.
func (d *drawing) disc(x, y int64, text int) {
	fmt.Fprintf(d.out, `<circle class="paper ink-line" fill="%s" stroke="%s" cx="%s" cy="%s" r="%s"/>`+"\n",
		colour("paper"), colour("ink"), px(x), px(y), px(discRadius))
	d.text("ink", "middle", x, y, string(sign(text)))
}

// arrowsOf draws arrows. One arrow stands for all that would hide behind it.
func (d *drawing) arrowsOf(class string, arrows []arrow) {
	type place struct {
		x        int64
		from, to int
	}
	seen := map[place]bool{}
	for _, a := range arrows {
		x := d.point(a.x)
		if p := (place{x / 10, a.from, a.to}); !seen[p] {
			seen[p] = true
			d.arrow(class, x, a)
		}
	}
}

// arrow draws one, from the middle of a lane to the nearer edge of the other. An
// arrow of no lane comes from above.
func (d *drawing) arrow(class string, x int64, a arrow) {
	to := d.middle(a.to)
	from := to - laneHeight/2
	down := int64(1)
	if a.from >= 0 {
		from = d.middle(a.from)
		fmt.Fprintf(d.out, `<circle class="%s" fill="%s" cx="%s" cy="%s" r="2.5"/>`+"\n", class, colour(class), px(x), px(from))
	}
	if from > to {
		down = -1
	}
	tip := to - down*barHeight/2
	if a.from < 0 {
		tip = to - 20
	}
	d.line(class, x, from, x, tip-down*50)
	fmt.Fprintf(d.out, `<path class="%s" fill="%s" d="M%s %s L%s %s L%s %s Z"/>`+"\n", class, colour(class),
		px(x), px(tip), px(x-30), px(tip-down*60), px(x+30), px(tip-down*60))
}

// legend draws the axis, and explains the colours and the notes below it.
func (d *drawing) legend() {
	y := d.bottom + lineHeight/2
	d.line("grid", d.left, d.bottom, d.right, d.bottom)
	d.text("ink", "start", d.left, y, "0")
	d.text("ink", "end", d.right, y, d.extent())
	y += lineHeight
	x := d.left
	for _, entry := range d.used() {
		class, words, _ := strings.Cut(entry, " ")
		d.rect(class, x, y-45, 90, 90)
		d.text("ink", "start", x+130, y, words)
		x += 130 + int64(utf8.RuneCountInString(words)+2)*charWidth
	}
	if len(d.ends) > 0 {
		d.text("ink", "start", x, y, "× ends")
	}
	for i, text := range d.texts[:min(len(d.texts), len(signs))] {
		if i == len(signs)-1 { // all further ones share the sign
			text = "another mark"
		}
		y += lineHeight
		d.disc(d.left+65, y, i)
		d.text("ink", "start", d.left+180, y, cut(text, int((d.right-d.left-180)/charWidth)))
	}
}

// used lists the classes that are in the image, each with its meaning.
func (d *drawing) used() (entries []string) {
	has := map[state]bool{}
	for _, row := range d.rows {
		for _, s := range row.spans {
			has[s.state] = true
		}
	}
	for i, words := range [...]string{running: "runs", ready: "can run", asleep: "sleeps (S)", deep: "sleeps (D)"} {
		if has[state(i)] {
			entries = append(entries, classes[i]+" "+words)
		}
	}
	if len(d.arrows) > 0 {
		entries = append(entries, "wake wakes")
	}
	if len(d.signals) > 0 {
		entries = append(entries, "signal sends a signal")
	}
	return entries
}
