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
	defer e.watch()()
	var err error
	lines := bufio.NewScanner(in)
	o := e.order(func(s scene) (next *Thread, fault string) {
		if next, err = ask(lines, out, s); err != nil {
			fault = err.Error()
		}
		return next, fault
	})
	o.tell()
	return o, err
}

// ask asks until it gets the number of a thread that can go on.
func ask(lines *bufio.Scanner, out io.Writer, s scene) (*Thread, error) {
	for {
		var numbers []string
		for _, th := range s.ready {
			numbers = append(numbers, strconv.Itoa(th.number))
			if _, err := fmt.Fprintf(out, "%4d  %s\n", th.number, th.move()); err != nil {
				return nil, err
			}
		}
		if _, err := fmt.Fprintf(out, "Which goes on? "); err != nil {
			return nil, err
		}
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return nil, err
			}
			return nil, io.ErrUnexpectedEOF
		}
		n, _ := strconv.Atoi(strings.TrimSpace(lines.Text())) // 0 is the number of none
		if th := s.numbered(n); th != nil {
			return th, nil
		}
		if _, err := fmt.Fprintf(out, "One of these numbers: %s\n", strings.Join(numbers, ", ")); err != nil {
			return nil, err
		}
	}
}
