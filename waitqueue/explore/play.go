package explore

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// play asks a human for each step.
func (e *explorer) play(in io.Reader, out io.Writer) (Order, error) {
	lines := bufio.NewScanner(in)
	return e.choose(func(here scene) (number int, err error) { return ask(lines, out, here) })
}

// ask asks until it gets the number of a thread that can go on.
func ask(lines *bufio.Scanner, out io.Writer, s scene) (int, error) {
	for {
		var numbers []string
		for _, th := range s.ready {
			numbers = append(numbers, strconv.Itoa(th.number))
			if _, err := fmt.Fprintf(out, "%4d  %s\n", th.number, th.move()); err != nil {
				return 0, err
			}
		}
		if _, err := fmt.Fprintf(out, "Which goes on? "); err != nil {
			return 0, err
		}
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return 0, err
			}
			return 0, io.ErrUnexpectedEOF
		}
		n, _ := strconv.Atoi(strings.TrimSpace(lines.Text())) // 0 is the number of none
		if s.numbered(n) != nil {
			return n, nil
		}
		if _, err := fmt.Fprintf(out, "One of these numbers: %s\n", strings.Join(numbers, ", ")); err != nil {
			return 0, err
		}
	}
}
