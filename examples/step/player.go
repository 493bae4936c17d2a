package step

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A player makes one order after another.
type player struct {
	game     Game
	lines    *bufio.Scanner
	out      io.Writer
	hints    bool           // at every step
	root     *node          // of all orders
	simplest *explore.Order // that wins, or nil

	at   *node  // of the steps so far
	step int    // the next one, from 1
	note string // for the player, before the next question
}

// newPlayer searches all orders of the game.
func newPlayer(game Game, in io.Reader, out io.Writer) *player {
	root := &node{next: map[int]*node{}}
	found := explore.Search{Preemptions: game.Preemptions, Each: root.add}.Run(game.Model)
	return &player{game: game, lines: bufio.NewScanner(in), out: out, root: root, simplest: found.Simplest}
}

// A player need not go on to the end of an order.
var (
	errLeave = errors.New("leave")
	errAgain = errors.New("begin again")
)

// play plays until the player leaves.
func (p *player) play() error {
	p.note = p.greeting() + keys
	for {
		order, err := p.order(p.choose)
		if err == nil {
			err = p.askAgain(p.verdict(order))
		}
		switch {
		case errors.Is(err, errLeave):
			return nil
		case !errors.Is(err, errAgain):
			return err
		}
	}
}

// order makes an order from its first step.
func (p *player) order(choose func([]explore.Standing) (int, error)) (explore.Order, error) {
	p.at, p.step = p.root, 1
	return explore.Search{}.Choose(func(threads []explore.Standing) (int, error) {
		number, err := choose(threads)
		if err == nil {
			p.at = p.at.next[number]
			p.step++
		}
		return number, err
	}, p.game.Model)
}

// choose asks the player for the number of a thread until it can go on.
func (p *player) choose(threads []explore.Standing) (int, error) {
	hints := p.hints
	for {
		key, err := p.ask(p.turn(threads, hints))
		number, _ := strconv.Atoi(key) // 0 is the number of no thread
		switch {
		case err == io.EOF:
			return 0, fmt.Errorf("step: the input ends at step %d, before the order does", p.step)
		case err != nil:
			return 0, err
		case key == "q":
			return 0, errLeave
		case key == "r":
			return 0, errAgain
		case key == "h":
			hints = true
		case p.at.next[number] != nil:
			return number, nil
		default:
			p.note = fmt.Sprintf("%q does nothing here. These do: %s, h, r, q.\n", key, p.numbers())
		}
	}
}

// numbers are the threads that can go on.
func (p *player) numbers() string {
	var all []string
	for _, n := range p.at.numbers() {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, ", ")
}

// askAgain asks at the end of an order. It returns errAgain or errLeave, unless the input or
// the output fails.
func (p *player) askAgain(verdict string) error {
	p.note = verdict
	for {
		switch key, err := p.ask("Again? r begins again, q leaves: "); {
		case key == "q", err == io.EOF:
			return errLeave
		case err != nil:
			return err
		case key == "r":
			return errAgain
		default:
			p.note = fmt.Sprintf("%q does nothing here. These do: r, q.\n", key)
		}
	}
}

// ask shows a question, and returns the line that the player types, or io.EOF.
func (p *player) ask(question string) (key string, err error) {
	if _, err := io.WriteString(p.out, p.note+question); err != nil {
		return "", err
	}
	p.note = ""
	if p.lines.Scan() {
		return strings.TrimSpace(p.lines.Text()), nil
	}
	if err := p.lines.Err(); err != nil {
		return "", fmt.Errorf("step: cannot read a key: %w", err)
	}
	_, err = io.WriteString(p.out, "\n") // the next text has a line of its own
	if err == nil {
		err = io.EOF
	}
	return "", err
}
